"""Where a fetch can go from where it stands. The one table that every engine and the documentation obey.

queued ──lease──► leased ──commit──► done | failed | parked | excluded
   ▲                 │
   └── attempt, release, reap ──┘          parked | failed ──requeue──► queued

With a volunteer: leased ──hold──► held ──proven at a destination──► done;
                                   held ──refused, or not proven in time──► queued
"""

from __future__ import annotations

from crawler.model import State

MOVES: dict[str, frozenset[State]] = {
    State.QUEUED: frozenset({State.LEASED, State.EXCLUDED}),
    State.LEASED: frozenset({State.QUEUED, State.HELD, State.DONE, State.FAILED, State.PARKED, State.EXCLUDED}),
    State.HELD: frozenset({State.QUEUED, State.DONE, State.FAILED, State.PARKED, State.EXCLUDED}),
    State.DONE: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.PARKED: frozenset({State.QUEUED}),
    State.EXCLUDED: frozenset({State.QUEUED}),
}


def may(old: str, new: State) -> bool:
    """Say whether a fetch may move from one state to another."""
    return new in MOVES[old]
