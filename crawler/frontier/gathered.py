"""What a transaction is about to write, and the counters that move with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Covered, Fetch

_COUNTED = ("queued", "leased", "done", "failed", "parked", "excluded", "bytes")


@dataclass(slots=True)
class Gathered:
    """Rows that are yet to be written, so that few statements write many."""

    #: Fingerprint → bucket and fetch, in the order they were named.
    links: dict[bytes, tuple[int, Fetch]] = field(default_factory=dict)
    #: Fingerprint → the bucket of the fetch that named it.
    named: dict[bytes, int] = field(default_factory=dict)
    #: Id → what became of it, see ``Ledger._write``.
    settled: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    #: Segment and offset of settled groups.
    groups: list[tuple[int, int]] = field(default_factory=list)
    #: Rows of ``payload`` by their digest.
    payloads: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    #: What is told of things, each with the URL of who told it.
    things: list[tuple[Covered, str]] = field(default_factory=list)
    #: Segment → offset before which it is settled, written at the end.
    marks: dict[int, int] = field(default_factory=dict)
    #: Links written so far that nobody knew.
    new: int = 0


@dataclass(slots=True)
class Counts:
    """How counters move in a transaction."""

    #: Bucket and state (or ``bytes``) → by how much.
    moves: Counter[tuple[int, str]] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    #: State and reason.
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Kind, day and rank of standing.
    covered: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    #: Bucket that named, lane that was named.
    led: Counter[tuple[int, str]] = field(default_factory=Counter)
    #: Worker → fetches in its hands.
    hands: Counter[str] = field(default_factory=Counter)

    def move(self, bucket: int, old: str, new: str, n: int = 1) -> None:
        """Let fetches of a bucket go from one state to another."""
        self.moves[bucket, old] -= n
        self.moves[bucket, new] += n

    def statements(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the names of statements and what each is run with, in one order for all who write."""
        moves: dict[int, dict[str, int]] = {}
        for (bucket, what), n in self.moves.items():
            moves.setdefault(bucket, dict.fromkeys(_COUNTED, 0))[what] += n
        yield "moved", [{"bucket": bucket, **n} for bucket, n in sorted(moves.items()) if any(n.values())]
        for name, keys, counter in (
            ("led", ("bucket", "child"), self.led),
            ("total_moved", ("name",), {(name,): n for name, n in self.totals.items()}),
            ("reason_moved", ("state", "reason"), self.reasons),
            ("coverage_moved", ("kind", "day", "standing"), self.covered),
            ("in_hand_moved", ("worker",), {(worker,): n for worker, n in self.hands.items()}),
        ):
            yield name, [{**dict(zip(keys, key, strict=True)), "n": n} for key, n in sorted(counter.items()) if n]
