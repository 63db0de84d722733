"""The people of the replica, and who wrote which post; both ways, without a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.replicas import words
from crawler.replicas.permute import Disguise, Hex32, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_AVATAR = "https://company-media.parler.com/par-default-profile-picture.jpg"
DEFAULT_BANNER = "https://company-media.parler.com/par-default-banner.jpg"
#: One account in eleven is private; they have the numbers that leave this remainder.
_SHARE, _PRIVATE = 11, 7
_NAME = re.compile(r".*[_.\-](\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class User:
    """An invented person. ``is_private`` accounts show strangers nothing."""

    number: int
    hex: str
    username: str
    name: str
    bio: str
    #: A page of their own that the bio links to; may be empty.
    home: str
    badge: int | None
    joined: datetime
    is_private: bool
    has_avatar: bool
    has_banner: bool

    @property
    def url(self) -> str:
        return f"https://parler.com/profile/{self.username}/posts"

    @property
    def avatar(self) -> str:
        return f"https://images.parler.com/{self.hex}_256" if self.has_avatar else DEFAULT_AVATAR

    @property
    def banner(self) -> str:
        return f"https://images.parler.com/{self.hex}_1200" if self.has_banner else DEFAULT_BANNER


class People:
    """Everybody, and the authors of the numbers 1 to ``last``.

    Every number of the counter is dealt to one public person: half of them evenly, the other half among a twentieth
    of the people, who therefore have more posts than a profile page shows.
    """

    def __init__(self, seed: int, posts: int, last: int) -> None:
        self._seed = seed
        self._public = max(posts // 8, 12)
        self._busy = max(self._public // 20, 1)
        self._last, self._half = last, last // 2
        self._slots = Disguise(seed, "author", last)
        self._ids = Hex32(seed, "user")
        #: How many there are, private ones included.
        self.count = _number(self._public - 1) + 1

    def __iter__(self) -> Iterator[User]:
        return map(self.user, range(self.count))

    @lru_cache(maxsize=4096)  # noqa: B019 - one world a process
    def user(self, number: int) -> User:
        """Return a person."""
        key = keyed(self._seed, "user", number)
        first, last = words.ADJECTIVES[key % 15], words.NOUNS[key // 15 % 15]
        username = (f"{first}{last}_{number}", f"{first.title()}-{last.title()}.{number}", f"{last}.{number}")[key % 3]
        return User(
            number, self._ids.text(number), username, words.name(key // 3, f"{first.title()} {last.title()}"),
            bio=words.sentence(key, 6) if key % 3 else "",
            home=f"https://{first}.example/{last}" if key % 8 == 1 else "",
            badge=key // 5 % 10 if key % 5 == 0 else None, joined=_joined(key), is_private=number % _SHARE == _PRIVATE,
            has_avatar=key % 9 != 2, has_banner=key % 2 == 0,
        )  # fmt: skip

    def named(self, username: str) -> User | None:
        """Return the person with a username, or None."""
        found = _NAME.fullmatch(username)
        user = self.user(int(found[1])) if found and int(found[1]) < self.count else None
        return user if user and user.username == username else None

    def with_id(self, identity: str) -> User | None:
        """Return the person with an id, or None."""
        number = self._ids.number(identity)
        return self.user(number) if number < self.count else None

    def someone(self, key: int) -> User:
        """Return a public person."""
        return self.user(_number(key % self._public))

    def author(self, number: int) -> User:
        """Return who wrote the post at a number of the counter."""
        slot = self._slots.hide(number - 1)
        return self.user(_number(slot % self._busy if slot < self._half else (slot - self._half) % self._public))

    def numbers(self, user: User) -> list[int]:
        """Return the numbers of a person's posts, newest first; holes of the counter are among them."""
        if user.is_private:
            return []
        place = _place(user.number)
        slots = [*range(self._half + place, self._last, self._public)]
        if place < self._busy:
            slots += range(place, self._half, self._busy)
        return sorted((self._slots.find(slot) + 1 for slot in slots), reverse=True)


def _number(place: int) -> int:
    """Return the number of the public person at a place: those of private people are left out."""
    block, rest = divmod(place, _SHARE - 1)
    return block * _SHARE + rest + (rest >= _PRIVATE)


def _place(number: int) -> int:
    block, rest = divmod(number, _SHARE)
    return block * (_SHARE - 1) + rest - (rest > _PRIVATE)


def _joined(key: int) -> datetime:
    return datetime(2018, 8, 15, tzinfo=UTC) + timedelta(hours=key % 18000)
