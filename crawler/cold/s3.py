"""One destination over S3's protocol: the few calls that copies need, with what boto3 needs to be told.

boto3's own checksum trailers are off (``when_required``): over https they break some servers, and one stores the
framing inside the object. Bodies are slices of files, never read whole. Errors come out as ``Refused`` (this object,
this call), ``Unavailable`` (the destination as a whole, for now) or ``Denied`` (until somebody does something).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

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

from crawler.errors import CredentialsError, OutlastError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.cold.destination import Destination
    from crawler.cold.throttle import Throttle

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


class Refused(OutlastError):
    """The destination refuses this object, or has something else under its name."""


class Unavailable(OutlastError):
    """The destination takes nothing now; later it may."""


class Denied(CredentialsError):
    """The destination refuses us altogether."""


class Slice(io.RawIOBase):
    """A part of a file as a stream of its own that can be sent again."""

    def __init__(self, file: BinaryIO, start: int, length: int, throttle: Throttle | None = None) -> None:
        self._throttle = throttle
        self._fd = file.fileno()
        self._start, self._length, self._at = start, length, 0

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._length - self._at, 0)
        # pread, as several parts of one file are on their way at once.
        data = os.pread(self._fd, left if size < 0 else min(size, left), self._start + self._at)
        self._at += len(data)
        if self._throttle is not None:
            self._throttle.take(len(data))
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Store:
    """One destination. Calls may come from several threads."""

    def __init__(self, destination: Destination, *, connections: int = 8, timeout: float = 60.0) -> None:
        """Raises CredentialsError where there are no credentials."""
        self.destination = destination
        config = Config(
            signature_version="s3v4", request_checksum_calculation="when_required",
            response_checksum_validation="when_required", retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=connections, connect_timeout=min(timeout, 15.0), read_timeout=timeout,
            s3={"addressing_style": "path" if destination.endpoint else "auto"}, tcp_keepalive=True,
        )  # fmt: skip
        try:
            session = boto3.session.Session()
            if session.get_credentials() is None:
                raise CredentialsError(_NO_CREDENTIALS)
            self._client: Any = session.client(
                "s3", endpoint_url=destination.endpoint, config=config,
                region_name=destination.region or session.region_name or "us-east-1",
            )  # fmt: skip
        except (ProfileNotFound, PartialCredentialsError) as e:
            raise CredentialsError(f"{e}") from e
        except (BotoCoreError, ValueError) as e:
            raise OutlastError(f"{destination.name}: {e}") from e
        self._bucket = destination.bucket

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    # Whole objects

    def put(
        self, key: str, body: Any, *, length: int, md5: str, conditional: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Put an object whole; ``md5`` is hex, empty for none. Returns the answer's headers as boto3 names them."""
        if conditional:
            more["IfNoneMatch"] = "*"
        if md5:
            more["ContentMD5"] = _base64(md5)
        with self._asking(key):
            found: dict[str, Any] = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentLength=length, **more
            )
            return found

    def head(self, key: str) -> dict[str, Any] | None:
        """Return what it says of an object; None where there is none."""
        try:
            with self._asking(key):
                found: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
                return found
        except Absent:
            return None

    def sha256(self, key: str) -> tuple[str, int]:
        """Read an object back; return its SHA-256 (hex) and length."""
        digest, length = hashlib.sha256(), 0
        with self._asking(key):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            try:
                while piece := body.read(_PIECE):
                    digest.update(piece)
                    length += len(piece)
            finally:
                body.close()
        return digest.hexdigest(), length

    def get(self, key: str, *, first: int | None = None, last: int | None = None) -> bytes:
        """Return an object's bytes, or some of them (both ends included)."""
        ranged = {} if first is None else {"Range": f"bytes={first}-{'' if last is None else last}"}
        with self._asking(key):
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=key, **ranged)["Body"].read()
            return data

    def download(self, key: str, path: Path) -> str:
        """Write an object to a file; return the SHA-256 (hex) of what came."""
        digest = hashlib.sha256()
        with self._asking(key), path.open("wb") as out:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            try:
                while piece := body.read(_PIECE):
                    digest.update(piece)
                    out.write(piece)
            finally:
                body.close()
            out.flush()
            os.fsync(out.fileno())
        return digest.hexdigest()

    def is_awake(self, key: str) -> bool:
        """Say whether an object can be read now: it is in no archive class, or restored from it."""
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
        """Ask for an archived object back, for so many days; one that was asked for already is no fault."""
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        try:
            with self._asking(key):
                self._client.restore_object(Bucket=self._bucket, Key=key, RestoreRequest=request)
        except Underway:
            return

    def delete(self, key: str) -> None:
        """Delete an object of ours that is no copy: the canary."""
        with self._asking(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield (key, bytes) of the objects below a prefix."""
        token: dict[str, str] = {}
        while True:
            with self._asking(prefix):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **token)
            yield from ((found["Key"], found["Size"]) for found in page.get("Contents", ()))
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    # Uploads in parts

    def begin(self, key: str, **more: Any) -> str:
        """Begin an upload in parts; return its id."""
        with self._asking(key):
            return str(self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **more)["UploadId"])

    def part(self, key: str, upload: str, number: int, body: Slice, *, md5: str) -> str:
        """Send a part (numbers begin at 1); return its ETag. Raises Absent where the upload is over."""
        with self._asking(key):
            found = self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentLength=len(body),
                ContentMD5=_base64(md5),
            )  # fmt: skip
            return str(found["ETag"])

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        """Return number → (ETag, bytes) of the parts it has; None where it cannot say. Raises Absent."""
        found: dict[int, tuple[str, int]] = {}
        marker: dict[str, int] = {}
        while True:
            try:
                with self._asking(key):
                    page = self._client.list_parts(Bucket=self._bucket, Key=key, UploadId=upload, **marker)
            except Refused:
                return None
            found |= {one["PartNumber"]: (one["ETag"], one["Size"]) for one in page.get("Parts", ())}
            if not page.get("IsTruncated") or not page.get("NextPartNumberMarker"):
                return found
            marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def complete(self, key: str, upload: str, etags: dict[int, str], *, conditional: bool = False) -> dict[str, Any]:
        """End an upload in parts; its object is there then. Raises Absent where the upload is over already."""
        more = {"IfNoneMatch": "*"} if conditional else {}
        parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        with self._asking(key):
            found: dict[str, Any] = self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
            )
            return found

    def abort(self, key: str, upload: str) -> None:
        """Give up an upload in parts; one that is over is no fault."""
        try:
            with self._asking(key):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except (Absent, Refused):
            return

    def uploads(self, prefix: str) -> list[tuple[str, str]]:
        """Return (key, id) of uploads in parts under way below a prefix; none where it cannot say."""
        try:
            with self._asking(prefix):
                page = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
        except Refused:
            return []
        return [(one["Key"], one["UploadId"]) for one in page.get("Uploads", ())]

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
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


class Absent(Refused):
    """There is no such object or upload."""


class Archived(Refused):
    """The object is in an archive class and must be restored first."""


class Underway(Refused):
    """The object is being restored already."""


class Exists(Refused):
    """There is such an object already, and it stays."""


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
        return Denied(f"{name}: the bucket is not there ({told}).")
    if code == "RequestTimeTooSkewed":
        return Denied(f"{name}: this machine's clock is wrong ({told}).")
    if code in _DENIED or status in {"401", "403"}:
        return Denied(f"{name} refuses us ({told}).")
    if code in {"PreconditionFailed", "412", "ConditionalRequestConflict"} or status == "412":
        return Exists(f"{name} has {what} already ({told}).")
    if code in _BUSY or status in _BUSY:
        return Unavailable(f"{name} takes nothing now ({told}).")
    return Refused(f"{name} refuses {what} ({told}).")


def _base64(md5: str) -> str:
    return base64.b64encode(bytes.fromhex(md5)).decode()
