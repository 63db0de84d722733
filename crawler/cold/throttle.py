"""A ceiling on bytes a second, shared by everything that sends."""

from __future__ import annotations

import threading
import time


class Throttle:
    """At most so many bytes a second, 0 for no limit; bursts of a fifth of a second. ``also`` is kept to as well."""

    def __init__(self, rate: float = 0.0, also: Throttle | None = None) -> None:
        self._rate = rate
        self._also = also
        self._free = time.monotonic()
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until so many bytes may go."""
        if self._also is not None:
            self._also.take(count)
        if not self._rate:
            return
        with self._lock:
            self._free = max(self._free, time.monotonic() - 0.2) + count / self._rate
            wait = self._free - time.monotonic()
        if wait > 0:
            time.sleep(wait)
