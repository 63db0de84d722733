"""A volunteer that speaks to its coordinator by hand, and brings whatever it likes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crawler.evidence.keys import raw
from crawler.model import Body, Capture, Digests, Fetch, Leased, Original, Outcome, Settlement, State
from crawler.volunteers import token as tokens
from crawler.volunteers import wire
from crawler.volunteers.client import Client, Refused
from crawler.warc.records import exchange, metadata
from crawler.warc.seal import PART_BYTES
from crawler.warc.segment import SegmentWriter


def capture_of(fetch: Fetch, body: bytes, *, ahead: float = 0.0) -> Capture:
    """Return an exchange that never was."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    now = datetime.now(UTC) + timedelta(seconds=ahead)
    digests = Digests(
        block_sha256=hashlib.sha256(head + body).hexdigest(), payload_sha256=hashlib.sha256(body).hexdigest(),
        payload_sha1="A" * 32, payload_length=len(body),
    )  # fmt: skip
    return Capture(
        url=fetch.url, method="GET", request=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", head=head,
        body=Body(size=len(body), data=body), status=200, outcome=Outcome.OK, started=now, ended=now, digests=digests,
    )  # fmt: skip


@dataclass
class Forger:
    """Writes a segment with what it is told."""

    path: Path

    def __post_init__(self) -> None:
        open_path = self.path.with_name(f"{self.path.name}.open")
        self.writer = SegmentWriter(open_path, warcinfo_fields={"software": "Outlast"})

    def capture(self, fetch: Fetch, body: bytes, *, original: Original | None = None, ahead: float = 0.0) -> None:
        leased = Leased(id=0, token=0, fetch=fetch)
        capture = capture_of(fetch, body, ahead=ahead)
        made = exchange(capture, warcinfo_id=self.writer.warcinfo_id, work=leased, original=original)
        told = Settlement(id=0, token=0, state=State.DONE)
        self.writer.append(*made.records, metadata(made, capture, leased, told, warcinfo_id=self.writer.warcinfo_id))

    def sealed(self) -> Path:
        self.writer.close()
        return self.path.with_name(f"{self.path.name}.open").rename(self.path)


class Stranger:
    """A node that its coordinator knows, and what it has."""

    def __init__(self, token: str, root: Path, name: str) -> None:
        self.token = tokens.read(token)
        self.root = root / name
        self.root.mkdir()
        self.key = Ed25519PrivateKey.generate()
        self.secret = hashlib.sha256(name.encode() + self.token.secret).hexdigest()
        self._serial = 0
        self.joined = self.enrol()
        self.node = self.joined.node
        self.client = Client(self.token.url, self.token.pin, self.secret)

    def enrol(self, secret: str = "") -> wire.Enrolled:
        shows = hashlib.sha256(bytes.fromhex(secret or self.secret)).hexdigest()
        asked = wire.Enrol(self.token.secret.hex(), shows, raw(self.key.public_key()).hex())
        return Client(self.token.url, self.token.pin).ask("enrol", asked, wire.Enrolled)

    def attend(self, *names: str) -> wire.Attended:
        return self.client.ask("attend", wire.Attend(names), wire.Attended)

    def lease(self, n: int = 5) -> tuple[wire.Errand, ...]:
        return self.client.ask("lease", wire.Want(n), wire.Given).errands

    def hold(self, segment: str, errands: tuple[wire.Errand, ...]) -> tuple[int, ...]:
        return self.client.ask("hold", wire.Hold(segment, tuple((e.id, e.token) for e in errands)), wire.Held).ids

    def name(self, node: int = 0, kind: str = "text") -> str:
        self._serial += 1
        return f"OUTLAST-127.0.0.1-20260101000000-{self._serial:05d}-n{node or self.node}-w1-{kind}.warc.gz"

    def forger(self, name: str) -> Forger:
        return Forger(self.root / name)

    def told(self, path: Path, **other: object) -> wire.Bring:
        data = path.read_bytes()
        parts = tuple(
            hashlib.md5(data[start : start + PART_BYTES]).hexdigest() for start in range(0, len(data), PART_BYTES)
        )
        facts = {"name": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parts": parts}
        unsigned = wire.Bring(**{**facts, "signature": "", **other})
        signature = self.key.sign(wire.claim(self.joined.crawl, self.node, unsigned)).hex()
        return wire.Bring(**{**facts, "signature": signature, **other})

    def bring(self, path: Path, **other: object) -> str:
        """Send a segment; return how it stands then."""
        ways = self.client.ask("bring", self.told(path, **other), wire.Ways)
        for way in ways.ways.values():
            self.put(way, path.read_bytes())
        return self.client.ask("brought", wire.Brought(path.name), wire.Standing).state

    def put(self, way: str, data: bytes) -> int:
        """Send bytes to a way; return the status."""
        answer = urllib3.request(
            "PUT", self.token.url + way, body=data, headers={"Authorization": f"Bearer {self.secret}"}, retries=False
        )
        return answer.status


def refused(call: object, *words: object) -> int:
    """Return the status with which a call is refused; 0 where it is not."""
    try:
        call(*words)  # type: ignore[operator]
    except Refused as e:
        return e.status
    return 0
