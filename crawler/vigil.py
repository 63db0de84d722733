"""The death watch of one crawl: holds back what may be dead, asks gently, undoes what was wrongly settled.

Runs in the frontier's thread. What is dead now stands in the frontier's ``meta`` and holds over a restart; all that
ever happened is a line in ``DIR/deathwatch.jsonl`` (see ``deaths``), with the records that show it.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import msgspec

from crawler import clock
from crawler.deaths import struck
from crawler.deathwatch.case import HOLD, Case, End, Stage
from crawler.deathwatch.signs import OF_HOST, Part, Sign, key_of, shows
from crawler.deathwatch.watch import LATEST, Control, Watch, bare
from crawler.model import PROBE_LANE, Fetch, Leased, Note, Seen, Settlement, State
from crawler.obituary import META, Obituary, from_text, to_text
from crawler.plan.expiry import is_signed
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.deathwatch.signs import Key
    from crawler.deathwatch.watch import Suspicion
    from crawler.frontier.interface import Frontier

log = logging.getLogger("outlast.deathwatch")

#: Controls are leased under ids that no fetch and no id of a sweep has: this and below.
FIRST = -(1 << 40)
#: Answers of another host in the words of one that died, after which it is left alone with it.
SIGHTINGS = 2
#: Why a fetch is queued again that the dead answered, and after how many waits it is asked then at the earliest.
DEAD, LATER = "dead", 4
#: Origins whose last answer is remembered.
MOST_ANSWERS = 100


class Vigil:
    """Every answer passes through ``sift`` before it is committed, every answer to a control through ``answered``.

    ``watches`` says whether an answer is of the platform's own hosts, ``is_text`` whether a lane's answers are pages.
    ``probe_every`` (seconds) is the first wait between two controls; where it is 0, nothing is watched.
    """

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
        self._watches = watches
        self._is_text = is_text
        self._probe_every = probe_every
        self._give_up_after = give_up_after
        self._obituary = Obituary(root, say)
        self._drop = drop
        self._watch = Watch(self._fetch_of, self._remembered, self._remember)
        self._cases: list[Case] = []
        self._struck: frozenset[str] = frozenset()
        self._asked: dict[int, Case] = {}
        self._sightings: dict[str, int] = {}
        #: When anything last answered well, or the run began; and when any origin last answered at all.
        self._lived = clock.now()
        self._answers: dict[str, float] = {}

    def load(self) -> None:
        """Take up what earlier runs left; where nothing is watched any more, hold nothing back."""
        self._cases = from_text(self._frontier.meta_get(META)) if self._probe_every else []
        for case in self._cases:
            case.asked, case.due, case.first = None, 0.0, self._probe_every
        self._save()
        self._struck = struck(self._root).records
        self._lived = clock.now()

    # What comes in

    def sift(self, told: Settlement) -> Settlement:
        """Return a settlement as it is to be committed: what a dead host says settles nothing."""
        seen = told.seen
        if seen is None or seen.lane == PROBE_LANE:
            return told
        if told.record_id and told.record_id in self._struck:
            return _untried(told, clock.now() + LATER * self._probe_every)
        if not self._probe_every:
            return told
        place = origin(seen.url)
        if told.status:
            self._note_answer(place)
        if not self._watches(seen):
            return told  # other people's hosts: nobody waits for them
        if later := self._known_words(told, seen):
            return _untried(told, later)
        case = self._about(place, seen.lane) if self._cases else None
        if case is not None and case.stage is Stage.DEAD and shows(told, case.key):
            self._obituary.write("withheld", case, [told])
            return _untried(told, 0.0)
        self._hear(told, case)
        return told

    def _note_answer(self, place: str) -> None:
        self._answers.pop(place, None)
        self._answers[place] = clock.now()
        if len(self._answers) > MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def _hear(self, told: Settlement, case: Case | None) -> None:
        key = key_of(told)
        if case is None:
            if suspicion := self._watch.heard(told, self._lent):
                self._suspect(suspicion)
        elif key == case.key and len(case.run) < LATEST:
            case.run.append(bare(told))
        if key is not None and key.sign is Sign.OK:
            self._lived = clock.now()

    def answered(self, told: Settlement) -> bool:
        """Take in the answer to a control; say whether it is one."""
        if told.id > FIRST:
            return False
        case = self._asked.pop(told.id, None)
        if case is not None and any(one is case for one in self._cases):
            self._end(case, case.heard(told, clock.now()), told)
            self._save()
        return True

    # What goes out

    def is_closed(self, place: str, lane: str) -> bool:
        """Say whether an origin's lane is to be left alone."""
        now = clock.now()
        return lane != PROBE_LANE and any(case.holds(place, lane, now) for case in self._cases)

    @property
    def held_back(self) -> list[str]:
        """Origins of which everything is left alone now."""
        now = clock.now()
        return [case.part.origin for case in self._cases if case.holds(case.part.origin, "", now)]

    @property
    def is_roused(self) -> bool:
        """Whether anything is suspected or dead at present."""
        return bool(self._cases)

    @property
    def is_pondering(self) -> bool:
        """Whether something is held back of which it is not known yet whether it lives."""
        now = clock.now()
        return any(one.stage is not Stage.DEAD and one.holds(one.part.origin, "", now) for one in self._cases)

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
        found = [one for one in self._watch.doubts(self._lent) if self._about(*one.part) is None]
        for one in found:
            self._suspect(one)
        return bool(found)

    def is_hopeless(self) -> bool:
        """Say whether all that is left has been dead for too long."""
        return bool(self.dead) and clock.now() - self._lived >= self._give_up_after

    @property
    def dead(self) -> list[Part]:
        """What is dead now."""
        return [case.part for case in self._cases if case.stage is Stage.DEAD]

    # What is made of it

    def _about(self, place: str, lane: str) -> Case | None:
        """Return the case about an origin's lane; of what is only suspected, that is the whole host."""
        return next((
            case for case in self._cases
            if (case.part if case.stage is Stage.DEAD else Part(case.part.origin)).holds(place, lane)
        ), None)  # fmt: skip

    def _known_words(self, told: Settlement, seen: Seen) -> float:
        """Return when to ask again what got the answer that another host of the platform dies with; 0 for any other.

        So are tombstones known where nothing lived before, and no rules are read from a wall before a robots.txt.
        """
        key, is_robots = key_of(told), seen.lane == "robots"
        for case in self._cases:
            is_dead = case.stage is Stage.DEAD
            if key != case.key or not (key.sign is not Sign.MISSING if is_robots else is_dead and key.sign is Sign.OK):
                continue
            if is_dead:
                self._obituary.write("withheld", case, [told])
            if not is_robots:
                self._sight(case, told, Part(origin(seen.url)))
            return clock.now() + (LATER * max(case.interval, case.first) if is_dead else HOLD)
        return 0.0

    def _sight(self, case: Case, told: Settlement, place: Part) -> None:
        """Leave another host alone that says the same as one that died, with the controls of that one."""
        self._sightings[place.origin] = self._sightings.get(place.origin, 0) + 1
        if self._sightings[place.origin] < SIGHTINGS or self._about(place.origin, "") is not None:
            return
        now = clock.now()
        joined = replace(
            case, part=place, run=[told], others=[], since=now, asked=None, due=now + case.first, interval=case.first,
            bad=0, good=0,
        )  # fmt: skip
        self._cases = [*self._cases, joined]
        self._save()
        self._drop(place)
        self._obituary.tell("dead", joined, f"{place} has died, too: {case.key}")

    def _suspect(self, found: Suspicion) -> None:
        log.info("%s: %s, %d times; asking what it answered before", found.part, found.key, len(found.run))
        self._cases.append(
            Case(
                part=found.part, key=found.key, run=list(found.run), controls=list(found.controls),
                others=self._watch.others(found.part, found.key), since=clock.now(), first=self._probe_every,
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
                self._revive(case, told)
            case End.INNOCENT:
                self._watch.acquit(case.part, case.key)
                log.info("%s: lives; it is only how this part of it answers", case.part)
            case End.UNKNOWN:
                self._watch.acquit(case.part, case.key)
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
        self._obituary.write("dead", case, case.run)
        case.run = case.run[-1:]
        self._drop(case.part)
        why = f"{case.key}{self._but(case)}"
        text = f"{case.part} has died: {why}. {count} answers do not count; it is asked again now and then"
        self._obituary.tell("dead", case, text)
        self._frontier.tell(Note(text=f"{case.part} died: {why}", url=case.controls[0].fetch.url))

    def _but(self, case: Case) -> str:
        """Return what else may be behind silence: nothing but this machine has lost its network."""
        others = (when for place, when in self._answers.items() if place != case.part.origin)
        has_answered = any(told.status for told in case.run) or any(when >= case.since for when in others)
        if has_answered or case.key.sign not in OF_HOST - {Sign.TLS}:
            return ""
        return " (nothing else answered meanwhile, so it may be the network of this machine)"

    def _revive(self, case: Case, told: Settlement) -> None:
        self._watch.forget(case.part)
        self._sightings.clear()
        now = clock.now()
        self._frontier.bring_forward(DEAD, older_than=now, now=now)
        self._obituary.write("alive", case, [told])
        self._obituary.tell("alive", case, f"{case.part} answers again; going on")

    def _tell_of_soft_404(self, case: Case) -> None:
        if not self._is_text(case.part.lane):
            return  # a picture that stands for many
        self._obituary.write("soft 404", case, case.run)
        text = f"{case.part} answers 200 where nothing is; such pages count as captured"
        self._obituary.tell("soft 404", case, text)
        self._frontier.tell(Note(text=text, url=case.run[0].seen.url if case.run and case.run[0].seen else ""))

    # What is kept

    def _save(self) -> None:
        self._frontier.meta_set(META, to_text(self._cases))

    def _lent(self, key: Key) -> list[Control]:
        """Return controls of a host that dies with this sign, for one that answered like that from its first day."""
        return next((one.controls for one in self._cases if one.key.sign is key.sign), [])

    def _fetch_of(self, told: Settlement) -> Fetch | None:
        """Return the work behind a settlement; nothing where its URL is signed, and stops working by itself."""
        if told.seen is None or is_signed(told.seen.url):
            return None
        return self._frontier.fetch_of(told)

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
        told, state=State.QUEUED, reason=DEAD, not_before=not_before, coverage=(), claims=(), notes=(), gate=None,
        outlinks=() if moved else told.outlinks, is_original=False, untried=True,
    )  # fmt: skip
