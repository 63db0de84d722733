"""A platform that dies while it is crawled: noticed in time, nothing wrongly done, gone on with where it lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from fastwarc.warc import ArchiveIterator

from crawler.deaths import events, struck
from crawler.replicas.faults import AGONY
from crawler.replicas.run import Running, running
from crawler.warc.lookup import every
from tests.acceptance.killing import children
from tests.acceptance.support import Ran, archive, command, environment, namespace, segments, settled, to_replica

POSTS = 40
#: Requests after which it dies: most is known then, and little held.
LIFE = 45
#: Answers within which the death of a host is noticed, twice as many of one on which nothing had lived; and what all
#: hosts that are dead are asked in a second at most.
NOTICED, PROBES = 20, 25
#: The first wait between two controls, seconds, and how many of them are an hour where it is the 30 s of the default.
FIRST, HOUR = 0.2, 120
slowly = pytest.mark.outside
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What a crawl of the living site settles, and its coverage."""
    directory = tmp_path_factory.mktemp("alive") / "c"
    with running("parler", posts=POSTS) as replica:
        ran = archive("crawl", "parler.com", "--into", directory, *to_replica(replica), *listed(replica), "--json")
    assert ran.code == 0, ran.err
    assert not events(directory), "what lives is not taken for dead"
    return settled(directory), ran.summary["coverage"]


def listed(replica: Running) -> tuple[object, ...]:
    """Return options that name all posts: a platform that is walked number by number dies too slowly for a test."""
    path = replica.state / "posts.txt"
    path.write_text("".join(f"{thing['url']}\n" for thing in replica.things() if thing["kind"] == "post"))
    return ("-i", path)


class Dying:
    """A replica that dies, and the crawl of it."""

    def __init__(self, replica: Running, directory: Path, *options: object, within: list[str] | None = None) -> None:
        self.replica, self.directory = replica, directory
        self._crawl = [
            *(within or []),
            *command(
                "crawl", "parler.com", "--into", directory, "--ca-cert", replica.ca, "--probe-every", FIRST,
                "--workers", 1, "--concurrency", 4, *listed(replica), *options,
            ),
        ]  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """Start it, or start it again."""
        self.process = subprocess.Popen(
            self._crawl, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
        )

    def until(self, event: str, seconds: float = 90) -> dict[str, Any]:
        """Wait until the death watch wrote an event down."""
        found: list[dict[str, Any]] = []

        def has_come() -> bool:
            assert self.process.poll() is None or event in {one["event"] for one in events(self.directory)}, self.log()
            found[:] = [one for one in events(self.directory) if one["event"] == event]
            return bool(found)

        wait(has_come, f"nothing was {event}", self.log, seconds)
        return found[0]

    def log(self) -> str:
        return "".join(path.read_text()[-3000:] for path in sorted((self.directory / "logs").glob("*.log")))

    def dead(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = archive("status", self.directory, "--json").summary["dead"]
        return found

    def last_words(self) -> list[dict[str, Any]]:
        return [one for one in self.replica.ledger() if one["fault"] == "die"]

    def asked_a_second(self) -> float:
        """Return how many requests all that is dead gets in a second."""
        before, began = len(self.last_words()), time.monotonic()
        time.sleep(1)
        return (len(self.last_words()) - before) / (time.monotonic() - began)

    def is_in_time(self, host: str = "parler.com", agony: int = 0) -> bool:
        """Say whether the dead gave few answers before they were left alone; controls are not counted."""
        controls = {url for one in events(self.directory) for url in one["controls"]}
        said = Counter(one["host"] for one in self.last_words() if url_of(one) not in controls)
        print("answers of the dead:", said)
        return said[host] <= NOTICED + agony and all(n <= 2 * NOTICED for n in said.values())

    def ends(self) -> None:
        """Wait for the end of the crawl, and ask again for what was refused when all lived again."""
        code = self.process.wait(120)
        assert code in {0, 3}, self.log()
        if code:  # a lone picture of a host was refused twice, and asked about when all lived again: it is parked
            again = subprocess.run([*self._crawl, "--retry", "parked"], env=environment(), timeout=120, check=False)
            assert again.returncode == 0, self.log()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def url_of(entry: dict[str, Any]) -> str:
    return f"{entry['scheme']}://{entry['host']}{entry['target']}"


def wait(until: Callable[[], bool], why: str, more: Callable[[], str] = str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, f"{why}\n{more()}"
        time.sleep(0.2)


@contextmanager
def dying(directory: Path, faults: str, *options: object) -> Iterator[Dying]:
    with running("parler", posts=POSTS, faults=faults, latency=5) as replica:
        made = Dying(replica, directory, *to_replica(replica)[:2], *options)
        try:
            yield made
        finally:
            made.kill()


def without_rules(fetches: dict[Any, Any]) -> dict[Any, Any]:
    """Leave out robots.txt: that of a host which nobody had asked before is read as it came in its last moments."""
    return {key: what for key, what in fetches.items() if not key[1].endswith("/robots.txt")}


def same(directory: Path, undisturbed: tuple[dict[Any, Any], dict[str, Any]]) -> None:
    """The end is as if nothing had happened, and nothing that the dead said counts."""
    told = archive("status", directory, "--json")
    assert told.summary["coverage"] == undisturbed[1]
    assert told.summary["dead"] == []
    assert without_rules(settled(directory)) == without_rules(undisturbed[0])
    passed_over(directory)


def passed_over(directory: Path) -> None:
    """What the dead said is held, and named by no index that is made for others."""
    told, made = struck(directory).places, directory.parent / "all.cdxj"
    known = {(line.url, line.stamp) for index in (directory / "indexes").iterdir() for line in every(index)}
    assert {one for one in told if one[1]} <= known
    assert archive("index", directory, "--all", "-o", made).code == 0
    shown = {(line.url, line.stamp) for line in every(made)}
    assert shown
    assert not told & shown


@pytest.mark.parametrize(
    "how", ["tombstone", "403", "login", *(pytest.param(one, marks=slowly) for one in ("slow", "tls", "stranger"))]
)
def test_a_site_that_dies_and_comes_back(how: str, tmp_path: Path, undisturbed: Any) -> None:
    with dying(tmp_path / "c", f"die={how}%{LIFE}") as it:
        it.until("dead")
        wait(lambda: it.asked_a_second() < PROBES, "the dead are not left alone", it.log)
        assert it.dead()
        assert it.is_in_time(agony=AGONY if how == "slow" else 0)
        it.replica.faults()
        it.ends()
    it.until("alive")
    same(it.directory, undisturbed)


def test_the_media_host_dies_first_and_the_rest_goes_on(tmp_path: Path, undisturbed: Any) -> None:
    with dying(tmp_path / "c", "die=403%5@images.parler.com") as it:
        it.until("dead")
        wait(lambda: held(it.directory, "/post/") >= POSTS, "the rest does not go on", it.log)
        assert {one["origin"] for one in it.dead()} == {"https://images.parler.com"}
        assert it.is_in_time("images.parler.com")
        it.replica.faults()
        it.ends()
    same(it.directory, undisturbed)


def held(directory: Path, path: str) -> int:
    """Return how many URLs with that path are done."""
    return sum(what == ("done", 200) for (_, url), what in settled(directory).items() if f"parler.com{path}" in url)


@slowly
def test_it_is_dead_for_an_hour_and_killed_and_comes_back(tmp_path: Path, undisturbed: Any) -> None:
    with dying(tmp_path / "c", f"die=tombstone%{LIFE}") as it:
        it.until("dead")
        died = time.monotonic()
        it.kill()
        it.begin()
        time.sleep(HOUR * FIRST - (time.monotonic() - died))
        assert it.process.poll() is None, "it neither ends"
        assert it.asked_a_second() < PROBES, "nor asks any faster"
        used = cpu(it.process.pid)
        time.sleep(2)
        assert cpu(it.process.pid) - used < 1.0, "nor spins"
        assert it.is_in_time()
        it.replica.faults()
        it.ends()
    same(it.directory, undisturbed)
    assert struck(it.directory).records


def cpu(pid: int) -> float:
    """Return the seconds of processor that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@slowly
def test_what_stays_dead_ends_the_crawl_when_the_operator_says(tmp_path: Path, undisturbed: Any) -> None:
    with dying(tmp_path / "c", f"die=tombstone%{LIFE}") as it:
        it.until("dead")
        wait(lambda: bool(it.dead()), "status does not say so")
        it.kill()
        there = ("crawl", "parler.com", "--into", it.directory, *to_replica(it.replica))
        ran: Ran = archive(*there, "--give-up-after", "3s", "--json", timeout=120)
        assert ran.code == 9, ran.err
        assert "stayed dead" in ran.err
        it.replica.faults()
        ran = archive(*there, "--give-up-after", "1h", timeout=120)
        assert ran.code == 0, ran.err
    same(it.directory, undisturbed)


class Names:
    """The names that one crawl sees, and nobody else: its own /etc/hosts, in a mount namespace."""

    def __init__(self, folder: Path, hosts: list[str]) -> None:
        self._hosts, self._file, self._order = hosts, folder / "hosts", folder / "nsswitch.conf"
        self._order.write_text("hosts: files\n")
        self.put_back()

    def put_back(self) -> None:
        self._file.write_text("".join(f"127.0.0.1 {host}\n" for host in self._hosts))

    def pull(self) -> None:
        self._file.write_text("")

    def seen(self) -> list[str]:
        """Return the command that lets another see them."""
        order = '[ ! -e /etc/nsswitch.conf ] || mount --bind "$1" /etc/nsswitch.conf'
        script = f'set -e; mount --bind "$0" /etc/hosts; {order}; shift; exec "$@"'
        return [*namespace(), "sh", "-c", script, str(self._file), str(self._order)]


@contextmanager
def named(folder: Path, *options: object) -> Iterator[tuple[Dying, Names]]:
    """Crawl a replica by its names, until so many posts are held."""
    with running("parler", posts=POSTS, latency=20) as replica:
        names = Names(folder, replica.hosts)
        ports = ("--connect-to", f":::{replica.port}")
        it = Dying(replica, folder / "c", *ports, *options, within=names.seen())
        try:
            wait(lambda: len(replica.ledger()) > LIFE, "nothing is asked", it.log)
            yield it, names
        finally:
            it.kill()


def end_worker(crawl: int) -> None:
    """Kill the worker: the next one has no name in memory, and no connection."""
    for worker in children(crawl):
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


@slowly
def test_its_name_is_pulled_and_comes_back(tmp_path: Path, undisturbed: Any) -> None:
    with named(tmp_path) as (it, names):
        names.pull()
        end_worker(it.process.pid)
        it.until("dead")
        assert {one["why"] for one in it.dead()} == {"its name is gone"}
        it.kill()
        it.begin()
        time.sleep(3)
        assert it.process.poll() is None, "it is waited for, though no name leads there"
        before = len(it.replica.ledger())
        names.put_back()
        it.ends()
        assert len(it.replica.ledger()) > before
    it.until("alive")
    same(it.directory, undisturbed)


@slowly
def test_with_consent_the_last_known_addresses_will_do(tmp_path: Path) -> None:
    with running("parler", posts=10) as replica:
        names = Names(tmp_path, replica.hosts)
        ports = ("--connect-to", f":::{replica.port}", "--ca-cert", replica.ca)

        def crawl(*options: object) -> tuple[int, str]:
            line = [*names.seen(), *command("crawl", "parler.com", "--into", tmp_path / "c", *ports, *options)]
            ran = subprocess.run(line, env=environment(), timeout=120, check=False, capture_output=True, text=True)
            return ran.returncode, ran.stderr

        assert crawl(*listed(replica)) == (0, ANY)
        known = settled(tmp_path / "c")
        names.pull()
        code, said = crawl("--again", "--recheck")
        assert (code, "its name does not resolve" in said) == (9, True), said
        before = replica.ledger()
        assert crawl("--keep-addresses") == (0, ANY), "a new process knows them, too"
        after = replica.ledger()[len(before) :]
    assert {one["host"] for one in after} <= set(replica.hosts)
    assert settled(tmp_path / "c").keys() == known.keys()
    told = [block for block in metadata(tmp_path / "c") if b"\naddress: the last one known" in block]
    assert len(told) == len(after) - 1, "all but the first knock, which is no capture, say so"
    assert "keep_addresses" in settings(tmp_path / "c")


def metadata(directory: Path) -> list[bytes]:
    return [block for kind, block in records(directory) if kind == "metadata"]


def settings(directory: Path) -> str:
    return "".join(block.decode() for kind, block in records(directory) if kind == "warcinfo")


def records(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in segments(directory):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                yield record.headers["WARC-Type"], record.reader.read()
