"""The plan of a running crawl: a look every few seconds, places for buckets, decisions in ``DIR/plan.jsonl``.

Every crawl learns its pace, so that ``archive plan`` can say what would fit; only one with a deadline, a window or a
budget is arranged. All of it runs in the frontier's thread, over its small tables alone.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler import clock
from crawler.plan import Goal, Plan, Planner, Share, headline, share_known
from crawler.plan.estimate import Learned
from crawler.plan.value import Window
from crawler.plan.words import changed_by, decisions, facts, lines, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.frontier.engine import Engine
    from crawler.frontier.reader import FrontierReader
    from spiders.base import PlatformSpider

log = logging.getLogger("outlast.plan")

#: Seconds between looks: at first, later, and how many times as long as one takes at the least.
SOON, LATER, EASE = 1.0, 5.0, 25.0
#: Looks after which people are told, and seconds after which all is written down again though nothing changed.
ENOUGH_LOOKS, REPEAT = 4, 600.0
#: Seconds between two times that people are told.
SELDOM = 60.0
#: Where the frontier keeps what was learned, and the figures of the live page.
PACES, HEADLINE = "paces", "headline"


def goal_of(config: Config, now: float) -> Goal:
    """Return what the settings of a crawl plan for; a deadline that is over is none."""
    deadline = datetime.fromisoformat(config.deadline).timestamp() if config.deadline else None
    return Goal(
        deadline=deadline if deadline is None or deadline > now else None,
        windows=tuple(map(Window.of, config.window)), budget=config.budget,
    )  # fmt: skip


def learned_of(frontier: FrontierReader) -> Learned:
    """Return what earlier looks at a crawl learned."""
    stored = frontier.meta_get(PACES)
    return Learned.of(json.loads(stored)) if stored else Learned()


def planned(
    frontier: FrontierReader, spider: type[PlatformSpider], goal: Goal, now: float, by_hand: Mapping[str, int]
) -> Plan:
    """Return the plan that a look at a collection gives, beside its crawl or without one."""
    planner = Planner(spider.lanes, goal)
    planner.learned = learned_of(frontier)
    share = share_known(frontier.claims(), frontier.coverage())
    return planner.look(now, frontier.buckets(), frontier.led(), share=share, by_hand=by_hand)


class Planning:
    """The plan of one run; ``say`` tells people what changes."""

    def __init__(
        self, collection: Collection, frontier: Engine, config: Config, spider: type[PlatformSpider],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.goal = goal_of(config, clock.now())
        self.plan: Plan | None = None
        self._file = collection.plan
        self._frontier = frontier
        self._zone = config.tz
        self._say = say
        self._planner = Planner(spider.lanes, self.goal)
        self._due = 0.0
        self._looks = 0
        #: Verdicts as they were written, and as people were told.
        self._told: list[tuple[str, str]] = []
        self._shown: list[tuple[str, str]] = []
        self._said = 0.0
        self._written = 0.0

    @property
    def is_over(self) -> bool:
        """Say whether the deadline has come."""
        return self.goal.deadline is not None and clock.now() >= self.goal.deadline

    @property
    def is_due(self) -> bool:
        """Say whether it is time for another look."""
        return time.monotonic() >= self._due

    def begin(self) -> None:
        """Go on from what was learned; what an earlier run arranged holds no more where nothing is planned now."""
        self._planner.learned = learned_of(self._frontier)
        if not self.goal:
            self._frontier.arrange({one.id: (0, False) for one in self._frontier.buckets() if one.place or one.waits})

    def look(self, by_hand: Mapping[str, int]) -> None:
        """Look, learn, and arrange what is planned."""
        began = time.monotonic()
        buckets, now = self._frontier.buckets(), clock.now()
        known = share_known(self._frontier.claims(), self._frontier.coverage())
        plan = self.plan = self._planner.look(now, buckets, self._frontier.led(), share=known, by_hand=by_hand)
        share = Share.of(self._frontier, self._frontier.stats())
        if self.goal:
            held = {one.id: (one.place, one.waits) for one in buckets}
            self._frontier.arrange({key: at for key, at in plan.places.items() if held[key] != at})
            self._tell(plan, share)
        self._frontier.meta_set(PACES, json.dumps(self._planner.learned.facts()))
        self._frontier.meta_set(HEADLINE, json.dumps(headline(plan, share)))
        self._looks += 1
        pause = SOON if self._looks < 4 * ENOUGH_LOOKS else LATER
        self._due = time.monotonic() + max(pause, EASE * (time.monotonic() - began))

    def last_words(self) -> tuple[str, ...]:
        """Return what a person should hear of the plan when the run ends."""
        if self.plan is None or self.goal.deadline is None:
            return ()
        left = [f"{one.waiting:,} {one.name}" for one in decisions(self.plan) if one.waiting]
        return (f"Known and not saved, what is worth most first: {', '.join(left)}",) if left else ()

    def _tell(self, plan: Plan, share: Share) -> None:
        """Write decisions down when they change, and now and then; tell people once there is something to tell."""
        verdicts = [(one.name, one.verdict) for one in decisions(plan)]
        is_news = self._looks >= ENOUGH_LOOKS and verdicts != self._told
        if not is_news and self._looks and plan.at - self._written < REPEAT:
            return
        self._told, self._written = verdicts, plan.at
        said = lines(plan, share, self._zone)
        self._write({"at": _stamp(plan.at), "headline": headline(plan, share), "decisions": facts(plan), "lines": said})
        for line in said:
            log.info("plan: %s", line)
        if self._looks >= ENOUGH_LOOKS and plan.at - self._said >= SELDOM:
            self._said = plan.at
            for line in said if not self._shown else _news(plan, share, self._shown):
                self._say(line)
            self._shown = verdicts

    def _write(self, entry: dict[str, Any]) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as e:  # a full disk ends the crawl elsewhere, with all that is saved
            log.warning("%s cannot be written: %s", self._file, e.strerror)


def _news(plan: Plan, share: Share, told: list[tuple[str, str]]) -> list[str]:
    """Return what changed since people were told, as lines; a kind of work that is over is no news."""
    changed = [f"Plan: {one}" for one in decisions(plan) if (one.name, one.verdict) not in told]
    return (
        [*changed, *filter(None, [summary(plan, share) if plan.goal.deadline is not None else None, changed_by(plan)])]
        if changed
        else []
    )


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")
