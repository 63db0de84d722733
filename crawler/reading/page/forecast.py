"""Time is the budget: how fast a crawl goes, when it will be done, and what it will have by a deadline. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.frontier.interface import Stats

#: Seconds that the rate of now is measured over, and minutes that are remembered.
WINDOW, MINUTES = 60.0, 60
#: A share that counts as all.
_ALL = 0.995


class History:
    """What counters stood at lately. All times are seconds since the epoch."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int, int]] = deque()
        self._minutes: deque[list[int]] = deque(maxlen=MINUTES)

    def note(self, now: float, done: int, size: int) -> None:
        """Take in how many fetches are done and how many bytes came; more often than once a second changes nothing."""
        if self._points and now - self._points[-1][0] < 1:
            return
        if self._points:
            self._count(int(now // 60), done - self._points[-1][1], size - self._points[-1][2])
        self._points.append((now, done, size))
        while now - self._points[0][0] > WINDOW and len(self._points) > 2:
            self._points.popleft()

    def _count(self, minute: int, done: int, size: int) -> None:
        while not self._minutes or self._minutes[-1][0] < minute:
            self._minutes.append([self._minutes[-1][0] + 1 if self._minutes else minute, 0, 0])
            if minute - self._minutes[-1][0] > MINUTES:  # the machine slept
                self._minutes.clear()
        self._minutes[-1][1] += max(done, 0)  # what is tried again is no longer done
        self._minutes[-1][2] += max(size, 0)

    def rates(self) -> tuple[float, float]:
        """Return fetches done and bytes a second, over the last minute."""
        if len(self._points) < 2:
            return 0.0, 0.0
        (begun, done, size), (now, done_now, size_now) = self._points[0], self._points[-1]
        return max(done_now - done, 0) / (now - begun), max(size_now - size, 0) / (now - begun)

    def minutes(self) -> list[list[int]]:
        """Return [minute since the epoch, fetches done, bytes] of each minute of the last hour, oldest first."""
        return [list(one) for one in self._minutes]


def forecast(stats: Stats, rate: float, now: float, deadline: float | None) -> dict[str, Any]:
    """Return what share of what is known is saved, when the rest will be, and how much of it by the deadline.

    ``known`` grows while a crawl finds more, so every figure is of what is known so far. ``remaining`` leaves out what
    waits for the user. ``eta`` is in seconds, None where it never comes at this rate.
    """
    known = stats.done + stats.queued + stats.leased + stats.parked + stats.failed
    remaining = max(stats.queued + stats.leased - stats.blocked, 0)
    found: dict[str, Any] = {
        "known": known, "remaining": remaining, "share": stats.done / known if known else None, "rate": rate,
        "eta": remaining / rate if rate else None if remaining else 0.0, "deadline": deadline,
    }  # fmt: skip
    if deadline is not None:
        left = max(deadline - now, 0.0)
        by_then = stats.done + min(rate * left, remaining)
        found |= {
            "left": left, "share_by_deadline": by_then / known if known else None,
            "rate_needed": remaining / left if left else None, "fits": rate * left >= remaining,
        }  # fmt: skip
    return found


def planned(time: dict[str, Any], share: float | None, expected: int, plan: dict[str, Any] | None) -> dict[str, Any]:
    """Return a forecast with the share that a plan says, of what is known and expected, and, where a crawl plans for
    the same deadline, what it says will be saved by then: likely, and at the least and the most. While more is found
    than fetched (``is_growing``) that is the most there can be.
    """
    found = {**time, "share": share, "expected": expected}
    if not plan or not plan.get("by_deadline") or plan["deadline"] != time["deadline"]:
        return found
    low, likely, high = (plan["by_deadline"][name]["share"] for name in ("low", "likely", "high"))
    return {
        **found, "share_by_deadline": likely, "low": low, "high": high, "rate_needed": plan["rate_needed"],
        "fits": (likely is None or likely >= _ALL) and not plan.get("is_growing"),
        "is_growing": bool(plan.get("is_growing")),
    }  # fmt: skip
