"""The platforms there are: ours by module path, other people's by the entry point group ``outlast.spiders``.

A plug-in that cannot be loaded is reported and left out; it never stops a crawl of something else. Nothing is
imported before it is asked for.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from crawler.errors import UsageError
from spiders.base import PlatformSpider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

BUILT_IN = {
    "atproto": "spiders.atproto:AtprotoSpider",
    "bitchute": "spiders.videos:BitchuteSpider",
    "bluesky": "spiders.bluesky:BlueskySpider",
    "discourse": "spiders.discourse:DiscourseSpider",
    "facebook": "spiders.closed:FacebookSpider",
    "firefish": "spiders.misskey:FirefishSpider",
    "flaskbb": "spiders.forums:FlaskbbSpider",
    "gab": "spiders.mastodon:GabSpider",
    "ghost": "spiders.ghost:GhostSpider",
    "gotosocial": "spiders.mastodon:GoToSocialSpider",
    "hackernews": "spiders.hackernews:HackerNewsSpider",
    "imageboard": "spiders.imageboard:ImageboardSpider",
    "instagram": "spiders.closed:InstagramSpider",
    "invision": "spiders.forums:InvisionSpider",
    "lemmy": "spiders.lemmy:LemmySpider",
    "linkedin": "spiders.closed:LinkedInSpider",
    "mastodon": "spiders.mastodon:MastodonSpider",
    "mediawiki": "spiders.mediawiki:MediaWikiSpider",
    "misskey": "spiders.misskey:MisskeySpider",
    "odysee": "spiders.videos:OdyseeSpider",
    "parler": "spiders.parler:ParlerSpider",
    "peertube": "spiders.peertube:PeertubeSpider",
    "phpbb": "spiders.forums:PhpbbSpider",
    "pixelfed": "spiders.pixelfed:PixelfedSpider",
    "pleroma": "spiders.mastodon:PleromaSpider",
    "proboards": "spiders.forums:ProboardsSpider",
    "reddit": "spiders.reddit:RedditSpider",
    "rumble": "spiders.rumble:RumbleSpider",
    "sharkey": "spiders.misskey:SharkeySpider",
    "smf": "spiders.forums:SmfSpider",
    "telegram": "spiders.telegram:TelegramSpider",
    "threads": "spiders.closed:ThreadsSpider",
    "tiktok": "spiders.closed:TikTokSpider",
    "truthsocial": "spiders.mastodon:TruthSocialSpider",
    "vbulletin": "spiders.forums:VbulletinSpider",
    "wordpress": "spiders.wordpress:WordPressSpider",
    "x": "spiders.closed:XSpider",
    "xenforo": "spiders.forums:XenforoSpider",
    "generic": "spiders.generic:GenericSpider",
}
GROUP = "outlast.spiders"
#: The platform whose replica ``archive demo`` shows unless told otherwise.
DEMO = "parler"
#: The platform of a site that no other spider recognises.
FALLBACK = "generic"


def names() -> list[str]:
    """Return the names of all platforms whose spiders load, the fallback last."""
    return [spider.name for spider in all_classes()]


def get(name: str, file: Path | None = None) -> type[PlatformSpider]:
    """Return the spider of a platform, the one of ``file`` where a collection has its own.

    Raises UsageError for a name nobody has, and for a plug-in or file that does not load.
    """
    if file is not None:
        return adopt(file)
    if name not in _known():
        raise UsageError(f"There is no platform {name!r}; there are: {', '.join(names())}.")
    found = _find(name)
    if isinstance(found, str):
        raise UsageError(found)
    return found


def adopt(file: Path) -> type[PlatformSpider]:
    """Take in the spider of a single file; in this process it goes before any other of its name.

    Raises UsageError where the file does not load, or does not hold one PlatformSpider with a name of its own.
    """
    module = load(file)
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, PlatformSpider) and one.__module__ == module.__name__
        and one.__dict__.get("name")
    ]  # fmt: skip
    if len(found) != 1:
        what = f"{len(found)} of them" if found else "none"
        raise UsageError(f"{file} must hold one class of a PlatformSpider with a name = …; it holds {what}.")
    _adopted[found[0].name] = found[0]
    return found[0]


@contextmanager
def enlisted(spider: type[PlatformSpider]) -> Iterator[None]:
    """Have a spider among the known ones for a while, before any other of its name."""
    before = dict(_adopted)
    _adopted[spider.name] = spider
    try:
        yield
    finally:
        _adopted.clear()
        _adopted.update(before)


def load(file: Path) -> ModuleType:
    """Run a file as a module of its own. Raises UsageError, with the line, where it does not load."""
    try:
        name = f"outlast_spider_{sha256(file.read_bytes()).hexdigest()[:16]}"
        spec = spec_from_file_location(name, file, loader=SourceFileLoader(name, str(file)))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}.") from e
    except Exception as e:
        raise UsageError(f"{file} does not load: {_told(e, file)}") from e
    return module


def _told(error: Exception, file: Path) -> str:
    """Return what went wrong in a file, with the line where it did."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}" + (f" (line {line})" if line else "")


def all_classes() -> Iterator[type[PlatformSpider]]:
    """Yield every spider that loads, the fallback last."""
    return (found for name in _known() if not isinstance(found := _find(name), str))


def broken() -> dict[str, str]:
    """Return plug-ins that do not load, or claim a name of ours → why."""
    failed = {name: found for name in _known() if isinstance(found := _find(name), str)}
    taken = {point.name for point in entry_points(group=GROUP)} & BUILT_IN.keys()
    return failed | {name: f"The plug-in for {name} is ignored: Outlast has a spider of that name." for name in taken}


#: Spiders of single files, by name.
_adopted: dict[str, type[PlatformSpider]] = {}


def _known() -> list[str]:
    found = {*BUILT_IN, *_adopted, *(point.name for point in entry_points(group=GROUP))}
    return [*sorted(found - {FALLBACK}), FALLBACK]


def _find(name: str) -> type[PlatformSpider] | str:
    return _adopted.get(name) or _load(name)


@cache
def _load(name: str) -> type[PlatformSpider] | str:
    """Return the spider of a known name, or why there is none."""
    try:
        if name in BUILT_IN:
            module, _, attribute = BUILT_IN[name].partition(":")
            found = getattr(import_module(module), attribute)
        else:
            found = next(iter(entry_points(group=GROUP, name=name))).load()
    except Exception as e:  # noqa: BLE001 - a plug-in may fail in any way, and must not take the crawl with it
        return f"The plug-in for {name} does not load: {type(e).__name__}: {e}"
    if not (isinstance(found, type) and issubclass(found, PlatformSpider)):
        return f"The plug-in for {name} is not a PlatformSpider."
    if found.name != name:
        return f"The plug-in for {name} calls its platform {found.name!r}; the two names must be one."
    return found
