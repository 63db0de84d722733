"""What a volunteer is given to join with: where the coordinator is, how to know it, and a secret that is good once."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from crawler.errors import UsageError

_PREFIX = "outlast-"
#: Characters that a token may have; an honest one has about 200.
_LONGEST = 2000
_PIN = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An invitation. Whoever has it may join, once."""

    #: ``https://host[:port][/path]``, or ``http://`` on this machine alone.
    url: str
    #: SHA-256 (hex) of the coordinator's certificate, where nobody else vouches for that; else empty.
    pin: str = ""
    secret: bytes

    def __str__(self) -> str:
        told = {"u": self.url, "p": self.pin, "s": self.secret.hex()}
        text = msgspec.json.encode({key: value for key, value in told.items() if value})
        return _PREFIX + base64.urlsafe_b64encode(text).decode().rstrip("=")


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    u: str
    s: str
    p: str = ""


def new_secret() -> bytes:
    """Return what nobody can guess."""
    return secrets.token_bytes(32)


def read(text: str) -> Token:
    """Return the token that is spelled so. Raises UsageError where it is none."""
    text = "".join(text.split())
    body = text.removeprefix(_PREFIX)
    try:
        if body == text or len(text) > _LONGEST:
            raise ValueError  # noqa: TRY301 - as below
        told = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Told)
        token = Token(url=checked(told.u), pin=told.p, secret=bytes.fromhex(told.s))
    except (ValueError, msgspec.MsgspecError) as e:
        raise UsageError("That is no token of a coordinator; copy all of it, from outlast- on.") from e
    if not _PIN.fullmatch(token.pin) or len(token.secret) != 32:
        raise UsageError("That is no token of a coordinator; copy all of it, from outlast- on.")
    return token


def checked(url: str) -> str:
    """Return the address of a coordinator. Raises UsageError where it is none, or nobody could trust it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise UsageError(f"{url!r} is no address of a coordinator; it looks like https://host:8443.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(f"{url!r}: what goes there could be read and changed on the way; it must be https://.")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
