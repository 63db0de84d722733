"""What a server's headers say about how often it may be asked. One parser for all dialects; pure.

Retry-After comes in seconds or as an HTTP date (RFC 9110 section 10.2.3). The reset of ``X-RateLimit-*`` and
``RateLimit-*`` is an ISO 8601 instant (Mastodon), Unix seconds (AT Protocol, PeerTube), milliseconds to go (Sharkey) or
seconds to go (Reddit, the IETF drafts): no header says which, so shape and size decide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Nobody waits longer than this because of a header.
MAX_WAIT = 86400.0
#: A number up to the first of these is time to go, up to the second Unix seconds, and beyond it Unix milliseconds.
_EPOCH_FROM, _EPOCH_MILLIS_FROM = 1e8, 1e11
#: Bytes of one header value that are looked at.
_MAX_VALUE = 200

_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?:s|secs?|seconds?)?", re.IGNORECASE)
_COUNT = re.compile(r"-?[0-9]{1,12}")
#: ``X-RateLimit-Remaining``, ``X-RateLimit-PerDay-Remaining`` (Tumblr), ``X-RateLimit-Remaining-Minute`` (Kong) …
_FIELD = re.compile(
    r"(?:x-)?rate-?limit-(?:(?P<before>[a-z0-9]+)-)?"
    r"(?P<what>limit|remaining|reset-after|reset|clear)(?:-(?P<after>[a-z0-9]+))?"
)
_PARAMETER = re.compile(r"\b(limit|remaining|reset|q|r|t)\s*=\s*([0-9]{1,12})", re.IGNORECASE)
_SHORT = {"q": "limit", "r": "remaining", "t": "reset"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the headers of one answer advise. Times are seconds since the epoch, at most a day ahead."""

    #: Do not ask again before this; None where nothing was said.
    wait_until: float | None = None
    #: Requests left in the tightest window that was named, and how many it has in all.
    remaining: int | None = None
    limit: int | None = None
    #: When that window ends.
    reset: float | None = None
    #: Which header asked us to wait, for the log; never the server's own words.
    why: str = ""


#: An answer that advises nothing.
NOTHING = Advice()


@dataclass(frozen=True, slots=True)
class _Window:
    remaining: int | None = None
    limit: int | None = None
    reset: float | None = None

    @property
    def is_spent(self) -> bool:
        # A limit of 0 is how some say that there is none.
        return self.remaining == 0 and self.limit != 0


def advice(status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]], now: float) -> Advice:
    """Return what an answer's headers advise. Pure and total: garbage is ignored, waits are bounded to a day.

    ``Retry-After`` counts where the status says "not now"; the end of a window counts where that window is spent,
    whatever the status, or where the answer says "not now" and leaves open how much of the window is left.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    found = [(name.strip().lower(), value[:_MAX_VALUE].strip()) for name, value in pairs]
    windows = _windows(found, now)
    tightest = min(windows, key=lambda w: (w.remaining is None, w.remaining or 0, -(w.reset or 0)), default=_Window())
    until, why = _wait(status, found, windows, now)
    return Advice(
        wait_until=until, remaining=tightest.remaining, limit=tightest.limit, reset=tightest.reset, why=why
    )  # fmt: skip


def _wait(status: int, found: list[tuple[str, str]], windows: list[_Window], now: float) -> tuple[float | None, str]:
    is_refusal = status in {403, 408, 413, 425, 429} or status >= 500
    if is_refusal:
        asked = [
            when for name, value in found if name == "retry-after" and (when := _instant(value, now, longest=math.inf))
        ]
        if asked:
            return max(asked), "Retry-After"
    spent = [w.reset for w in windows if w.reset is not None and w.is_spent]
    if spent:
        return max(spent), "no requests left in the window"
    open_ended = [w.reset for w in windows if w.reset is not None and w.remaining is None]
    if status in {429, 503} and open_ended:
        return max(open_ended), "end of the window"
    return None, ""


def _windows(found: list[tuple[str, str]], now: float) -> list[_Window]:
    """Return every window that the headers name, by family and by the name inside the header's name."""
    fields: dict[str, dict[str, str]] = {}
    structured: list[_Window] = []
    for name, value in found:
        if name == "ratelimit":
            structured += _structured(value, now)
        elif parts := _FIELD.fullmatch(name):
            window = name[: parts.start("what")].replace("x-", "").replace("rate-limit", "ratelimit")
            fields.setdefault(f"{window}{parts['after'] or ''}", {})[parts["what"]] = value
    return [*structured, *(_window(values, now) for values in fields.values())]


def _window(values: dict[str, str], now: float) -> _Window:
    reset = next((values[name] for name in ("reset-after", "clear", "reset") if name in values), "")
    return _Window(_count(values.get("remaining", "")), _count(values.get("limit", "")), _instant(reset, now))


def _structured(value: str, now: float) -> Iterator[_Window]:
    """Read the one header of later IETF drafts: ``"day";r=50;t=30, "burst";r=0;t=3`` or ``remaining=5, reset=5``."""
    items = [value] if "remaining" in value.lower() else value.split(",")
    for item in items:
        named = {_SHORT.get(key.lower(), key.lower()): number for key, number in _PARAMETER.findall(item)}
        if named:
            yield _window(named, now)


def _count(text: str) -> int | None:
    """Return the first number of a header value: Reddit writes ``588.0``, old drafts ``100, 100;w=60``."""
    found = _COUNT.match(text)
    return max(int(found[0]), 0) if found else None


def _instant(text: str, now: float, *, longest: float = MAX_WAIT) -> float | None:
    """Return the instant that a header value means, from now to a day from now; None for garbage.

    A number beyond ``longest`` seconds to go means milliseconds.
    """
    number = _NUMBER.fullmatch(text)
    when = _by_size(float(number[1]), now, longest) if number else _date(text)
    return None if when is None else min(max(when, now), now + MAX_WAIT)


def _by_size(value: float, now: float, longest: float) -> float:
    if value >= _EPOCH_MILLIS_FROM:
        return value / 1000
    if value >= _EPOCH_FROM:
        return value
    return now + (value if value <= longest else value / 1000)


def _date(text: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
