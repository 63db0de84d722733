"""What a collection holds, for its report: segments, posts by day, media, places, and what proves all that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler import merkle
from crawler.errors import Damaged
from crawler.evidence import statement
from crawler.evidence.holdings import HEADS
from crawler.reading.figures import Timeline, second, shares
from crawler.warc import manifest

if TYPE_CHECKING:
    from crawler.collection import Collection
    from crawler.reading.dataset import Dataset

_DAY = 86400
#: Kinds of media that are named; places on the map.
_KINDS, _PLACES = 12, 4000
#: Part of the posts that may lie beyond either end of the figure.
_TAIL = 0.005
_POSTS = """
SELECT date((julianday(created_at) + julianday(coalesce(created_until, created_at))) / 2) AS day, kind, count(*) AS n,
    sum(julianday(created_until) - julianday(created_at) > 1.01) AS vague
FROM posts WHERE deleted <= ? GROUP BY 1, 2 ORDER BY 1
"""
_MEDIA = """
SELECT mime, count(*) AS n, sum(size) AS bytes, max(size) AS biggest, sum(taken_at IS NOT NULL) AS dated
FROM (SELECT max(mime) AS mime, max(size) AS size, max(taken_at) AS taken_at FROM file
      WHERE size > 0 AND sha256 != '' GROUP BY sha256)
GROUP BY mime ORDER BY bytes DESC, mime
"""
_SIZES = """
SELECT CASE WHEN size < 10240 THEN 0 WHEN size < 102400 THEN 1 WHEN size < 1048576 THEN 2 WHEN size < 10485760 THEN 3
    WHEN size < 104857600 THEN 4 ELSE 5 END AS class, count(*) AS n, sum(size) AS bytes
FROM (SELECT max(size) AS size FROM file WHERE size > 0 AND sha256 != '' GROUP BY sha256) GROUP BY 1 ORDER BY 1
"""
_SIZE_NAMES = ("under 10 KiB", "to 100 KiB", "to 1 MiB", "to 10 MiB", "to 100 MiB", "over 100 MiB")
#: A tenth of a degree is about 11 km: the map shows no more.
_WHERE = """
SELECT round(latitude, 1) AS north, round(longitude, 1) AS east, count(DISTINCT sha256) AS n
FROM media_files AS media JOIN place USING (sha256) WHERE latitude IS NOT NULL AND
    (:deleted OR NOT EXISTS (SELECT 1 FROM posts WHERE posts.id = media.post AND posts.deleted))
GROUP BY 1, 2 ORDER BY n DESC, 1, 2
"""


def segments(collection: Collection) -> dict[str, Any]:
    """Return what the manifest says: per class, segments, records and bytes; the dates they span."""
    entries = manifest.read(collection.manifest)
    classes: dict[str, list[int]] = {}
    for one in entries:
        found = classes.setdefault(one.segment_class, [0, 0, 0])
        for place, count in enumerate((1, one.records, one.bytes)):
            found[place] += count
    return {
        "classes": classes,
        "count": len(entries),
        "records": sum(one.records for one in entries),
        "bytes": sum(one.bytes for one in entries),
        "open": len(collection.open_segments()),
        "first": min((one.first_date for one in entries if one.first_date), default=""),
        "last": max((one.last_date for one in entries if one.last_date), default=""),
    }


def posts(dataset: Dataset, collection: Collection, *, with_deleted: bool) -> dict[str, Any]:
    """Return how many posts there are of each kind, and when they were made."""
    days: dict[str, dict[str, int]] = {}
    kinds: dict[str, int] = {}
    undated = vague = 0
    for row in dataset.db.execute(_POSTS, (with_deleted,)):
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + row["n"]
        vague += row["vague"] or 0
        if row["day"] is None:
            undated += row["n"]
        else:
            found = days.setdefault(row["day"], {})
            found[row["kind"]] = found.get(row["kind"], 0) + row["n"]
    names = sorted(kinds, key=lambda kind: (-kinds[kind], kind))
    marker = collection.marker
    since, until = second(marker.since), second(marker.until)
    before, shown, after = _core(days, since, until)
    timeline = Timeline(finest=_DAY)
    for day in shown:
        at = second(day)
        for kind, count in days[day].items():
            timeline.add(at or 0, _series(kind, names), count)
    drawn = list(dict.fromkeys(_series(name, names) for name in names))
    return {
        "kinds": {name: kinds[name] for name in names},
        "total": sum(kinds.values()),
        "undated": undated, "vague": vague, "before": before, "after": after,
        "busiest": max(((sum(days[day].values()), day) for day in shown), default=None),
        "figure": timeline.columns(drawn, (since, until)),
        "classes": {name: f"s{place}" for place, name in enumerate(drawn)},
        "hidden": 0 if with_deleted else dataset.db.execute("SELECT count(*) FROM posts WHERE deleted").fetchone()[0],
        "edited": dataset.db.execute("SELECT count(*) FROM posts WHERE versions > 1").fetchone()[0],
    }  # fmt: skip


def _series(kind: str, names: list[str]) -> str:
    """Return the kind that a post counts as in the figure: one of the first three, or others."""
    return kind if kind in names[:3] else "others" if len(names) > 4 else kind


def _core(
    days: dict[str, dict[str, int]], since: int | None, until: int | None
) -> tuple[int, list[str], int]:  # fmt: skip
    """Return the days that are drawn, and how many posts come before and after them.

    Those are the window and as much again at either side. Without one, all but a thin tail at either end: a single post
    of 1970 would press the others into one column.
    """
    names = sorted(days)
    counts = {name: sum(days[name].values()) for name in names}
    if since is not None and until is not None and since < until:
        pad = max(until - since, 3 * _DAY)
        shown = [name for name in names if since - pad <= (second(name) or 0) < until + pad]
    else:
        most = sum(counts.values()) * _TAIL
        shown = _cut(_cut(names, counts, most)[::-1], counts, most)[::-1]
    if not shown:
        return 0, names, 0
    before = sum(counts[name] for name in names if name < shown[0])
    return before, shown, sum(counts[name] for name in names if name > shown[-1])


def _cut(names: list[str], counts: dict[str, int], most: float) -> list[str]:
    """Return the days without the first that have no more than ``most`` posts together."""
    left = most
    for place, name in enumerate(names):
        left -= counts[name]
        if left < 0:
            return names[place:]
    return []


def media(dataset: Dataset) -> dict[str, Any]:
    """Return the files that are held, by type and by size; each content once."""
    rows = [dict(row) for row in dataset.db.execute(_MEDIA)]
    most = max((row["bytes"] for row in rows), default=0)
    rest = rows[_KINDS:]
    return {
        "types": [row | {"bar": shares({"captured": row["bytes"]}, ("captured",), most)} for row in rows[:_KINDS]],
        "others": {"types": len(rest), "n": sum(row["n"] for row in rest), "bytes": sum(row["bytes"] for row in rest)},
        "files": sum(row["n"] for row in rows),
        "bytes": sum(row["bytes"] for row in rows),
        "dated": sum(row["dated"] for row in rows),
        "sizes": _sizes(dataset),
        "named": dataset.db.execute("SELECT count(DISTINCT fetched) FROM media").fetchone()[0],
    }


def _sizes(dataset: Dataset) -> list[dict[str, Any]]:
    rows = list(dataset.db.execute(_SIZES))
    most = max((row["n"] for row in rows), default=0)
    return [
        {"name": _SIZE_NAMES[row["class"]], "n": row["n"], "bytes": row["bytes"],
         "bar": shares({"captured": row["n"]}, ("captured",), most)}
        for row in rows
    ]  # fmt: skip


def places(dataset: Dataset, *, with_deleted: bool) -> dict[str, Any]:
    """Return where media was made, to a tenth of a degree."""
    rows = dataset.db.execute(_WHERE, {"deleted": with_deleted})
    shown = [(row["north"], row["east"], row["n"], min(1 + row["n"] ** 0.5, 6)) for row in rows.fetchmany(_PLACES)]
    return {"spots": shown, "files": sum(one[2] for one in shown), "more": sum(1 for _ in rows)}


def proof(collection: Collection) -> dict[str, Any]:
    """Return the root over all segments, and the last statement that was signed, as far as it holds."""
    lines = manifest.lines(collection.manifest)
    found: dict[str, Any] = {
        "segments": len(lines),
        "root": merkle.root(statement.tree(lines)).hex() if lines else "",
        "statements": len(statement.paths(collection)),
        "stamps": _stamps(collection),
        "last": None,
        "wrong": "",
    }
    if found["statements"]:
        path = statement.paths(collection)[-1]
        try:
            last = statement.opened(path.read_bytes())
        except Damaged as e:
            return found | {"wrong": f"{path.name}: {e}"}
        covered = last.statement.manifest.segments
        root = merkle.root(statement.tree(lines[:covered])).hex()
        found["last"] = {
            "name": path.name, "made": last.statement.made, "key": last.public_key, "segments": covered,
            "stamped": last.timestamp is not None, "holds": root == last.statement.manifest.root,
        }  # fmt: skip
    return found


def _stamps(collection: Collection) -> int:
    path = collection.root / HEADS
    return path.read_bytes().count(b"\n") if path.exists() else 0
