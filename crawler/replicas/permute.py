"""Reversible disguises of small integers, so that a replica can answer any id without a table.

A keyed Feistel network over the bits needed, walked until the result is in range, is a bijection on ``range(size)``.
"""

from __future__ import annotations

import hashlib
import re
import string

BASE62 = string.digits + string.ascii_letters
_TURNS = 4
_HEX32 = re.compile("[0-9a-f]{32}")


def keyed(seed: int, *parts: object) -> int:
    """Return a number of 64 bits that depends on all parts and nothing else."""
    text = "\0".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class Disguise:
    """A bijection of ``range(size)`` onto itself that looks random."""

    def __init__(self, seed: int, name: str, size: int) -> None:
        self._size = size
        self._half = (max(size - 1, 1).bit_length() + 1) // 2
        self._mask = (1 << self._half) - 1
        self._keys = [f"{seed}/{name}/{turn}".encode() for turn in range(_TURNS)]

    def hide(self, number: int) -> int:
        """Return what stands for a number."""
        number = self._turn(number)
        while number >= self._size:
            number = self._turn(number)
        return number

    def find(self, hidden: int) -> int:
        """Return the number that something stands for."""
        hidden = self._back(hidden)
        while hidden >= self._size:
            hidden = self._back(hidden)
        return hidden

    def _turn(self, number: int) -> int:
        left, right = number >> self._half, number & self._mask
        for key in self._keys:
            left, right = right, left ^ self._round(key, right)
        return left << self._half | right

    def _back(self, number: int) -> int:
        left, right = number >> self._half, number & self._mask
        for key in reversed(self._keys):
            left, right = right ^ self._round(key, left), left
        return left << self._half | right

    def _round(self, key: bytes, value: int) -> int:
        digest = hashlib.blake2b(value.to_bytes(16, "big"), key=key, digest_size=16).digest()
        return int.from_bytes(digest, "big") & self._mask


class Hex32(Disguise):
    """Ids of 32 hexadecimal digits."""

    def __init__(self, seed: int, name: str) -> None:
        super().__init__(seed, name, 1 << 128)

    def text(self, number: int) -> str:
        """Return the id of a number."""
        return f"{self.hide(number):032x}"

    def number(self, text: str) -> int:
        """Return the number of an id. Raises ValueError for what is none."""
        if not _HEX32.fullmatch(text):
            raise ValueError(f"no id of 32 hexadecimal digits: {text[:40]!r}")
        return self.find(int(text, 16))


class Base62(Disguise):
    """Ids of so many base-62 characters."""

    def __init__(self, seed: int, name: str, width: int) -> None:
        super().__init__(seed, name, 62**width)
        self._width = width

    def text(self, number: int) -> str:
        """Return the id of a number."""
        value, digits = self.hide(number), []
        for _ in range(self._width):
            value, digit = divmod(value, 62)
            digits.append(BASE62[digit])
        return "".join(digits)

    def number(self, text: str) -> int:
        """Return the number of an id. Raises ValueError for what is none."""
        value = 0
        for character in reversed(text):
            value = value * 62 + BASE62.index(character)
        return self.find(value)
