"""The time that waits are measured by: the wall clock as it was when the run began, and steady from there.

A wall clock that jumps (NTP, a laptop that wakes, a person) must neither fire all waits at once nor stretch them.
``time.monotonic`` is the machine's, not the process's, so the workers of a run share one time with its supervisor.
"""

from __future__ import annotations

import time

_offset = time.time() - time.monotonic()


def now() -> float:
    """Return seconds since the epoch."""
    return _offset + time.monotonic()


def offset() -> float:
    """Return what another process needs to share this clock."""
    return _offset


def follow(other: float) -> None:
    """Share the clock of another process of this machine."""
    global _offset  # noqa: PLW0603 - a process has one clock
    _offset = other
