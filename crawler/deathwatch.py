"""Signs that a platform, a host of it or one section dies: one answer under many URLs, walls, refusals, silence.

An answer's *sign* is what it looks like by itself. Several in a row of one sign are a suspicion, and no more than that:
sweeps find holes, forums close sections, an application serves the same shell for every page. What decides is a
*control*: a URL that answered well before, asked once more. Where that is still as it was, something is only missing
or closed; where it shows the sign too, what was there is gone. So nothing that never answered well can die. Pure.
"""

from __future__ import annotations

import secrets
import string
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from crawler.model import Fetch, Outcome, Seen, Settlement, Verdict
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The last answers of a part that are looked at; how many of them in a row, or in all, are a suspicion.
RECENT, RUN, MOST = 20, 8, 14
#: How many in a row are one where nothing else is left to ask.
FEW = 2
#: How many in a row they must be after a suspicion that came to nothing.
SLOWER = 16
#: Distinct URLs that a suspicion needs; fewer where nothing at all answers.
DISTINCT, DISTINCT_SILENT = 5, 3
#: Controls that are kept of a part; one bigger than this (bytes) is asked for its beginning alone.
CONTROLS, SMALL = 3, 1 << 20
#: Parts that are kept in memory: some platforms have a host for each of their users.
MOST_WARDS = 1000
#: Good answers in a row from controls, after which the dead are taken to live.
GOOD = 2
#: The wait between two controls doubles up to this many times the first.
SLOWEST = 20
#: The last answers of all parts that are remembered, for what a burst brings before a death shows.
LATEST = 2000
#: Answers to controls that say nothing (rate limits), after which a suspicion is dropped: nobody waits for it for ever.
UNSURE = 5
#: Seconds within which a control is answered, or asked again.
PATIENCE = 180.0


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
_OF_HOST = frozenset({Sign.SILENT, Sign.DNS, Sign.TLS})
#: Signs that answers of one lane may share while others live; a worker does not stop to think of other lanes' then.
_OF_LANE = frozenset({Sign.OK, Sign.MOVED, Sign.MISSING})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A fetch that was answered well, and the digest of its payload then."""

    fetch: Fetch
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Part of a platform may have died; the answers that say so."""

    part: Part
    key: Key
    run: tuple[Settlement, ...]
    controls: tuple[Control, ...]


def sign(*, outcome: Outcome, status: int, verdict: Verdict, asks_to_wait: bool = False, moves: bool = False) -> Sign:
    """Return what an answer looks like; ``asks_to_wait`` is Retry-After, ``moves`` a redirect with a target."""
    if status == 0:
        return _OUTCOMES.get(outcome, Sign.NOTHING)
    if verdict in _VERDICTS:
        return _VERDICTS[verdict]
    if status == 429 or status in {408, 425, 501, 505} or (status >= 500 and asks_to_wait):
        return Sign.NOTHING
    if status >= 500:
        return Sign.SILENT
    if status in {400, 404}:
        return Sign.MISSING
    if status >= 400:
        return Sign.FORBIDDEN
    return Sign.MOVED if moves else Sign.OK


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
    if told.seen is None or told.seen.sign == Sign.NOTHING:
        return None
    what = Sign(told.seen.sign)
    if what is Sign.MISSING and told.seen.sweep:
        return None  # a hole
    if what is Sign.OK:
        # "Not modified" has no body: what it affirms is another thing under each URL.
        if told.status == 304 or told.digests is None:
            return Key(what, told.seen.url)
        return Key(what, told.digests.payload_sha256)
    return Key(what, told.seen.target if what is Sign.MOVED else "")


def shows(told: Settlement, key: Key) -> bool | None:
    """Say whether an answer is as the dead answer (``key``); None where that cannot be told from it."""
    found = key_of(told)
    if found is None:
        return None
    return found == key or found.sign is not Sign.OK


class Streaks:
    """A worker's own look: commits come in groups, and until then much more might be asked."""

    def __init__(self) -> None:
        self._last: dict[Part, tuple[Key, int]] = {}

    def heard(self, told: Settlement) -> str:
        """Return the origin that is to wait until this is committed; the empty string where there is no reason."""
        key = key_of(told)
        if key is None or told.seen is None:
            return ""
        part = Part(origin(told.seen.url), told.seen.lane if key.sign in _OF_LANE else "")
        last, count = self._last.pop(part, (key, 0))
        count = count + 1 if last == key else 1
        self._last[part] = (key, count)
        if len(self._last) > MOST_WARDS:
            del self._last[next(iter(self._last))]
        return part.origin if count in {RUN, SLOWER} else ""


@dataclass(slots=True)
class _Ward:
    """One part that is watched: what answered last, and what may be asked to be sure."""

    part: Part
    recent: deque[tuple[Key, Settlement]] = field(default_factory=lambda: deque(maxlen=RECENT))
    controls: list[Control] = field(default_factory=list)
    #: Answers that are what they are: a shell, a picture that many share.
    innocent: set[Key] = field(default_factory=set)
    #: How many in a row are a suspicion: more after each that was none.
    need: int = RUN

    def elect(self, told: Settlement, key: Key, fetch_of: Callable[[Settlement], Fetch | None]) -> bool:
        """Keep a good answer as a control, while there are few and it is like none of them; say whether."""
        if told.status != 200 or len(self.controls) >= CONTROLS or key.mark in {one.digest for one in self.controls}:
            return False
        fetch = fetch_of(told)
        if fetch is not None:
            self.controls.append(Control(fetch=_light(fetch, told.size), digest=key.mark))
        return fetch is not None

    def suspects(self) -> list[Settlement]:
        """Return the last answers, where they have too much in common to be an accident."""
        key = self.recent[-1][0]
        if key in self.innocent or not self._is_odd(key):
            return []
        run = self._run(key)
        few = DISTINCT_SILENT if key.sign in _OF_HOST else DISTINCT
        return run if len({one.seen.url for one in run if one.seen}) >= few else []

    def tail(self) -> list[Settlement]:
        """Return the refusals and failures that came last, where there are ``FEW`` at least."""
        key = self.recent[-1][0] if self.recent else Key(Sign.OK)
        run = self._run(key, FEW) if key.sign not in {Sign.OK, Sign.MOVED, Sign.MISSING} else []
        return run if len(run) >= FEW else []

    def _is_odd(self, key: Key) -> bool:
        """Say whether this is not how the part answers anyway."""
        if key.sign is not Sign.OK:
            return True
        known = {one.digest for one in self.controls}
        return len(known) > 1 and key.mark not in known

    def _run(self, key: Key, need: int = 0) -> list[Settlement]:
        run: list[Settlement] = []
        for other, told in reversed(self.recent):
            if other != key:
                break
            run.append(told)
        if len(run) >= (need or self.need):
            return run
        last = [told for other, told in self.recent if other == key]
        return last if self.need == RUN and len(last) >= MOST else []


def _light(fetch: Fetch, size: int) -> Fetch:
    """Return a control's fetch: it leads nowhere, is read by nobody and costs no more than it must."""
    headers = (*fetch.headers, ("Range", "bytes=0-1023")) if size > SMALL else fetch.headers
    return replace(fetch, callback=None, covers=None, cursor=None, headers=headers, follow=False, sweep=False)


class Watch:
    """Hears every answer and says when to be suspicious.

    ``fetch_of`` returns the work behind a settlement; ``remembered`` the controls of a part from earlier runs, and
    ``remember`` keeps them.
    """

    def __init__(
        self,
        fetch_of: Callable[[Settlement], Fetch | None],
        remembered: Callable[[Part], Iterable[Control]] = lambda part: (),
        remember: Callable[[Part, list[Control]], None] = lambda part, controls: None,
    ) -> None:
        self._fetch_of = fetch_of
        self._remembered = remembered
        self._remember = remember
        self._wards: OrderedDict[Part, _Ward] = OrderedDict()
        self._latest: deque[tuple[Key, Settlement]] = deque(maxlen=LATEST)

    def heard(
        self, told: Settlement, lent: Callable[[Key], list[Control]] = lambda key: []
    ) -> Suspicion | None:  # fmt: skip
        """Take in an answer. ``lent`` are controls of the same platform's for a part that has none of its own."""
        key = key_of(told)
        if key is None or told.seen is None or told.seen.lane == "robots":
            return None
        place = origin(told.seen.url)
        kept = replace(told, outlinks=(), claims=(), notes=(), gate=None)
        self._latest.append((key, kept))
        for part in (Part(place), Part(place, told.seen.lane)):
            if found := self._look(self._ward(part), key, kept, lent):
                return found
        return None

    def doubts(self, lent: Callable[[Key], list[Control]] = lambda key: []) -> list[Suspicion]:
        """Return what is suspicious where there is nothing else to ask: few are left, so few must do."""
        found = []
        for ward in self._wards.values():
            run = ward.tail() if ward.part.lane else []
            key = ward.recent[-1][0] if run else None
            if key is not None and (controls := ward.controls or lent(key)):
                ward.recent.clear()  # it is asked once
                found.append(Suspicion(part=ward.part, key=key, run=tuple(run), controls=tuple(controls)))
        return found

    def acquit(self, part: Part, key: Key) -> None:
        """Take note that a suspicion was none: be slower with the next."""
        ward = self._ward(part)
        ward.need = SLOWER
        ward.recent.clear()
        if key.sign is Sign.OK:
            ward.innocent.add(key)

    def alike(self, part: Part, key: Key) -> list[Settlement]:
        """Return the last answers like these of a part; good ones came between. One payload is told wherever it is."""
        return [
            told for other, told in self._latest
            if other == key and told.seen and (key.sign is Sign.OK or part.holds(origin(told.seen.url), told.seen.lane))
        ]  # fmt: skip

    def others(self, part: Part) -> list[Control]:
        """Return controls of the other lanes of a part's host, one each."""
        wards = [ward for ward in self._wards.values() if ward.part.origin == part.origin and ward.controls]
        return [ward.controls[0] for ward in wards if ward.part.lane not in {"", part.lane}]

    def forget(self, part: Part) -> None:
        """Begin anew with a part that lives again."""
        for ward in self._wards.values():
            if ward.part.origin == part.origin:
                ward.recent.clear()
                ward.need = RUN

    def _ward(self, part: Part) -> _Ward:
        if part not in self._wards:
            self._wards[part] = _Ward(part, controls=list(self._remembered(part)))
            if len(self._wards) > MOST_WARDS:
                self._wards.popitem(last=False)
        self._wards.move_to_end(part)
        return self._wards[part]

    def _look(
        self, ward: _Ward, key: Key, told: Settlement, lent: Callable[[Key], list[Control]]
    ) -> Suspicion | None:  # fmt: skip
        ward.recent.append((key, told))
        if key.sign is Sign.OK and told.status != 304 and ward.elect(told, key, self._fetch_of):
            self._remember(ward.part, ward.controls)
        controls = ward.controls or (lent(key) if key.sign is not Sign.OK else [])
        run = ward.suspects() if controls else []
        if not run or not self._is_of(ward.part, key, run):
            return None
        return Suspicion(part=ward.part, key=key, run=tuple(run), controls=tuple(controls))

    @staticmethod
    def _is_of(part: Part, key: Key, run: list[Settlement]) -> bool:
        """Say whether a run speaks of just this part: of a host where it spans lanes, or nothing answers at all."""
        is_wide = key.sign in _OF_HOST or len({one.seen.lane for one in run if one.seen}) > 1
        return is_wide == (not part.lane)


class Stage(StrEnum):
    """How far a case is."""

    #: One control, then another, is asked.
    SUSPECTED = "suspected"
    #: The controls live: is this how the site says that something is not there? A URL that cannot exist is asked.
    BOGUS = "bogus"
    #: A lane is dead: is the whole host? A control of another lane is asked.
    WIDE = "wide"
    DEAD = "dead"


class End(StrEnum):
    """What came of an answer to a control."""

    OPEN = ""
    DEAD = "dead"
    ALIVE = "alive"
    INNOCENT = "innocent"
    #: The controls say neither.
    UNKNOWN = "unknown"
    SOFT_404 = "soft 404"


@dataclass(slots=True)
class Case:
    """A part under suspicion, or dead: asked gently until it answers as it once did."""

    part: Part
    key: Key
    #: What was settled by answers like this, to be asked again.
    run: list[Settlement]
    controls: list[Control]
    #: Controls of the host's other lanes.
    others: list[Control]
    #: When it began (seconds since the epoch), and the first wait between two controls.
    since: float
    first: float
    interval: float = 0.0
    stage: Stage = Stage.SUSPECTED
    #: When the next control is due, and when one was asked that is not answered.
    due: float = 0.0
    asked: float | None = None
    bad: int = 0
    good: int = 0
    unsure: int = 0
    turn: int = 0

    @property
    def scope(self) -> Part:
        """What is left alone: the whole host until it is known what is dead."""
        return self.part if self.stage is Stage.DEAD else Part(self.part.origin)

    def ask(self, now: float) -> Fetch | None:
        """Return what is to be asked now; None where it is to be left alone."""
        if now < self.due or (self.asked is not None and now < self.asked + PATIENCE):
            return None
        self.asked = now
        if self.stage is Stage.BOGUS:
            shown = self.run[-1].seen
            assert shown is not None
            return Fetch(url=bogus(shown.url), lane=shown.lane, follow=False)
        among = self.others if self.stage is Stage.WIDE else self.controls
        return among[self.turn % len(among)].fetch

    def heard(self, told: Settlement, now: float) -> End:
        """Take in the answer to a control."""
        self.asked = None
        self.turn += 1
        dead = shows(told, self.key)
        if dead is None and self.stage is not Stage.BOGUS:
            self.due = now + self.first
            self.unsure += 1
            return End.OPEN if self.stage is Stage.DEAD or self.unsure < UNSURE else self._unsure(now)
        match self.stage:
            case Stage.SUSPECTED:
                return self._first(now, dead=bool(dead))
            case Stage.BOGUS:
                return End.SOFT_404 if key_of(told) == self.key else End.INNOCENT
            case Stage.WIDE:
                return self._widen(now, is_wide=bool(dead))
            case Stage.DEAD:
                return self._again(now, dead=bool(dead))

    def _unsure(self, now: float) -> End:
        return self._widen(now, is_wide=False) if self.stage is Stage.WIDE else End.UNKNOWN

    def _first(self, now: float, *, dead: bool) -> End:
        if not dead:
            self.stage = Stage.BOGUS
            return End.OPEN if self.key.sign is Sign.OK else End.INNOCENT
        self.bad += 1
        if self.bad < min(2, len(self.controls)):
            return End.OPEN
        if self.part.lane and self.others:
            self.stage = Stage.WIDE
            return End.OPEN
        return self._widen(now, is_wide=True)

    def _widen(self, now: float, *, is_wide: bool) -> End:
        if is_wide:
            self.part = Part(self.part.origin)
        self.stage = Stage.DEAD
        self.interval = self.first
        self.due = now + self.interval
        return End.DEAD

    def _again(self, now: float, *, dead: bool) -> End:
        self.good = 0 if dead else self.good + 1
        if self.good >= GOOD:
            return End.ALIVE
        if dead:
            self.interval = min(2 * self.interval, SLOWEST * self.first)
            self.due = now + self.interval
        return End.OPEN


def bogus(url: str) -> str:
    """Return a URL of the same shape at which nothing can be: its last name or number replaced by chance."""
    parts = urlsplit(url)
    whole = f"{parts.path}?{parts.query}" if parts.query else parts.path
    end = max((at for at, c in enumerate(whole) if c.isalnum()), default=-1)
    begin = end
    while begin > 0 and whole[begin - 1].isalnum():
        begin -= 1
    if end < 0:
        whole, begin, end = whole + "x", len(whole), len(whole)
    old = whole[begin : end + 1]
    letters = string.digits if old.isdigit() else string.digits + "abcdef"
    made = "9" + "".join(secrets.choice(letters) for _ in range(max(len(old) - 1, 11)))
    return f"{parts.scheme}://{parts.netloc}{whole[:begin]}{made}{whole[end + 1 :]}"
