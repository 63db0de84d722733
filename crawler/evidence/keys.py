"""Keys that sign: Ed25519 (RFC 8032), as PEM files that openssl reads too.

A private key is a file that only its owner may read, and is never overwritten. A public key is 32 bytes; people pass it
on as a file or as 64 hexadecimal digits.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from crawler.collection import sync_directory
from crawler.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def folder() -> Path:
    """Return where keys are: ``outlast/keys`` in the XDG data folder."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "outlast" / "keys"


def place(name: str) -> Path:
    """Return the file of a key that is called so. Raises UsageError where that is no name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a key; letters, digits, dots and hyphens are.")
    return folder() / f"{name}.pem"


def new(path: Path) -> bytes:
    """Make a key; return the public one. Raises UsageError where there is such a file already."""
    key = Ed25519PrivateKey.generate()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    except FileExistsError as e:
        raise UsageError(f"{path} exists, and a key is never overwritten; name another.") from e
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}.") from e
    return raw(key.public_key())


def listed() -> dict[str, Path]:
    """Return name → file of the keys in the folder."""
    return {path.stem: path for path in sorted(folder().glob("*.pem"))}


def private(named: str | None) -> Ed25519PrivateKey:
    """Return the key in a file, or of a name; of None the only one there is.

    Raises UsageError where there is none, others may read it, or it is no key of this kind.
    """
    path = _file(named)
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(f"Others may read the private key {path}; chmod 600 it.")
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as e:
        raise UsageError(f"There is no key {path}; archive keys new makes one.") from e
    except (ValueError, TypeError) as e:
        raise UsageError(f"{path} is no private key without a passphrase.") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is no Ed25519 key.")
    return key


def public(text: str) -> bytes:
    """Return the 32 bytes of a public key: 64 hexadecimal digits, or a PEM file. Raises UsageError."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        key = load_pem_public_key(Path(text).read_bytes())
    except OSError as e:
        raise UsageError(f"{text} is neither a file nor a public key in 64 hexadecimal digits.") from e
    except (ValueError, TypeError) as e:
        raise UsageError(f"{text} holds no public key.") from e
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{text} is no Ed25519 key.")
    return raw(key)


def raw(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def pem(key: bytes) -> str:
    """Return a public key as a PEM file."""
    made = Ed25519PublicKey.from_public_bytes(key)
    return made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def holds(key: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether a signature is that of a key over these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _file(named: str | None) -> Path:
    if named is not None:
        return Path(named) if "/" in named or Path(named).is_file() else place(named)
    known = listed()
    if len(known) != 1:
        raise UsageError(
            f"There are several keys; name one with --key: {', '.join(known)}."
            if known
            else "There is no key to sign with; archive keys new makes one."
        )
    return next(iter(known.values()))


def _write(path: Path, data: bytes, *, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    sync_directory(path.parent)
