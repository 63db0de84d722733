"""Encryption of what leaves this machine, with age (age-encryption.org/v1): to public keys, file by file.

Whom a collection's segments are encrypted to is written in the collection, so that no later push forgets it. Whoever
has the identity reads a copy with ``archive pull --identity`` or with age itself; without it a copy is lost.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from crawler.collection import sync_directory
from crawler.errors import Damaged, UsageError
from crawler.evidence.canonical import write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from crawler.collection import Collection

SUFFIX = ".age"


def recipients(collection: Collection) -> tuple[str, ...]:
    """Return the public keys that copies of a collection's segments are encrypted to; none where they are not."""
    path = _list(collection)
    return tuple(path.read_text("utf-8").split()) if path.is_file() else ()


def encrypt_to(collection: Collection, keys: Iterable[str]) -> None:
    """Have all copies of a collection's segments that are made from now on encrypted to these public keys.

    Raises UsageError where one is none, or the program that encrypts is not installed.
    """
    wanted = tuple(sorted(set(keys)))
    for key in wanted:
        _recipient(key)
    if wanted != recipients(collection):
        write(_list(collection), "\n".join((*wanted, "")).encode())


def encrypt(source: Path, target: Path, keys: Iterable[str]) -> None:
    """Encrypt a file; ``target`` has its name once it is whole and durable."""
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(exist_ok=True)
    with source.open("rb") as plain, part.open("wb") as out:
        _age().encrypt_io(plain, out, [_recipient(key) for key in keys])
        out.flush()
        os.fsync(out.fileno())
    part.rename(target)
    sync_directory(target.parent)


def decrypt(source: Path, target: Path, identities: list[Any]) -> str:
    """Decrypt a file durably; return the SHA-256 (hex) of what is in it. Raises Damaged where that cannot be."""
    age = _age()
    try:
        with source.open("rb") as sealed, target.open("wb") as out:
            hashed = _Hashed(out)
            age.decrypt_io(sealed, cast("BinaryIO", hashed), identities)
            out.flush()
            os.fsync(out.fileno())
    except (age.DecryptError, OSError) as e:
        raise Damaged(f"{source.name} cannot be decrypted: {e}.") from e
    return hashed.digest.hexdigest()


def identities_in(path: Path) -> list[Any]:
    """Return the identities in a file as age-keygen writes it. Raises UsageError."""
    age = _age()
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        found = [age.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError, age.IdentityError) as e:
        raise UsageError(f"{path} is no file of age identities: {e}.") from e
    if not found:
        raise UsageError(f"{path} holds no age identity.")
    return found


class _Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._out.write(data)

    def flush(self) -> None:
        self._out.flush()


def _list(collection: Collection) -> Path:
    return collection.root / "encrypted" / "recipients"


def _recipient(key: str) -> Any:
    age = _age()
    try:
        return age.x25519.Recipient.from_str(key)
    except age.RecipientError as e:
        raise UsageError(f"{key!r} is no public key of age (age1…): {e}.") from e


def _age() -> Any:
    try:
        import pyrage  # noqa: PLC0415 - only who encrypts needs it
    except ImportError as e:
        raise UsageError("Encryption needs pyrage; install outlast[age].") from e
    return pyrage
