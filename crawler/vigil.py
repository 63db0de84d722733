"""The death watch of one crawl: holds back what may be dead, asks gently, undoes what was wrongly settled, says so.

Runs in the frontier's thread. What is dead now stands in the frontier's ``meta`` and holds over a restart; all that
ever happened is a line in ``DIR/deathwatch.jsonl`` (see ``deaths``), with the records that show it.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from crawler import clock
from crawler.deaths import record, struck
from crawler.deathwatch import Case, Control, End, Part, Sign, Stage, Watch, key_of, shows
from crawler.model import PROBE_LANE, Leased, Note, Seen, Settlement, State
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from crawler.deathwatch import Key, Suspicion
    from crawler.frontier.interface import Frontier

log = logging.getLogger("outlast.deathwatch")

#: Key of the frontier's ``meta``.
META = "deathwatch"
#: Controls are leased under ids that no fetch and no id of a sweep has: this and below.
FIRST = -(1 << 40)


class Vigil:
    """Every answer passes through ``sift`` before it is committed, every answer to a control through ``answered``."""

    def __init__(
        self,
        root: Path,
        frontier: Frontier,
        *,
        watches: Callable[[Seen], bool],
        is_text: Callable[[str], bool],
        probe_every: float,
        give_up_after: float,
        say: Callable[[dict[str, str]], None],
        drop: Callable[[Part], None],
    ) -> None:
        self._root = root
        self._frontier = frontier
        #: Whether an answer is of the platform's own hosts, and whether a lane's answers are pages.
        self._watches = watches
        self._is_text = is_text
        self._probe_every = probe_every
        self._give_up_after = give_up_after
        self._say = say
        self._drop = drop
        self._watch = Watch(frontier.fetch_of, self._remembered, self._remember)
        self._cases: list[Case] = []
        self._struck: frozenset[str] = frozenset()
        self._asked: dict[int, Case] = {}
        #: When anything last answered well, or the run began.
        self._lived = clock.now()

    def load(self) -> None:
        """Take up what earlier runs left."""
        self._cases = msgspec.json.decode(self._frontier.meta_get(META) or "[]", type=list[Case])
        for case in self._cases:
            case.asked, case.due = None, 0.0
        self._struck = struck(self._root).records
        self._lived = clock.now()

    # What comes in

    def sift(self, told: Settlement) -> Settlement:
        """Return a settlement as it is to be committed: what a dead host says settles nothing."""
        seen = told.seen
        if seen is None or seen.lane == PROBE_LANE or not self._probe_every:
            return told
        place = origin(seen.url)
        is_home = self._watches(seen)
        if (told.record_id and told.record_id in self._struck) or (is_home and self._is_of_the_dead(told)):
            return _untried(told, clock.now() + 4 * self._probe_every)
        if not is_home:
            return told  # other people's hosts: nobody waits for them
        case = self._case(place, seen.lane)
        if case is not None and case.stage is Stage.DEAD and shows(told, case.key):
            self._write("withheld", case, [told])
            return _untried(told, 0.0)
        self._hear(told, case)
        return told

    def _hear(self, told: Settlement, case: Case | None) -> None:
        if key_of(told) is not None and case is not None and key_of(told) == case.key:
            case.run.append(replace(told, outlinks=(), claims=(), notes=(), gate=None))
        elif case is None and (suspicion := self._watch.heard(told, self._lent)):
            self._suspect(suspicion)
        if told.seen is not None and told.seen.sign == Sign.OK:
            self._lived = clock.now()

    def answered(self, told: Settlement) -> bool:
        """Take in the answer to a control; say whether it is one."""
        if told.id > FIRST:
            return False
        case = self._asked.pop(told.id, None)
        if any(one is case for one in self._cases):
            assert case is not None
            self._end(case, case.heard(told, clock.now()), told)
            self._save()
        return True

    # What goes out

    def is_closed(self, place: str, lane: str) -> bool:
        """Say whether an origin's lane is to be left alone."""
        return lane != PROBE_LANE and self._case(place, lane) is not None

    @property
    def is_roused(self) -> bool:
        """Whether anything is held back at present."""
        return bool(self._cases)

    def due(self, now: float, room: Callable[[str], int]) -> Iterator[Leased]:
        """Yield the controls that are to be asked now."""
        for case in self._cases:
            fetch = case.ask(now)
            if fetch is not None and room(origin(fetch.url)) <= 0:
                case.asked = None  # another worker's
            elif fetch is not None:
                number = FIRST - 1 - len(self._asked)
                while number in self._asked:
                    number -= 1
                self._asked[number] = case
                yield Leased(id=number, token=0, fetch=replace(fetch, lane=PROBE_LANE))

    def doubt(self) -> bool:
        """Be suspicious of what failed last, as nothing else is left to ask; say whether there is any."""
        found = [one for one in self._watch.doubts(self._lent) if self._case(*one.part) is None]
        for one in found:
            self._suspect(one)
        return bool(found)

    def is_hopeless(self) -> bool:
        """Say whether all that is left has been dead for too long."""
        return any(one.stage is Stage.DEAD for one in self._cases) and clock.now() - self._lived >= self._give_up_after

    @property
    def dead(self) -> list[Part]:
        """What is dead now."""
        return [case.part for case in self._cases if case.stage is Stage.DEAD]

    # What is made of it

    def _case(self, place: str, lane: str) -> Case | None:
        return next((case for case in self._cases if case.scope.holds(place, lane)), None)

    def _is_of_the_dead(self, told: Settlement) -> bool:
        """Say whether this is what another host of the platform says since it died, and write it down.

        So are tombstones known where nothing lived before, and no rules are read from a wall before a robots.txt.
        """
        key, is_robots = key_of(told), told.seen is not None and told.seen.lane == "robots"
        for case in self._cases:
            is_known = case.stage is Stage.DEAD and case.key.sign is Sign.OK
            if key == case.key and (is_known or (is_robots and key.sign is not Sign.MISSING)):
                self._write("withheld", case, [told])
                if not is_robots:
                    self._join(case, told)
                return True
        return False

    def _join(self, case: Case, told: Settlement) -> None:
        """Leave another host alone that says the same as one that died, with the controls of that one."""
        place = Part(origin(told.seen.url)) if told.seen else case.part
        if self._case(place.origin, "") is not None:
            return
        now = clock.now()
        self._cases = [
            *self._cases,
            replace(
                case, part=place, run=[told], others=[], since=now, asked=None, due=now + case.first,
                interval=case.first, bad=0, good=0,
            ),
        ]  # fmt: skip
        self._save()
        self._drop(place)
        self._tell("dead", case, f"{place} has died, too: {case.key}")

    def _lent(self, key: Key) -> list[Control]:
        """Return controls of a host that dies with this sign, for one that answered like that from its first day."""
        return next((one.controls for one in self._cases if one.key.sign is key.sign), [])

    def _suspect(self, found: Suspicion) -> None:
        log.info("%s: %s, %d times; asking what it answered before", found.part, found.key, len(found.run))
        self._cases.append(
            Case(
                part=found.part, key=found.key, run=list(found.run), controls=list(found.controls),
                others=self._watch.others(found.part), since=clock.now(), first=self._probe_every,
            )
        )  # fmt: skip
        self._save()
        self._drop(Part(found.part.origin))

    def _end(self, case: Case, end: End, told: Settlement) -> None:
        if end is End.OPEN:
            return
        if end is not End.DEAD:
            self._cases = [one for one in self._cases if one is not case]
        match end:
            case End.DEAD:
                self._bury(case)
            case End.ALIVE:
                self._watch.forget(case.part)
                self._write("alive", case, [told])
                self._tell("alive", case, f"{case.part} answers again; going on")
            case End.INNOCENT:
                self._watch.acquit(case.part, case.key)
                log.info("%s: lives; it is only how this part of it answers", case.part)
            case End.UNKNOWN:
                self._watch.forget(case.part)
                log.info("%s: what it answered before says neither life nor death now; going on", case.part)
            case End.SOFT_404:
                self._watch.acquit(case.part, case.key)
                self._tell_of_soft_404(case)

    def _bury(self, case: Case) -> None:
        within = [one for one in self._cases if one is not case and case.part.holds(*one.part)]
        self._cases = [one for one in self._cases if not any(one is other for other in within)]
        told = [*case.run, *self._watch.alike(case.part, case.key), *(told for one in within for told in one.run)]
        case.run = list({(one.id, one.token): one for one in told}.values())
        count = self._frontier.take_back(case.run)  # first: what is struck and not asked again would be lost to a kill
        self._write("dead", case, case.run)
        case.run = case.run[-1:]
        self._drop(case.part)
        self._tell(
            "dead", case,
            f"{case.part} has died: {case.key}. {count} answers do not count; it is asked again now and then",
        )  # fmt: skip
        self._frontier.tell(Note(text=f"{case.part} died: {case.key}", url=case.controls[0].fetch.url))

    def _tell_of_soft_404(self, case: Case) -> None:
        if not self._is_text(case.part.lane):
            return  # a picture that stands for many
        self._write("soft 404", case, case.run)
        text = f"{case.part} answers 200 where nothing is; such pages count as captured"
        self._tell("soft 404", case, text)
        self._frontier.tell(Note(text=text, url=case.run[0].seen.url if case.run and case.run[0].seen else ""))

    def _tell(self, event: str, case: Case, text: str) -> None:
        log.warning("%s", text)
        self._say({"event": event, "origin": case.part.origin, "lane": case.part.lane, "text": text})

    def _write(self, event: str, case: Case, run: Iterable[Settlement]) -> None:
        record(
            self._root,
            {
                "event": event, "at": datetime.now(UTC).isoformat(timespec="seconds"), "origin": case.part.origin,
                "lane": case.part.lane, "sign": case.key.sign.value, "payload": case.key.mark, "why": str(case.key),
                "controls": [one.fetch.url for one in case.controls], "records": [_place(told) for told in run],
            },
        )  # fmt: skip

    def _save(self) -> None:
        self._frontier.meta_set(META, msgspec.json.encode(self._cases).decode())

    def _remembered(self, part: Part) -> list[Control]:
        facts = self._frontier.host_get(f"watch {part.origin} {part.lane}") or {}
        return msgspec.convert(facts.get("controls", []), type=list[Control])

    def _remember(self, part: Part, controls: list[Control]) -> None:
        self._frontier.host_set(
            f"watch {part.origin} {part.lane}", {"controls": msgspec.to_builtins([asdict(one) for one in controls])}
        )


def _untried(told: Settlement, not_before: float) -> Settlement:
    """Return a settlement that settles nothing. Other answers may name what this one does, so that is kept."""
    moved = told.seen is not None and told.seen.sign == Sign.MOVED
    return replace(
        told, state=State.QUEUED, reason="dead", not_before=not_before, coverage=(), claims=(), notes=(), gate=None,
        outlinks=() if moved else told.outlinks, is_original=False, untried=True,
    )  # fmt: skip


def _place(told: Settlement) -> dict[str, Any]:
    where = told.location
    return {
        "url": told.seen.url if told.seen else "", "status": told.status, "date": told.date,
        "record_id": told.record_id, "segment": where.segment if where else "", "offset": where.offset if where else 0,
    }  # fmt: skip


def standing(text: str | None) -> list[dict[str, Any]]:
    """Return what is dead now, by the frontier's ``meta``: origin, lane, why, since and next (epoch seconds)."""
    cases = msgspec.json.decode(text or "[]", type=list[Case])
    return [
        {"origin": one.part.origin, "lane": one.part.lane, "why": str(one.key), "since": one.since, "next": one.due}
        for one in cases
        if one.stage is Stage.DEAD
    ]
