"""One object to one destination: sent, in parts where it is long, resumed where it was interrupted, and proved.

What is durable before each step: the upload's id before its first part, each part's ETag when it arrived, the state
before the next one. So after a kill only the parts in flight are sent again, and an answer that was lost is found out
by asking what is there.
"""

from __future__ import annotations

import base64
import random
import time
from concurrent.futures import FIRST_EXCEPTION, wait
from typing import TYPE_CHECKING, Literal

from crawler.cold.copies import CopyState
from crawler.cold.proof import judged
from crawler.cold.store import Absent, Exists, Refused, Slice
from crawler.errors import Damaged
from crawler.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future
    from pathlib import Path
    from typing import BinaryIO

    from crawler.cold.canary import Profile
    from crawler.cold.copies import Copies, Copy
    from crawler.cold.objects import Object
    from crawler.cold.store import Store
    from crawler.cold.throttle import Throttle

#: Copies that are read back: where nothing else proves them, all, none, or one in so many beside the first.
ReadBack = Literal["auto", "full", "sample", "none"]
SAMPLE = 0.05


class Sender:
    """Sends objects to one destination."""

    def __init__(
        self,
        store: Store,
        profile: Profile,
        copies: Copies,
        *,
        pool: Executor,
        throttle: Throttle,
        read_back: ReadBack = "auto",
        sent: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._store = store
        self._profile = profile
        self._copies = copies
        self._pool = pool
        self._throttle = throttle
        self._read_back = read_back
        self._sent = sent

    def send(self, copy: Copy, thing: Object, path: Path) -> str:
        """Bring a copy from where it stands to proven; return what proved it, empty where nothing could.

        Raises Refused where this object cannot be taken, Unavailable or Denied where nothing can, Damaged where the
        file is not what was sealed.
        """
        if copy.state is not CopyState.UPLOADED:
            self._upload(copy, thing, path)
            self._copies.set(copy, CopyState.UPLOADED, now=time.time())
            failpoint("push.uploaded")
        proof = self._prove(copy, thing)
        if proof:
            self._copies.set(copy, CopyState.PROVEN, now=time.time(), proof=proof)
            failpoint("push.proven")
        return proof

    # There

    def _upload(self, copy: Copy, thing: Object, path: Path) -> None:
        if not path.is_file() or path.stat().st_size < thing.bytes:
            raise Damaged("It is not the file that was sealed: it is shorter, or gone.")
        if not copy.upload and self._is_there(copy, thing):
            self._sent(thing.bytes)
            return
        with path.open("rb") as file:
            if len(thing.part_md5) == 1 or not self._profile.takes_parts:
                self._whole(copy, thing, file)
            else:
                self._in_parts(copy, thing, file)

    def _is_there(self, copy: Copy, thing: Object) -> bool:
        """Say whether the object is there, of the right length; its name has its hash."""
        head = self._store.head(copy.key)
        if head is None:
            return False
        if head.get("ContentLength") != thing.bytes:
            self._spoilt(copy, f"it has {head.get('ContentLength')} bytes, not {thing.bytes}")
        return True

    def _whole(self, copy: Copy, thing: Object, file: BinaryIO) -> None:
        self._copies.set(copy, CopyState.UPLOADING, now=time.time())
        body = Slice(file, 0, thing.bytes, self._throttle)
        sha256 = base64.b64encode(bytes.fromhex(thing.sha256)).decode()
        try:
            self._store.put(
                copy.key, body, length=thing.bytes, md5=thing.md5, conditional=self._profile.is_conditional,
                checksum=("SHA256", sha256) if "SHA256" in self._profile.checksums else None, hot=thing.is_hot,
            )  # fmt: skip
        except Exists:
            if not self._is_there(copy, thing):
                raise
        self._sent(thing.bytes)

    def _in_parts(self, copy: Copy, thing: Object, file: BinaryIO) -> None:
        upload, there = self._resumed(copy, thing)
        if not upload and self._is_there(copy, thing):  # it was complete, and nobody heard so
            self._sent(thing.bytes)
            return
        if not upload:
            upload = self._store.begin(copy.key, hot=thing.is_hot, with_crc32=self._has_crc32(thing))
            self._copies.set(copy, CopyState.UPLOADING, now=time.time(), upload=upload)
            failpoint("push.begun")
        self._sent(sum(_length(thing, number) for number in there))
        etags = {**there, **self._send_parts(copy, thing, file, upload, set(there))}
        failpoint("push.parts")
        try:
            self._store.complete(
                copy.key, upload, etags, conditional=self._profile.is_conditional,
                crc32=thing.crc32 if self._has_crc32(thing) else "",
            )  # fmt: skip
        except Absent:
            # The answer to an earlier "complete" was lost, or somebody ended the upload.
            if not self._is_there(copy, thing):
                self._copies.set(copy, CopyState.PENDING, now=time.time(), reason="its upload was gone")
                raise
        except Exists:
            if not self._is_there(copy, thing):
                raise
            self._store.abort(copy.key, upload)
        failpoint("push.completed")
        self._copies.forget_parts(upload)

    def _has_crc32(self, thing: Object) -> bool:
        return self._profile.whole_crc32 and bool(thing.crc32)

    def _resumed(self, copy: Copy, thing: Object) -> tuple[str, dict[int, str]]:
        """Return the upload that goes on and the parts it has, number → ETag; an empty id where there is none."""
        if not copy.upload:
            return "", {}
        known = self._copies.parts(copy.upload)
        try:
            listed = self._store.parts(copy.key, copy.upload) if self._profile.lists_parts else None
        except Absent:
            self._copies.forget_parts(copy.upload)
            return "", {}
        if listed is None:
            return copy.upload, known
        kept = {}
        for number, (etag, size) in listed.items():
            is_ours = 1 <= number <= len(thing.part_md5) and size == _length(thing, number)
            is_right = is_ours and (
                known.get(number) == etag
                or (self._profile.etag_of_parts and etag.strip('"') == thing.part_md5[number - 1])
            )
            if is_right:
                kept[number] = etag
        return copy.upload, kept

    def _send_parts(self, copy: Copy, thing: Object, file: BinaryIO, upload: str, there: set[int]) -> dict[int, str]:
        """Send the parts that are not there, several at once; the first fault ends it, what arrived is kept."""
        waiting = [number for number in range(1, len(thing.part_md5) + 1) if number not in there]
        futures: dict[Future[str], int] = {}
        etags: dict[int, str] = {}
        try:
            for number in waiting:
                futures[self._pool.submit(self._part, copy, thing, file, upload, number)] = number
            wait(futures, return_when=FIRST_EXCEPTION)
            for future, number in futures.items():
                if future.done() and not future.cancelled():
                    etags[number] = future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
        return etags

    def _part(self, copy: Copy, thing: Object, file: BinaryIO, upload: str, number: int) -> str:
        start = (number - 1) * thing.part_bytes
        body = Slice(file, start, _length(thing, number), self._throttle)
        etag = self._store.part(copy.key, upload, number, body, md5=thing.part_md5[number - 1])
        self._copies.part_sent(upload, number, etag)
        self._sent(len(body))
        failpoint("push.part")
        return etag

    # Proved

    def _prove(self, copy: Copy, thing: Object) -> str:
        head = self._store.head(copy.key)
        if head is None:
            self._copies.set(copy, CopyState.PENDING, now=time.time(), reason="it was not there when looked for")
            raise Refused(f"{copy.destination} said that it has {copy.key}, and does not.")
        proof, fault = judged(self._profile, thing, head)
        if fault:
            self._spoilt(copy, fault)
        if not self._is_read_back(proof):
            return proof
        found, length = self._store.sha256(copy.key)
        if (found, length) != (thing.sha256, thing.bytes):
            self._spoilt(copy, f"its SHA-256 is {found[:12]}…, not {thing.sha256[:12]}…")
        return "read back"

    def _is_read_back(self, proof: str) -> bool:
        match self._read_back:
            case "full":
                return True
            case "none":
                return False
            case "sample" if proof:
                return random.random() < SAMPLE  # noqa: S311 - a sample
        return not proof

    def _spoilt(self, copy: Copy, why: str) -> None:
        """What is there is not what we have: it stays as evidence, and the next try has another name."""
        self._copies.rename(copy, next_name(copy.key), now=time.time(), reason=why)
        raise Refused(f"{copy.destination} has {copy.key} wrongly: {why}.")


def _length(thing: Object, number: int) -> int:
    return min(thing.part_bytes, thing.bytes - (number - 1) * thing.part_bytes)


def next_name(key: str) -> str:
    """Return another key for the same bytes: ``….warc.gz`` → ``…~2.warc.gz`` → ``…~3.warc.gz``."""
    folder, _, name = key.rpartition("/")
    stem, dot, suffix = name.partition(".warc.gz") if ".warc.gz" in name else name.rpartition(".")
    base, tilde, number = stem.rpartition("~")
    again = f"{base}~{int(number) + 1}" if tilde and number.isdigit() else f"{stem}~2"
    return "/".join(part for part in (folder, f"{again}{dot}{suffix}") if part)
