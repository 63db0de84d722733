"""What an answer looks like by itself, and what several have in common."""

from __future__ import annotations

import re
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

from crawler.model import Outcome, Seen, Verdict
from crawler.url import origin

if TYPE_CHECKING:
    from crawler.model import Digests, Fetch, Settlement

#: How many in a row are a suspicion; a worker pauses at these lengths of a row, until the supervisor has heard of it.
RUN, PAUSES = 8, frozenset({8, 16, 24, 32})
#: Parts that are kept in memory: some platforms have a host for each of their users.
MOST_PARTS = 1000


class Sign(StrEnum):
    """What an answer looks like by itself."""

    OK = "ok"
    MOVED = "moved"
    MISSING = "missing"
    LOGIN = "login"
    FORBIDDEN = "forbidden"
    TOMBSTONE = "tombstone"
    SILENT = "silent"
    DNS = "dns"
    TLS = "tls"
    #: It says nothing of life or death: a rate limit, maintenance that names its end, a fault of our own.
    NOTHING = "nothing"


#: Signs of a host as a whole.
OF_HOST = frozenset({Sign.SILENT, Sign.DNS, Sign.TLS})
_WORDS = {
    Sign.OK: "the same answer under every URL", Sign.MOVED: "every URL leads to one place",
    Sign.MISSING: "what was named is gone", Sign.LOGIN: "a login wall", Sign.FORBIDDEN: "everything is refused",
    Sign.TOMBSTONE: "tombstones", Sign.SILENT: "errors and silence", Sign.DNS: "its name is gone",
    Sign.TLS: "its certificate is not to be trusted any more",
}  # fmt: skip
_OUTCOMES = {
    Outcome.DNS: Sign.DNS, Outcome.TLS: Sign.TLS, Outcome.TIMEOUT: Sign.SILENT, Outcome.REFUSED: Sign.SILENT,
    Outcome.CUT: Sign.SILENT, Outcome.PROTOCOL: Sign.SILENT,
}  # fmt: skip
_VERDICTS = {
    Verdict.LOGIN: Sign.LOGIN, Verdict.TOMBSTONE: Sign.TOMBSTONE, Verdict.MISSING: Sign.MISSING,
    Verdict.LIMITED: Sign.NOTHING, Verdict.PRIVATE: Sign.NOTHING,
}  # fmt: skip
_MISSING, _REFUSED = frozenset({400, 404, 410}), frozenset({401, 402, 403, 451})
#: What a server cannot do says nothing of the rest.
_UNABLE = frozenset({501, 505})


class Part(NamedTuple):
    """What can die: a host as a whole, or one lane of it (a section, a kind of media)."""

    origin: str
    #: Empty for all of them.
    lane: str = ""

    def holds(self, place: str, lane: str) -> bool:
        """Say whether an origin's lane belongs to it."""
        return place == self.origin and self.lane in {"", lane}

    def __str__(self) -> str:
        return f"{self.origin} ({self.lane})" if self.lane else self.origin


class Key(NamedTuple):
    """What the answers of a run have in common: their sign, and the one payload or target that they share."""

    sign: Sign
    mark: str = ""

    def __str__(self) -> str:
        return _WORDS[self.sign]


def sign(*, outcome: Outcome, status: int, verdict: Verdict, asks_to_wait: bool = False, moves: bool = False) -> Sign:
    """Return what an answer looks like; ``asks_to_wait`` is Retry-After, ``moves`` a redirect with a target."""
    if status == 0:
        return _OUTCOMES.get(outcome, Sign.NOTHING)
    if verdict in _VERDICTS:
        return _VERDICTS[verdict]
    if status >= 500:
        return Sign.NOTHING if asks_to_wait or status in _UNABLE else Sign.SILENT
    if status >= 400:
        return Sign.MISSING if status in _MISSING else Sign.FORBIDDEN if status in _REFUSED else Sign.NOTHING
    return Sign.MOVED if moves else Sign.OK


def sign_of(why: str) -> Sign:
    """Return what an answer looked like by why it was given up (see ``settle``): a status, verdict or outcome."""
    if found := re.fullmatch(r"HTTP ([1-9][0-9]{2})", why):
        return sign(outcome=Outcome.OK, status=int(found[1]), verdict=Verdict.OK)
    with suppress(ValueError):
        return sign(outcome=Outcome(why), status=0, verdict=Verdict.OK)
    with suppress(ValueError):
        return sign(outcome=Outcome.OK, status=200, verdict=Verdict(why))
    return Sign.NOTHING


def seen(
    fetch: Fetch, *, outcome: Outcome, status: int, verdict: Verdict, asks_to_wait: bool, location: str
) -> Seen:  # fmt: skip
    """Return what the death watch is told of an answer."""
    target = _target(fetch.url, location) if 300 <= status < 400 and location else ""
    moves = bool(target)
    what = sign(outcome=outcome, status=status, verdict=verdict, asks_to_wait=asks_to_wait, moves=moves)
    return Seen(url=fetch.url, lane=fetch.lane, sign=what.value, target=target, sweep=fetch.sweep)


def _target(base: str, location: str) -> str:
    """Return where a redirect leads, its query aside; nothing where that is no URL."""
    try:
        return urljoin(base, location).partition("?")[0].partition("#")[0]
    except ValueError:
        return ""


def key_of(told: Settlement) -> Key | None:
    """Return what an answer may have in common with others; None where it says nothing."""
    return key_from(told.seen, told.status, told.digests) if told.seen is not None else None


def key_from(seen: Seen, status: int, digests: Digests | None) -> Key | None:
    """Return what an answer may have in common with others; None where it says nothing."""
    what = Sign(seen.sign)
    if what is Sign.NOTHING or (what is Sign.MISSING and seen.sweep):
        return None  # of a sweep, that is a hole
    if what is not Sign.OK:
        return Key(what, seen.target if what is Sign.MOVED else "")
    # "Not modified" has no body: what it affirms is another thing under each URL.
    return Key(what, seen.url if status == 304 or digests is None else digests.payload_sha256)


def shows(told: Settlement, key: Key) -> bool | None:
    """Say whether an answer to a control is as the dead answer (``key``); None where that cannot be told from it.

    A tombstone is known by its bytes alone: what is refused or missing now says nothing of pages that answer well.
    """
    found = key_of(told)
    if found is None or (key.sign is Sign.OK and found.sign is not Sign.OK):
        return None
    return found == key or found.sign is not Sign.OK


class Streaks:
    """A worker's own look at each answer: they are read and committed in groups, and until then much may be asked."""

    def __init__(self) -> None:
        self._last: dict[Part, tuple[Key, int]] = {}

    def heard(self, seen: Seen, key: Key | None) -> int:
        """Return how many are alike in a row where the origin is to wait until this is committed; else 0."""
        place = origin(seen.url)
        counts = [self._count(part, key) for part in (Part(place), Part(place, seen.lane))] if key else []
        return max((count for count in counts if count in PAUSES), default=0)

    def _count(self, part: Part, key: Key) -> int:
        last, count = self._last.pop(part, (key, 0))
        count = count + 1 if last == key else 1
        self._last[part] = (key, count)
        if len(self._last) > 2 * MOST_PARTS:
            del self._last[next(iter(self._last))]
        return count
