"""What a machine learns of its fleet, and what that lets it do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a node learns when it says that it is there."""

    #: Its place among those that take part, and how many these are.
    place: int
    size: int
    #: All others know of it.
    is_ready: bool
    #: It had been silent for longer than its lease: what it held is others'.
    was_out: bool
    #: Until when it may ask anybody anything, ``time.monotonic`` of this machine.
    until: float
    #: What the database's clock is ahead of ``time.monotonic`` here, seconds.
    ahead: float
    #: origin → until when it is left alone.
    frozen: dict[str, float] = field(default_factory=dict)


def share(whole: int, present: Present | None) -> int:
    """Return this node's part of requests at once."""
    if present is None:
        return whole
    return whole // present.size + (present.place < whole % present.size)


def may_ask(present: Present | None) -> bool:
    """Say whether this node may ask anybody anything now."""
    return present is None or (present.is_ready and time.monotonic() < present.until)
