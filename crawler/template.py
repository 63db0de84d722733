"""A URL with ranges of ids in braces, and the positions it stands for: ``https://site/post/{1..25000000}``. Pure.

A template is never spelled out: ``url`` gives the URL of one position, ``place`` the position of a URL. Positions
count from 0, the last brace turning fastest. What can stand in braces:

    {1..25000000}   numbers                 {0001..9999}    numbers padded with zeros
    {0x1..0xff}     hexadecimal, written without the 0x; {hex:1..ff} is the same
    {a..zz}         letters: a to z, then aa to zz; {aa..zz} and {A..Z} likewise
    {base36:1..zz}  digits and letters      {en,de,fr}      one of these
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod
from string import ascii_lowercase, ascii_uppercase, digits
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from crawler.errors import UsageError
from crawler.url import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Positions of one template at the most; at a thousand a second these would take four hundred years.
MOST = 1 << 44
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(?:(hex|base36):)?([0-9A-Za-z]{1,64})\.\.([0-9A-Za-z]{1,64})")
_BASES = {"hex": 16, "base36": 36}


class Ids(Protocol):
    """What one pair of braces stands for: some texts, in order."""

    @property
    def size(self) -> int: ...

    @property
    def longest(self) -> int: ...

    def text(self, index: int) -> str: ...

    def index(self, text: str) -> int | None:
        """Return where a text stands, None where it is none of these."""
        ...


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers to a base, padded with zeros to a width."""

    first: int
    size: int
    base: int = 10
    width: int = 1
    is_upper: bool = False

    @property
    def longest(self) -> int:
        return len(self.text(self.size - 1))

    def text(self, index: int) -> str:
        number, alphabet = self.first + index, digits + (ascii_uppercase if self.is_upper else ascii_lowercase)
        if self.base == 10:
            return f"{number:0{self.width}d}"
        written = ""
        while number:
            number, digit = divmod(number, self.base)
            written = alphabet[digit] + written
        return written.rjust(self.width, "0")

    def index(self, text: str) -> int | None:
        if not (text.isascii() and text.isalnum()):
            return None
        try:
            index = int(text, self.base) - self.first
        except ValueError:
            return None
        return index if 0 <= index < self.size and self.text(index) == text else None


@dataclass(frozen=True, slots=True)
class Letters:
    """Words of letters, the short ones first: a to z, aa to zz, and so on."""

    first: int
    size: int
    alphabet: str = ascii_lowercase

    @property
    def longest(self) -> int:
        return len(self.text(self.size - 1))

    def text(self, index: int) -> str:
        number, written = self.first + index, ""
        while number:
            number, letter = divmod(number - 1, len(self.alphabet))
            written = self.alphabet[letter] + written
        return written

    def index(self, text: str) -> int | None:
        if not text or not set(text) <= set(self.alphabet):
            return None
        index = _word(text, self.alphabet) - self.first
        return index if 0 <= index < self.size else None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.words)

    @property
    def longest(self) -> int:
        return max(map(len, self.words))

    def text(self, index: int) -> str:
        return self.words[index]

    def index(self, text: str) -> int | None:
        return self.words.index(text) if text in self.words else None


@dataclass(frozen=True)
class Template:
    """A template read. ``Template.of`` makes one, and raises UsageError where it cannot be."""

    #: As it was written, with what stands around the braces in the spelling that URLs are known by.
    text: str
    #: What stands before, between and after the braces: one more than there are ``ids``.
    literals: tuple[str, ...]
    ids: tuple[Ids, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", prod(one.size for one in self.ids))

    @classmethod
    def of(cls, text: str) -> Template:
        """Read a template."""
        braces = _BRACES.findall(text)
        if not braces or "{" in _BRACES.sub("", text) or "}" in _BRACES.sub("", text):
            raise UsageError(f"{text!r} has no ids in braces; write https://site/post/{{1..25000}}")
        literals = _spelled(text, _BRACES.split(text)[::2])
        whole = "".join(f"{before}{{{brace}}}" for before, brace in zip(literals, braces, strict=False)) + literals[-1]
        found = cls(whole, literals, tuple(_ids(brace) for brace in braces))
        if found.size > MOST:
            raise UsageError(f"{text!r} stands for {found.size:,} URLs; nobody can ask for so many.")
        return found

    def url(self, position: int) -> str:
        """Return the URL of a position."""
        parts = [self.literals[-1]]
        for before, ids in zip(self.literals[-2::-1], self.ids[::-1], strict=True):
            position, index = divmod(position, ids.size)
            parts += [ids.text(index), before]
        return "".join(reversed(parts))

    def place(self, url: str) -> int | None:
        """Return the position of a URL, in its canonical spelling; None where it has none.

        Where the ids of two positions run together into one URL, it has the first that is found: see ``is_own``.
        """
        first, last = self.literals[0], self.literals[-1]
        if not (url.startswith(first) and url.endswith(last)):
            return None
        indices = self._split(url[len(first) : len(url) - len(last)], 0)
        if indices is None:
            return None
        position = 0
        for index, ids in zip(indices, self.ids, strict=True):
            position = position * ids.size + index
        return position

    def _split(self, text: str, number: int) -> list[int] | None:
        """Return where each of the ids from a number on stands, if a text is made of them and what is between."""
        ids, after = self.ids[number], self.literals[number + 1]
        if number + 1 == len(self.ids):
            index = ids.index(text) if len(text) <= ids.longest else None
            return None if index is None else [index]
        for length in range(min(ids.longest, len(text)), 0, -1):
            if text.startswith(after, length) and (index := ids.index(text[:length])) is not None:
                rest = self._split(text[length + len(after) :], number + 1)
                if rest is not None:
                    return [index, *rest]
        return None

    def is_own(self, position: int) -> bool:
        """Say whether the URL of a position is that of no other: {1..20}{1..20} makes 111 twice."""
        return self.place(self.url(position)) == position

    def label(self, position: int) -> str:
        """Return the ids of a position as people know them."""
        url, start = self.url(position), len(self.literals[0])
        return url[start : len(url) - len(self.literals[-1])] if self.literals[-1] else url[start:]


def _spelled(text: str, literals: Sequence[str]) -> tuple[str, ...]:
    """Return what stands around the braces as URLs are known by it; the braces must stand behind the host."""
    mark = next(mark for n in range(len(text) + 1) if (mark := f"q{n}q") not in text)
    try:
        url = canonical(mark.join(literals))
        host, rest = urlsplit(url).netloc, url.split(mark)
    except ValueError as e:
        raise UsageError(f"{text!r} is no URL: {e}") from e
    if not url.startswith(("http://", "https://")) or mark in host or len(rest) != len(literals):
        raise UsageError(f"{text!r} is no template: write a whole URL with the braces in its path or query.")
    return tuple(rest)


def _ids(brace: str) -> Ids:
    if "," in brace and ".." not in brace:
        words = tuple(dict.fromkeys(brace.split(",")))
        if all(re.fullmatch(r"[\w.~-]+", word, re.ASCII) for word in words):
            return Choice(words)
    found = _RANGE.fullmatch(brace)
    if found is None:
        raise UsageError(f"{{{brace}}} is no range of ids; write {{1..2500}}, {{0x0..0xff}}, {{a..zz}} or {{en,de}}.")
    named, first, last = found.groups()
    if not named and first.startswith("0x") and last.startswith("0x"):
        named, first, last = "hex", first[2:], last[2:]
    try:
        if named or (first + last).isdecimal():
            return _numbers(first, last, _BASES.get(named or "", 10))
        return _letters(first, last)
    except ValueError as e:
        raise UsageError(f"{{{brace}}} is no range of ids: {e}") from e


def _numbers(first: str, last: str, base: int) -> Numbers:
    low, high = sorted((int(first, base), int(last, base)))
    is_padded = any(len(text) > 1 and text.startswith("0") for text in (first, last))
    width = max(len(first), len(last)) if is_padded else 1
    return Numbers(low, high - low + 1, base, width, is_upper=first + last != (first + last).lower())


def _letters(first: str, last: str) -> Letters:
    alphabet = ascii_uppercase if first.isupper() else ascii_lowercase
    low, high = sorted((_word(first, alphabet), _word(last, alphabet)))
    return Letters(low, high - low + 1, alphabet)


def _word(text: str, alphabet: str) -> int:
    number = 0
    for letter in text:
        number = number * len(alphabet) + alphabet.index(letter) + 1
    return number
