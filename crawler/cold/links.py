"""Requests to links that somebody with credentials has signed: this side has none, and needs no boto3."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import urllib3

from crawler.cold.store import Absent, Denied, Refused, Unavailable

if TYPE_CHECKING:
    from crawler.cold.store import Slice

#: Bytes of an answer that are looked at.
_ANSWER = 64 << 10


class Links:
    """Sends to signed links, with the CA bundle of the usual AWS variable. Calls may come from several threads."""

    def __init__(self, connections: int = 4) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=connections, retries=False, timeout=urllib3.Timeout(connect=15.0, read=60.0),
            cert_reqs="CERT_REQUIRED", ca_certs=os.environ.get("AWS_CA_BUNDLE"),
        )  # fmt: skip

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()

    def send(self, method: str, url: str, body: Slice | bytes = b"", **headers: str) -> tuple[dict[str, str], bytes]:
        """Do what a link is for; return the answer's headers (lower case) and the start of its body.

        Raises Absent, Denied, Refused or Unavailable as a store does.
        """
        told: dict[str, Any] = {"Content-Length": str(len(body)), **headers}
        try:
            answer = self._pool.request(method, url, body=body, headers=told, preload_content=False, redirect=False)
            text = answer.read(_ANSWER)
            answer.drain_conn()
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise Unavailable(f"{urllib3.util.parse_url(url).host} cannot be reached: {type(e).__name__}") from e
        if answer.status >= 300 or b"<Error>" in text:
            raise _meant(answer.status, text)
        return {name.lower(): value for name, value in answer.headers.items()}, text


def _meant(status: int, text: bytes) -> Exception:
    told = f"{status}: {text[:300].decode('utf-8', 'replace')}"
    if b"NoSuchUpload" in text:
        return Absent(f"The upload is over, or was ended ({told}).")
    if status == 403:
        return Denied(f"The link is not good any more ({told}).")
    if status in {429, 500, 502, 503, 504}:
        return Unavailable(f"The destination takes nothing now ({told}).")
    return Refused(f"The destination refuses it ({told}).")
