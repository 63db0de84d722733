"""One destination over S3's protocol: the few calls that copies need, with what boto3 needs to be told.

boto3's own checksum trailers are off (``when_required``): over https they break some servers, and one stores the
framing inside the object. Bodies are slices of files, never read whole.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from crawler.cold.store import (
    Absent,
    Archived,
    Denied,
    Exists,
    NoBucket,
    Refused,
    Slice,
    Unavailable,
    Underway,
    landing,
)  # fmt: skip
from crawler.errors import CredentialsError, OutlastError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.cold.destination import Destination

#: What a server says while it is merely too busy, or ill: it is asked again later.
_BUSY = frozenset({
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "OperationAborted", "500", "502", "503", "504", "429",
})  # fmt: skip
#: What it says to somebody who may do nothing there.
_DENIED = frozenset({
    "AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "AccountProblem", "AllAccessDisabled", "AccountSuspended", "NotSignedUp", "TokenRefreshRequired", "401",
})  # fmt: skip
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
_GONE = frozenset({"NoSuchBucket"})
#: Bytes that are read at once when an object is read back.
_PIECE = 1 << 20


class S3Store:
    """A bucket. Every object goes there dressed as its destination says: class, lock, encryption, tags, metadata."""

    def __init__(self, destination: Destination, *, connections: int = 8, timeout: float = 60.0) -> None:
        """Raises CredentialsError where there are no credentials."""
        self.destination = destination
        self._config = Config(
            signature_version="s3v4", request_checksum_calculation="when_required",
            response_checksum_validation="when_required", retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=connections, connect_timeout=min(timeout, 15.0), read_timeout=timeout,
            s3={"addressing_style": "path" if destination.endpoint else "auto"}, tcp_keepalive=True,
        )  # fmt: skip
        try:
            self._session = boto3.session.Session(profile_name=destination.profile or None)
            if self._session.get_credentials() is None:
                raise CredentialsError(_NO_CREDENTIALS)
            self.client = self._client_of(self._config)
        except (ProfileNotFound, PartialCredentialsError) as e:
            raise CredentialsError(f"{e}") from e
        except (BotoCoreError, ValueError) as e:
            raise OutlastError(f"{destination.name}: {e}") from e
        self.bucket = destination.bucket

    def _client_of(self, config: Config) -> Any:
        one = self.destination
        return self._session.client(
            "s3", endpoint_url=one.endpoint, config=config,
            region_name=one.region or self._session.region_name or "us-east-1",
        )  # fmt: skip

    def close(self) -> None:
        self.client.close()

    # Whole objects

    def put(
        self, key: str, body: Any, *, length: int, md5: str = "", checksum: tuple[str, str] | None = None,
        conditional: bool = False, hot: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        more = self._dressing(hot=hot)
        if conditional:
            more["IfNoneMatch"] = "*"
        if md5:
            more["ContentMD5"] = base64_of(md5)
        if checksum:
            more[f"Checksum{checksum[0]}"] = checksum[1]
        with self.asking(key):
            found: dict[str, Any] = self.client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentLength=length, **more
            )
            return found

    def put_as_boto3_does(self, key: str, data: bytes) -> None:
        """Put an object with boto3's own settings: over https its checksum is a trailer, which not all understand."""
        defaults = Config(request_checksum_calculation="when_supported", response_checksum_validation="when_required")
        with self.asking(key), closing(self._client_of(self._config.merge(defaults))) as client:
            client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def _dressing(self, *, hot: bool) -> dict[str, Any]:
        """Return what an object is told to be: the destination's class, encryption, tags, metadata and lock."""
        one = self.destination
        until = datetime.now(UTC) + timedelta(days=one.lock_days)
        is_locked = bool(one.lock) and not hot
        told = {
            "StorageClass": one.hot_class if hot else one.storage_class,
            "ServerSideEncryption": one.sse,
            "SSEKMSKeyId": one.sse_key,
            "Tagging": urlencode(one.tags),
            "Metadata": one.metadata,
            "ObjectLockMode": one.lock.upper() if is_locked else "",
            "ObjectLockRetainUntilDate": until if is_locked else None,
        }
        return {name: value for name, value in told.items() if value}

    def head(self, key: str) -> dict[str, Any] | None:
        try:
            with self.asking(key):
                found: dict[str, Any] = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
                return found
        except Absent:
            return None

    def sha256(self, key: str) -> tuple[str, int]:
        digest, length = hashlib.sha256(), 0
        with self.asking(key):
            body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            try:
                while piece := body.read(_PIECE):
                    digest.update(piece)
                    length += len(piece)
            finally:
                body.close()
        return digest.hexdigest(), length

    def get(self, key: str, *, first: int | None = None, last: int | None = None) -> bytes:
        ranged = {} if first is None else {"Range": f"bytes={first}-{'' if last is None else last}"}
        with self.asking(key):
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=key, **ranged)["Body"].read()
            return data

    def download(self, key: str, path: Path) -> str:
        digest = hashlib.sha256()
        with self.asking(key), landing(path) as write:
            body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            try:
                while piece := body.read(_PIECE):
                    digest.update(piece)
                    write(piece)
            finally:
                body.close()
        return digest.hexdigest()

    def is_awake(self, key: str) -> bool:
        head = self.head(key)
        if head is None or head.get("StorageClass") not in {"GLACIER", "DEEP_ARCHIVE"}:
            return True
        if 'ongoing-request="false"' in head.get("Restore", ""):
            return True
        try:
            self.get(key, first=0, last=0)  # the class may be no more than a label
        except Archived:
            return False
        return True

    def restore(self, key: str, *, days: int, tier: str) -> None:
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        try:
            with self.asking(key):
                self.client.restore_object(Bucket=self.bucket, Key=key, RestoreRequest=request)
        except Underway:
            return

    def delete(self, key: str) -> None:
        with self.asking(key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def withdraw(self, key: str) -> str:
        kept = [why for version in self._versions(key) if (why := self._withdrawn(key, version))]
        if not kept and self.head(key) is not None:
            self.delete(key)
            return "" if self.head(key) is None else "it is still there"
        return "; ".join(dict.fromkeys(kept))

    def _versions(self, key: str) -> list[str]:
        """Return the versions of an object; none where the destination knows of no such thing."""
        found: list[str] = []
        after: dict[str, str] = {}
        try:
            while True:
                with self.asking(key):
                    page = self.client.list_object_versions(Bucket=self.bucket, Prefix=key, **after)
                told = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                found += [one["VersionId"] for one in told if one["Key"] == key]
                if not page.get("IsTruncated"):
                    return [one for one in found if one]
                after = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}
        except (Refused, Denied):
            return []

    def _withdrawn(self, key: str, version: str) -> str:
        """Delete one version; return why it stays."""
        if why := self._lock_of(key, version):
            return why
        try:
            with self.asking(key):
                self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
        except Absent:
            return ""
        except (Refused, Denied) as e:
            return str(e)
        return ""

    def _lock_of(self, key: str, version: str) -> str:
        """Return what an object lock forbids; empty where there is none, or it is over, or nobody says."""
        try:
            with self.asking(key):
                told = self.client.head_object(Bucket=self.bucket, Key=key, VersionId=version)
        except OutlastError:  # a delete marker has nothing to lock
            return ""
        until = told.get("ObjectLockRetainUntilDate")
        if told.get("ObjectLockLegalHoldStatus") == "ON":
            return "a legal hold keeps it until somebody lifts that"
        if until is None or until <= datetime.now(UTC):
            return ""
        who = (
            "nobody can delete it"
            if told.get("ObjectLockMode") == "COMPLIANCE"
            else "only who may bypass it can delete it"
        )
        return f"locked ({told.get('ObjectLockMode')}) until {until:%Y-%m-%d %H:%M} UTC: {who} before"

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        token: dict[str, str] = {}
        while True:
            with self.asking(prefix):
                page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **token)
            yield from ((found["Key"], found["Size"]) for found in page.get("Contents", ()))
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # Uploads in parts

    def begin(self, key: str, *, hot: bool = True, with_crc32: bool = False) -> str:
        more = self._dressing(hot=hot)
        if with_crc32:
            more |= {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        with self.asking(key):
            return str(self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **more)["UploadId"])

    def part(self, key: str, upload: str, number: int, body: Slice, *, md5: str) -> str:
        with self.asking(key):
            found = self.client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentLength=len(body),
                ContentMD5=base64_of(md5),
            )  # fmt: skip
            return str(found["ETag"])

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        found: dict[int, tuple[str, int]] = {}
        marker: dict[str, int] = {}
        while True:
            try:
                with self.asking(key):
                    page = self.client.list_parts(Bucket=self.bucket, Key=key, UploadId=upload, **marker)
            except Absent:
                raise
            except Refused:
                return None
            found |= {one["PartNumber"]: (one["ETag"], one["Size"]) for one in page.get("Parts", ())}
            if not page.get("IsTruncated") or not page.get("NextPartNumberMarker"):
                return found
            marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def complete(
        self, key: str, upload: str, etags: dict[int, str], *, conditional: bool = False, crc32: str = ""
    ) -> dict[str, Any]:
        more = {"IfNoneMatch": "*"} if conditional else {}
        if crc32:
            more |= {"ChecksumCRC32": base64_of(crc32), "ChecksumType": "FULL_OBJECT"}
        parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        with self.asking(key):
            found: dict[str, Any] = self.client.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
            )
            return found

    def abort(self, key: str, upload: str) -> None:
        try:
            with self.asking(key):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except (Absent, Refused):
            return

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        marker: dict[str, str] = {}
        while True:
            try:
                with self.asking(prefix):
                    page = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix, **marker)
            except Refused:
                return found
            found += [(one["Key"], one["UploadId"]) for one in page.get("Uploads", ())]
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return found
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}

    def link(self, operation: str, *, seconds: int, **facts: Any) -> str:
        """Return a URL with which anybody may do this one thing for so long; nothing is asked of the server."""
        try:
            url: str = self.client.generate_presigned_url(
                operation, Params={"Bucket": self.bucket, **facts}, ExpiresIn=seconds
            )
        except (BotoCoreError, ClientError) as e:
            raise Refused(f"{self.destination.name}: {e}") from e
        return url

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn boto3's errors into ours."""
        name = self.destination.name
        try:
            yield
        except NoCredentialsError as e:
            raise CredentialsError(_NO_CREDENTIALS) from e
        except ClientError as e:
            raise _meant(name, what, e) from e
        except HTTPClientError as e:
            raise Unavailable(f"{name} cannot be reached: {e}") from e
        except BotoCoreError as e:
            # ResponseStreamingError and its like: the answer broke off.
            raise Unavailable(f"{name}: {e}") from e
        except (ConnectionError, TimeoutError) as e:
            raise Unavailable(f"{name} cannot be reached: {e}") from e


_NO_CREDENTIALS = "There are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."


def _meant(name: str, what: str, error: ClientError) -> OutlastError:
    """Return what an error of the server means for us."""
    facts = error.response.get("Error", {})
    code = str(facts.get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    told = f"{code or status} {facts.get('Message', '')}".strip()[:300]
    if code in _ABSENT:
        return Absent(f"{name} has no {what} ({told}).")
    if code == "InvalidObjectState":
        return Archived(f"{name} has {what} in an archive class ({told}).")
    if code == "RestoreAlreadyInProgress":
        return Underway(f"{name} restores {what} already ({told}).")
    if code in _GONE:
        return NoBucket(f"{name}: there is no such bucket ({told}).")
    if code == "RequestTimeTooSkewed":
        return Denied(f"{name}: this machine's clock is wrong ({told}).")
    if code in _DENIED or status in {"401", "403"}:
        return Denied(f"{name} refuses us ({told}).")
    if code in {"PreconditionFailed", "412", "ConditionalRequestConflict"} or status == "412":
        return Exists(f"{name} has {what} already ({told}).")
    if code in _BUSY or status in _BUSY:
        return Unavailable(f"{name} takes nothing now ({told}).")
    return Refused(f"{name} refuses {what} ({told}).")


def base64_of(digest: str) -> str:
    """Return a hex digest in base64, as headers have it."""
    return base64.b64encode(bytes.fromhex(digest)).decode()
