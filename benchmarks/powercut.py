"""Cut the power of a crawl at many moments, on a modelled disk; print what was lost of what was acknowledged (nothing).

python benchmarks/powercut.py [--cuts 200] [--posts 20] [--seed 1] [--every 10] [--strict] [--posix] [--log DIR]

A crawl of the replica, killed and resumed a few times, runs under strace, which logs every change to the collection
(writelog.py). From each moment of that log a state of the disk is drawn (disk.py): what was fsynced is there, of the
rest anything. Each state is recovered and sealed in this process as ``archive crawl`` does at its start; every tenth is
crawled to its end by ``archive crawl``. *Acknowledged* is what the frontier held at the last fsync of its write-ahead
log that had returned.

``--log`` keeps the log, or takes the one that is there: the same log, seed and flags give the same cuts.
``--without '*.warc.gz.open'`` forgets the fsyncs of files so named, to see that their want would be found.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from fastwarc.warc import ArchiveIterator

from benchmarks import writelog
from benchmarks.disk import Disk
from crawler.collection import OPEN_SUFFIX, Collection
from crawler.config import Config
from crawler.errors import OutlastError
from crawler.frontier.sqlite import SqliteFrontier
from crawler.replicas.run import running
from crawler.scope import seed_from
from crawler.supervise import Supervisor
from crawler.warc.seal import seal
from crawler.warc.verify.collection import verify_collection
from spiders.registry import get
from tests.acceptance.killing import crawl_command
from tests.acceptance.support import archive, command, doubles, environment, segments, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.replicas.run import Running

#: Where the runs that are logged are killed, one run after the other; the last one ends by itself. Between them they
#: die before a commit, while recovering, with nothing but loose records written, and while sealing.
KILLS = ("frontier.before-commit:6", "recover.committed:1", "segment.appended:3", "seal.manifested:1", "")
#: The collection's name below the root of the log: whether its own name is durable is part of the question.
NAME = "c"


class Place(NamedTuple):
    """How a fetch stands in a frontier."""

    state: str
    segment: str | None
    offset: int | None
    response_offset: int | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What nobody may lose."""

    fetches: dict[tuple[str, str], Place] = field(default_factory=dict)
    manifest: bytes = b""

    @property
    def done(self) -> int:
        return sum(1 for place in self.fetches.values() if place.state == "done")


@dataclass(slots=True)
class Outcome:
    """What became of one cut."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.problems)

    def __str__(self) -> str:
        told = [*self.lost, *self.problems]
        return f"{len(self.lost)} lost, {self.doubled} doubled: {'; '.join(told[:3])}{' …' * (len(told) > 3)}"


def main() -> int:
    options = _options()
    logging.getLogger("outlast").addHandler(logging.NullHandler())
    logging.getLogger("outlast").propagate = False
    with tempfile.TemporaryDirectory() as work, running("parler", posts=options.posts) as replica:
        kept = options.log or Path(work) / "log"
        log, expected = logged(replica, kept, options.kills)
        forget(log, options.without)
        disk = Disk(log, strict=options.strict, own_names=not options.posix)
        cuts = chosen(log, options.cuts, options.around, random.Random(options.seed))
        print(f"{len(log.moments)} moments, {sum(1 for _ in log.syncs())} fsyncs, {len(cuts)} cuts", flush=True)
        model = Model(log, disk, replica, expected, Path(work))
        totals: Counter[str] = Counter()
        for number, cut in enumerate(cuts):
            outcome = model.try_cut(cut, seed=options.seed, whole=number % options.every == options.every - 1)
            totals.update(
                cuts=1, acknowledged=outcome.acknowledged, lost=len(outcome.lost), doubled=outcome.doubled,
                bad=not outcome.is_good,
            )  # fmt: skip
            if not outcome.is_good:
                print(f"{cut:8} {outcome}", flush=True)
            elif number % 100 == 99:
                print(f"{number + 1:5} cuts, {dict(totals)}", flush=True)
    print(dict(totals))
    return 1 if totals["bad"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cuts", type=int, default=200, help="at random moments")
    parser.add_argument("--around", type=int, help="before, during and after fsyncs; default: all of them")
    parser.add_argument("--posts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=10, help="crawl every so many-th state to its end")
    parser.add_argument("--strict", action="store_true", help="changes of a directory survive in no order")
    parser.add_argument("--posix", action="store_true", help="a file's fsync says nothing of its name")
    parser.add_argument("--log", type=Path, help="keep the log here, or take the one that is here")
    parser.add_argument("--without", default="", metavar="GLOB", help="forget the fsyncs of files so named")
    parser.add_argument("--kills", nargs="*", default=KILLS, help="failpoints of the runs that are logged")
    return parser.parse_args()


# The log


def logged(
    replica: Running, kept: Path, kills: tuple[str, ...]
) -> tuple[writelog.Log, dict[tuple[str, str], tuple[str, int]]]:
    """Return the log of a crawl that was killed and resumed, and how each fetch stood at its end."""
    root = kept.absolute() / "disk"
    traces = [kept / f"{number}.strace" for number in range(len(kills))]
    if not kept.exists():
        root.mkdir(parents=True)
        for kill, trace in zip(kills, traces, strict=True):
            run = command(*crawl_command(replica, root / NAME))
            code = writelog.record(run, trace, environment(OUTLAST_FAILPOINT=kill), seconds=300)
        if code:
            shutil.rmtree(kept)
            raise SystemExit(f"the crawl that was logged ended with exit code {code}")
    log = writelog.read(sorted(kept.glob("*.strace"), key=lambda path: int(path.stem)), root)
    if differ := writelog.difference(log, root):
        raise SystemExit(f"the log does not tell what is in {', '.join(differ)}")
    with tempfile.TemporaryDirectory() as place:  # SQLite leaves files beside what it opens, and the log knows none
        shutil.copy(root / NAME / "frontier.sqlite", place)
        return log, settled(Path(place))


def forget(log: writelog.Log, pattern: str) -> None:
    """Forget the fsyncs of files that ever had such a name."""
    for folder in [node for node in log.nodes() if isinstance(node, writelog.Folder)]:
        for naming in folder.namings:
            if naming.node is not None and fnmatchcase(naming.name, pattern):
                naming.node.syncs.clear()


def chosen(log: writelog.Log, count: int, around: int | None, rng: random.Random) -> list[int]:
    """Return the moments of the cuts: some random ones; before, during and after each fsync."""
    cuts = sorted({moment for sync in log.syncs() for moment in (sync.begun, sync.begun + 1, sync.ended + 1)})
    if around is not None:
        cuts = rng.sample(cuts, min(around, len(cuts)))
    return sorted({*cuts, *rng.choices(log.moments, k=count)})


# One cut


class Model:
    """Tries cuts, in the order of time."""

    def __init__(
        self,
        log: writelog.Log,
        disk: Disk,
        replica: Running,
        expected: dict[tuple[str, str], tuple[str, int]],
        work: Path,
    ) -> None:
        self._log = log
        self._disk = disk
        self._replica = replica
        self._expected = expected
        self._work = work
        self._known: tuple[int, dict[tuple[str, str], Place]] = (-1, {})

    def try_cut(self, cut: int, *, seed: int, whole: bool) -> Outcome:
        """Draw a state of the disk after a power cut, recover it, and say what is not as it must be."""
        acknowledged = self._acknowledged(cut)
        outcome = Outcome(acknowledged.done)
        for go_on in (recovered, self._crawled) if whole else (recovered,):
            with tempfile.TemporaryDirectory(dir=self._work) as place:
                root = Path(place) / "disk" / NAME
                self._disk.cut(cut, random.Random(f"{seed} {cut}"), root.parent)
                _attempt(outcome, go_on, root, acknowledged)
        return outcome

    def _acknowledged(self, cut: int) -> Acknowledged:
        manifest = self._manifest(cut)
        for _, moment in self._last_sync(f"{NAME}/frontier.sqlite-wal", cut):
            if moment != self._known[0]:
                self._known = moment, self._frontier(moment)
            return Acknowledged(self._known[1], manifest)
        return Acknowledged(manifest=manifest)

    def _manifest(self, cut: int) -> bytes:
        """Return what the manifest held when file and name were durable: a line is added once both are."""
        folder = self._log.root.now[NAME]
        named = max((sync.begun for sync in folder.syncs if sync.ended < cut), default=0)
        return b"".join(file.as_of(moment) for file, moment in self._last_sync(f"{NAME}/manifest.jsonl", named))

    def _last_sync(self, path: str, cut: int) -> list[tuple[writelog.File, int]]:
        """Return the file of this name that was fsynced last before the cut, and when that fsync began; if any was."""
        syncs = [(s.begun, file) for file in self._log.ever(path) for s in file.syncs if s.ended < cut]
        return [(file, begun) for begun, file in syncs[-1:]]

    def _frontier(self, moment: int) -> dict[tuple[str, str], Place]:
        """Return what a frontier held whose disk was never cut off."""
        with tempfile.TemporaryDirectory(dir=self._work) as place:
            for path, file in self._log.files(moment).items():
                if Path(path).name.startswith("frontier.sqlite") and not file.is_mapped:
                    (Path(place) / Path(path).name).write_bytes(file.as_of(moment))
            return places(Path(place) / "frontier.sqlite")

    def _crawled(self, root: Path) -> list[str]:
        """Run the same command again until it is complete; return what is wrong."""
        for _ in range(4):
            ran = archive(*crawl_command(self._replica, root))
            if ran.code == 0:
                break
        else:
            return [f"exit {ran.code}: {ran.err[-500:]}"]
        now, verified = settled(root), archive("verify", root)
        differ = {key for key in self._expected.keys() | now.keys() if self._expected.get(key) != now.get(key)}
        problems = [f"{key} is {now.get(key)}, not {self._expected.get(key)}" for key in sorted(differ)]
        return problems + ([verified.out[-500:]] if verified.code else [])


def _attempt(outcome: Outcome, go_on: Callable[[Path], list[str]], root: Path, acknowledged: Acknowledged) -> None:
    """Go on from a state of the disk, and add to the outcome what is not as it must be."""
    try:
        outcome.problems += go_on(root)
        if (root / "collection.json").is_file():
            outcome.doubled += len(doubles(root))
        outcome.lost += lost(root, acknowledged)
    except (OutlastError, OSError, sqlite3.Error, subprocess.TimeoutExpired, AssertionError, ValueError, KeyError):
        outcome.problems.append(traceback.format_exc(limit=-3))


def recovered(root: Path) -> list[str]:
    """Do what ``archive crawl`` does before its first worker starts, and seal; return what is wrong then."""
    if (root / "collection.json").is_file():
        collection = Collection.open(root)
    else:  # nothing was made yet, or nothing of it is left: the same command must be able to begin
        collection = Collection.create(root, seed_from("parler.com"), "parler")
    with collection.lock(), closing(SqliteFrontier(collection.frontier)) as frontier:
        marker = collection.marker
        seed = replace(seed_from(marker.seed), since=marker.since, until=marker.until, options=marker.options)
        supervisor = Supervisor(collection, frontier, Config(), seed, get(marker.platform))
        with closing(asyncio.new_event_loop()) as supervisor._loop:  # noqa: SLF001 - no workers
            supervisor._prepare()  # noqa: SLF001
    for path in collection.open_segments():
        kind = path.name.removesuffix(f".warc.gz{OPEN_SUFFIX}").rsplit("-", 1)[1]
        seal(path, index_dir=collection.indexes, manifest_path=collection.manifest, segment_class=kind)
    found = verify_collection(collection.warcs, collection.indexes, collection.manifest)
    return [f"{one.file}:{one.offset}: {one.rule}" for one in found if one.severity != "warning"]


# What is lost


def places(frontier: Path) -> dict[tuple[str, str], Place]:
    """Return (method, URL) → how that fetch stands."""
    with closing(sqlite3.connect(frontier)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'fetch'").fetchone()[0]:
            return {}
        rows = db.execute(
            "SELECT method, url, fetch.state, name, offset, response_offset "
            "FROM fetch LEFT JOIN segment ON segment.id = fetch.segment"
        ).fetchall()
    return {(method, url): Place(*rest) for method, url, *rest in rows}


def lost(root: Path, acknowledged: Acknowledged) -> list[str]:
    """Return what was acknowledged and is not there, or not where it was."""
    if not (acknowledged.fetches or acknowledged.manifest):
        return []
    now, whole = places(root / "frontier.sqlite"), whole_records(root)
    gone = [f"{key} is not known" for key in acknowledged.fetches.keys() - now.keys()]
    for key, place in acknowledged.fetches.items() - now.items():
        if key in now and place.state not in {"queued", "leased"}:
            gone.append(f"{key} was {place}, is {now[key]}")
    for (_, url), place in acknowledged.fetches.items():
        offsets = () if place.segment is None else (place.offset, place.response_offset)
        gone += [
            f"{place.segment}:{at} holds no whole record of {url}"
            for at in offsets
            if at and whole.get((place.segment, at)) != url
        ]
    entered = acknowledged.manifest.rpartition(b"\n")[0]
    if entered and not (root / "manifest.jsonl").read_bytes().startswith(entered + b"\n"):
        gone.append("a line of the manifest")
    return sorted(gone)


def whole_records(root: Path) -> dict[tuple[str | None, int], str]:
    """Return (segment, offset) → target of every record whose block is what its digest says, read by FastWARC."""
    found: dict[tuple[str | None, int], str] = {}
    for path in segments(root):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                told = record.headers.get("WARC-Block-Digest", "")
                if told == f"sha256:{hashlib.sha256(record.reader.read()).hexdigest()}":
                    found[path.name, record.stream_pos] = record.headers.get("WARC-Target-URI") or ""
    return found


if __name__ == "__main__":
    sys.exit(main())
