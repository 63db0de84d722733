"""What can be read of a frontier in PostgreSQL, by anyone who may connect."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.errors import DatabaseLost, NoCrawl
from crawler.frontier.postgres.connection import Database, steadily
from crawler.frontier.postgres.outage import Outage
from crawler.frontier.reader import FrontierReader, parted
from crawler.model import Fetch, Note, Original

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.interface import Stats, Swept


#: Seconds that who only reads waits for a database that is away.
_PATIENCE = 30.0
#: What each collection has for itself, though it shares all the rest. What is dead for one may live for the others.
_OWN = frozenset({"serial", "workers", "orders", "deathwatch"})


def own(node: int, key: str) -> str:
    """Return the key under which a setting of the crawl, or of this node, is kept."""
    return f"{node}/{key}" if key in _OWN else key


def queries() -> dict[str, str]:
    """Return the statements by name: those of the embedded engine, with ours before them."""
    text = files("crawler.frontier.postgres").joinpath("queries.sql").read_text("utf-8")
    return {**parted(files("crawler.frontier").joinpath("queries.sql").read_text("utf-8")), **parted(text)}


class PostgresReader(FrontierReader):
    """A frontier in PostgreSQL, opened to be read by one ``node`` (the id of its collection).

    Raises DatabaseLost where it cannot be reached, NoCrawl where nobody crawls with it.
    """

    def __init__(self, address: str, node: str = "") -> None:
        self._sql = queries()
        self._db: Any = Database(address, outage=Outage(_PATIENCE))
        try:
            found = self._db.execute("SELECT to_regclass('meta')").fetchall()[0][0]
            if found is None:
                raise NoCrawl  # noqa: TRY301
            row = self._db.execute("SELECT id FROM node WHERE name = ?", (node,)).fetchone()
        except BaseException:
            self._db.close()
            raise
        self.node = row[0] if row else 0

    def _rows(self, which: str, **facts: Any) -> Iterator[Any]:
        return self._db.stream(self._sql[which], {"node": self.node, **facts})  # type: ignore[no-any-return]

    def meta_get(self, key: str) -> str | None:
        """Return a setting: the crawl's, or this node's own."""
        return super().meta_get(own(self.node, key))

    def sweeps(self) -> list[Swept]:
        """Return how far the sweeps of this round are."""
        return self._sweeps_of_round()

    def known_payload(self, sha256: str) -> Original | None:
        """Return the committed record of this node that first had this payload."""
        facts = {"sha256": bytes.fromhex(sha256), "node": self.node}
        try:
            self._db.again()
            row = self._db.execute(self._sql["known_payload"], facts).fetchone()
        except DatabaseLost:
            return None  # it is written once more: that costs room, and no capture
        return Original(record_id=row[0], url=row[1], date=row[2], segment=row[3]) if row else None

    def _has_column(self, table: str, column: str) -> bool:
        return True

    @steadily
    def stats(self) -> Stats:
        """Return the counts."""
        return super().stats()

    def surplus(self) -> list[tuple[str, str, int, str | None, int | None]]:
        """Return the captures that settled nothing: URL, segment, offset; segment and offset of what settled it."""
        return self._db.execute(self._sql["surplus_all"]).fetchall()  # type: ignore[no-any-return]

    @steadily
    def witnessed(self) -> dict[str, int]:
        """Return how many captures volunteers brought, and of how many a second witness says what."""
        if self._db.execute("SELECT to_regclass('witness')").fetchall()[0][0] is None:
            return {}
        captures: int = self._db.execute(self._sql["by_volunteers"]).fetchall()[0][0]
        if not captures:
            return {}
        told = dict(self._db.execute("SELECT state, count(*) FROM witness GROUP BY state").fetchall())
        said = {state: told.get(state, 0) for state in ("agrees", "differs", "unchecked")}
        return {"captures": captures, **said, "single-witness": captures - said["agrees"]}

    @steadily
    def notes(self) -> list[tuple[Note, int]]:
        """Return what a person must hear, and how often it was said."""
        said = self.witnessed()
        if not said:
            return super().notes()
        text = (
            f"{said['captures']:,} captures were brought by volunteers. Asked for again, {said['agrees']:,} agreed, "
            f"{said['differs']:,} differed (ours stand for them), {said['unchecked']:,} could not be compared; for "
            f"{said['single-witness']:,} a volunteer is the single witness."
        )
        return [*super().notes(), (Note(text=text), 1)]

    def now(self) -> float:
        """Return the database's time, by which nodes are heard: seconds since the epoch."""
        return float(self._db.execute("SELECT extract(epoch FROM clock_timestamp())::DOUBLE PRECISION").fetchone()[0])

    def members(self) -> list[tuple[Any, ...]]:
        """Return the nodes, as ``fleet.Member`` has them; none of a crawl that no newer Outlast has opened yet."""
        if self._db.execute("SELECT to_regclass('brought')").fetchall()[0][0] is None:
            return []
        return self._db.execute(self._sql["members"]).fetchall()  # type: ignore[no-any-return]

    @steadily
    def work_of(self, fingerprint: bytes) -> dict[str, Any] | None:
        """Return a fetch of this round: id, fetch, state, worker (who got it last), place (segment and offset)."""
        facts = {"round": self.round, "fingerprint": fingerprint}
        row = self._db.execute(self._sql["work_of"], facts).fetchone()
        if row is None:
            return None
        fetch = msgspec.msgpack.decode(row[1], type=Fetch)
        return {"id": row[0], "fetch": fetch, "state": row[2], "worker": row[3], "place": (row[4], row[5])}
