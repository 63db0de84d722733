"""The coordinator: lends the frontier's work to volunteers, takes in what they bring, and says when all is done.

It believes them nothing. A call is answered by who shows what hashes to a node's secret, as that node and for what is
its own; what comes in settles nothing before it was read here (``proving.py``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from crawler import clock
from crawler.admission import Admission
from crawler.control import Orders
from crawler.deathwatch.signs import Sign, sign_of
from crawler.errors import DatabaseLost, Interrupted, OutlastError, SiteUnavailable
from crawler.evidence.keys import holds
from crawler.frontier.postgres.attendance import Attendance
from crawler.frontier.postgres.desk import Brought as Segment
from crawler.frontier.postgres.register import NotInvited, Register
from crawler.frontier.thread import WriterThread
from crawler.model import Seen, SegmentClass, Settlement, State
from crawler.url import origin
from crawler.vigil import Vigil
from crawler.volunteers import wire
from crawler.volunteers.asking import Asker
from crawler.volunteers.hearsay import LONGEST, Hearsay
from crawler.volunteers.places import Through
from crawler.volunteers.proving import Proving
from crawler.volunteers.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sized
    from pathlib import Path

    from crawler.collection import Collection
    from crawler.config import Config
    from crawler.frontier.interface import Stats
    from crawler.frontier.postgres.desk import Desk
    from crawler.frontier.postgres.register import Volunteer
    from crawler.model import Seed
    from crawler.volunteers.places import Links
    from spiders.base import PlatformSpider

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("outlast.volunteers")

TICK = 1.0
#: Seconds of silence after which a volunteer's segments that never came are given up.
TERM = 6 * 3600.0
#: Part of what strangers bring that is asked for again.
SAMPLE = 0.01
#: Fetches that are lent where there are so many.
FEWEST = 5
#: Segments of one volunteer that are not proven.
MOST_OPEN = 200
#: Seconds between looks whether the death watch wants something asked.
CONTROLS = 0.2
#: What volunteers hear while the database is away.
AWAY = "The coordinator's database does not answer; try again."


class No(OutlastError):
    """A call that is refused, with its status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Coordinator:
    """One run of a coordinator. The caller holds the collection's lock and closes the frontier."""

    def __init__(
        self, collection: Collection, desk: Desk, config: Config, seed: Seed, spider: type[PlatformSpider],
        place: Links | Through, *, term: float = TERM, sample: float = SAMPLE,
        progress: Callable[[Stats], None] = lambda stats: None, say: Callable[[str], None] = lambda line: None,
        tell: Callable[[dict[str, str]], None] = lambda event: None,
    ) -> None:  # fmt: skip
        self.collection = collection
        self.config = config
        self.place = place
        self._desk = desk
        self._seed = seed
        self._spider = spider
        self._term = term
        self._progress = progress
        self._say = say
        self._admission = Admission(spider, seed, config, desk)
        self._call = WriterThread(collection.frontier)
        #: For what waits for nobody's transaction.
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="register")
        self._outage = desk.outage
        self._register = Register(desk.address, self._outage)
        self._attendance = Attendance(desk.address, desk.node, config.lease, self._outage)
        self._asker = Asker(collection, config, seed, spider, self._limited)
        self._vigil = Vigil(
            collection.root, desk,
            watches=lambda seen: not spider.lane(seen.lane).anywhere and self._admission.is_home(seen.url),
            is_text=lambda lane: spider.segment_class(lane) is SegmentClass.TEXT, probe_every=config.probe_every,
            give_up_after=config.give_up_after, say=tell, drop=lambda part: None,
        )  # fmt: skip
        self._admission.watched = self._vigil.sift
        self._witness = Witness(
            collection, desk, self._call, config, seed, spider, self._admission, self._asker, self._vigil, part=sample,
            say=say,
        )  # fmt: skip
        #: Each reads in a process of its own.
        self._provings = [
            Proving(collection, desk, self._call, place, self._admission, self._settled)
            for _ in range(max((os.cpu_count() or 1) // 2, 1))
        ]
        self._hearsay = Hearsay()
        self._orders = Orders(collection.root)
        self._paused = False
        #: What was to be done when that was looked at last, and how many nodes took part.
        self._queued, self._size = 0, 1
        self._sent = asyncio.Event()
        self._stopping = asyncio.Event()
        self._error: OutlastError | None = None
        self.is_over = False

    # A run

    async def run(self) -> Stats:
        """Answer until all is done, or ``stop``. Raises the error that ended it."""
        beside = [asyncio.create_task(self._outage.watch(self._say))]
        try:
            await self._call(self._prepare)
            self._orders.news()  # an old stop stops nothing any more
            steps = (self._prove, self._witness.run, self._ask_controls)
            beside += [asyncio.create_task(self._guarded(one)) for one in steps]
            await self._watch()
        except OutlastError as e:
            self._error = self._error or e
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._asker.close()
        if self._error is not None:
            raise self._error
        stats: Stats = await self._call(self._desk.stats)
        return stats

    def stop(self, error: OutlastError | None) -> None:
        """End the run; volunteers go on when the next one begins."""
        self._error = self._error or error
        self._stopping.set()
        self._outage.hurry()

    async def answered(self, answer: Coroutine[None, None, T]) -> T:
        """Return an answer to a call. Raises DatabaseLost where the database is away: the call is to come again."""
        task = asyncio.ensure_future(answer)
        try:
            while not task.done():
                if self._outage.is_noticed:
                    raise DatabaseLost(AWAY)
                await asyncio.wait({task}, timeout=TICK)
        finally:
            task.cancel()
        return await task

    def close(self) -> None:
        """Close what is open."""
        for proving in self._provings:
            proving.close()
        self._call.close()
        self._aside.shutdown()
        self._register.close()
        self._attendance.close()
        self.place.close()

    def _prepare(self) -> None:
        desk, spider = self._desk, self._spider(seed=self._seed)
        desk.gate_for = self._admission.gate_for
        self._vigil.load()
        desk.set_lanes({lane.name: lane.order for lane in self._spider.lanes})
        if desk.meta_get("seeded") != str(desk.round):
            desk.offer(list(self._admission.admitted(spider.seeds(self._seed))))
            desk.meta_set("seeded", str(desk.round))

    async def _watch(self) -> None:
        until = float("inf")
        while not self._stopping.is_set() and time.monotonic() < until:
            self._obey()
            now = clock.now()
            await self._call(self._desk.reap, now)
            for name, count in (await self._call(self._desk.lapse, before=now - self._term, now=now)).items():
                log.warning("%s: %d fetches are queued again", name, count)
            stats = await self._call(self._desk.stats)
            self._progress(stats)
            self._queued = stats.queued
            is_over = not self._paused and stats.queued - stats.blocked <= 0 and not stats.leased
            is_over = is_over and not self._vigil.is_pondering and not await self._call(self._desk.waiting_again)
            await self._watch_over(stats)
            if is_over and not self.is_over:
                # Long enough for everyone to hear it.
                until = time.monotonic() + self.config.lease
            self.is_over = is_over
            until = until if is_over else float("inf")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK)

    async def _watch_over(self, stats: Stats) -> None:
        """Look whether what is left may all be dead, and give up what has been for too long."""
        if stats.queued and not stats.leased and not self._vigil.is_pondering:
            await self._call(self._vigil.doubt)
        if self._vigil.is_hopeless() and not self._paused:
            gone = ", ".join(map(str, self._vigil.dead[:3]))
            self.stop(SiteUnavailable(f"{gone} stayed dead; the same command goes on if it comes back."))

    async def _ask_controls(self) -> None:
        """Ask what the death watch wants to know, one after the other, for ever."""
        while True:
            for work in await self._call(lambda: list(self._vigil.due(clock.now(), lambda place: 1))):
                told = await self._asker.told(work)
                await self._call(self._vigil.answered, told)
            await asyncio.sleep(CONTROLS)

    async def _limited(self, place: str, until: float) -> None:
        """Leave a host alone, all of us, that told this very machine to."""
        await self._call(self._desk.freeze, place, min(until, clock.now() + LONGEST))

    def _obey(self) -> None:
        for order in self._orders.news():
            if order.verb == "stop":
                self.stop(Interrupted("Stopped by an order; all is saved and the same command goes on."))
        standing = self._orders.standing()
        self._admission.exclude(standing.exclude)
        self._paused = standing.paused

    async def _guarded(self, step: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do what goes on beside; a fault of it ends the run."""
        try:
            await step()
        except OutlastError as e:
            self.stop(e)
        except Exception as e:
            log.exception("the coordinator failed")
            self.stop(OutlastError(f"{type(e).__name__}: {e}; see {self.collection.log}."))

    async def _settled(self, by: Volunteer, segment: str, told: list[Settlement]) -> None:
        if not by.trust:
            await self._witness.choose(by.node, segment, told)

    async def _prove(self) -> None:
        while True:
            self._sent.clear()
            left = await self._call(self._desk.brought_in, "sent")
            await asyncio.gather(*(self._prove_some(proving, left) for proving in self._provings))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sent.wait(), 5.0)

    async def _prove_some(self, proving: Proving, left: list[Segment]) -> None:
        """Prove segments until none is left."""
        while left:
            one = left.pop(0)
            volunteer = await self._of_node(one.node)
            if volunteer is not None and not volunteer.is_revoked:
                await proving.prove(one, volunteer)

    async def _asking(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._aside, lambda: function(*args, **named))

    async def _of_node(self, node: int) -> Volunteer | None:
        return await self._asking(self._register.of, node)

    # Who asks

    async def known(self, shown: str) -> Volunteer:
        """Return who shows this. Raises No."""
        try:
            shows = sha256(bytes.fromhex(shown)).digest()
        except ValueError:
            shows = b""
        volunteer = await self._asking(self._register.volunteer, shows)
        if volunteer is None or volunteer.is_revoked:
            raise No(401, "This coordinator does not know you, or not any more.")
        return volunteer

    async def enrol(self, asked: wire.Enrol) -> wire.Enrolled:
        """Take up an invitation."""
        try:
            secret, shows, key = (bytes.fromhex(one) for one in (asked.invitation, asked.shows, asked.public_key))
            if {len(secret), len(shows), len(key)} != {32}:
                raise ValueError  # noqa: TRY301 - as below
        except ValueError:
            raise No(400, "Invitation, hash and key are 32 bytes each, in hexadecimal.") from None
        try:
            volunteer = await self._asking(self._register.enrol, secret, shows, key)
        except NotInvited as e:
            raise No(401, str(e)) from None
        self._say(f"{volunteer.label} joins as node {volunteer.node}.")
        log.info("node %d joins: %s", volunteer.node, volunteer.label)
        config = self.config
        return wire.Enrolled(
            node=volunteer.node, crawl=self.collection.marker.id, seed=self._seed,
            platform=self.collection.marker.platform,
            settings=wire.Settings(
                contact=config.contact, operator=config.operator, purpose=config.purpose,
                user_agent=config.user_agent, robots=config.robots,
            ),
        )  # fmt: skip

    # What they ask

    async def attend(self, by: Volunteer, asked: wire.Attend) -> wire.Attended:
        """Take note of a volunteer, and tell it its part."""
        if len(asked.waits_for) > wire.MOST_FETCHES or len(asked.limited) > wire.MOST_FETCHES:
            raise No(413, f"At most {wire.MOST_FETCHES} at once.")
        for place, said in asked.limited.items():
            if until := self._hearsay.until(by.node, place, said, clock.now()):
                await self._call(self._desk.freeze, place, until)
        began = time.monotonic()
        present = await self._asking(self._attendance.say_for, by.node)
        self._size = max(present.size, 1)
        standing = {}
        for name in asked.waits_for:
            one = await self._call(self._desk.brought, name)
            if one is not None and one.node == by.node and one.state in {"proven", "refused", "lost"}:
                standing[name] = (one.state, one.reason)
        config = self.config
        # What a volunteer holds of a host that is dead stays unasked as long as this is said.
        dead = dict.fromkeys(await self._call(lambda: self._vigil.held_back), clock.now() + config.lease / 2)
        return wire.Attended(
            place=present.place, size=present.size, is_ready=present.is_ready, was_out=present.was_out,
            now=present.ahead + began, lease=config.lease, frozen={**present.frozen, **dead}, rate=config.rate,
            concurrency=config.concurrency, delay=config.delay, is_over=self.is_over, standing=standing,
        )  # fmt: skip

    async def lease(self, by: Volunteer, asked: wire.Want) -> wire.Given:
        """Lend work."""
        if asked.has is not None:
            _check_count(asked.has)
            await self._call(self._desk.put_back_but, by, asked.has)
        if self._paused or asked.n <= 0:
            return wire.Given(())
        # Who comes first leaves something to the others.
        most = max(self._queued // self._size, FEWEST)
        lent = await self._call(
            self._desk.lend, by, min(asked.n, most, wire.MOST_FETCHES), now=clock.now(), seconds=self.config.lease,
            admit=self._admission.admit, closed=self._vigil.is_closed,
        )  # fmt: skip
        return wire.Given(
            tuple(wire.Errand(id=one.id, token=one.token, fetch=one.fetch, attempt=one.attempt) for one in lent)
        )

    async def hold(self, by: Volunteer, asked: wire.Hold) -> wire.Held:
        """Note what is durable with a volunteer."""
        _check_count(asked.ids)
        await self._announce(by, asked.segment)
        return wire.Held(tuple(await self._call(self._desk.hold, by, asked.segment, asked.ids, now=clock.now())))

    async def give_back(self, by: Volunteer, asked: wire.GiveBack) -> wire.Held:
        """Take work back."""
        _check_count(asked.ids)
        why = re.sub(r"[^A-Za-z0-9 .:-]", "", asked.why)[:40]
        await self._call(self._hand_back, by, asked.ids, why)
        return wire.Held()

    def _hand_back(self, by: Volunteer, ids: tuple[tuple[int, int], ...], why: str) -> None:
        """Take work back; that it was tried in vain does not count where the death watch says so."""
        sign = sign_of(why)
        excused = set()
        if sign not in {Sign.OK, Sign.MOVED, Sign.NOTHING}:
            excused = {one[:2] for one in self._desk.lent(by, ids) if self._is_excused(*one, sign)}
        for some, told in ((excused, ""), (set(ids) - excused, why)):
            if some:
                self._desk.hand_back(by, sorted(some), told, now=clock.now())

    def _is_excused(self, number: int, token: int, url: str, lane: str, sign: Sign) -> bool:
        if self._vigil.is_closed(origin(url), lane):
            return True
        seen = Seen(url=url, lane=lane, sign=sign.value)
        return self._vigil.sift(Settlement(id=number, token=token, state=State.QUEUED, seen=seen)).untried

    async def leave(self, by: Volunteer) -> wire.Held:
        """Take back all that a volunteer has not fetched; what it brought goes on to be proven."""
        await self._call(self._desk.part_from, by)
        await self._asking(self._attendance.leave_for, by.node)
        return wire.Held()

    # Segments

    async def bring(self, by: Volunteer, asked: wire.Bring) -> wire.Ways:
        """Say where the parts of a sealed segment go."""
        _own(by, asked.name)
        if not wire.is_sound(asked):
            raise No(400, "That is no segment: its sums or its length cannot be.")
        if not holds(by.public_key, _unhex(asked.signature), wire.claim(self.collection.marker.id, by.node, asked)):
            raise No(403, "That is not signed with the key that you joined with.")
        await self._announce(by, asked.name)
        one = await self._call(self._desk.brought, asked.name)
        if one is None or not one.sha256 or one.state == "lost":
            one = await self._begin(by, asked)
        if one.node != by.node or one.sha256 != asked.sha256 or one.bytes != asked.bytes:
            raise No(409, "That segment was announced as something else.")
        if one.state != "open":
            return wire.Ways(one.state)
        return wire.Ways("open", await asyncio.to_thread(self.place.ways, one))

    async def _announce(self, by: Volunteer, segment: str) -> None:
        """Know a volunteer's segment; of names that are made up there is no end. Raises No."""
        kind = _own(by, segment)
        if not await self._call(self._desk.announce, by, segment, kind, most=MOST_OPEN):
            raise No(429, f"At most {MOST_OPEN} segments of yours may wait; bring those first.")

    async def _begin(self, by: Volunteer, asked: wire.Bring) -> Segment:
        taken = await self._call(self._desk.bytes_of, by)
        if by.quota_bytes and taken + asked.bytes > by.quota_bytes:
            raise No(429, f"That is more than the {by.quota_bytes:,} bytes that you may bring.")
        free = await asyncio.to_thread(shutil.disk_usage, self.collection.root)
        if free.free - asked.bytes < self.config.disk_reserve:
            log.error("no room for %s", asked.name)
            raise No(503, "There is no room for that now.")
        one = Segment(
            name=asked.name, node=by.node, state="open", bytes=asked.bytes, sha256=asked.sha256, parts=asked.parts,
            signature=asked.signature, upload="", reason="",
        )  # fmt: skip
        one = replace(one, upload=await asyncio.to_thread(self.place.begin, one))
        found = await self._call(self._desk.bring, by, one, now=clock.now())
        if found is None:
            raise No(403, "That segment is not yours.")
        return found

    async def part(self, by: Volunteer, name: str, number: int) -> tuple[Path, int, str]:
        """Return where a part goes that comes through here, its length and its MD5. Raises No."""
        _own(by, name)
        one = await self._call(self._desk.brought, name)
        if one is None or one.node != by.node or one.state != "open" or not one.sha256:
            raise No(409, "Nothing is expected under that name.")
        if not isinstance(self.place, Through) or not 1 <= number <= len(one.parts):
            raise No(404, "There is no such part.")
        return self.place.part(one, number), wire.length_of(one.bytes, number), one.parts[number - 1]

    async def brought(self, by: Volunteer, asked: wire.Brought) -> wire.Standing:
        """Take a segment for sent, once all its parts are there."""
        _own(by, asked.name)
        one = await self._call(self._desk.brought, asked.name)
        if one is None or one.node != by.node or not one.sha256:
            raise No(409, "Nothing is expected under that name.")
        if one.state == "open":
            await asyncio.to_thread(self.place.finish, one)
            await self._call(self._desk.sent, one.name, now=clock.now())
            self._sent.set()
            return wire.Standing("sent")
        return wire.Standing(one.state, one.reason)


def _own(by: Volunteer, segment: str) -> SegmentClass:
    """Return the class of a segment. Raises No where the name is none, or another node's."""
    found = wire.node_and_class(segment)
    if found is None:
        raise No(400, "That is no name of a segment.")
    if found[0] != by.node:
        raise No(403, "That segment is not yours.")
    return found[1]


def _check_count(ids: Sized) -> None:
    if len(ids) > wire.MOST_FETCHES:
        raise No(413, f"At most {wire.MOST_FETCHES} fetches at once.")


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
