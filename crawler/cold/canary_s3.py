"""What only S3's protocol has, and servers have or say they have: sums, trailers, classes, locks, signed links."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from crawler.cold.canary import NO, is_refused_by, is_right, whole_sum
from crawler.cold.links import Links
from crawler.cold.store import Denied, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.cold.canary import Canary
    from crawler.cold.s3 import S3Store
    from crawler.cold.store import Store

#: A class that anybody has whose classes are more than a label, asked for where the destination names none.
_SOME_CLASS = "STANDARD_IA"
#: Reflected polynomials (CRC catalogue: CRC-32/ISCSI, CRC-64/NVME).
_CRC32C, _CRC64NVME = 0x82F63B78, 0x9A6C9329AC4BC9B5


def features(store: Store, canary: Canary) -> dict[str, Any]:
    """Try what only S3 has."""
    s3 = cast("S3Store", store)
    data = os.urandom(3000)
    return {
        "checksums": tuple(name for name, sum_of in _SUMS.items() if _computes(s3, canary, name, sum_of(data), data)),
        "takes_trailers": is_right(lambda: _takes_trailers(s3, canary.key("trailer"), data)),
        "keeps_class": is_right(lambda: _keeps_class(s3, canary.key("class"), data)),
        "locks": bool(s3.destination.lock) and is_right(lambda: _locks(s3, canary.key("lock"), data)),
        "signs_links": is_right(lambda: _signs(s3, canary.key("link"), data)),
    }


def _computes(store: S3Store, canary: Canary, name: str, digest: str, data: bytes) -> bool:
    def put(key: str, value: str) -> None:
        sent = (name, base64.b64encode(bytes.fromhex(value)).decode())
        store.put(key, io.BytesIO(data), length=len(data), checksum=sent)

    def right() -> bool:
        put(key := canary.key(name), digest)
        return whole_sum(store.head(key) or {}, name) == digest

    wrong = f"{int(digest, 16) ^ 1:0{len(digest)}x}"
    return is_refused_by(lambda: put(canary.key(f"{name}-wrong"), wrong)) and is_right(right)


def _takes_trailers(store: S3Store, key: str, data: bytes) -> bool:
    store.put_as_boto3_does(key, data)
    return store.get(key) == data


def _keeps_class(store: S3Store, key: str, data: bytes) -> bool:
    wanted = store.destination.storage_class or _SOME_CLASS
    with store.asking(key):
        store.client.put_object(Bucket=store.bucket, Key=key, Body=data, StorageClass=wanted)
        listed = store.client.list_objects_v2(Bucket=store.bucket, Prefix=key).get("Contents", ())
    told = {one.get("StorageClass") for one in listed}
    return told == {wanted} and (store.head(key) or {}).get("StorageClass") == wanted


def _locks(store: S3Store, key: str, data: bytes) -> bool:
    """Lock an object for a minute, in the way that can be undone, and try to delete it."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    with store.asking(key):
        version = store.client.put_object(
            Bucket=store.bucket, Key=key, Body=data, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until,
            ContentMD5=base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
        ).get("VersionId")  # fmt: skip
    if not version:
        return False
    try:
        with store.asking(key):
            store.client.delete_object(Bucket=store.bucket, Key=key, VersionId=version)
    except (Denied, Refused):
        with store.asking(key):
            store.client.delete_object(
                Bucket=store.bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
            )  # fmt: skip
        return True
    return False


def _signs(store: S3Store, key: str, data: bytes) -> bool:
    """Upload with links alone; then try with a signature that is wrong by one digit."""
    upload, links = store.begin(key), Links()
    try:
        part = store.link("upload_part", seconds=600, Key=key, UploadId=upload, PartNumber=1)
        if not is_denied(lambda: links.send("PUT", spoilt(part), data)):
            return False
        etag = links.send("PUT", part, data)[0].get("etag", "")
        end = store.link("complete_multipart_upload", seconds=600, Key=key, UploadId=upload)
        links.send("POST", end, completion({1: etag}))
        return store.get(key) == data
    finally:
        store.abort(key, upload)
        links.close()


def completion(etags: dict[int, str]) -> bytes:
    """Return the body that ends an upload in parts."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag.replace('&', '&amp;').replace('<', '&lt;')}</ETag></Part>"
        for number, etag in sorted(etags.items())
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def spoilt(link: str) -> str:
    """Return a link whose signature is wrong by one digit."""
    before, name, signature = link.partition("X-Amz-Signature=")
    return f"{before}{name}{'1' if signature[0] == '0' else '0'}{signature[1:]}"


def is_denied(attempt: Callable[[], object]) -> bool:
    """Say whether something was denied to us."""
    try:
        attempt()
    except Denied:
        return True
    except NO:
        return False
    return False


def _reflected(data: bytes, polynomial: int, width: int) -> str:
    crc = mask = (1 << width) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return f"{crc ^ mask:0{width // 4}x}"


_SUMS: dict[str, Callable[[bytes], str]] = {
    "SHA256": lambda data: hashlib.sha256(data).hexdigest(),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "CRC32": lambda data: f"{zlib.crc32(data):08x}",
    "CRC32C": lambda data: _reflected(data, _CRC32C, 32),
    "CRC64NVME": lambda data: _reflected(data, _CRC64NVME, 64),
}
