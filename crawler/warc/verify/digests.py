"""Labelled digests, ``sha256:…``, in any of the spellings in use: hex or base32, padded or not."""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

_ALGORITHMS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s"})
_SIZES = {name: hashlib.new(name, usedforsecurity=False).digest_size for name in _ALGORITHMS}


@lru_cache(maxsize=16)
def _algorithm(label: str) -> str:
    name = label.lower().replace("-", "")
    return name if name in _ALGORITHMS else ""


def algorithm(labelled: str) -> str:
    """Return hashlib's name of what a digest was made with, empty for what is not known here."""
    return _algorithm(labelled.partition(":")[0])


def value(labelled: str) -> bytes:
    """Return the digest itself, empty where it cannot be read."""
    label, _, text = labelled.partition(":")
    size = _SIZES.get(_algorithm(label), 0)
    try:
        if len(text) == 2 * size:
            return bytes.fromhex(text)
        bare = text.rstrip("=").upper()
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except (ValueError, binascii.Error):
        return b""


def is_padded(labelled: str) -> bool:
    """Say whether a digest ends in padding, which the community leaves out."""
    return labelled.endswith("=")
