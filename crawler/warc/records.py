"""The records of a capture (WARC/1.1, ISO 28500:2017): what their headers say and which bytes are their block.

Pure: nothing is written here. One capture is a *group*: request, response or revisit, metadata; all carry one
WARC-Date, and the later ones name the request in WARC-Concurrent-To. The request also carries the work
(``Outlast-Fetch``), because recovery needs it as soon as the response is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from isal import isal_zlib

from crawler.model import EMPTY_BODY, Body, Capture, Digests, Fetch, Leased, Lookup, Original, Settlement, Tls
from crawler.url import canonical
from crawler.warc.profiles import IDENTICAL, NOT_MODIFIED

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Header of a request record that holds the work, as one line of ASCII JSON.
WORK = "Outlast-Fetch"
#: Header of what salvaging adds to a file: the name of the damaged one.
SALVAGED = "Outlast-Salvaged"
#: Header of a record that stands for one that was taken down: the number of the takedown. And of one whose bytes were
#: moved from a place that may not be shown: the id that it had there.
WITHHELD, MOVED = "Outlast-Withheld", "Outlast-Moved"
REWRITTEN = "Outlast-Rewritten"
WARC_FIELDS = "application/warc-fields"
#: The work in a request's header may be this long; a reader bounds what it takes for headers.
MAX_WORK = 1 << 18
#: The fields of a fetch, and what they are where nobody says otherwise.
_FIELDS = tuple(Fetch.__dataclass_fields__)
_values = attrgetter(*_FIELDS)
_FETCH = msgspec.json.Decoder(Fetch)
_USUAL = _values(Fetch(url="", lane=""))


class _Attempt(msgspec.Struct):
    attempt: int = 0


_ATTEMPT = msgspec.json.Decoder(_Attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record before it is written: ``block`` is ``head`` followed by ``body``."""

    type: str
    id: str
    headers: tuple[tuple[str, str], ...]
    head: bytes = b""
    body: Body = EMPTY_BODY

    @property
    def length(self) -> int:
        """Bytes of the block."""
        return len(self.head) + self.body.size

    def open(self) -> BinaryIO:
        """Return the block as a new stream; the caller closes it."""
        if self.body.path is None:
            return BytesIO(self.head + self.body.data)
        return _Joined(self.head, self.body.open())


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The first records of a capture's group."""

    request: Record
    #: A response, a revisit, or the bytes of an answer that is not HTTP; None where no answer came.
    response: Record | None
    date: str

    @property
    def records(self) -> tuple[Record, ...]:
        """The records in the order in which they are written."""
        return (self.request,) if self.response is None else (self.request, self.response)


def warcinfo(filename: str, fields: dict[str, str]) -> Record:
    """Return the record that begins a segment (section 6.2)."""
    block = _warc_fields(fields.items())
    return _record("warcinfo", warc_date(datetime.now(UTC)), [("WARC-Filename", filename)], WARC_FIELDS, block)


def salvaged(kind: str, name: str, source: str, losses: Iterable[str]) -> Record:
    """Return the warcinfo that begins a salvaged file, or the metadata that ends it and names what was lost."""
    headers = [(SALVAGED, source), *([("WARC-Filename", name)] if kind == "warcinfo" else [])]
    fields = [("description", f"the whole records of {source}, which was damaged"), *(("lost", one) for one in losses)]
    return _record(kind, warc_date(datetime.now(UTC)), headers, WARC_FIELDS, _warc_fields(fields))


def rewritten(name: str, source: str) -> Record:
    """Return the warcinfo that begins a segment from which something was taken down."""
    fields = [("description", f"the records of {source} but for what was taken down")]
    return _record(
        "warcinfo", warc_date(datetime.now(UTC)), [(REWRITTEN, source), ("WARC-Filename", name)], WARC_FIELDS,
        _warc_fields(fields),
    )  # fmt: skip


def tombstone(identity: str, number: int, at: str, by: str, reason: str) -> Record:
    """Return what stands in the place of a record that was taken down: by whom and why, and nothing of what it held."""
    fields = [("takedown", str(number or "")), ("taken-down", at), ("by", by), ("reason", reason)]
    headers = [("WARC-Refers-To", identity), (WITHHELD, str(number))]
    return _record("metadata", warc_date(datetime.now(UTC)), headers, WARC_FIELDS, _warc_fields(fields))


def packed(record: Record) -> bytes:
    """Return a record of ours as a gzip member."""
    return bytes(isal_zlib.compress(spelled(record), 2, 31))


def spelled(record: Record) -> bytes:
    """Return a record of ours, which has no body, as it stands in a file."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in record.headers)
    return b"WARC/1.1\r\n" + lines.encode("utf-8", "surrogateescape") + b"\r\n" + record.head + b"\r\n\r\n"


def exchange(capture: Capture, *, warcinfo_id: str, work: Leased, original: Original | None) -> Exchange:
    """Return request and response, or request and revisit where ``original`` already has this payload.

    Raises ValueError where the work is too long for a header.
    """
    date = warc_date(capture.started)
    request = _request(capture, date, warcinfo_id, work)
    if not capture.head:
        odd = _odd(capture, date, warcinfo_id, request.id) if capture.body.size else None
        return Exchange(request=request, response=odd, date=date)
    common = [
        _target(capture), ("WARC-Concurrent-To", request.id), ("WARC-Warcinfo-ID", warcinfo_id),
        *_connection(capture),
    ]  # fmt: skip
    answer = _response(capture, date, common) if original is None else _revisit(capture, date, common, original)
    return Exchange(request=request, response=answer, date=date)


def metadata(made: Exchange | None, capture: Capture, leased: Leased, told: Settlement, *, warcinfo_id: str) -> Record:
    """Return what is to be known of a capture besides its bytes: its story, its outlinks, its SHA-1 digests.

    ``made`` is None where nothing was sent, or nothing may be kept: then this is all there is, and carries the work.
    """
    fetch = leased.fetch
    taken = int((capture.ended - capture.started).total_seconds() * 1000)
    fields: list[tuple[str, str]] = [
        ("via", fetch.via or ""),
        ("hopsFromSeed", "L" * fetch.depth),
        ("fetchTimeMs", str(taken)),
        ("outcome", capture.outcome.value),
        ("error", capture.error),
        ("address", "the last one known; the name does not resolve" if capture.is_stale else ""),
        ("settled", told.state.value),
        ("reason", told.reason),
    ]
    if capture.digests is not None:
        fields.append(("payload-digest", f"sha1:{capture.digests.payload_sha1}"))
    fields.append(("interim", base64.b64encode(capture.interim).decode()))
    fields += [("outlink", f"{'%20'.join(link.url.split())} L {fetch_json(link)}") for link in told.outlinks]
    headers = [_target(capture), ("WARC-Warcinfo-ID", warcinfo_id)]
    if made is None:
        headers.append((WORK, _work(leased)))
    else:
        headers.append(("WARC-Concurrent-To", made.request.id))
        if made.response is not None:
            headers.append(("WARC-Refers-To", made.response.id))
    return _record("metadata", warc_date(capture.started), headers, WARC_FIELDS, _warc_fields(fields))


def dns(lookup: Lookup, *, warcinfo_id: str) -> Record:
    """Return the evidence of one name lookup (RFC 4501 target, RFC 4027 type)."""
    stamp = lookup.when.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    lines = [stamp, *(f"{lookup.host}. IN {'AAAA' if ':' in a else 'A'} {a}" for a in lookup.addresses)]
    headers = [("WARC-Target-URI", f"dns:{lookup.host}"), ("WARC-Warcinfo-ID", warcinfo_id)]
    return _record("resource", warc_date(lookup.when), headers, "text/dns", "".join(f"{x}\r\n" for x in lines).encode())


def certificates(host: str, tls: Tls, *, warcinfo_id: str) -> Record:
    """Return a host's certificate chain as PEM, leaf first."""
    pem = "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in tls.chain)
    headers = [("WARC-Target-URI", f"tls://{host}/certificates"), ("WARC-Warcinfo-ID", warcinfo_id)]
    return _record("resource", warc_date(datetime.now(UTC)), headers, "application/x-pem-file", pem.encode())


def fetch_json(fetch: Fetch) -> str:
    """Return a fetch as one line of ASCII JSON, without what is as by default."""
    return _ascii_json(_facts(fetch))


def leased_from(text: str) -> Leased:
    """Return the work that a request record carries; id and token are of no meaning any more.

    Raises ValueError where it cannot be read.
    """
    with suppress(ValueError):
        return Leased(id=0, token=0, attempt=_ATTEMPT.decode(text).attempt, fetch=_FETCH.decode(text))
    facts = json.loads(text)  # takes whatever a hostile page can bring into a cursor
    if not isinstance(facts, dict):
        raise ValueError("the work of a record is no object")  # noqa: TRY004 - of a file, not of a caller
    attempt = facts.pop("attempt", 0)
    facts.pop("fingerprint", None)
    return Leased(id=0, token=0, attempt=attempt, fetch=msgspec.convert(facts, Fetch))


def fetch_from(text: str) -> Fetch:
    """Return the fetch of an ``outlink`` line."""
    return msgspec.convert(json.loads(text), Fetch)


def warc_date(when: datetime) -> str:
    """Return a WARC-Date with microseconds (section 5.4)."""
    return f"{when.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def _request(capture: Capture, date: str, warcinfo_id: str, work: Leased) -> Record:
    headers = [
        _target(capture), ("WARC-Warcinfo-ID", warcinfo_id), (WORK, _work(work)), *_connection(capture),
    ]  # fmt: skip
    return _record("request", date, headers, "application/http;msgtype=request", capture.request)


def _target(capture: Capture) -> tuple[str, str]:
    """The URL escaped as it was asked for: a space in it would be no URI."""
    return ("WARC-Target-URI", canonical(capture.url))


def _work(leased: Leased) -> str:
    facts = {"fingerprint": leased.fetch.fingerprint.hex(), "attempt": leased.attempt}
    text = _ascii_json({**facts, **_facts(leased.fetch)})
    if len(text) > MAX_WORK:
        raise ValueError(f"the work of this fetch takes {len(text)} bytes; at most {MAX_WORK} can be recorded")
    return text


def _response(capture: Capture, date: str, common: list[tuple[str, str]]) -> Record:
    headers = [*common, *_payload(capture.digests)]
    if capture.truncated:
        headers.append(("WARC-Truncated", capture.truncated))
    block = f"sha256:{capture.digests.block_sha256}" if capture.digests else ""
    return _record("response", date, headers, "application/http;msgtype=response", capture.head, capture.body, block)


def _odd(capture: Capture, date: str, warcinfo_id: str, request_id: str) -> Record:
    """Keep the bytes of an answer that is not HTTP: evidence, but nothing a replay tool may take for a page."""
    headers = [
        _target(capture),
        ("WARC-Concurrent-To", request_id),
        ("WARC-Warcinfo-ID", warcinfo_id),
    ]
    if capture.truncated:
        headers.append(("WARC-Truncated", capture.truncated))
    return _record("metadata", date, headers, "application/octet-stream", b"", capture.body)


def _revisit(capture: Capture, date: str, common: list[tuple[str, str]], original: Original) -> Record:
    """Return what stands for an answer whose payload is held: the same bytes came, or a 304 (section 6.7)."""
    is_same = capture.status == 304
    headers = [
        *common,
        *([("WARC-Payload-Digest", original.payload)] if is_same else _payload(capture.digests)),
        ("WARC-Profile", NOT_MODIFIED if is_same else IDENTICAL),
        ("WARC-Refers-To", original.record_id),
        ("WARC-Refers-To-Target-URI", canonical(original.url)),
        ("WARC-Refers-To-Date", original.date),
        *([] if is_same else [("WARC-Truncated", "length")]),
    ]
    return _record("revisit", date, headers, "application/http;msgtype=response", capture.head)


def _payload(digests: Digests | None) -> list[tuple[str, str]]:
    return [("WARC-Payload-Digest", f"sha256:{digests.payload_sha256}")] if digests else []


def _connection(capture: Capture) -> list[tuple[str, str]]:
    """Return who answered, and over what (the proposed WARC-Protocol and WARC-Cipher-Suite)."""
    told = [("WARC-IP-Address", capture.ip)] if capture.ip else []
    told.append(("WARC-Protocol", "http/1.1"))
    if capture.tls is not None:
        told.append(("WARC-Protocol", capture.tls.version.lower().replace("v", "/")))
        told.append(("WARC-Cipher-Suite", capture.tls.cipher))
    return told


def _record(
    kind: str,
    date: str,
    headers: Iterable[tuple[str, str]],
    content_type: str,
    head: bytes,
    body: Body = EMPTY_BODY,
    digest: str = "",
) -> Record:
    identity = f"<urn:uuid:{uuid.uuid4()}>"
    length = len(head) + body.size
    told = (
        ("WARC-Type", kind),
        ("WARC-Record-ID", identity),
        ("WARC-Date", date),
        *((name, _one_line(value)) for name, value in headers),
        ("WARC-Block-Digest", digest or _sha256(head, body)),
        ("Content-Type", content_type),
        ("Content-Length", str(length)),
    )
    return Record(type=kind, id=identity, headers=told, head=head, body=body)


def _sha256(head: bytes, body: Body) -> str:
    digest = hashlib.sha256(head)
    with body.open() as stream:
        while piece := stream.read(1 << 18):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _warc_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {_one_line(value)}\r\n" for name, value in fields if value).encode(
        "utf-8", "surrogateescape"
    )


def _one_line(text: str) -> str:
    """Nothing crawled may begin a new header line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _facts(fetch: Fetch) -> dict[str, Any]:
    return {name: value for name, value, usual in zip(_FIELDS, _values(fetch), _USUAL, strict=True) if value != usual}


def _ascii_json(facts: dict[str, Any]) -> str:
    with suppress(ValueError, OverflowError):
        text = msgspec.json.encode(facts)
        if text.isascii():
            return text.decode("ascii").replace("\x7f", r"\u007f")
    # The standard library's encoder takes whatever a hostile page can bring into a cursor: huge numbers, half a
    # surrogate pair.
    told = json.dumps(facts, separators=(",", ":"), default=lambda body: base64.b64encode(body).decode())
    return told.replace("\x7f", r"\u007f")


class _Joined(BytesIO):
    """A head in memory followed by a file, read in sequence."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__(head)
        self._rest = rest

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return super().read() + self._rest.read()
        return super().read(size) or self._rest.read(size)

    def close(self) -> None:
        self._rest.close()
        super().close()
