"""What a server's headers say about how often it may be asked. One parser for all dialects; pure.

Retry-After comes in seconds or as an HTTP date (RFC 9110 section 10.2.3). The reset of ``X-RateLimit-*`` and
``RateLimit-*`` is an ISO 8601 instant (Mastodon), Unix seconds (AT Protocol, PeerTube), Unix milliseconds (Sharkey) or
seconds to go (Reddit, the IETF drafts): told apart by size, because no header says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Nobody waits longer than this because of a header.
MAX_WAIT = 86400.0
#: Statuses that mean "not now".
BUSY = frozenset({429, 503})
#: Below this a number is seconds to go, above it Unix seconds, above the second Unix milliseconds.
_EPOCH_FROM, _MILLIS_FROM = 1e8, 1e11
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-", "x-ratelimit-perhour-", "x-ratelimit-perday-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the headers of one answer advise. Times are seconds since the epoch."""

    #: Do not ask again before this; None where nothing was said.
    wait_until: float | None = None
    #: Requests left in the window, and in all.
    remaining: float | None = None
    limit: float | None = None
    #: When the window ends.
    reset: float | None = None
    #: Which header said so, for the log.
    why: str = ""


NOTHING = Advice()


def advice(status: int, headers: Iterable[tuple[str, str]], now: float) -> Advice:
    """Return what an answer's headers advise. Garbage is ignored; waits are bounded to a day."""
    found = {name.lower(): value.strip() for name, value in headers}
    retry = _instant(found.get("retry-after", ""), now) if status in BUSY or 300 <= status < 400 else None
    remaining, limit, reset = _window(found, now)
    wait, why = retry, f"Retry-After: {found.get('retry-after')}"
    if wait is None and reset is not None and (status in BUSY or (remaining is not None and remaining < 1)):
        wait, why = reset, "the rate limit's window"
    if wait is not None:
        wait = min(max(wait, now), now + MAX_WAIT)
    return Advice(wait_until=wait, remaining=remaining, limit=limit, reset=reset, why=why if wait is not None else "")


def _window(found: dict[str, str], now: float) -> tuple[float | None, float | None, float | None]:
    """Return remaining, limit and reset of the tightest window that the headers name."""
    windows = []
    for prefix in _PREFIXES:
        remaining, limit = (_number(found.get(prefix + name, "")) for name in ("remaining", "limit"))
        reset = _instant(found.get(prefix + "reset", found.get(prefix + "clear", "")), now)
        if remaining is not None or reset is not None:
            windows.append((remaining, limit, reset))
    if "ratelimit" in found:
        windows.append(_structured(found["ratelimit"], now))
    return min(windows, key=lambda w: (w[0] is None, w[0]), default=(None, None, None))


def _structured(value: str, now: float) -> tuple[float | None, float | None, float | None]:
    """Read the later IETF drafts' single header: ``"default";r=50;t=30`` or ``limit=100, remaining=50, reset=5``."""
    pairs = dict(re.findall(r"([a-z]+)=(\d+)", value.lower()))
    remaining, limit = (_number(pairs.get(short, pairs.get(long, ""))) for short, long in (("r", "remaining"), ("q", "limit")))
    return remaining, limit, _instant(pairs.get("t", pairs.get("reset", "")), now)


def _number(text: str) -> float | None:
    found = re.match(r"\d{1,15}(?:\.\d{1,9})?", text)
    return float(found[0]) if found else None


def _instant(text: str, now: float) -> float | None:
    """Return the instant that a header value means, or None."""
    if re.fullmatch(r"\d{1,15}(?:\.\d{1,9})?", text):
        value = float(text)
        if value >= _MILLIS_FROM:
            return value / 1000
        return value if value >= _EPOCH_FROM else now + value
    return _date(text)


def _date(text: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
