"""The replica's books: every exchange with the bytes that came and the bytes that went, one JSON line each.

A line holds ``sequence``, ``time`` (seconds since 1970, the machine's clock), ``scheme``, ``host``, ``method``,
``target``, ``status`` (0 where no status line was sent), ``complete`` (the whole answer was sent), ``fault``
(what went wrong on purpose, or null), and ``request_sha256``, ``request_bytes``, ``response_sha256``,
``response_bytes`` over the exact bytes, heads and chunk framing included. With ``--ledger bytes`` also ``request`` and
``response`` in base64; of a body that is streamed, ``response`` has the head alone.

What is counted as sent was handed to the socket. A client that goes away may not have read all of it.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.replicas.exchange import Request

MODES = ("digests", "bytes", "off")
_HELD = 1000


@dataclass(slots=True)
class Entry:
    """One exchange while it happens."""

    request: Request
    received: bytes
    scheme: str
    status: int = 0
    fault: str | None = None
    sent: int = 0
    #: What was sent, where it is kept.
    copy: bytearray | None = None
    _hash: Any = field(default_factory=hashlib.sha256)

    def add(self, data: bytes, *, copied: bool = True) -> None:
        """Count bytes that were handed to the socket."""
        self._hash.update(data)
        self.sent += len(data)
        if self.copy is not None and copied:
            self.copy += data

    def facts(self) -> dict[str, Any]:
        """Return what its line says, but for its place and time."""
        request = self.request
        facts = {
            "scheme": self.scheme, "host": request.host, "method": request.method, "target": request.target,
            "status": self.status, "fault": self.fault,
            "request_sha256": hashlib.sha256(self.received).hexdigest(), "request_bytes": len(self.received),
            "response_sha256": self._hash.hexdigest(), "response_bytes": self.sent,
        }  # fmt: skip
        if self.copy is not None:
            facts |= {"request": b64encode(self.received).decode(), "response": b64encode(self.copy).decode()}
        return facts


class Ledger:
    """The file of these lines; a replica started again in the same state directory goes on with it."""

    def __init__(self, path: Path, mode: str = "digests") -> None:
        self.path = path
        self.mode = mode
        self.count = 0
        self._lines: list[str] = []
        if mode != "off" and path.exists():
            with path.open("rb") as old:
                self.count = sum(1 for _ in old)

    def begin(self, request: Request, received: bytes, scheme: str) -> Entry:
        """Open the entry of a request that has been read."""
        return Entry(request, received, scheme, copy=bytearray() if self.mode == "bytes" else None)

    def enter(self, entry: Entry, *, complete: bool) -> None:
        """Write an exchange down, now that it is over."""
        self.count += 1
        if self.mode == "off":
            return
        facts = {"sequence": self.count, "time": round(time.time(), 6), "complete": complete} | entry.facts()
        self._lines.append(json.dumps(facts))
        if len(self._lines) >= _HELD:
            self.flush()

    def flush(self) -> None:
        """Bring the file up to date."""
        if self.mode != "off":
            with self.path.open("a") as out:
                out.writelines(line + "\n" for line in self._lines)
        self._lines.clear()
