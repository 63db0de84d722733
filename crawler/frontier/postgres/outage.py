"""Whether a database answers, for how long it has not, and how long that is borne: for all connections of one run.

A database that restarts, moves or stands still for minutes costs a crawl those minutes and nothing else: who asks it
waits and asks again. Once nothing was answered for ``patience`` seconds nobody waits any more, and the run ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a database may be away, where its address says nothing else (``patience=…``).
PATIENCE = 180.0
#: Seconds of silence after which people hear of it, and between two looks.
NOTICED, LOOK = 6.0, 1.0


class Asking(Protocol):
    """A connection; ``asked`` is when what it waits for now was asked (monotonic)."""

    asked: float | None

    def cut(self) -> None: ...


class Outage:
    """What connections to one database tell each other. Safe to use from any thread."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        #: What was said of it last.
        self.why = "no answer"
        self._connections: list[Asking] = []
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self._failed: float | None = None
        self._answered = time.monotonic()

    def enter(self, one: Asking) -> None:
        """Take note of a connection."""
        with self._lock:
            self._connections.append(one)

    def forget(self, one: Asking) -> None:
        """Take note that a connection is closed for good."""
        with self._lock:
            self._connections = [other for other in self._connections if other is not one]

    # What connections say

    def answered(self) -> None:
        """Something was answered: the database is there."""
        self._answered, self._failed, self.why = time.monotonic(), None, "no answer"
        self._given_up.clear()

    def failed(self, asked: float, why: str) -> None:
        """Something that was asked then came to nothing, as the connection was lost or could not be made."""
        self.why = why
        if self._failed is None:
            self._failed = asked

    def bears(self, seconds: float) -> bool:
        """Wait so long before one asks again; say whether one is to."""
        if self.seconds >= self.patience:
            self.give_up()
        return not self._given_up.wait(seconds)

    # What others want to know

    @property
    def seconds(self) -> float:
        """For how long nothing was answered that was asked; 0 where nothing is open."""
        with self._lock:
            times = [one.asked for one in self._connections if one.asked is not None]
        if self._failed is not None:
            times.append(self._failed)
        return time.monotonic() - max(min(times), self._answered) if times else 0.0

    @property
    def is_noticed(self) -> bool:
        """Whether it is away for longer than a person should be left to wonder."""
        return self.seconds >= NOTICED

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits any more."""
        return self._given_up.is_set()

    def give_up(self) -> None:
        """Let nobody wait any more, nor ask anew."""
        self._given_up.set()
        with self._lock:
            waiting = [one for one in self._connections if one.asked is not None]
        for one in waiting:
            one.cut()

    def hurry(self) -> None:
        """Wait for it no longer if it is away: the run is to end."""
        if self.seconds >= LOOK:
            self.give_up()

    async def watch(self, say: Callable[[str], None]) -> None:
        """Tell people when it falls silent and when it is back, and end what waits for too long; for ever."""
        since: float | None = None
        while True:
            await asyncio.sleep(LOOK)
            seconds = self.seconds
            if since is None and seconds >= NOTICED:
                since = time.monotonic() - seconds
                left = f"{max(self.patience - seconds, 0):.0f} s"
                say(f"The database does not answer ({self.why}); nothing is lost, holding on for up to {left}.")
            elif since is not None and seconds < NOTICED:
                say(f"The database answers again after {time.monotonic() - since:.0f} s; going on.")
                since = None
            if seconds >= self.patience:
                self.give_up()
