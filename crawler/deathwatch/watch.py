"""Hears every answer of a crawl, and says when to be suspicious of a part of it."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from crawler.deathwatch.signs import MOST_PARTS, OF_HOST, RUN, Key, Part, Sign, key_of
from crawler.model import Fetch  # noqa: TC001 - msgspec reads the annotations
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crawler.model import Settlement

#: The last answers of a part that are looked at; how many of them in all are a suspicion as a run is.
RECENT, MOST = 20, 14
#: How many in a row are one where nothing else is left to ask.
FEW = 2
#: Distinct URLs that a suspicion needs.
DISTINCT = 3
#: Controls that are kept of a part; one bigger than this (bytes) is asked for its beginning alone.
CONTROLS, SMALL = 3, 1 << 20
#: Good answers after which one more is taken for a control, in place of an old one.
ANEW = 100
#: The last answers of all parts that are remembered, for what a burst brings before a death shows.
LATEST = 2000
#: Suspicions of a part that came to nothing and are remembered.
MOST_ACQUITTED = 100


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


@dataclass(slots=True)
class _Ward:
    """One part that is watched: what answered last, and what may be asked to be sure."""

    part: Part
    controls: list[Control]
    recent: deque[tuple[Key, Settlement]] = field(default_factory=deque)
    #: How many of these have a key.
    counts: Counter[Key] = field(default_factory=Counter)
    #: How many of the last answers in a row have one key.
    streak: int = 0
    #: Key → how many in a row are a suspicion, where one came to nothing; 0 for what is how this part answers.
    acquitted: dict[Key, int] = field(default_factory=dict)
    #: Good answers since a control was taken, or could not be.
    good: int = ANEW

    def add(self, key: Key, told: Settlement) -> None:
        streak = self.streak + 1 if self.recent and self.recent[-1][0] == key else 1
        # A worker's answers come in groups, and not quite in the order in which they came to it.
        self.streak = max(streak, told.seen.row if told.seen else 0)
        self.recent.append((key, told))
        self.counts[key] += 1
        if len(self.recent) > RECENT:
            old = self.recent.popleft()[0]
            self.counts[old] -= 1
            if not self.counts[old]:
                del self.counts[old]

    def clear(self) -> None:
        self.recent.clear()
        self.counts.clear()
        self.streak = 0

    def elect(self, told: Settlement, key: Key, fetch_of: Callable[[Settlement], Fetch | None]) -> bool:
        """Keep a good answer as a control: the first that differ, and later ones now and then; say whether."""
        self.good += 1
        if self.good < ANEW or told.status != 200 or key.mark in {one.digest for one in self.controls}:
            return False
        is_full = len(self.controls) >= CONTROLS
        fetch = fetch_of(told)
        self.good = 0 if fetch is None or len(self.controls) >= CONTROLS - 1 else ANEW
        if fetch is None:
            return False
        self.controls = [*self.controls[is_full:], Control(fetch=_light(fetch, told.size), digest=key.mark)]
        return True

    def of_use(self, key: Key) -> list[Control]:
        """Return the controls that answered otherwise."""
        return [one for one in self.controls if one.digest != key.mark]

    def suspects(self) -> list[Settlement]:
        """Return the last answers, where they have too much in common to be an accident."""
        key = self.recent[-1][0]
        need = self.acquitted.get(key, RUN)
        if not need or not (self.streak >= need or (need == RUN and self.counts[key] >= MOST)):
            return []
        last = [told for other, told in self.recent if other == key]
        return last if len({one.seen.url for one in last if one.seen}) >= DISTINCT else []

    def tail(self) -> list[Settlement]:
        """Return the refusals and failures that came last, where there are ``FEW`` at least."""
        key = self.recent[-1][0] if self.recent else Key(Sign.OK)
        last = [told for _, told in takewhile(lambda one: one[0] == key, reversed(self.recent))]
        return last if len(last) >= FEW and key.sign not in {Sign.OK, Sign.MOVED, Sign.MISSING} else []

    def acquit(self, key: Key) -> None:
        """Take note that a suspicion was none. One payload or place is how this part answers; else be slower."""
        if len(self.acquitted) >= MOST_ACQUITTED:
            del self.acquitted[next(iter(self.acquitted))]
        self.acquitted[key] = 0 if key.sign is Sign.OK else 2 * self.acquitted.get(key, RUN)
        self.clear()


def _light(fetch: Fetch, size: int) -> Fetch:
    """Return a control's fetch: it leads nowhere, is read by nobody and costs no more than it must."""
    headers = (*fetch.headers, ("Range", "bytes=0-1023")) if size > SMALL else fetch.headers
    return replace(fetch, callback=None, covers=None, cursor=None, headers=headers, follow=False, sweep=False)


def bare(told: Settlement) -> Settlement:
    """Return a settlement without what its page said, to be remembered."""
    has_more = told.outlinks or told.claims or told.notes or told.gate
    return replace(told, outlinks=(), claims=(), notes=(), gate=None) if has_more else told


def _none(key: Key) -> list[Control]:
    return []


class Watch:
    """Hears every answer and says when to be suspicious.

    ``fetch_of`` returns the work behind a settlement, where that may be asked again; ``remembered`` the controls of a
    part from earlier runs, and ``remember`` keeps them.
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

    def heard(self, told: Settlement, lent: Callable[[Key], list[Control]] = _none) -> Suspicion | None:
        """Take in an answer. ``lent`` are controls of the same platform's for a part that has none of its own."""
        key = key_of(told)
        if key is None or told.seen is None or told.seen.lane == "robots":
            return None
        place, lane, told = origin(told.seen.url), told.seen.lane, bare(told)
        self._latest.append((key, told))
        for part in (Part(place), Part(place, lane)):
            if found := self._look(self._ward(part), key, told, lent):
                return found
        return None

    def doubts(self, lent: Callable[[Key], list[Control]] = _none) -> list[Suspicion]:
        """Return what is suspicious where there is nothing else to ask: few are left, so few must do."""
        found = []
        for ward in self._wards.values():
            run = ward.tail() if ward.part.lane else []
            key = ward.recent[-1][0] if run else None
            if key is not None and (controls := ward.of_use(key) or lent(key)):
                ward.clear()  # it is asked once
                found.append(Suspicion(part=ward.part, key=key, run=tuple(run), controls=tuple(controls)))
        return found

    def acquit(self, part: Part, key: Key) -> None:
        """Take note that a suspicion was none."""
        self._ward(part).acquit(key)

    def alike(self, part: Part, key: Key) -> list[Settlement]:
        """Return the last answers like these of a part; good ones came between. One payload is told wherever it is."""
        return [
            told for other, told in self._latest
            if other == key and told.seen and (key.sign is Sign.OK or part.holds(origin(told.seen.url), told.seen.lane))
        ]  # fmt: skip

    def others(self, part: Part, key: Key) -> list[Control]:
        """Return controls of the other lanes of a part's host, one each."""
        wards = [ward for ward in self._wards.values() if ward.part.origin == part.origin]
        found = [ward.of_use(key) for ward in wards if ward.part.lane not in {"", part.lane}]
        return [controls[-1] for controls in found if controls]

    def forget(self, part: Part) -> None:
        """Begin anew with a part that lives again."""
        for ward in self._wards.values():
            if ward.part.origin == part.origin:
                ward.clear()

    def _ward(self, part: Part) -> _Ward:
        if part not in self._wards:
            self._wards[part] = _Ward(part, list(self._remembered(part)))
            if len(self._wards) > MOST_PARTS:
                self._wards.popitem(last=False)
        self._wards.move_to_end(part)
        return self._wards[part]

    def _look(
        self, ward: _Ward, key: Key, told: Settlement, lent: Callable[[Key], list[Control]]
    ) -> Suspicion | None:  # fmt: skip
        ward.add(key, told)
        if key.sign is Sign.OK and told.status != 304 and ward.elect(told, key, self._fetch_of):
            self._remember(ward.part, ward.controls)
        run = ward.suspects()
        if not run or not self._is_of(ward.part, key, run):
            return None
        controls = ward.of_use(key) or (lent(key) if key.sign is not Sign.OK else [])
        return Suspicion(part=ward.part, key=key, run=tuple(run), controls=tuple(controls)) if controls else None

    @staticmethod
    def _is_of(part: Part, key: Key, run: list[Settlement]) -> bool:
        """Say whether a run speaks of just this part: of a host where it spans lanes, or nothing answers at all."""
        is_wide = key.sign in OF_HOST or len({one.seen.lane for one in run if one.seen}) > 1
        return is_wide == (not part.lane)
