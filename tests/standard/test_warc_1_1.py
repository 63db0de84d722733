"""What ISO 28500:2017 (WARC/1.1) asks of a writer, rule by rule, read with nothing but gzip and a few expressions.

The file under test holds one of each record we write. No parser of ours and no library reads it, so a mistake in
our reader cannot hide the same mistake in our writer.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import subprocess
import sys
import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from crawler.model import EMPTY_BODY, Body, Fetch, Leased, Lookup, Outcome, Settlement, State, Tls
from crawler.warc.records import certificates, dns, metadata
from tests.unit.warc.making import CHUNKED, PAGE, Segment, capture, plain

GZIPPED = zlib.compress(PAGE, 9, 31)
CHUNKED_GZIP = (
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIPPED), GZIPPED)
)
UGLY = b"HTTP/1.1  200   Odd \r\nX:1\r\nA: b\r\n  c\r\nX-Caf\xe9: \xe9\r\nno colon\r\nDup: 1\r\nDup: 2\r\nContent-Length: 2\r\n\r\nhi"
#: What went over the wire, and which part of it is the payload.
WIRES = {
    "https://a.example/plain": (plain(), PAGE),
    "https://a.example/chunked": (CHUNKED, b"Wiki"),
    "https://a.example/gzip": (CHUNKED_GZIP, GZIPPED),
    "https://a.example/ugly": (UGLY, b"hi"),
    "https://a.example/none": (b"HTTP/1.0 204\r\n\r\n", b""),
    "https://a.example/cut": (plain()[:-100], PAGE[:-100]),
}


@dataclass
class Read:
    """A record as the bytes say."""

    offset: int
    raw: bytes

    @cached_property
    def lines(self) -> list[str]:
        return self.raw.split(b"\r\n\r\n", 1)[0].decode("ascii").split("\r\n")

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        found = [re.fullmatch(r"([!-9;-~]+): (.*)", line) for line in self.lines[1:]]
        return [(match[1], match[2]) for match in found if match]

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    @property
    def type(self) -> str:
        return self.get("WARC-Type")

    @property
    def block(self) -> bytes:
        return self.raw.split(b"\r\n\r\n", 1)[1][: int(self.get("Content-Length"))]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    segment = Segment(tmp_path_factory.mktemp("standard"), "OUTLAST-a.example-20210110200000-00001-w1-text.warc.gz")
    wid = segment.writer.warcinfo_id
    segment.writer.append(
        dns(Lookup(host="a.example", addresses=("192.0.2.1", "2001:db8::1"), when=datetime.now(UTC)), warcinfo_id=wid)
    )
    tls = Tls(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", chain=(b"leaf", b"issuer"))
    segment.writer.append(certificates("a.example", tls, warcinfo_id=wid))
    for url, (wire, _) in WIRES.items():
        taken = capture(url, wire, truncated="disconnect" if url.endswith("cut") else None, ip="2001:db8::1")
        made = segment.add(taken, via="https://a.example/", depth=2)
        if url.endswith("plain"):
            original = segment.original(made, taken)
    segment.add(capture("https://a.example/again"), original)
    nothing = {"head": b"", "digests": None, "status": 0, "outcome": Outcome.PROTOCOL}
    segment.add(capture("https://a.example/silent", body=EMPTY_BODY, **nothing))
    segment.add(capture("https://a.example/odd", body=Body(size=4, data=b"SSH-"), **nothing))
    unsent = capture("https://a.example/unsent", request=b"", body=EMPTY_BODY, error="no such host", **nothing)
    leased = Leased(id=1, token=1, fetch=Fetch(url=unsent.url, lane="posts"))
    segment.writer.append(
        metadata(None, unsent, leased, Settlement(id=1, token=1, state=State.QUEUED), warcinfo_id=wid)
    )
    path = segment.close()
    return path.rename(path.with_suffix(""))


@pytest.fixture(scope="module")
def records(path: Path) -> list[Read]:
    data, found, offset = path.read_bytes(), [], 0
    while offset < len(data):
        stream = zlib.decompressobj(31)
        raw = stream.decompress(data[offset:])
        assert stream.eof
        found.append(Read(offset, raw))
        offset = len(data) - len(stream.unused_data)
    return found


def by_url(records: list[Read], kind: str) -> dict[str, Read]:
    return {r.get("WARC-Target-URI"): r for r in records if r.type == kind}


def test_a_record_is_a_version_line_fields_block_and_two_line_ends(records: list[Read]) -> None:
    for record in records:
        assert record.lines[0] == "WARC/1.1"
        # Every line is a field, on one line, in ASCII.
        assert len(record.fields) == len(record.lines) - 1
        head, rest = record.raw.split(b"\r\n\r\n", 1)
        assert rest == record.block + b"\r\n\r\n"
        assert b"\n" not in head.replace(b"\r\n", b"")


def test_fields_are_not_repeated(records: list[Read]) -> None:
    for record in records:
        names = [name.lower() for name, _ in record.fields if name not in {"WARC-Concurrent-To", "WARC-Protocol"}]
        assert len(names) == len(set(names))


def test_ids_are_unique_uris_in_angle_brackets(records: list[Read]) -> None:
    ids = [record.get("WARC-Record-ID") for record in records]
    assert len(set(ids)) == len(ids)
    for identity in ids:
        match = re.fullmatch(r"<urn:uuid:(\S+)>", identity)
        assert match
        assert uuid.UUID(match[1]).version == 4


def test_dates_are_utc_and_one_for_each_capture(records: list[Read]) -> None:
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record.get("WARC-Date"))
    for url in WIRES:
        assert {r.get("WARC-Date") for r in records if r.get("WARC-Target-URI") == url} == {
            "2021-01-10T20:00:00.123456Z"
        }


def test_types(records: list[Read]) -> None:
    kinds = {"warcinfo", "request", "response", "revisit", "metadata", "resource"}
    assert {record.type for record in records} == kinds


def test_content_type_on_every_block(records: list[Read]) -> None:
    due = {
        "warcinfo": {"application/warc-fields"},
        "request": {"application/http;msgtype=request"},
        "response": {"application/http;msgtype=response"},
        "revisit": {"application/http;msgtype=response"},
        "metadata": {"application/warc-fields", "application/octet-stream"},
        "resource": {"text/dns", "application/x-pem-file"},
    }
    for kind, types in due.items():
        assert {r.get("Content-Type") for r in records if r.type == kind} == types


def test_concurrent_to_stands_on_the_later_record_and_names_the_request(records: list[Read]) -> None:
    seen: dict[str, Read] = {}
    for record in records:
        partner = record.get("WARC-Concurrent-To")
        if record.type in {"response", "revisit"}:
            assert partner
        if partner:
            assert seen[partner].type == "request"
            assert seen[partner].get("WARC-Target-URI") == record.get("WARC-Target-URI")
        seen[record.get("WARC-Record-ID")] = record


def test_block_digest_on_every_record(records: list[Read]) -> None:
    for record in records:
        assert record.get("WARC-Block-Digest") == f"sha256:{hashlib.sha256(record.block).hexdigest()}"


def test_payload_digest_is_of_the_entity_without_transfer_coding(records: list[Read]) -> None:
    responses = by_url(records, "response")
    for url, (_, payload) in WIRES.items():
        assert responses[url].get("WARC-Payload-Digest") == f"sha256:{hashlib.sha256(payload).hexdigest()}"
    for record in records:
        assert bool(record.get("WARC-Payload-Digest")) == (record.type in {"response", "revisit"})


def test_ip_address_in_its_short_form(records: list[Read]) -> None:
    for record in records:
        told = record.get("WARC-IP-Address")
        assert bool(told) == (record.type in {"request", "response", "revisit"})
        if told:
            assert str(ip_address(told)) == told


def test_target_is_a_bare_uri_and_never_on_warcinfo(records: list[Read]) -> None:
    for record in records:
        target = record.get("WARC-Target-URI")
        assert bool(target) == (record.type != "warcinfo")
        assert not re.search(r"[<>\s#]", target)
        assert record.type == "warcinfo" or urlsplit(target).scheme in {"https", "dns", "tls"}


def test_what_is_cut_off_says_so(records: list[Read]) -> None:
    told = {r.get("WARC-Target-URI"): r.get("WARC-Truncated") for r in records if r.get("WARC-Truncated")}
    assert told == {"https://a.example/cut": "disconnect", "https://a.example/again": "length"}


def test_every_other_record_names_the_warcinfo(records: list[Read]) -> None:
    first = records[0].get("WARC-Record-ID")
    assert {r.get("WARC-Warcinfo-ID") for r in records[1:]} == {first}
    assert not records[0].get("WARC-Warcinfo-ID")


def test_the_file_begins_with_a_warcinfo_that_names_it(path: Path, records: list[Read]) -> None:
    assert records[0].type == "warcinfo"
    assert records[0].get("WARC-Filename") == path.name
    assert b"software: test\r\n" in records[0].block


def test_the_block_is_the_message_as_received(records: list[Read]) -> None:
    responses = by_url(records, "response")
    assert {url: responses[url].block for url in WIRES} == {url: wire for url, (wire, _) in WIRES.items()}


def test_the_request_is_as_sent_and_comes_first(records: list[Read]) -> None:
    requests = by_url(records, "request")
    for url in WIRES:
        path = urlsplit(url).path
        assert requests[url].block == f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode()


def test_metadata_tells_of_the_capture(records: list[Read]) -> None:
    told = [r for r in records if r.type == "metadata" and r.get("WARC-Target-URI") == "https://a.example/chunked"]
    lines = told[0].block.decode().split("\r\n")
    assert "via: https://a.example/" in lines
    assert "hopsFromSeed: LL" in lines
    sha1 = base64.b32encode(hashlib.sha1(b"Wiki").digest()).decode()
    assert f"payload-digest: sha1:{sha1}" in lines
    unsent = by_url(records, "metadata")["https://a.example/unsent"].block.decode()
    assert "error: no such host\r\n" in unsent


def test_a_revisit_keeps_the_head_and_points_at_the_rest(records: list[Read]) -> None:
    revisit = by_url(records, "revisit")["https://a.example/again"]
    original = by_url(records, "response")["https://a.example/plain"]
    profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
    assert revisit.get("WARC-Profile") == profile
    assert revisit.get("WARC-Refers-To") == original.get("WARC-Record-ID")
    assert revisit.get("WARC-Refers-To-Target-URI") == original.get("WARC-Target-URI")
    assert revisit.get("WARC-Refers-To-Date") == original.get("WARC-Date")
    assert revisit.get("WARC-Payload-Digest") == original.get("WARC-Payload-Digest")
    assert revisit.block == original.block.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
    for record in records:
        told = {name for name, _ in record.fields if name.startswith("WARC-Refers-To-")}
        assert bool(told) == (record.type == "revisit")
        assert not record.get("WARC-Refers-To") or record.type in {"revisit", "metadata"}


def test_a_name_lookup_is_text_dns_of_rfc_4027(records: list[Read]) -> None:
    lookup = by_url(records, "resource")["dns:a.example"]
    stamp, *lines = lookup.block.decode().split("\r\n")
    assert re.fullmatch(r"\d{14}", stamp)
    assert lines == ["a.example. IN A 192.0.2.1", "a.example. IN AAAA 2001:db8::1", ""]


def test_the_chain_is_pem_leaf_first(records: list[Read]) -> None:
    pem = by_url(records, "resource")["tls://a.example/certificates"].block.decode()
    parts = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    assert [ssl.PEM_cert_to_DER_cert(part) for part in parts] == [b"leaf", b"issuer"]


def test_protocol_and_cipher_as_the_community_writes_them(records: list[Read]) -> None:
    """iipc/warc-specifications issues 42 and 86: repeated, not comma-joined; the IANA name of the suite."""
    for record in records:
        if record.type in {"request", "response", "revisit"}:
            assert [v for k, v in record.fields if k == "WARC-Protocol"] == ["http/1.1", "tls/1.3"]
            assert record.get("WARC-Cipher-Suite") == "TLS_AES_256_GCM_SHA384"


def test_one_gzip_member_a_record(path: Path, records: list[Read]) -> None:
    for record in records:
        assert record.raw.count(b"WARC/1.1\r\n") == 1
    assert subprocess.run(["gzip", "-t", path], check=False).returncode == 0


def test_outside_readers_find_the_same_records(path: Path, records: list[Read]) -> None:
    ids = [record.get("WARC-Record-ID") for record in records]
    with path.open("rb") as stream:
        assert [r.rec_headers.get_header("WARC-Record-ID") for r in ArchiveIterator(stream)] == ids
    with path.open("rb") as stream:
        found = [r.record_id for r in FastIterator(stream, record_types=WarcRecordType.any_type)]
    assert [f"<{identity.strip('<>')}>" for identity in found] == ids


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)


def test_fastwarc_check_passes(path: Path) -> None:
    done = run("fastwarc.cli", "check", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_warcio_check_objects_to_the_chunked_responses_and_to_nothing_else(path: Path, records: list[Read]) -> None:
    """Its issue 74: it hashes the chunk framing, where the standard says entity-body (WARC-Payload-Digest)."""
    done = run("warcio.cli", "check", "-v", path)
    flagged, identity = set(), ""
    for line in done.stdout.splitlines():
        if found := re.search(r"WARC-Record-ID (\S+)", line):
            identity = found[1]
        if "digest failed" in line:
            flagged.add(identity)
    responses = by_url(records, "response")
    assert flagged == {responses[f"https://a.example/{name}"].get("WARC-Record-ID") for name in ("chunked", "gzip")}
