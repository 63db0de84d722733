"""Find where a counter of ids ends, and where a moment falls in it, though many of its ids answer nothing.

Platforms that number what they hold can be swept, if one knows the span. A ``Search`` is one step of finding it: it
names the id to ask next, and ``told`` takes the answer and gives the next step. It is plain data that travels in a
fetch's cursor, so a search goes on after a crash exactly where it was, and no process keeps any of it.

Rules that make it safe:

- An id that answers nothing (a hole) proves nothing. Near it others are tried, close ones first, so that neither
  scattered holes nor a long run of them is taken for the end; and the more holes a counter turns out to have, the
  more are tried.
- An id is never asked twice: a frontier ignores a fetch it knows, and the search would end there. Hence ``asked``.
- Only what an answer proved is excluded (``proof``). A search for a moment that goes astray gives a wider window,
  never a narrower one.
- Imported posts carry old dates under new ids. So that something lies before the moment must be said twice, by
  neighbours; that it lies after is believed at once, because nothing carries a date from the future.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

#: Where others are tried first, counted from the id a trial begins with.
STEPS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)
#: Ids of one trial at the most.
MOST = 2000
#: The first leap upward from the beginning; each later one doubles the distance.
LEAP = 128
#: No platform has counted so far; a search that gets here without one answer gives up.
CEILING = 1 << 34
#: A search for the end stops when so few ids are left: the sweep looks at all of them anyway.
ENOUGH = 64
#: A search for a moment stops when so few ids are left.
CLOSE = 4


class Goal(StrEnum):
    """What is looked for."""

    #: The highest id that answers.
    NEWEST = "newest"
    #: The lowest id that is surely at or after a moment; it and all above are out of the window.
    UNTIL = "until"
    #: The highest id that is surely before a moment; it and all below are out of the window.
    SINCE = "since"


class Answer(StrEnum):
    """What asking one id said of where the boundary is."""

    HOLE = "hole"
    #: The boundary is above this id: it answers (NEWEST), or it is before the moment.
    ABOVE = "above"
    #: The boundary is at or below this id: it is after the moment.
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One step of a search; the boundary is above ``low`` and not above ``high``."""

    goal: Goal
    #: The lowest id there may be, and the highest (0 while that is what is looked for).
    first: int
    top: int = 0
    #: Whether there may be more above ``top`` that is wanted.
    is_open: bool = True
    low: int
    #: None while leaping upward.
    high: int | None
    #: The id to ask now; None when the search is over.
    at: int | None = None
    #: Where this trial began, and how many steps of it are taken.
    base: int = 0
    step: int = 0
    #: An id in this trial lay before the moment; a neighbour must say so too.
    doubt: bool = False
    proof: int | None = None
    #: Holes in a row now, and the most there were before something above them answered.
    run: int = 0
    dry: int = 0
    #: Every id asked so far; and what those stand for of which no more than that is known.
    asked: tuple[int, ...] = ()
    found: tuple[tuple[int, str], ...] = ()

    @classmethod
    def newest(cls, first: int) -> Search:
        """Return the first step of a search for the end of a counter that begins at ``first``."""
        return _trial(cls(goal=Goal.NEWEST, first=first, low=first - 1, high=None), first)

    def moment(self, goal: Goal, first: int, top: int) -> Search:
        """Return the first step of a search for a moment among the ids ``first`` to ``top``, after this one."""
        return _halve(replace(self, goal=goal, first=first, top=top, low=first - 1, high=top + 1, at=None, proof=None))

    @property
    def known(self) -> str:
        """What the id to ask now stands for, where that is known already; asking for *that* says more."""
        return dict(self.found).get(self.at or 0, "")

    @property
    def patience(self) -> int:
        """How many holes in a row this counter must show before they mean something."""
        return min(len(STEPS) + 4 * self.dry, MOST)

    def remember(self, thing: str) -> Search:
        """Keep what the id just asked stands for: the id will not be asked again."""
        assert self.at is not None
        return replace(self, found=(*self.found, (self.at, thing)))

    @classmethod
    def of(cls, cursor: dict[str, Any]) -> Search:
        """Return the step that a cursor carries."""
        found = tuple((number, thing) for number, thing in cursor["found"])
        return cls(**{**cursor, "goal": Goal(cursor["goal"]), "asked": tuple(cursor["asked"]), "found": found})

    def cursor(self) -> dict[str, Any]:
        """Return the step as JSON-able data."""
        found = [list(one) for one in self.found]
        return {**asdict(self), "goal": self.goal.value, "asked": list(self.asked), "found": found}

    def told(self, answer: Answer) -> Search:
        """Return the next step after what ``at`` answered; its ``at`` is None when the search is over."""
        assert self.at is not None
        found = self.found
        if self.goal is not Goal.NEWEST:
            found = tuple(one for one in found if one[0] != self.at)
        now = replace(self, asked=(*self.asked, self.at), found=found, run=self.run + 1)
        if answer is Answer.HOLE:
            return _next(now)
        now = replace(now, run=0, dry=max(self.run, self.dry))
        if answer is Answer.BELOW:
            return _halve(replace(now, high=self.at, proof=self.at if self.goal is Goal.UNTIL else self.proof))
        if self.goal is not Goal.NEWEST and not self.doubt:
            return _next(replace(now, doubt=True))
        now = replace(now, low=self.at, proof=self.at if self.goal is not Goal.UNTIL else self.proof)
        return _leap(now) if self.high is None else _halve(now)


def _leap(search: Search) -> Search:
    """Try twice as far from the beginning."""
    reached = max(search.low, search.base) - search.first
    base = search.first + max(LEAP, 2 * reached)
    return replace(search, at=None) if base > CEILING else _trial(search, base)


def _halve(search: Search) -> Search:
    """Try the middle of what is left."""
    assert search.high is not None
    enough = ENOUGH if search.goal is Goal.NEWEST else CLOSE
    if search.high - search.low <= enough:
        return replace(search, at=None)
    return _trial(search, (search.low + search.high) // 2)


def _trial(search: Search, base: int) -> Search:
    return _next(replace(search, base=base, step=-1, doubt=False))


def _next(search: Search) -> Search:
    """Take the next id of this trial that was never asked; where there is none, look on the side that is safe."""
    for step in range(search.step + 1, search.patience):
        at = search.base + (STEPS[step] if step < len(STEPS) else step * step // 4)
        if search.high is not None and at >= search.high:
            continue
        if at not in search.asked or (search.goal is not Goal.NEWEST and at in dict(search.found)):
            return replace(search, at=at, step=step)
    if search.high is None and search.proof is None:
        return _leap(search)
    if search.goal is Goal.UNTIL:
        # Nothing here says when: to look above may ask for too much, to look below would leave out.
        return _halve(replace(search, low=max(search.low, search.base), run=0))
    # What lies far above is not asked again by anybody, and need not travel along.
    near = tuple(n for n in search.asked if n < search.base + search.patience)
    return _halve(replace(search, high=search.base, asked=near, run=0))
