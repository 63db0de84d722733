"""How fast each host is asked: gently at first, faster while it answers as quickly as before, halved on trouble.

Additive increase, multiplicative decrease over the number of requests at once, as TCP does it; a 429 or 503 also
freezes the host until the time its headers name, or for a time that doubles. Pure: the clock is handed in.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from crawler.model import Outcome
from crawler.politeness.ratelimit import BUSY, Advice

START = 2.0
#: Latency that counts as flat: up to this much above the best seen lately, plus a little in seconds.
FLAT, SLACK = 2.0, 0.05
#: First freeze, in seconds, where a server says "not now" without saying until when; it doubles up to the second.
FREEZE, MAX_FREEZE = 2.0, 600.0
#: Trouble within this many seconds of the last counts once: requests in flight fail together.
ONE_TROUBLE = 1.0
_TROUBLE = frozenset({Outcome.TIMEOUT, Outcome.REFUSED, Outcome.CUT})
#: After a server limited us: how much below the rate at which it did we stay.
BELOW = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of pace, explained."""

    origin: str
    why: str
    frozen_until: float = 0.0


@dataclass(slots=True)
class HostPace:
    """The pace of one origin."""

    permits: float = START
    active: int = 0
    best: float = 0.0
    frozen_until: float = 0.0
    freezes: int = 0
    troubled: float = 0.0
    #: Requests a second that the host was found to bear; 0 where it never complained.
    learned_rate: float = 0.0
    next_start: float = 0.0
    #: Starts since ``window``: what rate we are really at.
    starts: int = 0
    window: float = field(default=0.0)


class Pace:
    """The pace of every origin of one worker. ``rate``, ``concurrency`` and ``delay`` are ceilings a user set."""

    def __init__(self, *, rate: float | None = None, concurrency: int = 16, delay: float = 0.0) -> None:
        self._rate = rate
        self._concurrency = max(concurrency, 1)
        self._delay = delay
        self._hosts: dict[str, HostPace] = {}

    def room(self, origin: str, now: float) -> int:
        """Return how many requests may start now."""
        host = self._host(origin)
        if now < host.frozen_until or now < host.next_start:
            return 0
        free = min(int(host.permits), self._concurrency) - host.active
        return min(free, 1) if self._spacing(host) else free

    def started(self, origin: str, now: float) -> None:
        """A request starts."""
        host = self._host(origin)
        host.active += 1
        host.starts += 1
        if now - host.window > 10:
            host.starts, host.window = 1, now
        host.next_start = max(host.next_start, now - 1) + self._spacing(host) if self._spacing(host) else 0.0

    def finished(
        self, origin: str, now: float, *, latency: float, status: int, outcome: Outcome, advice: Advice
    ) -> Change | None:
        """A request ended; return the change of pace it makes, if any."""
        host = self._host(origin)
        host.active = max(host.active - 1, 0)
        if status in BUSY:
            return self._busy(origin, host, now, advice)
        if outcome in _TROUBLE or status in {500, 502, 504}:
            return self._trouble(origin, host, now, f"{outcome.value} {status or ''}".strip())
        if advice.wait_until is not None and advice.wait_until > now:
            return self._freeze(origin, host, advice.wait_until, f"no requests left ({advice.why})")
        host.freezes = 0
        host.best = min(host.best * 1.001, latency) if host.best else latency
        if latency <= host.best * FLAT + SLACK:
            host.permits = min(host.permits + 1 / max(host.permits, 1), float(self._concurrency))
        elif host.permits > START:
            host.permits -= 0.5 / host.permits
        return None

    def freeze(self, origin: str, until: float, why: str) -> Change | None:
        """Leave an origin alone until then."""
        return self._freeze(origin, self._host(origin), until, why)

    def next_wake(self, now: float) -> float | None:
        """Return when an origin that may not start now may start again by the clock alone."""
        times = [t for host in self._hosts.values() if (t := max(host.frozen_until, host.next_start)) > now]
        return min(times, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return what is worth remembering over a resume."""
        return {
            origin: {"permits": round(h.permits, 2), "frozen_until": h.frozen_until, "learned_rate": round(h.learned_rate, 3)}
            for origin, h in self._hosts.items()
            if h.frozen_until or h.learned_rate or h.permits != START
        }

    def from_json(self, facts: dict[str, Any]) -> None:
        """Take up what an earlier run learned; permits begin gently all the same."""
        for origin, known in facts.items():
            host = self._host(origin)
            host.frozen_until = float(known.get("frozen_until", 0))
            host.learned_rate = float(known.get("learned_rate", 0))

    def _host(self, origin: str) -> HostPace:
        return self._hosts.setdefault(origin, HostPace())

    def _spacing(self, host: HostPace) -> float:
        rates = [rate for rate in (self._rate, host.learned_rate) if rate]
        return max([self._delay, *(1 / rate for rate in rates)])

    def _busy(self, origin: str, host: HostPace, now: float, advice: Advice) -> Change | None:
        if now < host.frozen_until and (advice.wait_until is None or advice.wait_until <= host.frozen_until):
            return None
        self._learn_rate(host, now)
        host.freezes += 1
        wait = min(FREEZE * 2 ** (host.freezes - 1), MAX_FREEZE) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
        until = advice.wait_until if advice.wait_until is not None else now + wait
        host.permits = max(host.permits / 2, 1.0)
        return self._freeze(origin, host, until, advice.why or "told to slow down without a time")

    def _learn_rate(self, host: HostPace, now: float) -> None:
        """The host bears a little less than what we did when it complained; after a quiet while we may try again."""
        seconds = now - host.window
        if seconds > 1:
            seen = max(BELOW * host.starts / seconds, 0.05)
            host.learned_rate = min(host.learned_rate, seen) if host.learned_rate else seen

    def _trouble(self, origin: str, host: HostPace, now: float, what: str) -> Change | None:
        if now - host.troubled < ONE_TROUBLE:
            return None
        host.troubled = now
        host.permits = max(host.permits / 2, 1.0)
        return Change(origin=origin, why=f"{origin}: {what}; at most {int(host.permits)} requests at once")

    def _freeze(self, origin: str, host: HostPace, until: float, why: str) -> Change | None:
        if until <= host.frozen_until:
            return None
        host.frozen_until = until
        host.window, host.starts = until, 0
        return Change(origin=origin, why=f"{origin}: waiting ({why})", frozen_until=until)
