"""The platforms there are: ours by module path, other people's by the entry point group ``outlast.spiders``.

A plug-in that cannot be loaded is reported and left out; it never stops a crawl of something else.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from crawler.errors import UsageError
from spiders.base import PlatformSpider

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT_IN = {
    "parler": "spiders.parler:ParlerSpider",
    "generic": "spiders.generic:GenericSpider",
}
GROUP = "outlast.spiders"
#: The platform of a site that no other spider recognises.
FALLBACK = "generic"


def names() -> list[str]:
    """Return the names of all platforms, the fallback last."""
    found = {*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}
    return [*sorted(found - {FALLBACK}), FALLBACK]


def get(name: str) -> type[PlatformSpider]:
    """Return the spider of a platform. Raises UsageError for a name nobody has, or a plug-in that does not load."""
    found = _load(name)
    if isinstance(found, str):
        raise UsageError(found)
    return found


def all_classes() -> Iterator[type[PlatformSpider]]:
    """Yield every spider that loads, the fallback last."""
    for name in names():
        found = _load(name)
        if not isinstance(found, str):
            yield found


def broken() -> dict[str, str]:
    """Return plug-ins that do not load → why."""
    return {name: found for name in names() if isinstance(found := _load(name), str)}


@cache
def _load(name: str) -> type[PlatformSpider] | str:
    try:
        if name in BUILT_IN:
            module, _, attribute = BUILT_IN[name].partition(":")
            found = getattr(import_module(module), attribute)
        else:
            points = entry_points(group=GROUP, name=name)
            if not points:
                return f"There is no platform {name!r}; there are: {', '.join(names())}."
            found = next(iter(points)).load()
    except Exception as e:  # noqa: BLE001 - a plug-in may fail in any way, and must not take the crawl with it
        return f"The plug-in for {name} does not load: {type(e).__name__}: {e}"
    if not (isinstance(found, type) and issubclass(found, PlatformSpider)):
        return f"The plug-in for {name} is not a PlatformSpider."
    return found
