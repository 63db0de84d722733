"""Files of evidence: JSON in one spelling, so that every byte of it is checked, written whole or not at all.

The spelling is RFC 8785's for what is used here: names in ASCII, integers, text.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from crawler.collection import sync_directory

if TYPE_CHECKING:
    from pathlib import Path


def canonical(value: Any) -> bytes:
    """Return the one spelling of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write(path: Path, data: bytes) -> None:
    """Write a file durably; it has its name once it is whole."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)
    sync_directory(path.parent)
