"""A dying platform with a clock and no sockets: what a plan saves of it, against first come first served and the best.

Hosts answer so many requests a second, all share one line, listings lead to posts and posts to media, days are newest
first, signed media expires, and hosts die or slow down without a word. Nobody is told any of it beforehand.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from crawler.frontier.interface import Bucket
from crawler.model import Lane, SegmentClass
from crawler.plan.expiry import until
from crawler.plan.planner import Goal, Plan, Planner
from crawler.plan.value import Window, worth
from crawler.planning import ENOUGH_LOOKS, LATER, SOON

if TYPE_CHECKING:
    from collections.abc import Callable

LISTINGS, POSTS = Lane(name="listings", order=20), Lane(name="posts", order=30)
IMAGES = Lane(name="images", order=70, segment_class=SegmentClass.IMAGES)
ORIGINALS = Lane(name="originals", order=80, segment_class=SegmentClass.ORIGINALS)
FACES = Lane(name="extras", order=90, segment_class=SegmentClass.IMAGES)
LANES = {lane.name: lane for lane in (LISTINGS, POSTS, IMAGES, ORIGINALS, FACES)}
WINDOW = Window.of("2021-01-06/2021-01-07")
NEWEST = date(2021, 1, 10)
#: When a run begins, in seconds since the epoch.
BEGIN = 1610236800.0
#: Requests that a host answers at once; seconds of a step.
AT_ONCE, STEP = 16, 1.0


@dataclass(eq=False, slots=True)
class Thing:
    lane: Lane
    host: str
    size: float
    day: str = ""
    #: Seconds after it was found for which its URL works; 0 for ever.
    expires: float = 0.0
    leads: list[Thing] = field(default_factory=list)
    found: float = 0.0
    left: float = 0.0
    is_late: bool = False
    worth: float = 0.0
    #: Value class: it says when its URL stops working.
    value: int = 0

    def __post_init__(self) -> None:
        self.worth = worth(self.lane, 0, in_window=WINDOW.has(self.day))


@dataclass(slots=True)
class Scenario:
    seed: int
    name: str
    roots: list[Thing]
    #: host → requests a second; bytes a second of the line; seconds that there are.
    rates: dict[str, float]
    line: float
    seconds: float
    #: host → (when, what is left of its pace from then on).
    deaths: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: Whether signed URLs say when they stop working.
    tells: bool = True

    def rate(self, host: str, now: float) -> float:
        when, part = self.deaths.get(host, (float("inf"), 1.0))
        return self.rates[host] * (part if now >= when else 1.0)

    def things(self) -> list[Thing]:
        found, left = [], list(self.roots)
        while left:
            found.append(one := left.pop())
            left += one.leads
        return found


def scenario(seed: int, *, things: int = 20_000) -> Scenario:
    """Return the scenario of a seed, of about so many things."""
    random_ = random.Random(seed)
    layout = random_.choice(["one host", "a media host", "three hosts"])
    images = {"one host": "site", "a media host": "media", "three hosts": "images"}[layout]
    videos = {"one host": "site", "a media host": "media", "three hosts": "videos"}[layout]
    sizes = {
        "posts": random_.uniform(10e3, 60e3),
        "images": random_.uniform(80e3, 500e3),
        "originals": random_.uniform(3e6, 30e6),
    }
    films, pictures = random_.uniform(0.01, 0.1), random_.uniform(0.2, 1.2)
    lifetime = random_.choice([0.0, 0.0, 0.0, 300.0])
    pages, depth = random_.randint(5, 20), random_.randint(3, 30)
    per_post = 1 + pictures + films + 0.2
    accounts = max(int(things / (depth * pages * per_post)), 5)

    def sized(lane: str) -> float:
        return sizes[lane] * random_.lognormvariate(-0.32, 0.8)

    def post(day: str) -> Thing:
        made = Thing(POSTS, "site", sized("posts"), day)
        for _ in range(int(pictures) + (random_.random() < pictures % 1)):
            made.leads.append(Thing(IMAGES, images, sized("images"), day, lifetime))
        if random_.random() < films:
            made.leads.append(Thing(ORIGINALS, videos, sized("originals"), day))
        if random_.random() < 0.2:
            made.leads.append(Thing(FACES, images, 15e3))
        return made

    roots = []
    for _ in range(accounts):
        long = max(int(random_.expovariate(1 / depth)), 1)
        before: Thing | None = None
        days = [(NEWEST - timedelta(days=page * 20 // depth)).isoformat() for page in range(long)]
        for page, day in reversed(list(enumerate(days))):
            listing = Thing(LISTINGS, "site", 40e3, days[page - 1] if page else "")
            listing.leads = [post(day) for _ in range(pages)] + ([before] if before else [])
            before = listing
        assert before
        roots.append(before)
    rates = {host: random_.uniform(4, 15) for host in sorted({"site", images, videos})}
    made = Scenario(seed, layout, roots, rates, 1.0, 0.0)
    busy: Counter[str] = Counter(one.host for one in made.things())
    slowest = max(busy[host] / rate for host, rate in rates.items())
    made.line = sum(one.size for one in made.things()) / slowest * random_.uniform(0.5, 3.0)
    made.seconds = slowest * random_.choice([0.25, 0.4, 0.6, 0.8, 1.2])
    if random_.random() < 0.5:
        victim = random_.choice(sorted(rates))
        made.deaths[victim] = (made.seconds * random_.uniform(0.2, 0.95), random_.choice([0.0, 0.0, 0.3]))
    return made


class Run:
    """One crawl of a scenario. ``plans`` False is first come, first served, at each host."""

    def __init__(self, world: Scenario, *, plans: bool) -> None:
        self.world = world
        self.now = 0.0
        self.value = 0.0
        self.planner = (
            Planner(LANES.values(), Goal(deadline=BEGIN + world.seconds, windows=(WINDOW,))) if plans else None
        )
        self._queues: dict[tuple[str, str, str, int], deque[Thing]] = defaultdict(deque)
        self._counts: dict[tuple[str, str, str, int], Counter[str]] = defaultdict(Counter)
        self._ids: dict[tuple[str, str, str, int], int] = {}
        self._places: dict[int, tuple[int, bool]] = {}
        self._last: Counter[str] = Counter()
        self._led: Counter[tuple[str, str]] = Counter()
        self._flying: dict[str, list[Thing]] = defaultdict(list)
        self._permits: Counter[str] = Counter()
        for root in world.roots:
            self._find(root)

    def run(self, *, halfway: Callable[[Plan], None] = lambda plan: None) -> float:
        """Return the value saved when the time is over."""
        looks, due, is_told = 0, 0.0, False
        while self.now < self.world.seconds:
            if self.planner and self.now >= due:
                plan = self.planner.look(BEGIN + self.now, self._buckets(), self._led)
                looks += 1
                self._last = Counter()
                for key, number in self._ids.items():
                    self._last[key[0]] = max(self._last[key[0]], plan.places[number][0])
                self._places, due = plan.places, self.now + (SOON if looks < 4 * ENOUGH_LOOKS else LATER)
                if not is_told and self.now >= self.world.seconds / 2:
                    is_told = True
                    halfway(plan)
            self._step()
        return self.value

    def _step(self) -> None:
        order: dict[str, list[tuple[str, str, str, int]]] = defaultdict(list)
        for key in sorted((key for key, queue in self._queues.items() if queue), key=self._rank):
            order[key[1]].append(key)
        for host in self.world.rates:
            pace = self.world.rate(host, self.now)
            self._permits[host] = min(self._permits[host], 1.0) + pace * STEP  # type: ignore[assignment]
            while self._permits[host] >= 1 and len(self._flying[host]) < AT_ONCE and (key := self._next(order[host])):
                self._permits[host] -= 1
                one = self._queues[key].popleft()
                self._counts[key]["queued"] -= 1
                self._counts[key]["leased"] += 1
                one.is_late = bool(one.expires) and self.now - one.found > one.expires
                one.left = 1000.0 if one.is_late else one.size
                self._flying[host].append(one)
        self._carry()
        self.now += STEP

    def _next(self, keys: list[tuple[str, str, str, int]]) -> tuple[str, str, str, int] | None:
        if self.planner is None:
            found = [key for key in keys if self._queues[key]]
            return min(found, key=lambda key: self._queues[key][0].found, default=None)
        return next((key for key in keys if self._queues[key] and not self._place(key)[1]), None)

    def _place(self, key: tuple[str, str, str, int]) -> tuple[int, bool]:
        """Return a bucket's place; one that is new goes where its lane went last, as in a frontier."""
        return self._places.get(self._ids[key], (self._last[key[0]], False))

    def _rank(self, key: tuple[str, str, str, int]) -> tuple[int, int, int, int]:
        return (self._place(key)[0], LANES[key[0]].order, -key[3], -int(key[2].replace("-", "") or 0))

    def _carry(self) -> None:
        """Share the line among all that fly, those with the least left first; what is all there is saved."""
        flying = [one for host, some in self._flying.items() if self.world.rate(host, self.now) for one in some]
        line, waiting = self.world.line * STEP, len(flying)
        done = []
        for one in sorted(flying, key=lambda one: one.left):
            part = min(line / waiting, one.left)
            one.left -= part
            line -= part
            waiting -= 1
            if one.left <= 0:
                done.append(one)
        for one in done:
            self._flying[one.host].remove(one)
            self._save(one)

    def _save(self, one: Thing) -> None:
        counts = self._counts[_key(one)]
        counts["leased"] -= 1
        if one.is_late:
            counts["given_up"] += 1
            return
        counts["done"] += 1
        counts["bytes"] += int(one.size)
        self.value += one.worth
        for other in one.leads:
            self._led[one.lane.name, other.lane.name] += 1
            self._find(other)

    def _find(self, one: Thing) -> None:
        one.found = self.now + len(self._ids) * 1e-9
        if one.expires:
            now = BEGIN + self.now
            one.value = until(0, now + one.expires if self.world.tells else None, now)
        self._ids.setdefault(_key(one), len(self._ids))
        self._queues[_key(one)].append(one)
        self._counts[_key(one)]["queued"] += 1

    def _buckets(self) -> list[Bucket]:
        return [
            Bucket(
                id=number, lane=key[0], origin=key[1], day=key[2], value=key[3],
                **{name: self._counts[key][name] for name in ("queued", "leased", "done", "given_up", "bytes")},
            )
            for key, number in self._ids.items()
        ]  # fmt: skip


def _key(one: Thing) -> tuple[str, str, str, int]:
    return (one.lane.name, one.host, one.day, one.value)
