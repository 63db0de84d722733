"""When a signed URL stops working, as far as it says so itself; and the value class that such a fetch has. Pure.

| who signs like that | parameters | the end |
| --- | --- | --- |
| Amazon S3 and what speaks its protocol | X-Amz-Date, X-Amz-Expires | date and seconds from it |
| Google Cloud Storage | X-Goog-Date, X-Goog-Expires | likewise |
| CloudFront (canned policy), S3 and Google before, Alibaba, Bunny, nginx' secure_link | Expires, expires, e, exp beside a signature | seconds since the epoch |
| CloudFront (custom policy) | Policy | JSON in its base64: DateLessThan, AWS:EpochTime |
| Azure | se beside sig | ISO 8601, UTC |
| Akamai, Vimeo | hdnts, hdnea, hdntl, __token__, token | fields with ~ between them: exp, seconds since the epoch |
| Meta (Facebook, Instagram, Threads) | oe beside oh | seconds since the epoch, in hex |
| Discord | ex beside hm | likewise |
| TikTok, YouTube | x-expires, expire beside a signature | seconds since the epoch |

Sources: the signing pages of these services' own documentation; Meta's and TikTok's are not documented, and read off
their URLs.
"""  # noqa: E501 - a table

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from math import frexp, inf
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Added to the value of a fetch whose URL is signed and stops working; this alone where nobody knows when.
EXPIRING = 1000
#: Seconds to which an end is told, at the finest, and how many of these there are until the year 2106.
_STEP = 64
_LAST = 2**32 // _STEP
#: Part of the time that is left to which an end is told: less would be too many classes.
_FINE = 4
#: Parameters that are nothing but signatures, and those that are one beside an end.
_SIGNED = frozenset(
    {"x-amz-signature", "x-goog-signature", "signature", "sig", "hdnts", "hdnea", "hdntl", "__token__", "oe"}
)
_BESIDE = _SIGNED | {"token", "hash", "hmac", "md5", "st", "hm", "oh", "x-signature", "lsig", "key-pair-id"}
_EPOCH = ("expires", "expire", "x-expires", "exp", "e")
_HEX = {"oe": "oh", "ex": "hm"}
_TOKENS = ("hdnts", "hdnea", "hdntl", "__token__", "token")
#: CloudFront's base64 has other letters where URLs mean something by the usual ones.
_POLICY = str.maketrans("-_~", "+=/")
_DATE = "%Y%m%dT%H%M%SZ"


def ends(url: str) -> float | None:
    """Return when a URL stops working, in seconds since the epoch; None where it does not say so."""
    return _end(_parameters(url))


def is_signed(url: str) -> bool:
    """Say whether a URL stops working some time."""
    found = _parameters(url)
    return not _SIGNED.isdisjoint(found) or _end(found) is not None


def valued(value: int, url: str, now: float) -> int:
    """Return the value class of a fetch of ``value`` with what its URL says of its end."""
    found = _parameters(url)
    end = _end(found)
    return value if end is None and _SIGNED.isdisjoint(found) else until(value, end, now)


def until(value: int, end: float | None, now: float) -> int:
    """Return the value class of what works until ``end``: of those of a lane, the first to end goes first.

    Ends that are near each other are one class; None is an end that nobody knows. What has ended is as good as plain.
    """
    if end is None:
        return value + EXPIRING
    if end <= now:
        return value
    step = _STEP * 2 ** max(int((end - now) / _FINE / _STEP).bit_length() - 1, 0)
    return value + EXPIRING * (1 + _LAST - int(end // step * step) // _STEP)


def end_of(value: int) -> float | None:
    """Return the end, or a little before it, that a value class tells; None where it tells none."""
    code = value // EXPIRING - 1
    return float((_LAST - code) * _STEP) if code > 0 else None


def lasts(value: int, now: float, left: float) -> float:
    """Return seconds for which what has a value class still works, to a quarter: 0 where nobody knows, less where that
    is over, and without end where it is for longer than the ``left`` seconds that there are.
    """
    if value < EXPIRING:
        return inf
    if (end := end_of(value)) is None:
        return 0.0
    if not 0 < end - now <= left:
        return inf if end > now else -1.0
    step = 2.0 ** (frexp(end - now)[1] - 3)
    return (end - now) // step * step


def _parameters(url: str) -> dict[str, str]:
    if "?" not in url:
        return {}
    return {name.lower(): text for name, text in parse_qsl(urlsplit(url).query)[:50]}


def _end(found: Mapping[str, str]) -> float | None:
    end = _told(found)
    return end if end is not None and 0 < end < _LAST * _STEP else None


def _told(found: Mapping[str, str]) -> float | None:
    for maker in ("x-amz", "x-goog"):
        if f"{maker}-date" in found:
            return _dated(found[f"{maker}-date"], found.get(f"{maker}-expires", ""))
    if "policy" in found and "key-pair-id" in found:
        return _of_policy(found["policy"])
    if "se" in found and "sig" in found:
        return _instant(found["se"])
    for name, beside in _HEX.items():
        if beside in found and re.fullmatch(r"[0-9a-fA-F]{8}", found.get(name, "")):
            return float(int(found[name], 16))
    for name in _TOKENS:
        if told := re.search(r"(?:^|~)exp=(\d{10})(?:~|$)", found.get(name, "")):
            return float(told[1])
    if _BESIDE.isdisjoint(found):
        return None
    return next((float(found[name]) for name in _EPOCH if re.fullmatch(r"\d{10}", found.get(name, ""))), None)


def _dated(date: str, seconds: str) -> float | None:
    try:
        begin = datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return begin + int(seconds) if re.fullmatch(r"\d{1,9}", seconds) else None


def _instant(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
        return (when.replace(tzinfo=UTC) if when.tzinfo is None else when).timestamp()
    except (ValueError, OverflowError):
        return None


def _of_policy(text: str) -> float | None:
    try:
        policy: Any = json.loads(b64decode(text.translate(_POLICY)))
        return float(policy["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"])
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return None
