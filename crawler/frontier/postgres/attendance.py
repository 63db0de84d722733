"""Who takes part in a crawl at this moment, and what that leaves to each.

A node is of the fleet until its lease runs out, and asks a host no longer than that: its workers hold what it may do
up to an instant of their own machine's clock, somewhat before the database's. Who comes begins once all others have
been heard after it came, and so do with less. Hence the parts of a host's pace never add up to more than the whole.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from crawler.frontier.postgres.connection import Database, steadily
from crawler.frontier.postgres.reader import queries
from crawler.frontier.present import Present

if TYPE_CHECKING:
    from crawler.frontier.postgres.outage import Outage

#: Part of a lease after which who holds it stops by itself, if it could not be prolonged.
MARGIN = 0.8


class Attendance:
    """A node's own connection, on which it says that it is there whatever else is under way."""

    def __init__(self, address: str, node: int, lease: float, outage: Outage | None = None) -> None:
        self._db: Any = Database(address, max(lease / 4, 1.0), outage)
        self._sql = queries()
        self._node = node
        self._lease = lease

    def say_for(self, node: int) -> Present:
        """Say it for another node, which cannot itself. ``until`` is of this machine's clock."""
        self._node = node
        found: Present = self.say()
        return found

    @steadily
    def say(self) -> Present:
        """Prolong this node's lease and those of its workers, and learn who else is there."""
        asked = time.monotonic()
        self._db.execute("BEGIN")
        try:
            found = self._say(asked)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return found

    def _say(self, asked: float) -> Present:
        self._db.execute("SELECT pg_advisory_xact_lock(hashtext(?), 1)", (f"outlast {self._db.schema} nodes",))
        now, expired = self._db.execute(self._sql["node_now"], {"node": self._node}).fetchone()
        facts = {"node": self._node, "now": now, "until": now + self._lease}
        was_out = expired < now
        self._db.execute(self._sql["node_comes" if was_out else "node_stays"], facts)
        if not was_out:
            self._db.execute(self._sql["holders_stay"], facts)
        joined = self._db.execute("SELECT joined FROM node WHERE id = ?", (self._node,)).fetchone()[0]
        rows = self._db.execute(self._sql["nodes"], {"now": now}).fetchall()
        return Present(
            place=[row[0] for row in rows].index(self._node), size=len(rows),
            is_ready=all(row[0] == self._node or row[1] > joined for row in rows), was_out=was_out,
            until=asked + self._lease * MARGIN, ahead=now - asked,
            frozen=dict(self._db.execute(self._sql["frozen"], {"now": now}).fetchall()),
        )  # fmt: skip

    def leave(self) -> None:
        """Take part no longer: nothing of this node asks anybody anything."""
        self._db.again()
        self._db.execute("UPDATE node SET expires = 0 WHERE id = ?", (self._node,))
        self.close()

    def leave_for(self, node: int) -> None:
        """Say for another node that it asks nobody anything any more."""
        self._db.again()
        self._db.execute("UPDATE node SET expires = 0 WHERE id = ?", (node,))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()
