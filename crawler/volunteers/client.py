"""The volunteer's line to its coordinator: only ever outwards, over HTTPS, to the one that its token names."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, TypeVar

import msgspec
import urllib3

from crawler.errors import CredentialsError, OutlastError
from crawler.volunteers import wire

if TYPE_CHECKING:
    from crawler.cold.store import Slice

T = TypeVar("T", bound=wire.Message)


class Unreachable(OutlastError):
    """The coordinator cannot be reached now."""

    exit_code = 11


class Refused(OutlastError):
    """The coordinator refuses this call."""

    exit_code = 3

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Dismissed(CredentialsError):
    """The coordinator does not know this volunteer, or not any more."""


class Client:
    """Calls a coordinator. Calls may come from several threads.

    Raises Unreachable, Refused or Dismissed. ``pin`` is the SHA-256 (hex) of the only certificate that is right;
    without one it must be vouched for as any site's.
    """

    def __init__(self, url: str, pin: str, secret: str = "") -> None:
        self._url = url
        self._secret = secret
        checks = {"assert_fingerprint": pin, "cert_reqs": ssl.CERT_NONE} if pin else {"cert_reqs": ssl.CERT_REQUIRED}
        self._pool = urllib3.PoolManager(
            maxsize=8, retries=False, timeout=urllib3.Timeout(connect=15.0, read=120.0),
            **checks,
        )  # fmt: skip

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()

    def ask(self, call: str, message: wire.Message | None, answer: type[T]) -> T:
        """Make one call."""
        body = b"{}" if message is None else msgspec.json.encode(message)
        text = self._send("POST", f"/v1/{call}", body)
        try:
            return msgspec.json.decode(text, type=answer)
        except (msgspec.MsgspecError, RecursionError) as e:
            raise Unreachable(f"{self._url} answers what makes no sense; is that a coordinator?") from e

    def put(self, path: str, body: Slice) -> None:
        """Send a part through the coordinator."""
        self._send("PUT", path, body)

    def _send(self, method: str, path: str, body: Slice | bytes) -> bytes:
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        try:
            answer = self._pool.request(
                method, self._url + path, body=body, headers=headers, preload_content=False, redirect=False
            )
            text = answer.read(wire.MOST + 1)
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise Unreachable(f"{self._url} cannot be reached: {type(e).__name__}.") from e
        if len(text) > wire.MOST:
            raise Unreachable(f"{self._url} says too much; is that a coordinator?")
        if answer.status != 200:
            raise _meant(self._url, answer.status, text)
        return text


def _meant(url: str, status: int, text: bytes) -> OutlastError:
    try:
        why = msgspec.json.decode(text, type=wire.Refusal).error
    except msgspec.MsgspecError:
        why = "is that a coordinator?"
    why = "".join(c for c in why[:300] if c.isprintable())
    if status == 401:
        return Dismissed(f"{url}: {why}")
    if status in {408, 500, 502, 503, 504}:
        return Unreachable(f"{url}: {why} ({status})")
    return Refused(status, f"{url}: {why} ({status})")
