"""What spiders of JSON APIs share: values out of hostile JSON, the next page, and lists that never end. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from crawler.model import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from crawler.model import Fetch
    from crawler.response import CaptureResponse
    from spiders.base import Yield

#: Pages of one listing at the most; a listing that is longer runs in a circle.
MAX_PAGES = 1_000_000
#: Characters of a text that items carry.
MAX_TEXT = 1 << 20
_NUMBER = (int, float)
#: RFC 8288, section 3: ``<target>; rel="next"``, several of them with commas between.
_LINK = re.compile(r"<([^<>]{1,4096})>\s*((?:;[^,<]{0,512})*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?(?:[^\"]*\s)?next[\s\";]?", re.IGNORECASE)


def text(value: Any, *keys: str) -> str:
    """Return the text (or number, as text) at a path of keys; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return ""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT]
    return str(value)[:MAX_TEXT] if isinstance(value, _NUMBER) and not isinstance(value, bool) else ""


def at(value: Any, *keys: str) -> Any:
    """Return what stands at a path of keys, None where nothing does."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def objects(value: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a path of keys; what is no object is left out."""
    found = at(value, *keys)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def number(value: Any, *keys: str) -> int | None:
    """Return the whole number at a path of keys, None where there is none."""
    found = at(value, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def counters(value: Any, names: Mapping[str, str]) -> dict[str, str]:
    """Return the counters of an object: our name → what the platform prints, from our name → its key."""
    return {ours: found for ours, theirs in names.items() if (found := text(value, theirs))}


def next_link(response: CaptureResponse) -> str:
    """Return the target of ``Link: <…>; rel="next"`` (RFC 8288) as an absolute URL; empty where there is none."""
    for value in response.headers.getlist("Link"):
        for target, parameters in _LINK.findall(value.decode("latin-1")[:8192]):
            if _NEXT.search(parameters):
                try:
                    return str(urljoin(response.url, target))
                except ValueError:  # no URL at all
                    return ""
    return ""


def with_query(url: str, **parameters: object) -> str:
    """Return a URL with these query parameters set; one that is None is left out."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    added = [(name, str(value)) for name, value in parameters.items() if value is not None]
    return urlunsplit(parts._replace(query=urlencode([*kept, *added])))


def turn(
    response: CaptureResponse, ids: Iterable[object], following: Fetch, *, newest_first: bool = False
) -> Iterator[Yield]:
    """Yield the next page of a listing, guarded against pages that repeat: cursors and clamped last pages do.

    Where the newest stand first a later round stops at what it knows.

    ``ids`` are what this page lists, in its order; they, and how many pages came before, travel in the cursor's
    ``page``. An empty page has no next one: that is for the caller to know, as some platforms filter after paging.
    """
    now = [str(one) for one in ids]
    seen = (response.fetch.cursor or {}).get("page", {})
    edge = [now[0], now[-1]] if now else seen.get("edge", [])
    count = seen.get("n", 0) + 1
    if now and edge == seen.get("edge"):
        why = "a page repeats the one before it; the listing ends there"
        yield Note(text=f"{urlsplit(response.url).path}: {why}", url=response.url)
    elif count < MAX_PAGES:
        cursor = {**(following.cursor or {}), "page": {"n": count, "edge": edge}}
        yield replace(following, cursor=cursor, deeper=newest_first)


def source(response: CaptureResponse) -> dict[str, Any]:
    """Return where and when an item was read, as items carry it."""
    return {"captured_at": response.said_at, "source_url": response.url}
