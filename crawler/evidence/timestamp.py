"""Time-stamps (RFC 3161): an authority signs a digest and the time at which it was shown it.

The whole response is kept; with it come the authority's certificates, so that it is checked years later with no
network, against a root certificate that whoever checks brings along.
"""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from crawler.errors import Damaged, OutlastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from rfc3161_client import TimeStampResponse

#: Bytes of a response, at most; they have five thousand.
_MOST = 1 << 20
_SECONDS = 30.0
#: The tag of the certificates in SignedData (RFC 5652 section 5.1).
_CERTIFICATES = 0xA0


class NoTimestamp(OutlastError):
    """The time-stamping authority gives no time-stamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """What a time-stamp says."""

    time: datetime
    #: Who issued the certificate that signed it.
    authority: str
    #: Whether it leads to a root that the caller trusts; else only that it holds by itself.
    is_trusted: bool


def stamp(data: bytes, *, url: str, roots: Sequence[x509.Certificate] = ()) -> bytes:
    """Have bytes time-stamped, of which the authority sees the SHA-256; return its response, checked as ``check`` does.

    Raises UsageError where that is no URL, NoTimestamp where the authority cannot be reached or gives none.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise UsageError(f"--tsa {url!r} is no http(s) URL.")
    asked = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    request = urllib.request.Request(  # noqa: S310 - http(s), see above
        url, asked.as_bytes(), {"Content-Type": "application/timestamp-query"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            response = in_order(answer.read(_MOST))
    except (OSError, ValueError) as e:
        raise NoTimestamp(f"{url} gives no time-stamp: {e}.") from e
    try:
        check(response, hashlib.sha256(data).digest(), roots, nonce=asked.nonce)
    except Damaged as e:
        raise NoTimestamp(f"{url} gives no usable time-stamp: {e}.") from e
    return response


def check(response: bytes, sha256: bytes, roots: Sequence[x509.Certificate], *, nonce: int | None = None) -> Stamped:
    """Return what a time-stamp over a digest says. Raises Damaged where it does not hold.

    ``nonce`` is the request's, while it is at hand. Without ``roots`` nobody vouches for it: it is over this digest,
    and by whom is only what it says itself.
    """
    found = _decoded(response)
    try:
        _match(found, sha256, nonce)
        if roots:
            VerifierBuilder(roots=list(roots)).build().verify(found, sha256)
        signer = next(iter(found.signed_data.signer_infos), None)
        authority = signer.issuer.rfc4514_string() if signer else ""
        return Stamped(time=found.tst_info.gen_time, authority=authority, is_trusted=bool(roots))
    except (VerificationError, ValueError, TypeError) as e:
        raise Damaged(f"it does not hold: {e}") from e


def roots_in(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file. Raises UsageError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}.") from e
    except ValueError as e:
        raise UsageError(f"{path} holds no certificates in PEM.") from e


def in_order(response: bytes) -> bytes:
    """Return a response with its certificates in the order that DER wants; openssl's authority gives them in any.

    Their order is not signed. What is no such response comes back as it is.
    """
    try:
        place = (0, 0, len(response))
        # TimeStampResp, its token after the status, the token's content after its type, SignedData.
        for number in (0, 1, 1, 0):
            place = _elements(response, place)[number]
        for start, content, end in _elements(response, place):
            if response[start] == _CERTIFICATES:
                ones = [response[first:last] for first, _, last in _elements(response, (start, content, end))]
                return response[:content] + b"".join(sorted(ones)) + response[end:]
    except IndexError:
        pass
    return response


def _elements(data: bytes, within: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return (start, start of the content, end) of each element in the content of another."""
    found, (_, at, last) = [], within
    while at < last:
        length, content = data[at + 1], at + 2
        if length & 0x80:
            content += length & 0x7F
            length = int.from_bytes(data[at + 2 : content])
        found.append((at, content, content + length))
        at = content + length
    return found


def _match(found: TimeStampResponse, sha256: bytes, nonce: int | None) -> None:
    if found.tst_info.message_imprint.message != sha256 or nonce not in {None, found.tst_info.nonce}:
        raise Damaged("it is over something else")


def _decoded(response: bytes) -> TimeStampResponse:
    try:
        found = decode_timestamp_response(response)
        if PKIStatus(found.status) is not PKIStatus.GRANTED:
            raise Damaged(f"it was refused: {'; '.join(found.status_string) or PKIStatus(found.status).name}")
    except ValueError as e:
        raise Damaged(f"it is no response of an authority: {e}") from e
    return found
