"""Every rule that ``archive verify`` knows: its id, how much it weighs, and what it says. The one table of them.

W: of a WARC file (ISO 28500:2017 and the community's recommendations to it). C: of a collection of ours. Z: of a WACZ
(1.1.1). An error is what the standard forbids or what is lost; a warning is what it permits and a reader may regret.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Rule(NamedTuple):
    """What a finding means. ``ours``: how much it weighs in a collection of ours, where that differs."""

    severity: Severity
    sentence: str
    ours: Severity | None = None


# fmt: off
RULES: dict[str, Rule] = {
    "W001-torn": Rule("error", "the file ends inside a record, or a member of it is damaged"),
    "W002-header-syntax": Rule("error", "a header line is no name: value"),
    "W003-tail": Rule("error", "a record does not end with two line ends"),
    "W004-mandatory": Rule("error", "a mandatory header is missing"),
    "W005-date": Rule("error", "a WARC-Date is no W3C date in UTC"),
    "W006-duplicate-id": Rule("error", "two records have the same id"),
    "W007-record-id": Rule("error", "a record id is no URI in angle brackets"),
    "W008-repeated": Rule("error", "a header that may occur once occurs again"),
    "W009-unknown-type": Rule("warning", "a record type that the standard does not know"),
    "W010-block-digest": Rule("error", "the block is not what its digest says"),
    "W011-payload-digest": Rule("error", "the payload is not what its digest says"),
    "W012-no-digest": Rule("warning", "a record without a block digest cannot be proved", "error"),
    "W013-http-short": Rule("error", "the HTTP message is shorter than it says and is not marked WARC-Truncated"),
    "W014-http-head": Rule("error", "the block of a response is no HTTP message"),
    "W015-target": Rule("error", "a record lacks a usable WARC-Target-URI"),
    "W016-warcinfo-first": Rule("warning", "the file does not begin with a warcinfo record", "error"),
    "W017-filename": Rule("warning", "WARC-Filename is not the name of the file"),
    "W018-no-request": Rule("warning", "a response or revisit without its request"),
    "W019-concurrent": Rule("error", "WARC-Concurrent-To names no record that is here"),
    "W020-revisit-profile": Rule("error", "a revisit without a known profile"),
    "W021-revisit-refers": Rule("warning", "a revisit does not say all of what it refers to", "error"),
    "W022-revisit-dangling": Rule("error", "a revisit refers to a record that is not here"),
    "W023-revisit-payload": Rule("error", "a revisit and its original have different payloads"),
    "W024-revisit-truncated": Rule("warning", "a revisit that keeps only the head lacks WARC-Truncated: length"),
    "W025-http-version": Rule("warning", "a status line that is not HTTP/1.x"),
    "W026-http-surplus": Rule("error", "bytes follow where the HTTP message says it ends"),
    "W027-length": Rule("error", "a Content-Length is not the length of its block"),
    "W028-member": Rule("error", "a gzip member holds more than one record, so that readers cannot find the others"),
    "W029-bare-lf": Rule("error", "header lines end with a bare LF"),
    "W030-folded": Rule("warning", "a header is folded over several lines, which few readers unfold"),
    "W031-empty": Rule("error", "the file holds no record"),
    "W032-garbage": Rule("error", "bytes that belong to no record"),
    "W033-transfer-coding": Rule("error", "the body is not in the transfer coding that its head names"),
    "W034-content-coding": Rule("error", "the body is not in the content coding that its head names", "warning"),
    "W035-framing-digest": Rule("error", "the payload digest was taken over the chunk framing"),
    "W036-misplaced": Rule("error", "a header that this type of record may not have"),
    "W037-padded-digest": Rule("warning", "a base32 digest with padding"),
    "W038-bracketed-target": Rule("warning", "a URI in angle brackets, as WARC/1.0 wrote it down and nobody meant it"),
    "W039-version": Rule("warning", "a version of WARC that the standard does not know"),
    "W040-digest-algorithm": Rule("warning", "a digest that cannot be checked here"),
    "W041-content-type": Rule("warning", "a block without a Content-Type"),
    "W042-raw-uri": Rule("warning", "a URI with characters that belong percent-encoded"),
    "W043-unreadable": Rule("error", "the file cannot be read"),
    "C001-index": Rule("error", "the index and the file do not agree"),
    "C002-no-index": Rule("error", "a sealed segment has no index"),
    "C003-chain": Rule("error", "the manifest is damaged or its chain is broken"),
    "C004-fixity": Rule("error", "a segment is not the file that the manifest entered"),
    "C005-not-entered": Rule("error", "a sealed segment is not in the manifest"),
    "C006-gone": Rule("error", "a segment of the manifest is gone"),
    "C007-open": Rule("info", "a segment is still open; the next run seals it"),
    "C008-count": Rule("error", "a segment has not as many records as the manifest entered"),
    "C009-frontier": Rule("error", "the crawl counts as saved what no record holds"),
    "C010-elsewhere": Rule("info", "a segment is not here: it is elsewhere"),
    "C011-withheld": Rule("info", "something in this segment was taken down"),
    "C012-no-frontier": Rule("info", "the fleet's database could not be asked what it counts as saved"),
    "C013-marker": Rule("error", "the collection's marker cannot be read"),
    "Z001-zip": Rule("error", "the file is no whole ZIP"),
    "Z002-member": Rule("error", "a member of the ZIP is damaged"),
    "Z003-datapackage": Rule("error", "there is no readable datapackage.json"),
    "Z004-missing": Rule("error", "a file that datapackage.json names is not there"),
    "Z005-unlisted": Rule("error", "a file that datapackage.json does not name"),
    "Z006-hash": Rule("error", "a file is not what its hash in datapackage.json says"),
    "Z007-bytes": Rule("error", "a file has not the length that datapackage.json says"),
    "Z008-no-digest": Rule("warning", "there is no datapackage-digest.json"),
    "Z009-digest": Rule("error", "datapackage.json is not what datapackage-digest.json says"),
    "Z010-no-warc": Rule("error", "there is no WARC file in archive/"),
    "Z011-no-index": Rule("error", "there is no index in indexes/"),
    "Z012-no-pages": Rule("error", "there is no pages/pages.jsonl"),
    "Z013-deflated": Rule("error", "a compressed file is compressed again, so that its middle cannot be read"),
    "Z014-pages": Rule("error", "a line of pages.jsonl is not what the format asks for"),
    "Z015-page-lost": Rule("warning", "a page that no record holds"),
    "Z016-index-line": Rule("error", "a line of the index is no CDXJ"),
    "Z017-index-order": Rule("error", "the index is not sorted"),
    "Z018-index-lies": Rule("error", "a line of the index does not agree with the record it names"),
    "Z019-not-indexed": Rule("warning", "responses that the index leaves out"),
    "Z020-layout": Rule("error", "a file that does not belong where it is"),
    "Z021-profile": Rule("warning", "a profile or version of WACZ other than 1.x"),
}
# fmt: on
#: What says that bytes were lost or changed since they were written, whatever the writer's habits were.
DAMAGE = frozenset(
    {
        "W001-torn",
        "W003-tail",
        "W010-block-digest",
        "W027-length",
        "W032-garbage",
    }
)  # fmt: skip


def of_others(found: Finding) -> Finding:
    """Return how much a finding weighs in what another program wrote: nothing but damage is an error."""
    is_habit = found.severity == "error" and found.rule not in DAMAGE
    return replace(found, severity="warning") if is_habit else found


def table(rules: dict[str, Rule]) -> str:
    """Return rules as a Markdown table: what ``archive verify --rules`` prints and docs/verify.md holds."""
    lines = ["| rule | severity | in our own collections | what it says |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {rule.severity} | {rule.ours or ''} | {rule.sentence} |" for name, rule in rules.items()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    rule: str
    severity: Severity
    file: str
    offset: int
    message: str


def finding(rule: str, file: str, offset: int, remark: str = "", *, ours: bool = False) -> Finding:
    """Return a finding of a rule; ``remark`` says what exactly is wrong, and may be anybody's text."""
    known = RULES[rule]
    severity = (known.ours if ours else None) or known.severity
    message = f"{known.sentence}: {printable(remark)}" if remark else known.sentence
    return Finding(rule=rule, severity=severity, file=file, offset=offset, message=message)


def shown(name: str) -> str:
    """Return a file's name so that it can be written anywhere."""
    return name.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """Return what a file said so that it can move no cursor and fill no screen."""
    shown = text if len(text) <= 200 else text[:200] + "…"
    return shown if shown.isascii() and shown.isprintable() else shown.encode("unicode_escape", "replace").decode()
