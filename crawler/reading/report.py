"""``archive report``: what was asked, what is held and what is not, as one HTML file that needs nothing else.

Everything in it is counted by queries or from the indexes as they are read; no list grows with the collection.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler.collection import sync_directory
from crawler.errors import DiskFull, UsageError
from crawler.provenance import outlast_version
from crawler.reading import holdings, outcome
from crawler.reading.dataset import Dataset
from crawler.reading.tables import lacks
from crawler.reading.templating import land, style, style_hash, template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crawler.collection import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What is at one destination."""

    name: str
    place: str
    objects: int
    proven: int
    bytes: int
    trouble: str = ""


def write(
    collection: Collection, output: Path, *, copies: Sequence[Copies] = (), with_gps: bool = False,
    with_deleted: bool = False, say: Callable[[str], object] = lambda _: None,
) -> tuple[str, ...]:  # fmt: skip
    """Write the report of a collection; return what is not in it, as sentences. Raises UsageError, DiskFull."""
    told = gathered(collection, with_gps=with_gps, with_deleted=with_deleted, say=say)
    told |= {"copies": copies, "style": style(), "style_hash": style_hash(), "land": land() if with_gps else ""}
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as out:
            template("report.html").stream(told).dump(out, encoding="utf-8", errors="replace")
            out.flush()
            os.fsync(out.fileno())
        part.replace(output)
        sync_directory(output.parent)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as e:
        raise UsageError(f"{output} cannot be written: {e.strerror}.") from e
    except OSError as e:
        raise DiskFull(f"{output} cannot be written: {e.strerror}.") from e
    finally:
        part.unlink(missing_ok=True)
    lacking: tuple[str, ...] = told["lacks"]
    return lacking


def gathered(
    collection: Collection, *, with_gps: bool, with_deleted: bool, say: Callable[[str], object]
) -> dict[str, Any]:
    """Return all that a report shows, for its template."""
    with Dataset(collection) as dataset:
        updated = dataset.update(places=with_gps, say=say)
        say("counting")
        return {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": f"Outlast {outlast_version()}",
            "marker": collection.marker,
            "directory": collection.root.resolve().name,
            "running": collection.is_locked(),
            "run": outcome.run(collection),
            "lacks": lacks(updated),
            "segments": holdings.segments(collection),
            "posts": holdings.posts(dataset, collection, with_deleted=with_deleted),
            "accounts": dataset.db.execute("SELECT count(DISTINCT id) FROM account").fetchone()[0],
            "media": holdings.media(dataset),
            "places": holdings.places(dataset, with_deleted=with_deleted) if with_gps else None,
            "answers": outcome.answers(collection),
            "crawl": outcome.crawl(collection),
            "proof": holdings.proof(collection),
        }
