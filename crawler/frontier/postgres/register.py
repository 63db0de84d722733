"""Who may bring something: invitations, and the volunteers that took them up. Only hashes of secrets are kept.

It has a connection of its own, so that people can invite and revoke while a coordinator runs.
"""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from crawler.errors import OutlastError
from crawler.frontier.postgres.connection import Database, steadily
from crawler.frontier.postgres.reader import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.frontier.postgres.outage import Outage


class NotInvited(OutlastError):
    """That invitation is not good: it was used, has expired, or never was one."""


@dataclass(frozen=True, slots=True)
class Volunteer:
    """A node without a way to the database. ``quota_bytes`` 0 is no bound."""

    node: int
    label: str
    #: 0: what it brings is sampled.
    trust: int
    #: Ed25519, 32 bytes.
    public_key: bytes
    quota_bytes: int
    quota_leases: int
    is_revoked: bool

    @property
    def worker(self) -> str:
        """What it is called as the holder of leases."""
        return f"n{self.node}-v"


class Register:
    """Invitations and volunteers of one crawl. Raises DatabaseLost where the database cannot be reached."""

    def __init__(self, address: str, outage: Outage | None = None) -> None:
        self._db: Any = Database(address, outage=outage)
        self._sql = queries()
        try:
            self._db.prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @steadily
    def invite(
        self, secret: bytes, *, label: str, trust: int, quota_bytes: int, quota_leases: int, seconds: float
    ) -> None:
        """Let who knows ``secret`` join once, within so many seconds."""
        facts = {"label": label, "trust": trust, "quota_bytes": quota_bytes, "quota_leases": quota_leases}
        self._db.execute(self._sql["invite"], {"secret": sha256(secret).digest(), "seconds": seconds, **facts})

    @steadily
    def enrol(self, secret: bytes, shows: bytes, public_key: bytes) -> Volunteer:
        """Take up an invitation: who shows what hashes to ``shows`` is this volunteer from now on.

        Once: again for the same two alone, as an answer may be lost. Raises NotInvited.
        """
        self._db.execute("BEGIN")
        try:
            found = self._enrol(sha256(secret).digest(), shows, public_key)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return found

    def _enrol(self, invite: bytes, shows: bytes, public_key: bytes) -> Volunteer:
        row = self._db.execute(self._sql["invited"], {"secret": invite}).fetchone()
        if row is None:
            raise NotInvited
        label, trust, quota_bytes, quota_leases, node = row
        if node is None:
            facts = {"label": label, "trust": trust, "quota_bytes": quota_bytes, "quota_leases": quota_leases}
            known = self._db.execute("SELECT 1 FROM node WHERE secret = ?", (shows,)).fetchone()
            if known:
                raise NotInvited
            facts |= {"name": f"volunteer {uuid.uuid4().hex[:12]}", "secret": shows, "public_key": public_key}
            node = self._db.execute(self._sql["enrol"], facts).fetchone()[0]
            self._db.execute("UPDATE invite SET node = ? WHERE secret = ?", (node, invite))
        volunteer = self._by(shows)
        is_same = volunteer is not None and volunteer.node == node
        if volunteer is None or not is_same or not hmac.compare_digest(volunteer.public_key, public_key):
            raise NotInvited
        return volunteer

    @steadily
    def volunteer(self, shows: bytes) -> Volunteer | None:
        """Return who shows what hashes to this; None where nobody does."""
        return self._by(shows)

    @steadily
    def of(self, node: int) -> Volunteer | None:
        """Return a volunteer by its number."""
        return self._found({"node": node, "secret": None})

    def _by(self, shows: bytes) -> Volunteer | None:
        return self._found({"secret": shows, "node": None})

    def _found(self, facts: dict[str, Any]) -> Volunteer | None:
        row: Sequence[Any] | None = self._db.execute(self._sql["volunteer_by"], facts).fetchone()
        return Volunteer(row[0], row[1], row[2], bytes(row[3]), *row[4:]) if row else None

    @steadily
    def revoke(self, node: int) -> bool:
        """Let a volunteer do nothing any more; say whether there is one. What it has proven stays."""
        text = (
            "UPDATE node SET revoked = extract(epoch FROM clock_timestamp()), expires = 0 "
            "WHERE id = ? AND kind = 'volunteer'"
        )
        return bool(self._db.execute(text, (node,)).rowcount)
