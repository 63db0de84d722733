"""``DIR/volunteer.json``: who a volunteer is to its coordinator. It holds the secret it shows, for its owner alone."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import UsageError
from crawler.evidence import keys

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from crawler.volunteers.token import Token

_NAME, _KEY = "volunteer.json", "volunteer.pem"
#: What a directory has of it before it is a collection.
FILES = frozenset({_NAME, _KEY, f"{_NAME}.part"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """What a volunteer goes by. ``node`` is 0 until it has joined."""

    url: str
    pin: str
    #: What it shows; the coordinator keeps a hash of it.
    secret: str
    node: int = 0
    #: Id of the coordinator's collection.
    crawl: str = ""

    @property
    def shows(self) -> str:
        """Return the hash (SHA-256, hex) by which it is known."""
        return sha256(bytes.fromhex(self.secret)).hexdigest()


def exists(root: Path) -> bool:
    """Say whether a directory is a volunteer's."""
    return (root / _NAME).is_file()


def made(root: Path, token: Token) -> Badge:
    """Return the badge of a directory; a new one is durable before anybody hears of it.

    Raises UsageError where it cannot be.
    """
    if exists(root):
        return read(root)
    badge = Badge(url=token.url, pin=token.pin, secret=secrets.token_hex(32))
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not (root / _KEY).exists():
            keys.new(root / _KEY)
    except OSError as e:
        raise UsageError(f"{root} cannot be written: {e.strerror}.") from e
    write(root, badge)
    return badge


def forget(root: Path, *, was_there: bool) -> None:
    """Leave nothing of a badge that no coordinator knows, nor of a directory that was made for it."""
    for name in FILES:
        (root / name).unlink(missing_ok=True)
    if not was_there:
        with suppress(OSError):  # somebody has put something there
            root.rmdir()


def joined(root: Path, badge: Badge, node: int, crawl: str) -> Badge:
    """Return the badge with what the coordinator said, durably."""
    badge = replace(badge, node=node, crawl=crawl)
    write(root, badge)
    return badge


def read(root: Path) -> Badge:
    """Return the badge of a directory. Raises UsageError where it is none."""
    try:
        return Badge(**json.loads((root / _NAME).read_text("utf-8")))
    except OSError as e:
        raise UsageError(f"{root / _NAME}: {e.strerror}.") from e
    except (ValueError, TypeError) as e:
        raise UsageError(f"{root / _NAME} is damaged; join anew, in another directory.") from e


def write(root: Path, badge: Badge) -> None:
    """Keep a badge where only its owner may read it."""
    part = root / f"{_NAME}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(badge), out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    part.rename(root / _NAME)
    sync_directory(root)


def key(root: Path) -> Ed25519PrivateKey:
    """Return the key that a volunteer signs with."""
    return keys.private(str(root / _KEY))
