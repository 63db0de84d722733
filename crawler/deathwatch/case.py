"""One part under suspicion, or dead: which control is asked next, and what its answer means."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from crawler.deathwatch.signs import OF_HOST, Key, Part, Sign, key_of, shows
from crawler.deathwatch.watch import Control  # noqa: TC001 - msgspec reads the annotations
from crawler.model import Fetch, Settlement

#: Controls that must show the sign before anything is dead. Silence may pass: it is to last for the first wait, too.
BAD, BAD_SILENT = 2, 3
#: Good answers in a row from controls, after which the dead are taken to live.
GOOD = 2
#: Seconds between two questions to the only control there is, at most.
APART = 5.0
#: Seconds that a suspicion holds up at most, and so many first waits that silence does: a crawl goes on undecided.
HOLD, HOLD_SILENT = 10.0, 4.0
#: The wait between two controls doubles up to this many times the first.
SLOWEST = 20
#: Answers to controls that say nothing (rate limits), after which a suspicion is dropped: nobody waits for it for ever.
UNSURE = 5
#: Seconds within which a control is answered, or asked again.
PATIENCE = 180.0


class Stage(StrEnum):
    """How far a case is."""

    #: One control, then another, is asked.
    SUSPECTED = "suspected"
    #: The controls live: is this how the site says that something is not there? A URL that cannot exist is asked.
    BOGUS = "bogus"
    #: A lane is dead: is the whole host? Controls of other lanes are asked.
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

    def holds(self, place: str, lane: str, now: float) -> bool:
        """Say whether an origin's lane is left alone: what is dead, and for a while the whole host of what may be."""
        if self.stage is Stage.DEAD:
            return self.part.holds(place, lane)
        return place == self.part.origin and now < self.since + self._longest

    @property
    def _longest(self) -> float:
        return HOLD_SILENT * self.first if self._may_pass else HOLD

    @property
    def _may_pass(self) -> bool:
        return self.key.sign in OF_HOST

    def ask(self, now: float) -> Fetch | None:
        """Return what is to be asked now; None where it is to be left alone."""
        if now < self.due or (self.asked is not None and now < self.asked + PATIENCE):
            return None
        self.asked = now
        if self.stage is Stage.BOGUS:
            shown = self.run[-1].seen
            assert shown is not None
            return Fetch(url=bogus(shown.url), lane=shown.lane, follow=False)
        among = self._among()
        return among[self.turn % len(among)].fetch

    def _among(self) -> list[Control]:
        """Return the controls to ask, the newest first."""
        if self.stage is Stage.WIDE:
            return self.others
        found = self.controls[::-1]
        return found if self.part.lane or self.stage is not Stage.DEAD else [*found, *self.others]

    def heard(self, told: Settlement, now: float) -> End:
        """Take in the answer to a control."""
        self.asked = None
        dead = shows(told, self.key)
        if self.stage is Stage.BOGUS:
            return End.SOFT_404 if key_of(told) == self.key else End.INNOCENT
        if dead is None:
            return self._unsure(now)
        if self.stage is Stage.DEAD:
            return self._again(now, dead=dead)
        return self._worse(now) if dead else self._better(now)

    def _unsure(self, now: float) -> End:
        self.turn += 1
        self.due = now + self.first
        self.unsure += 1
        if self.stage is Stage.DEAD or self.unsure < UNSURE:
            return End.OPEN
        return self._better(now) if self.stage is Stage.WIDE else End.UNKNOWN

    def _better(self, now: float) -> End:
        """One control lives: then no more is dead than is known to be."""
        if self.stage is Stage.WIDE:
            return self._dies(now)
        if self.key.sign is not Sign.OK:
            return End.INNOCENT
        self.stage = Stage.BOGUS
        return End.OPEN

    def _worse(self, now: float) -> End:
        self.turn += 1
        self.bad += 1
        among = self._among()
        need = BAD_SILENT if self._may_pass else min(BAD, len(among)) if self.stage is Stage.WIDE else BAD
        if self.bad < need:
            self.due = now + self._gap(len(among))
            return End.OPEN
        if self.stage is Stage.SUSPECTED and self.part.lane and self.others:
            self.stage, self.bad, self.turn = Stage.WIDE, 0, 0
            return End.OPEN
        self.part = Part(self.part.origin)
        return self._dies(now)

    def _gap(self, count: int) -> float:
        if self._may_pass:
            return self.first / (BAD_SILENT - 1)
        return min(self.first, APART) if count < BAD else 0.0

    def _dies(self, now: float) -> End:
        self.stage, self.turn = Stage.DEAD, 0
        self.interval = self.first
        self.due = now + self.interval
        return End.DEAD

    def _again(self, now: float, *, dead: bool) -> End:
        if not dead:
            self.good += 1  # the same is asked again: others may be gone for good
            return End.ALIVE if self.good >= GOOD else End.OPEN
        self.good = 0
        self.turn += 1
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
