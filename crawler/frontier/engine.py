"""What keeps a frontier, and may write it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from crawler.frontier.mending import Mending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.model import Commit


class Engine(Mending):
    """The verbs of ``interface.Frontier``; these are each engine's own, and all others are those of the rooms below."""

    @abstractmethod
    def commit(self, commit: Commit, *, now: float) -> int:
        """Settle leased fetches in one transaction."""

    @abstractmethod
    def release(self, worker: str) -> int:
        """Put back what a worker holds."""

    @abstractmethod
    def give_back(self, worker: str, ids: Iterable[int]) -> int:
        """Put back some of what a worker holds."""

    @abstractmethod
    def reset_leases(self) -> int:
        """Put back everything that is leased, as nobody else runs."""

    @abstractmethod
    def reap(self, now: float) -> int:
        """Put back what was leased for too long."""

    @abstractmethod
    def heartbeat(self, worker: str, until: float) -> None:
        """Prolong a worker's leases."""
