"""``evidence/volunteers.jsonl``: which volunteer brought which segment, in its own hand.

A line a segment: ``segment``, ``node``, ``label``, ``bytes``, ``sha256``, ``crawl``, ``public_key``, and the Ed25519
``signature`` over what ``claim`` spells. The coordinator knows the key since the volunteer joined.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from crawler.collection import sync_directory
from crawler.evidence.holdings import BROUGHT
from crawler.evidence.keys import holds

if TYPE_CHECKING:
    from pathlib import Path


def claim(crawl: str, node: int, name: str, length: int, sha256: str) -> bytes:
    """Return what a volunteer signs of a segment: which crawl's, whose, and what it is."""
    return f"outlast-segment/1\n{crawl}\n{node}\n{name}\n{length}\n{sha256}\n".encode()


def note(root: Path, facts: dict[str, Any]) -> None:
    """Keep who brought a segment, durably; one that is noted stays as it is."""
    path = root / BROUGHT
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as out:
        out.seek(0)
        known = out.read()
        if f'"segment": {json.dumps(facts["segment"])},'.encode() in known:
            return
        out.truncate(known.rfind(b"\n") + 1)  # what a power cut tore
        out.write(json.dumps(facts, sort_keys=True).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
    sync_directory(path.parent)


def brought(root: Path) -> dict[str, dict[str, Any]]:
    """Return segment → who brought it, of the lines whose signature holds."""
    try:
        lines = (root / BROUGHT).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    found = (json.loads(line) for line in lines if line.endswith(b"\n"))
    return {one["segment"]: one for one in found if _is_signed(one)}


def _is_signed(one: dict[str, Any]) -> bool:
    data = claim(one["crawl"], one["node"], one["segment"], one["bytes"], one["sha256"])
    return holds(bytes.fromhex(one["public_key"]), bytes.fromhex(one["signature"]), data)
