"""The rogue gallery: a file for every way in which a WARC or WACZ can be wrong, and those that only look so.

Made with nothing but the standard library, so that no mistake of our writer can hide here. ``ROWS`` is the gallery:
what each file is called, the one rule that must name it (none for what is good), and what makes its bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATE = "2021-01-10T20:00:00Z"
PAGE = b"<html>" + b"tea and toast " * 60 + b"</html>"
CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PAGE[:100], PAGE[100:], b""))
PROFILE = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"


def sha1(data: bytes) -> str:
    return f"sha1:{base64.b32encode(hashlib.sha1(data).digest()).decode()}"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def identity(number: int) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, str(number))}>"


def http(body: bytes = PAGE, *headers: str, status: str = "HTTP/1.1 200 OK", sized: bool = True) -> bytes:
    lines = [status, "Content-Type: text/html", *headers, *([f"Content-Length: {len(body)}"] if sized else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Rec:
    """A record to be; ``of`` returns one with other headers (None: without it) or another block."""

    type: str
    number: int
    block: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    version: str = "WARC/1.1"

    def of(self, block: bytes | None = None, **headers: str | None) -> Rec:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, block=self.block if block is None else block, headers={**self.headers, **told})

    def bytes(self) -> bytes:
        told = {
            "WARC-Type": self.type, "WARC-Record-ID": identity(self.number), "WARC-Date": DATE,
            "Content-Length": str(len(self.block)), "WARC-Block-Digest": sha256(self.block), **self.headers,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value is not None)
        return f"{self.version}\r\n{lines}\r\n".encode() + self.block + b"\r\n\r\n"


def response(number: int, block: bytes, payload: bytes, **headers: str | None) -> Rec:
    told = {
        "WARC-Target-URI": f"https://a.example/{number}", "Content-Type": "application/http;msgtype=response",
        "WARC-Payload-Digest": sha256(payload), "WARC-Concurrent-To": identity(number - 1),
    }  # fmt: skip
    return Rec("response", number, block, told).of(**headers)


def request(number: int, method: str = "GET") -> Rec:
    told = {
        "WARC-Target-URI": f"https://a.example/{number + 1}",
        "Content-Type": "application/http;msgtype=request",
        "WARC-IP-Address": "192.0.2.1",
    }
    return Rec("request", number, f"{method} /{number + 1} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode(), told)


INFO = Rec("warcinfo", 0, b"software: rogues\r\n", {"Content-Type": "application/warc-fields"})
ASKED, ANSWERED = request(1), response(2, http(), PAGE)
IN_CHUNKS = response(4, http(CHUNKED, "Transfer-Encoding: chunked", sized=False), PAGE)
ZIPPED = zlib.compress(PAGE, 6, 31)
IN_GZIP = response(6, http(ZIPPED, "Content-Encoding: gzip"), ZIPPED)
REVISIT = response(
    8, http(b"", f"Content-Length: {len(PAGE)}", sized=False), PAGE, WARC_Type="revisit", WARC_Profile=PROFILE,
    WARC_Refers_To=identity(2), WARC_Refers_To_Target_URI="https://a.example/2", WARC_Refers_To_Date=DATE,
    WARC_Truncated="length",
)  # fmt: skip
CUT = response(10, http()[:-50], PAGE[:-50], WARC_Truncated="disconnect")
TOLD = Rec(
    "metadata", 11, b"via: https://a.example/\r\n",
    {"Content-Type": "application/warc-fields", "WARC-Target-URI": "https://a.example/2",
     "WARC-Concurrent-To": identity(2)},
)  # fmt: skip
NAMED = Rec(
    "resource", 12, b"20210110200000\r\na.example. IN A 192.0.2.1\r\n",
    {"Content-Type": "text/dns", "WARC-Target-URI": "dns:a.example"},
)  # fmt: skip
#: What every checker should pass, and does; what some of them wrongly refuse stands apart.
GOOD = [INFO, ASKED, ANSWERED, request(5), IN_GZIP, request(9), CUT, TOLD, NAMED]
WITH_CHUNKS, WITH_REVISIT = [*GOOD, request(3), IN_CHUNKS], [*GOOD, request(7), REVISIT]


def gz(*records: bytes) -> bytes:
    return b"".join(zlib.compress(record, 6, 31) for record in records)


def packed(*records: Rec) -> bytes:
    return gz(*(record.bytes() for record in records))


def plain(*records: Rec) -> bytes:
    return b"".join(record.bytes() for record in records)


def good_but(number: int, *others: Rec, pack: Callable[..., bytes] = packed) -> bytes:
    """Return the good file with a record in place of that with the number."""
    base = {4: WITH_CHUNKS, 8: WITH_REVISIT}.get(number, GOOD)
    place = next(at for at, record in enumerate(base) if record.number == number)
    return pack(*base[:place], *others, *base[place + 1 :])


def raw_but(number: int, change: Callable[[bytes], bytes], *, packs: bool = True) -> bytes:
    """Return the good file with the bytes of a record changed before it is packed."""
    records = [change(one.bytes()) if one.number == number else one.bytes() for one in GOOD]
    return gz(*records) if packs else b"".join(records)


def answer(block: bytes, payload: bytes, **headers: str | None) -> bytes:
    return good_but(2, response(2, block, payload, **headers))


def hole(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def in_frames(*records: Rec, dictionary: bytes = b"") -> bytes:
    """Return a .warc.zst; with a dictionary in its first frame, as wget-at writes it."""
    known = zstd.ZstdDict(dictionary) if dictionary else None
    first = b"\x5d\x2a\x4d\x18" + len(dictionary).to_bytes(4, "little") + dictionary if dictionary else b""
    return first + b"".join(zstd.compress(one.bytes(), zstd_dict=known) for one in records)


def a_dictionary() -> bytes:
    samples = [f"{number} {one.bytes()!r}".encode() for number in range(40) for one in GOOD]
    return bytes(zstd.train_dict(samples, 4096).dict_content)


def old(record: Rec) -> Rec:
    """Return a record as of WARC/1.0, which wrote URIs in angle brackets."""
    target = record.headers.get("WARC-Target-URI")
    changed = record.of(WARC_Target_URI=f"<{target}>") if target else record
    return replace(changed, version="WARC/1.0")


# WACZ


@dataclass
class Wacz:
    """A WACZ to be; each part can be replaced before it is laid down."""

    warc: bytes = field(default_factory=lambda: packed(*GOOD))
    name: str = "archive/data.warc.gz"
    index: bytes | None = None
    pages: bytes | None = None
    #: Further members; names that are left out; names whose hash or length is told wrongly; names that are deflated.
    extra: dict[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    lies: dict[str, dict[str, Any]] = field(default_factory=dict)
    deflated: tuple[str, ...] = ()
    package: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None

    def members(self) -> dict[str, bytes]:
        pages = [{"format": "json-pages-1.0", "id": "pages", "title": "All"}]
        pages.append({"id": "1", "url": "https://a.example/2", "ts": DATE})
        made = {
            self.name: self.warc,
            "indexes/index.cdx": index(self.warc) if self.index is None else self.index,
            "pages/pages.jsonl": b"".join(json.dumps(page).encode() + b"\n" for page in pages)
            if self.pages is None
            else self.pages,
            **self.extra,
        }
        return {name: data for name, data in made.items() if name not in self.without}

    def bytes(self) -> bytes:
        made = self.members()
        resources = [
            {"name": name.rpartition("/")[2], "path": name, "hash": sha256(data), "bytes": len(data)}
            | self.lies.get(name, {})
            for name, data in made.items()
            if name not in self.unlisted
        ]
        package = {"profile": "data-package", "wacz_version": "1.1.1", "resources": resources, **self.package}
        made["datapackage.json"] = json.dumps(package).encode()
        due = self.digest or sha256(made["datapackage.json"])
        made["datapackage-digest.json"] = json.dumps({"path": "datapackage.json", "hash": due}).encode()
        out = BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name, data in made.items():
                if name not in self.without:
                    packing = zipfile.ZIP_DEFLATED if name in self.deflated else zipfile.ZIP_STORED
                    file.writestr(zipfile.ZipInfo(name), data, packing)
        return out.getvalue()


def index(warc: bytes) -> bytes:
    """Return the CDXJ of a gzipped WARC."""
    lines, offset = [], 0
    while offset < len(warc):
        stream = zlib.decompressobj(31)
        record = stream.decompress(warc[offset:])
        length = len(warc) - offset - len(stream.unused_data)
        told = dict(re.findall(r"([\w-]+): (.*)\r", record.partition(b"\r\n\r\n")[0].decode() + "\r"))
        if told["WARC-Type"] in {"response", "revisit", "resource"}:
            facts = {
                "url": told["WARC-Target-URI"], "digest": told.get("WARC-Payload-Digest", told["WARC-Block-Digest"]),
                "mime": "text/html", "status": "200", "offset": str(offset), "length": str(length),
                "filename": "data.warc.gz",
            }  # fmt: skip
            key = told["WARC-Target-URI"].replace("https://a.example/", "example,a)/")
            lines.append(f"{key} 20210110200000 {json.dumps(facts)}\n".encode())
        offset += length
    return b"".join(sorted(lines))


def index_but(old_text: bytes, new_text: bytes) -> bytes:
    found, count = re.subn(old_text, new_text, index(packed(*GOOD)), count=1)
    assert count
    return found


@dataclass(frozen=True)
class Row:
    """A file of the gallery. ``rule``: what names its fault, empty for what is good."""

    name: str
    rule: str
    make: Callable[[], bytes]
    suffix: str = ".warc.gz"
    #: What else is wrong with it of necessity.
    also: frozenset[str] = frozenset()


def _row(name: str, rule: str, make: Callable[[], bytes], suffix: str = ".warc.gz", also: str = "") -> Row:
    return Row(name, rule, make, suffix, frozenset(also.split()))


def _wacz(name: str, rule: str, also: str = "", **parts: Any) -> Row:
    return _row(name, rule, lambda: Wacz(**parts).bytes(), ".wacz", also)


BROTLI = brotli.compress(PAGE)
_RAW = zlib.compressobj(6, zlib.DEFLATED, -15)
RAW = _RAW.compress(PAGE) + _RAW.flush()
HEAD = response(2, http(b"", "Content-Length: 99999", sized=False), b"")
# fmt: off
ROWS = [
    # Good, however it may look
    _row("good", "", lambda: packed(*GOOD)),
    _row("good, plain", "", lambda: plain(*GOOD), ".warc"),
    _row("good, chunked", "", lambda: packed(*WITH_CHUNKS)),
    _row("good, a revisit", "", lambda: packed(*WITH_REVISIT)),
    _row("good, zstd", "", lambda: in_frames(*GOOD), ".warc.zst"),
    _row("good, zstd with a dictionary", "", lambda: in_frames(*GOOD, dictionary=a_dictionary()), ".warc.zst"),
    _row("good, sha1 in base32", "", lambda: good_but(2, ANSWERED.of(WARC_Block_Digest=sha1(ANSWERED.block), WARC_Payload_Digest=sha1(PAGE)))),
    _row("good, sha256 in base32", "", lambda: good_but(2, ANSWERED.of(WARC_Payload_Digest="sha256:" + base64.b32encode(hashlib.sha256(PAGE).digest()).decode().rstrip("=")))),
    _row("good, the response before its request", "", lambda: packed(INFO, ANSWERED.of(WARC_Concurrent_To=None), ASKED.of(WARC_Concurrent_To=identity(2)))),
    _row("good, an answer to HEAD", "", lambda: packed(INFO, request(1, "HEAD"), HEAD)),
    _row("good, not modified", "", lambda: packed(*GOOD, request(13), response(14, http(b"", status="HTTP/1.1 304 Not Modified"), b"", WARC_Type="revisit", WARC_Profile=NOT_MODIFIED, WARC_Payload_Digest=None, WARC_Refers_To=identity(2), WARC_Refers_To_Target_URI="https://a.example/2", WARC_Refers_To_Date=DATE))),
    _row("good, brotli", "", lambda: answer(http(BROTLI, "Content-Encoding: br"), BROTLI)),
    _row("good, zstd content", "", lambda: answer(http(zstd.compress(PAGE), "Content-Encoding: zstd"), zstd.compress(PAGE))),
    _row("good, raw deflate content", "", lambda: answer(http(RAW, "Content-Encoding: deflate"), RAW)),
    _row("good, a part of a gzipped body", "", lambda: answer(http(ZIPPED[9:40], "Content-Encoding: gzip", status="HTTP/1.1 206 Partial Content"), ZIPPED[9:40])),
    _row("good, until the connection closes", "", lambda: answer(http(sized=False), PAGE)),
    _wacz("good", ""),
    _wacz("good, a gzipped index", "", index=b"", without=("indexes/index.cdx",), extra={"indexes/index.cdx.gz": zlib.compress(index(packed(*GOOD)), 6, 31)}),
    _wacz("good, a deflated page list", "", deflated=("pages/pages.jsonl",)),
    # What the standard permits and a reader may regret
    _row("unknown record type", "W009-unknown-type", lambda: packed(*GOOD, Rec("wish", 20, b"tea", {"Content-Type": "text/plain"}))),
    _row("WARC/1.0 URIs in <>", "W038-bracketed-target", lambda: packed(*map(old, GOOD[:7]))),
    _row("padded base32", "W037-padded-digest", lambda: good_but(2, ANSWERED.of(WARC_Payload_Digest="sha256:" + base64.b32encode(hashlib.sha256(PAGE).digest()).decode()))),
    _row("no digests at all", "W012-no-digest", lambda: packed(*(one.of(WARC_Block_Digest=None, WARC_Payload_Digest=None) for one in GOOD[:7]))),
    _row("a digest nobody here can make", "W040-digest-algorithm", lambda: good_but(2, ANSWERED.of(WARC_Block_Digest="blake3:" + "0" * 64))),
    _row("no warcinfo first", "W016-warcinfo-first", lambda: packed(*GOOD[1:])),
    _row("WARC-Filename of another file", "W017-filename", lambda: good_but(0, INFO.of(WARC_Filename="other.warc.gz"))),
    _row("a response without its request", "W018-no-request", lambda: packed(INFO, ANSWERED.of(WARC_Concurrent_To=None))),
    _row("a revisit that names no date", "W021-revisit-refers", lambda: good_but(8, REVISIT.of(WARC_Refers_To_Date=None))),
    _row("a revisit not marked as cut", "W024-revisit-truncated", lambda: good_but(8, REVISIT.of(WARC_Truncated=None))),
    _row("HTTP/2 200 status line", "W025-http-version", lambda: answer(http(status="HTTP/2 200"), PAGE)),
    _row("folded header", "W030-folded", lambda: raw_but(2, lambda one: one.replace(b"WARC-Date: ", b"X-Tea: one\r\n two\r\nWARC-Date: "))),
    _row("unknown version", "W039-version", lambda: good_but(12, replace(NAMED, version="WARC/2.0"))),
    _row("no Content-Type", "W041-content-type", lambda: good_but(12, NAMED.of(Content_Type=None))),
    _row("a URI with raw letters", "W042-raw-uri", lambda: good_but(12, NAMED.of(WARC_Target_URI="https://a.example/é"))),
    _row("a revisit to another file", "W022-revisit-dangling", lambda: good_but(8, REVISIT.of(WARC_Refers_To=identity(99), WARC_Refers_To_Target_URI="https://b.example/"))),
    _wacz("no datapackage-digest.json", "Z008-no-digest", without=("datapackage-digest.json",)),
    _wacz("a page that was not captured", "Z015-page-lost", pages=b'{"format":"json-pages-1.0","id":"pages"}\n{"url":"https://a.example/lost","ts":"2021-01-10T20:00:00Z"}\n'),
    _wacz("a response not indexed", "Z019-not-indexed", index=b"".join(index(packed(*GOOD)).splitlines(keepends=True)[:-1])),
    _wacz("a version nobody knows", "Z021-profile", package={"wacz_version": "9"}),
    # Digests
    _row("wrong payload digest", "W011-payload-digest", lambda: good_but(2, ANSWERED.of(WARC_Payload_Digest=sha256(b"coffee"))), also="W023-revisit-payload"),
    _row("wrong block digest", "W010-block-digest", lambda: good_but(2, ANSWERED.of(WARC_Block_Digest=sha256(b"coffee")))),
    _row("bit flip in a body", "W010-block-digest", lambda: flipped(plain(*GOOD), plain(*GOOD).find(b"toast")), ".warc", also="W011-payload-digest"),
    _row("digest over the chunk framing", "W035-framing-digest", lambda: good_but(4, IN_CHUNKS.of(WARC_Payload_Digest=sha256(CHUNKED)))),
    _row("revisit of another payload", "W023-revisit-payload", lambda: good_but(8, REVISIT.of(WARC_Payload_Digest=sha256(b"coffee")))),
    # Whole files
    _row("cut in a record", "W001-torn", lambda: packed(*GOOD)[:-40]),
    _row("cut in a record, plain", "W001-torn", lambda: plain(*GOOD)[:-60], ".warc"),
    _row("cut in a record, zstd", "W001-torn", lambda: in_frames(*GOOD)[:-9], ".warc.zst"),
    _row("bit flip in a member", "W001-torn", lambda: flipped(packed(*GOOD), len(packed(*GOOD[:3])) - 60), also="W018-no-request W019-concurrent W022-revisit-dangling W016-warcinfo-first W032-garbage"),
    _row("trailing garbage", "W032-garbage", lambda: packed(*GOOD) + b"tea and toast"),
    _row("NUL tail", "W032-garbage", lambda: packed(*GOOD) + bytes(4096)),
    _row("NUL tail, plain", "W032-garbage", lambda: plain(*GOOD) + bytes(4096), ".warc"),
    _row("zero hole in the middle", "W001-torn", lambda: hole(packed(*GOOD)), also="W018-no-request W019-concurrent W032-garbage"),
    _row("whole file one gzip member", "W028-member", lambda: gz(plain(*GOOD))),
    _row("empty file", "W031-empty", lambda: b""),
    # Lengths and ends
    _row("Content-Length too big", "W027-length", lambda: good_but(2, ANSWERED.of(Content_Length=str(len(ANSWERED.block) + 200))), also="W010-block-digest W026-http-surplus"),
    _row("Content-Length too big, plain", "W027-length", lambda: good_but(2, ANSWERED.of(Content_Length=str(len(ANSWERED.block) + 200)), pack=plain), ".warc", also="W022-revisit-dangling W018-no-request W019-concurrent"),
    _row("Content-Length too small", "W027-length", lambda: good_but(2, ANSWERED.of(Content_Length=str(len(ANSWERED.block) - 5))), also="W010-block-digest W011-payload-digest W013-http-short"),
    _row("Content-Length too small, plain", "W027-length", lambda: good_but(2, ANSWERED.of(Content_Length=str(len(ANSWERED.block) - 5)), pack=plain), ".warc", also="W022-revisit-dangling W019-concurrent"),
    _row("no Content-Length", "W027-length", lambda: good_but(12, NAMED.of(Content_Length=None))),
    _row("no line ends after a record", "W003-tail", lambda: raw_but(2, lambda one: one[:-4])),
    _row("no line ends after a record, plain", "W003-tail", lambda: raw_but(2, lambda one: one[:-4], packs=False), ".warc"),
    # Headers
    _row("no WARC-Record-ID", "W004-mandatory", lambda: good_but(12, NAMED.of(WARC_Record_ID=None))),
    _row("no WARC-Date", "W004-mandatory", lambda: good_but(12, NAMED.of(WARC_Date=None))),
    _row("no WARC-Type", "W004-mandatory", lambda: good_but(12, NAMED.of(WARC_Type=None))),
    _row("malformed WARC-Date", "W005-date", lambda: good_but(12, NAMED.of(WARC_Date="10 Jan 2021"))),
    _row("a date that never was", "W005-date", lambda: good_but(12, NAMED.of(WARC_Date="2021-02-31T00:00:00Z"))),
    _row("duplicate WARC-Record-ID", "W006-duplicate-id", lambda: good_but(12, replace(NAMED, number=11))),
    _row("a record id that is no URI", "W007-record-id", lambda: good_but(12, NAMED.of(WARC_Record_ID="12"))),
    _row("repeated WARC-Date", "W008-repeated", lambda: raw_but(2, lambda one: one.replace(b"WARC-Date: ", b"WARC-Date: 2021-01-10T20:00:00Z\r\nWARC-Date: "))),
    _row("header without colon", "W002-header-syntax", lambda: raw_but(2, lambda one: one.replace(b"\r\nWARC-Date", b"\r\nnonsense\r\nWARC-Date"))),
    _row("no WARC-Target-URI on a response", "W015-target", lambda: good_but(2, ANSWERED.of(WARC_Target_URI=None))),
    _row("space in the target URI", "W015-target", lambda: good_but(12, NAMED.of(WARC_Target_URI="https://a.example/ 1"))),
    _row("WARC/1.1 URI in <>", "W015-target", lambda: good_but(12, NAMED.of(WARC_Target_URI="<dns:a.example>"))),
    _row("LF line ends in the header", "W029-bare-lf", lambda: raw_but(2, lambda one: one.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"\n") + b"\n\n" + one.partition(b"\r\n\r\n")[2])),
    _row("forbidden field on warcinfo", "W036-misplaced", lambda: good_but(0, INFO.of(WARC_Target_URI="https://a.example/"))),
    _row("WARC-Concurrent-To nowhere", "W019-concurrent", lambda: good_but(11, TOLD.of(WARC_Concurrent_To=identity(99)))),
    _row("revisit without WARC-Profile", "W020-revisit-profile", lambda: good_but(8, REVISIT.of(WARC_Profile=None))),
    # HTTP
    _row("Transfer-Encoding kept, body dechunked", "W033-transfer-coding", lambda: answer(http(PAGE, "Transfer-Encoding: chunked", sized=False), PAGE, WARC_Payload_Digest=None)),
    _row("Transfer-Encoding kept over five bytes", "W033-transfer-coding", lambda: answer(http(b"hello", "Transfer-Encoding: chunked", sized=False), b"", WARC_Payload_Digest=None)),
    _row("Content-Encoding kept, body decoded", "W034-content-coding", lambda: answer(http(PAGE, "Content-Encoding: gzip"), PAGE)),
    _row("Content-Encoding kept, half of the stream", "W034-content-coding", lambda: answer(http(ZIPPED[:-20], "Content-Encoding: gzip"), ZIPPED[:-20])),
    _row("brotli kept, body decoded", "W034-content-coding", lambda: answer(http(PAGE, "Content-Encoding: br"), PAGE)),
    _row("HTTP Content-Length 99999, five bytes, not marked", "W013-http-short", lambda: answer(http(b"hello", "Content-Length: 99999", sized=False), b"hello")),
    _row("bytes after the end of the HTTP message", "W026-http-surplus", lambda: answer(http(PAGE, "Content-Length: 5", sized=False), PAGE[:5])),
    _row("no HTTP message", "W014-http-head", lambda: answer(PAGE, PAGE, WARC_Payload_Digest=None)),
    # WACZ
    _row("no ZIP", "Z001-zip", lambda: packed(*GOOD), ".wacz"),
    _row("truncated ZIP", "Z001-zip", lambda: Wacz().bytes()[:-200], ".wacz"),
    _row("a damaged member", "Z002-member", lambda: flipped(Wacz().bytes(), Wacz().bytes().find(b"json-pages")), ".wacz", also="Z014-pages"),
    _wacz("no datapackage.json", "Z003-datapackage", without=("datapackage.json",)),
    _wacz("a named file is not there", "Z004-missing", package={"resources": [{"path": "archive/gone.warc.gz", "hash": "sha256:0", "bytes": 1}]}, also="Z005-unlisted"),
    _wacz("a file that is not named", "Z005-unlisted", unlisted=("pages/pages.jsonl",)),
    _wacz("wrong hash", "Z006-hash", lies={"archive/data.warc.gz": {"hash": sha256(b"coffee")}}),
    _wacz("wrong length", "Z007-bytes", lies={"pages/pages.jsonl": {"bytes": 1}}),
    _wacz("datapackage changed since its digest", "Z009-digest", digest=sha256(b"coffee")),
    _wacz("no WARC", "Z010-no-warc", without=("archive/data.warc.gz",), index=b"", also="Z015-page-lost"),
    _wacz("no index", "Z011-no-index", without=("indexes/index.cdx",), also="Z019-not-indexed"),
    _wacz("no pages.jsonl", "Z012-no-pages", without=("pages/pages.jsonl",)),
    _wacz("deflated WARC", "Z013-deflated", deflated=("archive/data.warc.gz",)),
    _wacz("page list without a header", "Z014-pages", pages=b'{"url":"https://a.example/2","ts":"2021-01-10T20:00:00Z"}\n'),
    _wacz("page without ts", "Z014-pages", pages=b'{"format":"json-pages-1.0","id":"pages"}\n{"url":"https://a.example/2"}\n'),
    _wacz("index of garbage", "Z016-index-line", index=b"tea and toast\n", also="Z019-not-indexed"),
    _wacz("index out of order", "Z017-index-order", index=b"".join(reversed(index(packed(*GOOD)).splitlines(keepends=True)))),
    _wacz("wrong offsets", "Z018-index-lies", index=index_but(rb'"offset": "(\d)', rb'"offset": "9\1'), also="Z019-not-indexed"),
    _wacz("an index of another URL", "Z018-index-lies", index=index_but(b'"url": "https://a.example/2"', b'"url": "https://a.example/3"')),
    _wacz("an index of another digest", "Z018-index-lies", index=index_but(rb'"digest": "sha256:...', b'"digest": "sha256:000')),
    _wacz("a stranger in archive/", "Z020-layout", extra={"archive/notes.txt": b"tea"}),
    _wacz("a path out of the archive", "Z020-layout", extra={"../../etc/tea": b"tea"}),
    _wacz("a WARC cut in a record", "W001-torn", warc=packed(*GOOD)[:-40], index=index(packed(*GOOD[:-1]))),
    _wacz("a WARC whose body is decoded", "W034-content-coding", warc=answer(http(PAGE, "Content-Encoding: gzip"), PAGE)),
]
# fmt: on
