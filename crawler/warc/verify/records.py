"""The rules of one file, record by record in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.collection import OPEN_SUFFIX
from crawler.warc.profiles import IDENTICAL, NOT_MODIFIED
from crawler.warc.records import REWRITTEN, SALVAGED
from crawler.warc.verify import digests
from crawler.warc.verify.headers import header_faults
from crawler.warc.verify.message import Message, digest_of_framing
from crawler.warc.verify.references import concurrent_to
from crawler.warc.verify.rules import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.warc.reader import RawRecord
    from crawler.warc.verify.references import References

#: What was the profile before WARC/1.1 gave it its own name.
_IDENTICAL_1_0 = "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"
_NOT_MODIFIED_1_0 = "http://netpreserve.org/warc/1.0/revisit/server-not-modified"
_IDENTICAL = frozenset({IDENTICAL, _IDENTICAL_1_0})
_PROFILES = _IDENTICAL | {NOT_MODIFIED, _NOT_MODIFIED_1_0}
_REFERS = ("WARC-Refers-To", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date")
#: Whose payload digest is of what the record itself holds.
_PROVED = frozenset({"response", "resource"})
#: Requests whose answers may still come.
_MOST_ASKED = 1 << 16
_START = 16


class RecordChecks:
    """Checks the records of a file: ``watch`` is for its reader, ``check`` for each record that was read.

    ``file`` is how findings name it, ``name`` what WARC-Filename should say. What records say of each other goes to
    ``references``, to be asked when all files were read. Unless it ``looks_inside`` the block digest alone answers for
    a record's bytes: the HTTP message in them was read when they came, and is as the origin made it.
    """

    def __init__(
        self, file: str, name: str, references: References, *, looks_inside: bool = True, ours: bool = False
    ) -> None:
        self._file = file
        self._looks_inside = looks_inside
        self._ours = ours
        #: What a warcinfo may call this file: the one that it was made of wrote another name.
        self._names = {name.removesuffix(OPEN_SUFFIX), ""}
        self._references = references
        #: Record id of each request → its method, until its answer comes.
        self._requests: dict[str, str] = {}
        self._message: Message | None = None
        self._start = b""
        self._count = 0

    def watch(self, record: RawRecord) -> Callable[[bytes], object]:
        """Return what hears the block of the record that is read next."""
        method = self._asked(record) or "GET" if self._looks_inside and _is_answer(record) else None
        message = Message(record, method, hashes_payload=self._looks_inside)
        self._message, self._start = message, b""
        return message.feed if record.type != "request" else self._hear_request

    def _hear_request(self, piece: bytes) -> None:
        assert self._message is not None
        if len(self._start) < _START:
            self._start += piece[:_START]
        self._message.feed(piece)

    def _asked(self, record: RawRecord) -> str | None:
        """Return the method of the request that a record answers, if it is known."""
        told = concurrent_to(record)
        return next((self._requests[value] for value in told if value in self._requests), None)

    def check(self, record: RawRecord) -> Iterator[Finding]:
        """Yield what is wrong with the record that was read last."""
        self._count += 1
        if record.id:
            self._references.add(self._file, record)
        for rule, remark in self._faults(record):
            yield finding(rule, self._file, record.offset, remark, ours=self._ours)

    def _faults(self, record: RawRecord) -> Iterator[tuple[str, str]]:
        yield from header_faults(record)
        kind = record.type
        if self._count == 1 and kind != "warcinfo":
            yield "W016-warcinfo-first", ""
        if kind == "warcinfo":
            if record.get("WARC-Filename") not in self._names:
                yield "W017-filename", record.get("WARC-Filename")
            self._names |= {record.get(name) for name in (SALVAGED, REWRITTEN)}
        message, self._message = self._message, None
        assert message is not None
        message.finish()
        yield from self._digests(record, message)
        if kind == "request":
            self._keep(record)
        elif self._looks_inside and _is_answer(record):
            yield from self._answer(record, message)
        if kind == "revisit":
            yield from _revisit(record)

    def _keep(self, record: RawRecord) -> None:
        self._requests[record.id] = self._start.partition(b" ")[0].decode("latin-1")
        if len(self._requests) > _MOST_ASKED:
            self._requests.pop(next(iter(self._requests)))

    def _digests(self, record: RawRecord, message: Message) -> Iterator[tuple[str, str]]:
        first = record.first
        told = first.get("warc-block-digest")
        if not told:
            yield "W012-no-digest", ""
        elif message.block is None:
            yield "W040-digest-algorithm", told
        elif digests.value(told) != message.block.digest():
            yield "W010-block-digest", told
        payload = first.get("warc-payload-digest")
        if not payload or first.get("warc-type") not in _PROVED or "warc-segment-number" in first:
            return
        if message.payload is None:
            if self._looks_inside:
                yield "W040-digest-algorithm", payload
        elif digests.value(payload) != message.payload.digest():
            yield _wrong_payload(record, message, payload), payload

    def _answer(self, record: RawRecord, message: Message) -> Iterator[tuple[str, str]]:
        asked = self._asked(record)
        truncated = bool(record.get("WARC-Truncated"))
        if message.head is None:
            if not truncated:
                yield "W014-http-head", ""
            return
        if message.head.version[0] != 1:
            yield "W025-http-version", ""
        if record.type == "response" and not truncated and "warc-segment-number" not in record.first:
            yield from message.faults(asked=asked is not None)


def _wrong_payload(record: RawRecord, message: Message, told: str) -> str:
    if message.body != message.entity and digest_of_framing(record, digests.algorithm(told)) == digests.value(told):
        return "W035-framing-digest"
    return "W011-payload-digest"


def _revisit(record: RawRecord) -> Iterator[tuple[str, str]]:
    profile = record.get("WARC-Profile")
    if "/revisit/" not in profile:
        yield "W020-revisit-profile", profile
    if profile not in _PROFILES:
        return
    for name in _REFERS:
        if not record.get(name):
            yield "W021-revisit-refers", name
    if profile in _IDENTICAL:
        if not record.get("WARC-Payload-Digest"):
            yield "W004-mandatory", "WARC-Payload-Digest of a revisit"
        if record.get("WARC-Truncated") != "length":
            yield "W024-revisit-truncated", ""


def _is_answer(record: RawRecord) -> bool:
    first = record.first
    is_one = first.get("warc-type") in {"response", "revisit"}
    return is_one and first.get("content-type", "").startswith("application/http")
