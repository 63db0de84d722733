"""Which engine keeps a collection's frontier: a file in it, the database of its fleet, or a volunteer's errands."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from crawler.errors import DatabaseLost, UsageError
from crawler.frontier.errands import ErrandFrontier, ErrandReader
from crawler.frontier.reader import FrontierReader
from crawler.frontier.sqlite import SqliteFrontier

if TYPE_CHECKING:
    from crawler.collection import Collection, Marker
    from crawler.frontier.engine import Engine

log = logging.getLogger("outlast.frontier")


def is_volunteer(marker: Marker) -> bool:
    """Say whether a collection is a volunteer's: the address of its frontier is that of a coordinator."""
    return marker.frontier.startswith(("https://", "http://"))


def to_write(collection: Collection) -> Engine:
    """Open the frontier of a collection whose lock the caller holds."""
    marker = collection.marker
    if not marker.frontier:
        return SqliteFrontier(collection.frontier)
    if is_volunteer(marker):
        return ErrandFrontier(collection.frontier, node_of(marker))
    with_database()
    from crawler.frontier.postgres.engine import PostgresFrontier  # noqa: PLC0415 - only fleets have psycopg

    return PostgresFrontier(marker.frontier, marker.id)


def to_read(collection: Collection) -> FrontierReader:
    """Open the frontier of a collection to read it, beside whoever writes."""
    if not collection.marker.frontier:
        return FrontierReader(collection.frontier)
    if is_volunteer(collection.marker):
        return ErrandReader(collection.frontier)
    with_database()
    from crawler.frontier.postgres.reader import PostgresReader  # noqa: PLC0415 - as above

    return PostgresReader(collection.marker.frontier, collection.marker.id)


def at_hand(collection: Collection) -> FrontierReader | None:
    """Open the frontier of a collection to read it, for what does without: None where it is not here.

    That is a file which did not come with the rest, or a database that cannot be reached from this machine.
    """
    if not collection.marker.frontier or is_volunteer(collection.marker):
        return FrontierReader(collection.frontier) if collection.frontier.is_file() else None
    try:
        return to_read(collection)
    except (DatabaseLost, UsageError) as e:
        log.warning("Done without the frontier: %s", e)
        return None


def node_of(marker: Marker) -> int:
    """Return a volunteer's number, which its address ends with: ``https://host:8443#7``."""
    found = re.search(r"#(\d+)$", marker.frontier)
    if found is None:
        raise UsageError(f"{marker.frontier} is no address of a coordinator.")
    return int(found[1])


def with_database() -> None:
    """Raise UsageError where what a fleet needs is not installed."""
    try:
        import psycopg  # noqa: F401, PLC0415 - as above
    except ImportError as e:
        raise UsageError("A frontier in PostgreSQL needs psycopg: pip install 'outlast[fleet]'.") from e
