"""How fast each host is asked: gently at first, faster while it answers as quickly as before, halved on trouble.

Additive increase and multiplicative decrease over the number of requests at once, with a slow start, as TCP does it
(RFC 5681), so that a fast host is at its ceiling within a second and a struggling one is left room. A server that
limits us is another matter: it is left alone until the time its headers name (or for a time that doubles), and then
asked just below the rate at which it complained. Pure: the clock is handed in, seconds since the epoch.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from crawler.model import Outcome
from crawler.politeness.ratelimit import MAX_WAIT, Advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Requests at once that every host begins with.
START = 2.0
#: Latency that counts as flat: its moving average up to this much above the best one, plus some slack in seconds.
FLAT, SLACK = 2.0, 0.05
#: What one answer moves the average, and how many times the average it counts for at most: one video is no trend.
SMOOTHING, OUTLIER = 1 / 8, 3.0
#: Half the permits must bring latency below this part of what it was, or it was not our load that made it high.
RELIEF = 0.7
#: First freeze, in seconds, where a server says "not now" without saying until when; it doubles up to the second.
FREEZE, MAX_FREEZE = 2.0, 600.0
#: Troubles in a row, no good answer between, after which a host is left alone for a while.
ROW = 3
#: How far below the rate that a server complained about we settle, and the least rate we believe it meant.
BELOW, MIN_RATE = 0.95, 0.05
#: Answers that a learned rate needs.
EVIDENCE = 10
#: A rate is learned from this many times the wait that followed, and from so many seconds at least.
HORIZON = 10.0
#: Longest window of a rate limit, in seconds (Mastodon's); a longer wait is a ban.
WINDOW = 900.0
#: A learned rate is tried anew by this factor after so many seconds without complaint; each complaint doubles them, to
#: a window at most. So a limit that was chance is soon forgotten, and a real one is kept to.
PROBE, PATIENCE = 1.25, 2.5
#: How close below what was too much we come before more than that is tried.
NEAR = 0.95
#: Part of a learned rate that a freeze is followed by, and what each good answer adds.
AFTER_FREEZE, WARMING = 0.7, 0.05
#: Seconds of its share that a host may catch up on, when starts came late.
CATCH_UP = 0.1
#: Origins that are remembered: requisites name any number of hosts.
MAX_ORIGINS = 10_000

T = TypeVar("T")

_TROUBLE = frozenset({Outcome.TIMEOUT, Outcome.REFUSED, Outcome.CUT})
#: Overload by its status, Cloudflare's included. A plain 500 is one page's fault as often as the host's.
_OVERLOADED = frozenset({502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(slots=True, kw_only=True)
class Ceilings:
    """What the user allows, for each host: requests a second, requests at once, seconds between requests.

    One object serves all hosts, so that a change holds at once and everywhere.
    """

    rate: float | None = None
    concurrency: int = 16
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of pace, explained in one line."""

    origin: str
    why: str
    #: Nothing is asked before this; 0 where the host is not frozen.
    frozen_until: float = 0.0


@dataclass(slots=True)
class _Permits:
    """How many requests at once a host bears, by how quickly it answers."""

    allowed: float = START
    #: Below it growth doubles; trouble lowers it.
    threshold: float = math.inf
    latency: float = 0.0
    best: float = 0.0
    #: A trial: permits were halved at this latency, and so many answers more decide whether that was the cause.
    slow: float = 0.0
    before: float = 0.0
    trial: int = 0

    def answered(self, latency: float, in_use: int, ceiling: int) -> None:
        """Take a good answer into account: more while latency is flat, half when it is not."""
        known = self.latency or latency
        self.latency = known + (min(latency, known * OUTLIER) - known) * SMOOTHING
        if self.trial:
            self.trial -= 1
            self.slow = max(self.slow, self.latency)  # the average still rises for a while
            if not self.trial:
                self._judge()
            return
        self.best = min(self.best or self.latency, self.latency)
        if self.latency > self.best * FLAT + SLACK:
            self._try_less()
        elif 2 * in_use >= self.allowed:  # permits that nobody uses prove nothing
            step = 1 if self.allowed < self.threshold else 1 / self.allowed
            self.allowed = max(min(self.allowed + step, float(ceiling)), 1.0)

    def halve(self) -> None:
        """Make room for a host in trouble."""
        self.threshold = self.allowed = max(self.allowed / 2, 1.0)

    def begin_again(self) -> None:
        """Start as gently as with a new host, and grow quickly to half of what was too much."""
        self.threshold, self.allowed = max(self.allowed / 2, 1.0), min(self.allowed, START)

    def _try_less(self) -> None:
        self.slow, self.before = self.latency, self.allowed
        # Those under way, and as many again as the average needs to forget them.
        self.trial = int(self.allowed + 2 / SMOOTHING)
        self.halve()

    def _judge(self) -> None:
        """Where fewer permits brought no relief, what we ask for has changed, or the host is slow for other reasons."""
        if self.latency > self.slow * RELIEF:
            self.best, self.threshold = self.latency, self.before


@dataclass(slots=True)
class _Rate:
    """How many requests a second a host bears, by when it complained; 0 where it never did.

    It bears at least what it answered on average in the time before a wait ended, waits included, and less than what
    it answered while it was asked at all; the truth is sought between the two. That time is long enough to hold a
    window of a limit by windows (its waits are long), short enough to forget how slowly we began.
    """

    known: float = 0.0
    #: When the first request left, and [second, good answers] since.
    since: float = 0.0
    answers: deque[list[float]] = field(default_factory=deque)
    #: Begin and end of each wait in that time.
    waits: deque[tuple[float, float]] = field(default_factory=deque)
    #: When the server began to complain; 0 where it does not at present.
    limited_at: float = 0.0
    #: When the rate was last raised or lowered, and how long it then stays.
    settled: float = 0.0
    patience: float = PATIENCE / 2
    #: What was too much when the server last complained; 0 where that is not known.
    too_much: float = 0.0
    #: Part of it that is used.
    warmth: float = 1.0

    @property
    def used(self) -> float:
        return self.known * self.warmth

    def answered(self, now: float, *, is_late: bool) -> None:
        """Count a good answer; after a long quiet, try a little more than was learned."""
        if self.limited_at and not is_late:
            self._learn(now)
        if self.answers and self.answers[-1][0] == now // 1:
            self.answers[-1][1] += 1
        else:
            self.answers.append([now // 1, 1])
            while self.answers[0][0] < now - WINDOW:
                self.answers.popleft()
        self.warmth = min(self.warmth + WARMING, 1.0)
        if self.known and now - self.settled > self.patience:
            self.settled, self.known = now, self._more()

    def _more(self) -> float:
        """Return what to try next: half of the way to what was too much, and only from close below it beyond."""
        if self.known < NEAR * self.too_much:
            return min((self.known + self.too_much) / 2, self.known * PROBE)
        return self.known * PROBE

    def begin_again(self) -> None:
        """Use a part at first, after a wait."""
        if not self.limited_at:
            self.warmth = AFTER_FREEZE

    def _learn(self, now: float) -> None:
        waited, self.limited_at = now - self.limited_at, 0.0
        is_ban = waited > WINDOW
        end = now - waited if is_ban else now
        begin = max(end - min(max(HORIZON * waited, HORIZON), WINDOW), self.since)
        if not is_ban:
            self.waits.append((now - waited, now))
        while self.waits and self.waits[0][1] < begin:
            self.waits.popleft()
        count = sum(n for second, n in self.answers if second >= begin // 1)
        if count < EVIDENCE:
            return
        waiting = sum(last - max(first, begin) for first, last in self.waits)
        at_least, less_than = count / max(end - begin, 1.0), count / max(end - begin - waiting, 1.0)
        # What came before a ban was twice too much.
        found = at_least / 2 if is_ban else math.sqrt(at_least * less_than)
        self.known = max(BELOW * min(found, self.known or math.inf), MIN_RATE)
        self.settled, self.too_much = now, 0.0 if is_ban else less_than
        # The cheaper it is to be told off, the sooner more may be tried.
        self.patience = max(PATIENCE, min(2 * self.patience, waited * 15, WINDOW))
        self.warmth = AFTER_FREEZE


@dataclass(slots=True)
class HostPace:
    """The pace of one host. Every method takes the present time; none reads a clock."""

    ceilings: Ceilings
    chance: random.Random
    #: Requests a second that the platform asks for at the most; 0 where it asks for nothing. A user's rate goes.
    advised: float = 0.0
    active: int = 0
    frozen_until: float = 0.0
    permits: _Permits = field(default_factory=_Permits)
    rate: _Rate = field(default_factory=_Rate)
    #: When the last cut was made: requests sent before it prove nothing new.
    _cut_at: float = -math.inf
    #: Troubles and refusals since the last good answer.
    _row: int = 0
    _last_start: float = 0.0
    _next_start: float = 0.0
    #: What the server says is left, until when.
    _left: int = 0
    _left_until: float = 0.0

    def room(self, now: float) -> int:
        """Return how many requests may start now."""
        if self.waits_until(now) > now:
            return 0
        free = min(int(self.permits.allowed), self.ceilings.concurrency) - self.active
        if now < self._left_until:
            free = min(free, self._left)
        return max(min(free, 1) if self._spacing() else free, 0)

    def started(self, now: float) -> None:
        """Count a request that starts."""
        self.active += 1
        self._left -= 1
        self._last_start = now
        self.rate.since = self.rate.since or now
        if spacing := self._spacing():
            late = max(self._next_start, now - CATCH_UP)
            self._next_start = max(late + spacing, now + self.ceilings.delay)

    def finished(self, now: float, *, latency: float, status: int, outcome: Outcome, advice: Advice) -> str | None:
        """Take note of a request that ended, ``latency`` seconds after its start; return a line where much changes."""
        self.active = max(self.active - 1, 0)
        if self.frozen_until > now + MAX_WAIT:  # set by a clock that was wrong
            self.frozen_until = 0.0
        self._take_note(now, advice)
        told = advice.wait_until if advice.wait_until is not None and advice.wait_until > now else None
        is_late = now - latency < self._cut_at
        if status == 429 or (told is not None and (status == 403 or status >= 500)):
            return self._limited(now, is_late, told, status, advice.why)
        if status in _OVERLOADED or outcome in _TROUBLE:
            return None if is_late else self._trouble(now, f"HTTP {status}" if status in _OVERLOADED else outcome.value)
        if outcome is Outcome.OK and status != 500:
            self._good(now, latency, is_late)
        return None if told is None else self.freeze(told, f"waiting {told - now:.0f} s ({advice.why})")

    def freeze(self, until: float, why: str) -> str | None:
        """Ask nothing before then; return ``why`` where that is news."""
        if until <= self.frozen_until:
            return None
        self.frozen_until = until
        self.rate.begin_again()
        return why

    def waits_until(self, now: float) -> float:
        """Return when the clock alone lets a request start.

        What a clock said that was ahead of this one is not believed.
        """
        frozen = self.frozen_until if self.frozen_until <= now + MAX_WAIT else 0.0
        spaced = self._next_start if self._last_start <= now else 0.0
        spent = self._left_until if not self.active and self._left <= 0 else 0.0
        return max(frozen, spaced, spent)

    def _spacing(self) -> float:
        """Return the seconds between starts that the ceilings and what was learned ask for."""
        ceiling = self.ceilings.rate or self.advised or math.inf
        return max(self.ceilings.delay, 1 / min(ceiling, self.rate.used or math.inf))

    def _take_note(self, now: float, advice: Advice) -> None:
        """Count down what the server says is left, so that it need not say 429."""
        if advice.remaining is not None and advice.limit != 0 and advice.reset is not None and advice.reset > now:
            # Requests in flight may not be counted in it yet.
            self._left, self._left_until = max(advice.remaining - self.active, 0), advice.reset
        else:
            self._left += 1

    def _good(self, now: float, latency: float, is_late: bool) -> None:
        self._row = self._row if is_late else 0
        self.rate.answered(now, is_late=is_late)
        self.permits.answered(latency, self.active + 1, self.ceilings.concurrency)

    def told(self, now: float, until: float) -> bool:
        """Take note that the server limits us, which an answer still on its way or another worker heard first.

        Says whether that was news.
        """
        if until <= self.frozen_until:
            return False
        self.rate.limited_at = self.rate.limited_at or now
        self.permits.begin_again()
        self._cut_at = now
        self.freeze(until, "")
        return True

    def _trouble(self, now: float, what: str) -> str:
        self._cut_at = now
        self._row += 1
        self.permits.halve()
        if self._row >= ROW:
            until = now + self._backoff(self._row - ROW)
            self.freeze(until, what)
            return f"{what}, {self._row} in a row; waiting {until - now:.0f} s"
        return f"{what}; at most {int(self.permits.allowed)} at once"

    def _limited(self, now: float, is_late: bool, told: float | None, status: int, why: str) -> str | None:
        if is_late:  # one line was enough; but the longest wait holds
            self.freeze(told or 0.0, why)
            return None
        until = told or now + self._backoff(self._row)
        self.rate.limited_at = self.rate.limited_at or now
        self.permits.begin_again()
        self._cut_at = now
        self._row += 1
        self.freeze(until, why)
        return f"HTTP {status}; waiting {until - now:.0f} s ({why or 'it does not say how long'})"

    def _backoff(self, doublings: int) -> float:
        return min(FREEZE * 2.0 ** min(doublings, 30), MAX_FREEZE) * self.chance.uniform(0.9, 1.1)


class Pace:
    """The pace of every origin that one worker asks."""

    def __init__(
        self,
        *,
        rate: float | None = None,
        concurrency: int = 16,
        delay: float = 0.0,
        advised: Mapping[str, float] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.ceilings = Ceilings(rate=rate, concurrency=max(concurrency, 1), delay=delay)
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._hosts: dict[str, HostPace] = {}
        #: Host → requests a second that it asks for at the most.
        self._advised = dict(advised or {})
        #: host or host:port → ceilings of its own.
        self._special: dict[str, Ceilings] = {}
        #: Origins that wait for the clock.
        self._waiting: set[str] = set()

    def steer(self, rates: Mapping[str, float], concurrency: Mapping[str, int]) -> None:
        """Give some hosts (host or host:port) ceilings of their own, and all others the common ones, from now on."""
        common = self.ceilings
        self._special = {
            place: replace(
                common, rate=rates.get(place, common.rate), concurrency=concurrency.get(place, common.concurrency)
            )
            for place in {*rates, *concurrency}
        }
        for origin, host in self._hosts.items():
            host.ceilings = self._ceilings(origin)

    def is_closed(self, origin: str) -> bool:
        """Say whether a host may not be asked at all."""
        return self._ceilings(origin).concurrency == 0

    def _ceilings(self, origin: str) -> Ceilings:
        return of_host(self._special, origin, self.ceilings)

    def room(self, origin: str, now: float) -> int:
        """Return how many requests may start now."""
        return self._host(origin).room(now)

    def started(self, origin: str, now: float) -> None:
        """Count a request that starts."""
        host = self._host(origin)
        host.started(now)
        self._note(origin, host, now)

    def finished(
        self, origin: str, now: float, *, latency: float, status: int, outcome: Outcome, advice: Advice
    ) -> Change | None:
        """Take note of a request that ended; return the change of pace it makes, where it is worth a line."""
        host = self._host(origin)
        why = host.finished(now, latency=latency, status=status, outcome=outcome, advice=advice)
        self._note(origin, host, now)
        return self._change(origin, host, now, why)

    def told(self, origin: str, now: float, until: float, why: str) -> Change | None:
        """Leave an origin alone until then: a head just read says so, or another worker was told to."""
        host = self._host(origin)
        is_news = host.told(now, until)
        self._waiting.add(origin)
        return self._change(origin, host, now, why if is_news else None)

    def waits_until(self, origin: str, now: float) -> float:
        """Return when a request that is ready may leave: 0 where the origin is not frozen."""
        host = self._hosts.get(origin)
        return host.frozen_until if host is not None and now < host.frozen_until <= now + MAX_WAIT else 0.0

    def next_wake(self, now: float) -> float | None:
        """Return when the next origin that waits for the clock alone may be asked."""
        times = {origin: self._hosts[origin].waits_until(now) for origin in self._waiting if origin in self._hosts}
        self._waiting = {origin for origin, when in times.items() if when > now}
        return min((when for when in times.values() if when > now), default=None)

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return what is worth remembering over a resume: freezes and learned rates, by origin."""
        return {
            origin: {"frozen_until": host.frozen_until, "rate": host.rate.known, "patience": host.rate.patience}
            for origin, host in self._hosts.items()
            if host.frozen_until or host.rate.known
        }

    def from_json(self, facts: dict[str, Any]) -> None:
        """Take up what an earlier run learned; permits begin gently all the same. What makes no sense is left out."""
        for origin, known in facts.items():
            frozen_until, rate, patience = (_positive(known, name) for name in ("frozen_until", "rate", "patience"))
            if frozen_until or rate:
                host = self._host(origin)
                host.frozen_until = frozen_until
                host.rate = _Rate(known=rate, patience=min(max(patience, PATIENCE), WINDOW))
                self._waiting.add(origin)

    def _host(self, origin: str) -> HostPace:
        host = self._hosts.get(origin)
        if host is None:
            if len(self._hosts) >= MAX_ORIGINS:
                self._forget()
            advised = self._advised.get(urlsplit(origin).hostname or "", 0.0) if self._advised else 0.0
            host = self._hosts[origin] = HostPace(self._ceilings(origin), self._chance, advised)
        return host

    def _forget(self) -> None:
        """Forget the origin known longest of those that nothing is under way to."""
        oldest = next((origin for origin, host in self._hosts.items() if not host.active), None)
        if oldest is not None:
            del self._hosts[oldest]

    def _note(self, origin: str, host: HostPace, now: float) -> None:
        if host.waits_until(now) > now:
            self._waiting.add(origin)

    def _change(self, origin: str, host: HostPace, now: float, why: str | None) -> Change | None:
        frozen = host.frozen_until if host.frozen_until > now else 0.0
        return None if why is None else Change(origin=origin, why=f"{origin}: {why}", frozen_until=frozen)


def of_host(known: Mapping[str, T], origin: str, default: T) -> T:
    """Return what is known of an origin by its host:port, else by its host."""
    if not known:
        return default
    parts = urlsplit(origin)
    return known.get(parts.netloc, known.get(parts.hostname or "", default))


def merged(paces: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what several workers learned as that of one: rates add up, the longest waits hold."""
    whole: dict[str, dict[str, float]] = {}
    for pace in paces:
        for origin, known in pace.items():
            so_far = whole.setdefault(origin, {"frozen_until": 0.0, "rate": 0.0, "patience": 0.0})
            so_far["rate"] += _positive(known, "rate")
            for name in ("frozen_until", "patience"):
                so_far[name] = max(so_far[name], _positive(known, name))
    return whole


def part_of(pace: dict[str, Any], parts: int) -> dict[str, Any]:
    """Return what one of several workers may go by of what a run before learned."""
    return {
        origin: {**known, "rate": _positive(known, "rate") / parts}
        for origin, known in pace.items()
        if isinstance(known, dict)
    }


def _positive(known: Any, name: str) -> float:
    value = known.get(name) if isinstance(known, dict) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else 0.0
