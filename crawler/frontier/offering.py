"""How fetches become known: offered one by one or as a template, each behind the gate of its origin."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from crawler.frontier.covering import Covering
from crawler.frontier.ledger import decode, encode
from crawler.model import Fetch, Gate, Settlement, Standing
from crawler.template import Template
from crawler.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.frontier.sweeps import Sweep

#: What makes a bucket.
_BUCKET = ("round", "lane", "origin", "day", "value")
#: Fetches of earlier rounds that are offered at once.
_AT_ONCE = 1000


class Offering(Covering):
    """The verbs that make fetches known."""

    def open_round(self, number: int, recheck: Callable[[Fetch], bool] | None = None) -> None:
        """Begin a round. Origins are forgotten: their robots.txt is asked for anew."""
        with self._transaction():
            if not self._may_begin(number):
                return
            self.meta_set("round", str(number))
            self._db.execute("DELETE FROM origin")
            self._db.execute("DELETE FROM reason")
            self._buckets.clear()
            self._origins.clear()
            self._round = self._rechecked = None
            if recheck is not None:
                self.meta_set("recheck", str(number))
                held = filter(recheck, self._answered(number))
                while some := list(islice(held, _AT_ONCE)):
                    self._offer(some)
        self._sweeps.forget()

    def _may_begin(self, number: int) -> bool:
        return True

    def _answered(self, before: int) -> Iterator[Fetch]:
        """Yield what was asked for and answered before a round, little by little."""
        after = 0
        while rows := self._db.execute(self._sql["answered"], {"round": before, "after": after}).fetchall():
            yield from (decode(work) for _, work in rows)
            after = rows[-1][0]

    def offer(self, fetches: Sequence[Fetch]) -> int:
        """Make fetches known."""
        with self._transaction():
            self._offer(fetches)
            self._write_gathered()
            return self._told.new

    def _offer(self, fetches: Iterable[Fetch], *, by: int | None = None) -> None:
        """Make fetches known; ``by`` is the bucket of the fetch that named them."""
        told, sweeps = self._told, self._sweeps.all(self.round)
        for fetch in fetches:
            swept = self._sweeps.place(self.round, fetch.url) if sweeps else None
            if swept is not None or fetch.lane == "robots":
                self._offer_now(fetch, swept, by)
            elif (key := fetch.fingerprint) not in told.links:
                bucket = self._bucket(fetch)  # which may write what was gathered
                told.links[key] = (bucket, fetch)
                if by is not None:
                    told.named[key] = by

    def _offer_now(self, fetch: Fetch, swept: tuple[Sweep, int] | None, by: int | None) -> None:
        """Make one known whose place must be settled before anything else is offered."""
        if swept is not None and self._sweeps.is_taken(*swept):
            return
        bucket = self._bucket(fetch)
        self._write_gathered()  # or what others named would count as new here
        before = self._told.new
        self._told.links[fetch.fingerprint] = (bucket, fetch)
        if by is not None:
            self._told.named[fetch.fingerprint] = by
        self._write_gathered()
        if swept is not None:
            self._sweeps.take(*swept)
            self._counts.moves[swept[0].bucket, "queued"] -= 1
        if self._told.new == before and fetch.lane == "robots" and fetch.hops and fetch.cursor:
            self._follow(fetch.cursor["origin"], self._origin(origin(fetch.url)))

    def _origin(self, name: str) -> int:
        if name not in self._origins:
            gate = self.gate_for(name) if self.gate_for else None
            made = self._db.execute(
                "INSERT INTO origin (name, closed) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, int(gate is not None))
            ).rowcount
            self._origins[name] = self._db.execute("SELECT id FROM origin WHERE name = ?", (name,)).fetchone()[0]
            if made and gate is not None:
                self._offer([gate])
        return self._origins[name]

    def _bucket(self, fetch: Fetch) -> int:
        place, day = origin(fetch.url), fetch.day or ""
        key = (fetch.lane, place, day, fetch.value)
        if (number := self._buckets.get(key)) is None:
            of = (self.round, fetch.lane, self._origin(place), day, fetch.value)
            self._db.execute(self._sql["bucket"], dict(zip(_BUCKET, of, strict=True)))
            number = self._buckets[key] = self._db.execute(
                "SELECT id FROM bucket WHERE (round, lane, origin, day, value) = (?, ?, ?, ?, ?)", of
            ).fetchone()[0]
        return number

    def sweep(self, template: str, fetch: Fetch, *, walk: str) -> int:
        """Let all ids of a template be fetched."""
        read = Template.of(template)
        with self._transaction():
            bucket = self._bucket(fetch)
            facts = {"round": self.round, "template": read.text, "bucket": bucket, "work": encode(fetch), "walk": walk}
            if not self._db.execute(self._sql["sweep"], facts).rowcount:
                return 0
            self._counts.moves[bucket, "queued"] += read.size
        self._sweeps.forget()
        return read.size

    # Gates

    def _open(self, gate: Gate) -> None:
        """Open an origin, and those whose robots.txt redirects to its; the first word holds for the round."""
        if gate.readable:
            self._db.execute(self._sql["open"], {"rules": gate.rules, "name": gate.origin})
        else:
            self._db.execute(self._sql["leave_closed"], {"name": gate.origin})

    def _follow(self, name: str, target: int) -> None:
        """An origin's robots.txt redirects to one already known: it opens as that one does."""
        row = self._db.execute("SELECT name, closed, readable, rules FROM origin WHERE id = ?", (target,)).fetchone()
        if row is None or self._db.execute(self._sql["in_ring"], {"target": target, "name": name}).fetchone():
            self._open(Gate(origin=name))  # a ring leads nowhere: RFC 9309 section 2.3.1.2
        elif row[2] is None:
            self._db.execute("UPDATE origin SET follows = ? WHERE name = ?", (target, name))
        else:
            self._open(Gate(origin=name, rules=row[3] or "", readable=bool(row[2])))

    def pause(self, *, lane: str | None = None, origin: str | None = None, paused: bool = True) -> None:
        """Let the buckets of a lane or an origin wait, or go on."""
        self._db.execute(
            "UPDATE bucket SET paused = :paused WHERE (CAST(:lane AS TEXT) IS NULL OR lane = :lane) AND "
            "(CAST(:origin AS TEXT) IS NULL OR origin = (SELECT id FROM origin WHERE name = :origin))",
            {"paused": int(paused), "lane": lane, "origin": origin},
        )

    def freeze(self, origin: str, until: float) -> None:
        """Leave an origin alone until then."""
        self._db.execute("UPDATE origin SET frozen_until = ? WHERE name = ?", (until, origin))

    def reopen_gates(self) -> None:
        """Open every origin: the user decided not to wait for robots.txt."""
        self._db.execute("UPDATE origin SET closed = 0")

    # Links that lead to what is held

    def _is_old(self, link: Fetch, told: Settlement) -> bool:
        """Say whether a link leads to what earlier rounds held, or goes on from a page on which all is.

        That is all that it shows, or leads to where it shows nothing itself; one that does neither proves nothing.
        """
        if self.round == 1 or self._is_recheck:
            return False
        if link.covers is not None and self._was_held([link.covers]):
            return True
        shown = [(one.kind, one.id) for one in told.coverage if one.standing in {Standing.CAPTURED, Standing.KNOWN}]
        named = [other.covers for other in told.outlinks if other.covers is not None and not other.deeper]
        return self._was_held(shown or named)
