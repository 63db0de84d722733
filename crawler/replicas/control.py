"""The other door of a replica, for whoever drives it: its books, its truth, its clock, its faults. Plain HTTP.

GET /ledger      brings the ledger up to date; its path, as text (there may be no file yet)
GET /truth       {"public": {kind: count}, "private": {kind: count}, "gone": {kind: count}, "furniture": count, …}
GET /truth.jsonl every thing, one JSON object a line
GET /nmin        {"by_kind": {kind: count}, "total": count}: the least requests that get everything public once
GET /stats       {"exchanges": count, "connections": count, "clock": ISO, "is_up": bool, "faults": [...]}
POST /faults     replaces the faults: text or JSON, see faults.py      POST /clock  sets the clock: an ISO time
POST /age        {"edited": count, "deleted": count, "added": count}: time goes by; which posts, as JSON
POST /down       refuse connections, reset those open                  POST /up     accept them again, on the same ports;
                                                                      takes back every fault "dark"
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawler.replicas.server import Replica

#: Things that stand on another's page though they have a URL; what has none stands there anyway.
INLINE = frozenset({"comment"})
#: Style sheets, scripts, icons: a crawl needs them, nobody asks how many there were.
FURNITURE = "asset"
_BATCH = 64


class Control:
    """Answers on the control port."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        #: Objects lost → counts: a million posts take minutes to count, and do not change.
        self._counts: dict[str, dict[str, Counter[str]]] = {}
        self._counting = asyncio.Lock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            method, target, body = await _read(reader)
            status = 200
            parts = self._answer(method, target, body)
            first = await anext(parts, b"")
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as e:
            status, first, parts = 400, f"{e}\n".encode(), _nothing()
        except LookupError as e:
            status, first, parts = 404, f"{e}\n".encode(), _nothing()
        try:
            writer.write(f"HTTP/1.0 {status} {'OK' if status == 200 else 'No'}\r\n\r\n".encode() + first)
            async for part in parts:
                writer.write(part)
                await writer.drain()
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked went away
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, body: str) -> AsyncIterator[bytes]:
        replica = self._replica
        if (method, target) == ("GET", "/truth.jsonl"):
            async for batch in self._things():
                yield b"".join(json.dumps(thing, ensure_ascii=False).encode() + b"\n" for thing in batch)
            return
        if method == "GET":
            yield await self._told(target)
            return
        match (method, target):
            case ("POST", "/faults"):
                was_bad = replica.faults.certificate != "server"
                replica.faults.set(body)
                if was_bad:
                    replica.dress()
            case ("POST", "/clock"):
                replica.clock.set(datetime.fromisoformat(body.strip()))
            case ("POST", "/age"):
                yield json.dumps(_aged(replica, body)).encode()
                return
            case ("POST", "/down"):
                replica.down()
            case ("POST", "/up"):
                replica.faults.end_darkness()
                await replica.up()
            case _:
                raise LookupError(f"there is no {method} {target}")
        yield b"ok\n"

    async def _told(self, target: str) -> bytes:
        """Return what a GET is answered."""
        replica = self._replica
        match target:
            case "/ledger":
                replica.ledger.flush()
                return str(replica.ledger.path).encode()
            case "/truth":
                return json.dumps(await self._truth()).encode()
            case "/nmin":
                return json.dumps(await self._least()).encode()
            case "/stats":
                return json.dumps({
                    "exchanges": replica.ledger.count, "connections": len(replica.connections),
                    "clock": replica.clock.moment.isoformat(), "is_up": replica.is_up,
                    "faults": [asdict(fault) for fault in replica.faults.all],
                }).encode()  # fmt: skip
        raise LookupError(f"there is no GET {target}")

    async def _things(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield everything there is, in batches, and let the site answer meanwhile."""
        things = self._replica.site.things()
        while batch := list(islice(things, _BATCH)):
            for thing in batch:
                if self._is_gone(thing["url"]):
                    thing["gone"] = True
            yield batch
            await asyncio.sleep(0)

    def _is_gone(self, url: str) -> bool:
        """Say whether the faults in force have lost the object at a URL."""
        parts = urlsplit(url)
        return self._replica.faults.is_gone(parts.hostname or "", parts.path)

    async def _counted(self) -> dict[str, Counter[str]]:
        """Count what is public, private and gone, by kind; only once while the same objects are lost."""
        async with self._counting:
            lost = self._replica.faults.losses
            if lost not in self._counts:
                counts = {name: Counter[str]() for name in ("public", "private", "gone", "asked")}
                async for batch in self._things():
                    for thing in batch:
                        is_there = "public" if thing["public"] else "private"
                        kind = thing["kind"]
                        counts["gone" if "gone" in thing else is_there][kind] += 1
                        counts["asked"][kind] += bool(
                            thing["public"] and thing["url"] and "gone" not in thing and kind not in INLINE
                        )
                self._counts[lost] = counts
            return self._counts[lost]

    async def _truth(self) -> dict[str, Any]:
        told = {name: dict(found) for name, found in (await self._counted()).items() if name != "asked"}
        return {**told, "furniture": told["public"].pop(FURNITURE, 0), **self._replica.site.facts()}

    async def _least(self) -> dict[str, Any]:
        counts = Counter(self._replica.site.overhead()) + (await self._counted())["asked"]
        return {"by_kind": dict(counts), "total": counts.total()}


def _aged(replica: Replica, body: str) -> dict[str, list[str]]:
    """Let time go by. Raises ValueError for what is no such order, and LookupError where it stands still."""
    counts = json.loads(body)
    if not isinstance(counts, dict) or not all(isinstance(one, int) and one >= 0 for one in counts.values()):
        raise ValueError("say how many are edited, deleted and added")
    try:
        told: dict[str, list[str]] = replica.site.age(**counts)  # type: ignore[attr-defined]
    except (AttributeError, NotImplementedError, TypeError) as e:
        raise LookupError(f"time does not go by here: {e}") from e
    return told


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, str]:
    """Return method, target and body of a request. Raises ValueError for what is none."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return method, target, body.decode()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield
