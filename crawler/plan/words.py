"""A plan as people read it: what fits, what does not, and what would change that; a line each. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crawler.plan.estimate import UNSURE
from crawler.plan.planner import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.plan.planner import Goal, Plan
    from crawler.plan.policy import Heap
    from crawler.plan.share import Share

#: Parts of a heap that count as all and as none of it.
_ALL, _NONE = 0.995, 0.005
#: Part of bytes that must be guessed to be worth saying.
_MUCH = 0.05
#: A factor that is as good as one.
_BARELY = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one kind of work, over all hosts and days."""

    lane: str
    in_window: bool
    expires: bool
    waiting: int
    expected: int
    fits: int
    #: Why some of it is not begun; empty where it is.
    waits: str
    #: Bytes of what waits and is expected, and those of it whose size is a guess.
    bytes: int
    guessed: int

    @property
    def verdict(self) -> str:
        """Return "fits", "in part" or "does not fit"."""
        part = self.fits / max(self.waiting + self.expected, 1)
        return "fits" if part >= _ALL else "does not fit" if part <= _NONE else "in part"

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"{self.lane}{' of the window' if self.in_window else ''}{', expiring' if self.expires else ''}"

    def __str__(self) -> str:
        expected = f" and about {self.expected:,} more expected" if self.expected else ""
        said = {"fits": "all fit", "does not fit": "none fit"}.get(self.verdict, f"about {self.fits:,} fit")
        why = f"; not begun: {self.waits}" if self.waits and self.verdict != "fits" else ""
        guess = ", which is a guess: hardly any was seen" if self.guessed else ""
        size = unsure(self.bytes, self.guessed)
        return f"{self.name}: {self.waiting:,} waiting{expected} ({size}{guess}); {said}{why}"


def decisions(plan: Plan) -> list[Decision]:
    """Return the decisions of a plan in the order in which work is begun; what is over and expects nothing is none."""
    alike: defaultdict[tuple[str, bool, bool], list[tuple[Heap, float]]] = defaultdict(list)
    for heap, n in zip(plan.heaps, plan.fits, strict=True):
        if heap.total >= 1:
            alike[heap.lane, heap.in_window, heap.expires].append((heap, n))
    return [
        Decision(
            lane=lane, in_window=in_window, expires=expires, waiting=round(sum(heap.count for heap, _ in some)),
            expected=round(sum(heap.more for heap, _ in some)), fits=round(sum(n for _, n in some)),
            waits=next((heap.waits for heap, _ in some if heap.waits), ""),
            bytes=round(sum(heap.total * heap.size for heap, _ in some)),
            guessed=round(sum(heap.total * heap.size for heap, _ in some if heap.is_guess)),
        )
        for (lane, in_window, expires), some in alike.items()
    ]  # fmt: skip


def lines(plan: Plan, share: Share, zone: str = "") -> list[str]:
    """Return a plan as lines: the forecast, each decision in order, what would change it."""
    found = goal_lines(plan.goal, zone)
    if plan.goal.deadline is not None:
        found.append(summary(plan, share))
    found += [f"  {place}. {one}" for place, one in enumerate(decisions(plan), 1)]
    if plan.is_growing:
        found.append("More is still found than fetched: what is expected may be many times as much")
    if (remedy := changed_by(plan)) is not None:
        found.append(remedy)
    return found


def summary(plan: Plan, share: Share) -> str:
    """Return the forecast as one line."""
    told = plan.forecast
    guessed = sum(heap.size * n for heap, n in zip(plan.heaps, plan.fits, strict=True) if heap.is_guess)
    low, likely, high = (
        share.with_more(one.things - told.now.things) or 0.0 for one in (told.low, told.likely, told.high)
    )
    about = "at most" if plan.is_growing else "about"
    return (
        f"By then {about} {likely:.0%} of all that is known and expected ({low:.0%} to {high:.0%}), "
        f"{told.likely.things:,.0f} fetches and {unsure(told.likely.bytes, guessed)}; now {share.saved or 0.0:.0%}, "
        f"{plan.rate:.1f} a second"
    )


def changed_by(plan: Plan) -> str | None:
    """Return what would make everything fit; None where it does."""
    told = plan.forecast
    if told.factor <= _BARELY or plan.left < 1 or (plan.left >= FOREVER and not plan.goal.budget):
        return None
    if told.is_hopeless:
        return "Nothing more fits, whatever helps"
    if told.tightest.startswith("the "):
        return f"For all of it {told.tightest} must be {told.factor:.1f} times as large"
    return (
        f"For all of it {told.tightest} must answer {told.factor:.1f} times as fast: "
        f"{told.machines:,} machines, each with an address of its own, at this one's pace"
    )


def goal_lines(goal: Goal, zone: str = "") -> list[str]:
    """Return what a plan is for, times in UTC and in the user's zone."""
    found = []
    if goal.deadline is not None:
        found.append(f"Deadline: {moment(datetime.fromtimestamp(goal.deadline, UTC), zone)}")
    found += [f"First: {moment(window.since, zone)} until {moment(window.until, zone)}" for window in goal.windows]
    return found + ([f"Budget: {amount(goal.budget)} on the wire"] if goal.budget else [])


def moment(when: datetime, zone: str = "") -> str:
    """Return an instant in UTC, and in a zone if one is named."""
    shape = "%Y-%m-%d %H:%M:%S" if when.second else "%Y-%m-%d %H:%M"
    text = f"{when.astimezone(UTC):{shape}} UTC"
    return f"{text} ({when.astimezone(ZoneInfo(zone)):{shape}} {zone})" if zone else text


def unsure(count: float, guessed: float) -> str:
    """Return bytes as people read them, as a range where the size of much of it is a guess."""
    if guessed < _MUCH * count or not count:
        return amount(count)
    return f"{amount(count - guessed * (1 - 1 / UNSURE))} to {amount(count + guessed * (UNSURE - 1))}"


def amount(count: float) -> str:
    """Return bytes as people read them."""
    units: Iterable[str] = ("B", "kB", "MB", "GB")
    for unit in units:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def facts(plan: Plan) -> list[dict[str, Any]]:
    """Return the decisions of a plan for programs."""
    return [
        {"work": one.name, "lane": one.lane, "in_window": one.in_window, "expires": one.expires,
         "waiting": one.waiting, "expected": one.expected, "fits": one.fits, "verdict": one.verdict,
         "bytes": one.bytes, "guessed": one.guessed, "waits": one.waits}
        for one in decisions(plan)
    ]  # fmt: skip
