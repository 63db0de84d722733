"""Short ways to say what the suite says often."""

from __future__ import annotations

from typing import Any

from crawler.frontier.sqlite import SqliteFrontier
from crawler.model import Commit, Digests, Fetch, Leased, Location, Settlement, State


def fetch(path: str, lane: str = "posts", **work: Any) -> Fetch:
    return Fetch(url=f"https://a.example/{path}", lane=lane, **work)


def lease(frontier: SqliteFrontier, n: int = 100, now: float = 1000.0, worker: str = "w1", **how: Any) -> list[Leased]:
    how = {"admit": None, "room": lambda place: 1000, "seconds": 60.0, **how}
    return list(frontier.lease(n, worker=worker, now=now, **how).fetches)


def told(leased: Leased, state: State = State.DONE, **facts: Any) -> Settlement:
    return Settlement(id=leased.id, token=leased.token, state=state, **facts)


def settle(frontier: SqliteFrontier, *settlements: Settlement, now: float = 1000.0, **marks: int) -> int:
    return frontier.commit(Commit(settlements=settlements, low_water=marks), now=now)


def digests(name: str, length: int = 5000) -> Digests:
    return Digests(
        block_sha256="00" * 32,
        payload_sha256=name.encode().hex().ljust(64, "0"),
        payload_sha1="A" * 32,
        payload_length=length,
    )


def at(offset: int, segment: str = "s1") -> Location:
    return Location(segment=segment, offset=offset, response_offset=offset + 10, response_length=90)
