"""How long a host is left alone because volunteers say that it asked for that.

A volunteer's word binds its own machine at once, and for as long as it was told. All others it binds for ``ALONE``
seconds, and then for ``LONGEST`` no more: one that lies, or whose address alone is unwelcome, holds nobody up. What two
say binds all for as long as both say, but never for longer than ``LONGEST``. Pure.
"""

from __future__ import annotations

from collections import defaultdict

#: Seconds for which a single volunteer's word leaves a host alone for all, and the longest for which any number's does.
ALONE, LONGEST = 20.0, 600.0
#: Hosts of which a volunteer's word is remembered.
MOST = 100


class Hearsay:
    """What volunteers say of hosts. Times are the database's (seconds since the epoch)."""

    def __init__(self) -> None:
        #: Node → host → since when its word is taken, and until when it says that the host is to be left alone.
        self._said: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)

    def until(self, node: int, place: str, until: float, now: float) -> float:
        """Take in what a volunteer says of a host; return until when all leave it alone: 0 where they need not."""
        said = self._said[node]
        since = said[place][0] if place in said else now
        if len(said) >= MOST and place not in said:
            self._said[node] = said = {key: one for key, one in said.items() if now < one[0] + LONGEST}
            if len(said) >= MOST:
                return 0.0
        if now >= since + LONGEST:
            since = now
        said[place] = since, min(until, now + LONGEST)
        others = [one[place][1] for other, one in self._said.items() if other != node and place in one]
        found = max(min(said[place][1], since + ALONE), min(said[place][1], max(others, default=0.0)))
        return found if found > now else 0.0
