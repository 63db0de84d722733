"""ReplayWeb.page over the WACZ. Its files are its own (AGPL-3.0): they are served from where people put them."""

from __future__ import annotations

import hashlib
import html
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.reading.pages import when
from crawler.reading.replay import NotInstalled, Shown
from crawler.reading.replay.served import Thing, of_text, serving
from crawler.reading.zipped import of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.reading.replay import Wish
    from crawler.reading.replay.holding import Holding

_FILES = ("ui.js", "sw.js")
#: Where the files may be below the folder that was named: as they are, or as npm leaves them.
_BELOW = (".", "package", "node_modules/replaywebpage")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script src="/replay/ui.js"></script>
<style>html, body {{ margin: 0; height: 100% }} replay-web-page {{ display: block; height: 100vh }}</style></head>
<body><replay-web-page source="/archive.wacz" replayBase="/replay/" embed="default" deepLink {begin}></replay-web-page>
</body></html>
"""
#: What the viewer's frame shows until its service worker is there.
_FRAME = """<!doctype html>
<html><head><meta charset="utf-8"><script src="ui.js"></script></head>
<body><replay-app-main></replay-app-main></body></html>
"""


def folder() -> Path:
    """Return where the viewer's files are looked for: ``outlast/viewer`` in the XDG data folder."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "outlast" / "viewer"


@contextmanager
def replayweb(holding: Holding, wish: Wish) -> Iterator[Shown]:
    """Serve the viewer and the WACZ. Raises NotInstalled."""
    files = _found(wish.viewer or folder())
    url, stamp = (wish.url, wish.at) if wish.url else holding.main
    begin = f'url="{html.escape(url)}"' if url else ""
    begin += f' ts="{html.escape(when(stamp))}"' if stamp and url else ""
    page = of_text("text/html", _PAGE.format(title=html.escape(holding.title), begin=begin))
    with serving(_site(holding, files, page), wish.port) as port:
        yield Shown(engine="replayweb", url=f"http://127.0.0.1:{port}/", port=port)


def _found(named: Path) -> Path:
    for below in _BELOW:
        if all((named / below / name).is_file() for name in _FILES):
            return named / below
    raise NotInstalled(
        f"ReplayWeb.page is not in {named}: it needs {' and '.join(_FILES)}. To have them there:\n"
        f"  mkdir -p {named} && cd {named} && npm pack replaywebpage && tar xzf replaywebpage-*.tgz"
    )


def _site(holding: Holding, files: Path, page: Thing) -> Callable[[str], Thing | None]:
    etag = hashlib.sha256(f"{holding.wacz.size}".encode() + b"".join(holding.wacz.read(*_tail(holding)))).hexdigest()
    wacz = Thing(mime="application/zip", size=holding.wacz.size, read=holding.wacz.read, etag=etag[:32])
    things = {"/": page, "/archive.wacz": wacz, "/replay/": of_text("text/html", _FRAME)}
    things["/replay/index.html"] = things["/replay/"]
    for name in _FILES:
        path = files / name
        things[f"/replay/{name}"] = Thing(mime="text/javascript", size=path.stat().st_size, read=of_file(path))
    return things.get


def _tail(holding: Holding) -> tuple[int, int]:
    return max(0, holding.wacz.size - (1 << 16)), holding.wacz.size
