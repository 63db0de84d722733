"""Opening an archive in a browser, offline. An engine is a function ``(Holding, Wish) -> context of Shown``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from crawler.reading.replay.holding import Holding

    Engine = Callable[[Holding, "Wish"], AbstractContextManager["Shown"]]

#: Engine → the function, and one line for people. ``auto`` takes the first of ``_PREFERRED`` that is to be had.
ENGINES: Mapping[str, tuple[str, str]] = {
    "replayweb": ("crawler.reading.replay.viewer:replayweb", "ReplayWeb.page, where its files are (--viewer)"),
    "pywb": ("crawler.reading.replay.pywb:pywb", "pywb's wayback, where it is installed"),
    "direct": ("crawler.reading.replay.direct:direct", "Chromium with every host mapped here, nothing rewritten"),
}
_PREFERRED = ("replayweb", "direct", "pywb")


class NotInstalled(UsageError):
    """What the engine needs is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to see, and how."""

    #: The page to begin with; the collection's own where empty.
    url: str = ""
    #: 14-digit date whose captures are shown where there are several; the newest where empty.
    at: str = ""
    #: Port on 127.0.0.1; a free one where 0.
    port: int = 0
    #: Where ReplayWeb.page's files are.
    viewer: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An archive that is being shown."""

    engine: str
    #: What a browser opens; with an engine that needs a browser of its own, the page's own URL.
    url: str
    port: int
    #: Starts the browser that the engine needs; empty where any will do.
    browser: tuple[str, ...] = ()


def engine(name: str) -> list[tuple[str, Engine]]:
    """Return the engines to be tried, in order."""
    names = _PREFERRED if name == "auto" else (name,)
    found = []
    for one in names:
        module, _, function = ENGINES[one][0].partition(":")
        found.append((one, getattr(import_module(module), function)))
    return found
