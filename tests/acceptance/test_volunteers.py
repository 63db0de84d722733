"""Two volunteers without credentials crawl for a coordinator; one is killed for good. All is at the destination."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from fastwarc.warc import ArchiveIterator

from crawler.collection import Collection
from crawler.fleet import Member, members
from crawler.replicas.run import running
from tests.acceptance.s3_servers import BUCKET, Server, free_ports, seaweedfs
from tests.acceptance.support import apart_from_people, archive, command, environment
from tests.acceptance.test_grant import BARE
from tests.conformance.frontier import database

LEASE, TERM, RATE = 3, 12, 25


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with database.server() as address:
        yield address


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with seaweedfs(tmp_path_factory.mktemp("weed"), tls=True) as server:
        yield server


@dataclass
class Rescue:
    """A crawl that a coordinator has, and the processes that take part."""

    root: Path
    address: str
    site: str
    to: list[str]
    secrets: dict[str, str]
    port: int = field(default_factory=lambda: free_ports(1)[0])
    #: Over TLS, with a certificate of its own that tokens pin.
    is_public: bool = False

    @property
    def listen(self) -> str:
        return f"0.0.0.0:{self.port}" if self.is_public else f"127.0.0.1:{self.port}"

    @property
    def collection(self) -> Path:
        return self.root / "c"

    def begin(self, *more: object) -> None:
        """Make the collection; what is asked for that is asked again by volunteers."""
        ran = archive(
            "crawl", self.site, "--into", self.collection, "--frontier", self.address, "--lease", f"{LEASE}s",
            "--max-time", "0.01", "--workers", 1, "--rate", RATE, *more,
        )  # fmt: skip
        assert ran.code == 7, ran.err

    @contextmanager
    def coordinator(self, *more: object, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
        words = ["coordinate", self.collection, *self.to, "--listen", self.listen, "--term", f"{TERM}s", *more]
        with (self.root / "coordinator.log").open("ab") as log:
            child = subprocess.Popen(command(*words), stdout=log, stderr=log, env=environment(**self.secrets, **extra))
        try:
            until(lambda: child.poll() is not None or self.answers())
            yield child
        finally:
            child.kill()
            child.wait()

    def answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def token(self, name: str, *more: object) -> str:
        ran = archive("coordinate", self.collection, "--invite", name, "-q", *more)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def join(self, name: str, token: str = "", *more: object) -> subprocess.Popen[bytes]:
        place = [token] if token.startswith("/") else [token or self.token(name), self.root / name]
        words = ["join", *place, "--workers", 1, "--allow-private", "127.0.0.0/8"]
        with (self.root / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command(*words, *more), stdout=log, stderr=log, start_new_session=True,
                env=environment(**BARE, **{key: self.secrets[key] for key in self.secrets if key == "AWS_CA_BUNDLE"}),
            )  # fmt: skip

    def members(self) -> dict[str, Member]:
        return {one.name: one for one in members(Collection.open(self.collection))}

    def fetches(self) -> dict[str, tuple[str, str]]:
        """Return URL → (state, segment) as the database has them."""
        place, _, schema = self.address.partition("&schema=")
        with psycopg.connect(place) as db:
            rows = db.execute(
                f'SELECT f.url, f.state, s.name FROM "{schema}".fetch f LEFT JOIN "{schema}".segment s ON s.id = f.segment'
            ).fetchall()
        return {url: (state, segment or "") for url, state, segment in rows}

    def said(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def requests_in(server: Server) -> dict[str, set[str]]:
    """Return segment → URLs answered in it, of all segments in the bucket, each what its name says."""
    client = server.client()
    found: dict[str, set[str]] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for one in page.get("Contents", ()):
            if "/warcs/" not in one["Key"]:
                continue
            data = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            name, _, digest = one["Key"].rpartition("/")[2].removesuffix(".warc.gz").rpartition("-")
            assert hashlib.sha256(data).hexdigest().startswith(digest)
            found[f"{name}.warc.gz"] = {
                record.headers["WARC-Target-URI"]
                for record in ArchiveIterator(io.BytesIO(data), parse_http=False)
                if record.headers["WARC-Type"] in {"response", "revisit"}
            }
            assert b"WARC-Type: revisit" not in gzip.decompress(data)
    return found


@pytest.mark.timeout(400)
def test_one_of_two_volunteers_is_killed_for_good(tmp_path: Path, postgres: str, weed: Server) -> None:
    with running("mastodon", size=60) as replica:
        site = f"127.0.0.1:{replica.port}"
        assert archive("crawl", site, "--into", tmp_path / "plain", "--workers", 1).code == 0
        rescue = Rescue(tmp_path, database.schema(postgres), site, weed.to("v"), weed.environment, is_public=True)
        rescue.begin()
        with rescue.coordinator("--public", f"https://127.0.0.1:{rescue.port}") as coordinator:
            dies, lives = rescue.join("dies", "", "--seal-every", "1h"), rescue.join("lives")
            until(lambda: (known := rescue.members()).keys() >= {"dies", "lives"} and known["dies"].held > 10)
            for one in (dies, lives):
                os.killpg(one.pid, signal.SIGKILL)
                one.wait()
            lives = rescue.join("lives", str(tmp_path / "lives"))  # the same directory goes on, the other never
            assert lives.wait(150) == 0, rescue.said("lives")
            assert coordinator.wait(60) == 0, rescue.said("coordinator")
        known = rescue.members()
        pushed = archive("push", rescue.collection, *rescue.to, **rescue.secrets)
        assert pushed.code == 0, pushed.err
        back = archive("pull", *rescue.to[1:], "--into", tmp_path / "back", **rescue.secrets)
    fetches, there = rescue.fetches(), requests_in(weed)
    wanted = {url for (_, url), (state, _) in apart_from_people(tmp_path / "plain").items() if state == "done"}
    assert wanted <= {url for url, (state, _) in fetches.items() if state == "done"}
    for url, (state, segment) in fetches.items():
        assert state in {"done", "excluded"}, (url, state)
        assert state != "done" or url in there[segment]
    assert (known["dies"].held, known["dies"].leased, known["lives"].held) == (0, 0, 0)
    assert known["lives"].captures + known["dies"].captures >= len(wanted)
    assert back.code == 0, back.err
    assert archive("verify", tmp_path / "back").code == 0
