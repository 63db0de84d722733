"""The world behind the replica: who wrote what, when, with which media. All of it a function of the seed.

Nothing is stored, so a million posts cost nothing; ids are disguises of small numbers and can be turned back.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.replicas.permute import Base62, Hex32, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = "512ae92f"
CLOCK = datetime(2021, 1, 10, 20, 0, tzinfo=UTC)
#: (share of the counter, instant): the counter rises through these points, steepest on 6 January.
TIMELINE = (
    (0.0, datetime(2018, 8, 20, tzinfo=UTC)), (0.35, datetime(2020, 11, 3, tzinfo=UTC)), (0.6, datetime(2021, 1, 6, 5, tzinfo=UTC)),
    (0.85, datetime(2021, 1, 7, 5, tzinfo=UTC)), (1.0, datetime(2021, 1, 10, 18, tzinfo=UTC)),
)  # fmt: skip
_ADJECTIVES = [
    "quiet",
    "amber",
    "brisk",
    "mellow",
    "tidy",
    "rustic",
    "plain",
    "windy",
    "dapper",
    "cosy",
    "nimble",
    "sandy",
    "misty",
    "humble",
    "lively",
]
_NOUNS = [
    "heron",
    "teapot",
    "lantern",
    "otter",
    "bramble",
    "kettle",
    "pebble",
    "walnut",
    "thimble",
    "willow",
    "badger",
    "marble",
    "saddle",
    "clover",
    "anvil",
]
_WORDS = [
    "the",
    "garden",
    "soup",
    "morning",
    "train",
    "window",
    "paints",
    "a",
    "slow",
    "river",
    "kettle",
    "while",
    "neighbours",
    "repair",
    "bicycles",
    "under",
    "old",
    "chestnut",
    "trees",
    "and",
    "somebody",
    "bakes",
    "bread",
    "with",
    "rosemary",
    "because",
    "rain",
    "is",
    "expected",
    "before",
    "supper",
    "on",
    "thursday",
    "near",
    "the",
    "lighthouse",
    "where",
    "gulls",
    "argue",
    "about",
    "crumbs",
    "every",
    "single",
    "evening",
    "until",
    "lamps",
    "come",
    "on",
]
_SPICE = ("", "", "", " 🫖", " Grüße aus dem Garten", " お茶の時間", " & <tea>", " café", " добрый день", ' "quoted"')
_TAGS = ("gardening", "bread", "bicycles", "lighthouse", "tea", "birds")
SHAPES = (1,) * 12 + (2,) * 3 + (3,) * 2 + (4,) * 2 + (5,)
KINDS = (
    ("image",) * 12
    + ("video",) * 6
    + ("article",) * 4
    + ("website",) * 3
    + ("basic",) * 3
    + ("iframe",) * 2
    + ("audio",)
    + (None,) * 29
)


@dataclass(frozen=True, slots=True)
class User:
    """An invented person. ``private`` accounts show strangers nothing."""

    number: int
    hex: str
    username: str
    name: str
    bio: str
    badge: int | None
    private: bool


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment or, with ``parent``, a reply to one."""

    hex: str
    author: User
    text: str
    created: datetime
    counts: tuple[int, int, int]
    replies: tuple[Comment, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """A post. ``echoes`` are the post it echoes and, in shapes 4 and 5, the root above that."""

    number: int
    hex: str
    author: User
    created: datetime
    shape: int
    text: str
    kind: str | None
    slides: int
    sensitive: bool
    deleted: bool
    counts: tuple[int, int, int]
    impressions: int
    mentions: tuple[str, ...]
    echoes: tuple[int, ...]
    comments: tuple[Comment, ...]


class World:
    """Everything the replica knows. ``posts`` is how many public posts there are, about."""

    def __init__(self, posts: int, seed: int = 1) -> None:
        self.seed = seed
        self.last = max(int(posts / 0.95), 20)
        self.users = max(posts // 8, 12)
        self.post_ids = Hex32(seed, "post")
        self.user_ids = Hex32(seed, "user")
        self.comment_ids = Hex32(seed, "comment")
        self.links = Base62(seed, "link", 5)
        self.images = Base62(seed, "image", 10)
        self.videos = Base62(seed, "video", 12)
        self.previews = Base62(seed, "preview", 32)

    def is_hole(self, number: int) -> bool:
        """Say whether the counter has nothing at a number."""
        return not 1 <= number <= self.last or (number != self.last and keyed(self.seed, "hole", number) % 20 == 0)

    def numbers(self) -> Iterator[int]:
        """Yield the counter's numbers that have a post."""
        return (n for n in range(1, self.last + 1) if not self.is_hole(n))

    def number_of(self, identity: str) -> int | None:
        """Return the counter of a post id, or None for an id nobody has."""
        number = self.post_ids.number(identity)
        return None if self.is_hole(number) else number

    def created(self, number: int) -> datetime:
        """Return when a post was written: rising with the counter."""
        share = number / self.last
        for (low, since), (high, until) in itertools.pairwise(TIMELINE):
            if share <= high:
                return since + (until - since) * ((share - low) / (high - low))
        return TIMELINE[-1][1]

    @lru_cache(maxsize=4096)  # noqa: B019 - one world a process
    def user(self, number: int) -> User:
        """Return a person."""
        key = keyed(self.seed, "user", number)
        adjective, noun = _ADJECTIVES[key % 15], _NOUNS[key // 15 % 15]
        return User(
            number, self.user_ids.text(number), f"{adjective}{noun}_{number}", f"{adjective.title()} {noun.title()}",
            _sentence(key, 6) if key % 3 else "", key % 10 if key % 5 == 0 else None, number % 11 == 7,
        )  # fmt: skip

    def user_named(self, username: str) -> User | None:
        """Return the person with a name, or None."""
        head, _, tail = username.rpartition("_")
        if not head or not tail.isdigit() or len(tail) > 9 or int(tail) >= self.users:
            return None
        found = self.user(int(tail))
        return found if found.username == username else None

    @lru_cache(maxsize=4096)  # noqa: B019 - one world a process
    def post(self, number: int) -> Post:
        """Return the post at a number of the counter."""
        key = keyed(self.seed, "post", number)
        shape = SHAPES[key % 20] if number > 40 else 1
        kind = KINDS[keyed(self.seed, "kind", number) % 60] if shape in {1, 3} else None
        created = self.created(number)
        echoes = self._echoed(number, 2 if shape in {4, 5} else 1) if shape > 1 else ()
        return Post(
            number=number, hex=self.post_ids.text(number), author=self._author(key), created=created, shape=shape,
            text=_text(keyed(self.seed, "text", number)) if shape in {1, 3, 5} else "", kind=kind,
            slides=2 + key % 2 if kind == "image" and key % 4 == 0 else 1, sensitive=key % 25 == 3, deleted=key % 40 == 9,
            counts=_counts(key), impressions=key % 90000, mentions=self._mentions(key), echoes=echoes,
            comments=self._comments(number, created) if key % 3 == 0 else (),
        )  # fmt: skip

    def media_content(self, kind: str, number: int) -> str:
        """Return what a media file shows: several ids share one content, as people post the same picture."""
        return f"{kind}/{keyed(self.seed, kind, number) % max(self.last // 12, 6)}"

    def avatar_content(self, number: int) -> str:
        """Return what an avatar shows; many keep one of a few."""
        return f"avatar/{keyed(self.seed, 'avatar', number) % max(self.users // 3, 4)}"

    def place(self, number: int) -> str:
        """Return where a video was taken (ISO 6709), or nothing: about one in five says."""
        key = keyed(self.seed, "place", number)
        return f"{10 + key % 500 / 10:+08.4f}{-120 + key // 500 % 400 / 10:+09.4f}/" if key % 5 == 0 else ""

    def _author(self, key: int) -> User:
        number = key // 20 % self.users
        return self.user(number if number % 11 != 7 else number - 1)

    def _echoed(self, number: int, depth: int) -> tuple[int, ...]:
        """Return original posts before this one, the nearest first."""
        found: list[int] = []
        at = keyed(self.seed, "echo", number) % (number - 1) + 1
        while len(found) < depth:
            if not self.is_hole(at) and keyed(self.seed, "post", at) and self._is_original(at):
                found.append(at)
            at = at - 1 if at > 1 else min(number - 1, 40)
        return tuple(found)

    def _is_original(self, number: int) -> bool:
        return number <= 40 or SHAPES[keyed(self.seed, "post", number) % 20] == 1

    def _mentions(self, key: int) -> tuple[str, ...]:
        if key % 7:
            return ()
        user = self.user(key // 7 % self.users)
        return ("Name Hidden",) if user.private or key % 5 == 0 else (user.username,)

    def _comments(self, number: int, created: datetime) -> tuple[Comment, ...]:
        made = []
        for place in range(1 + keyed(self.seed, "comments", number) % 4):
            key = keyed(self.seed, "comment", number, place)
            when = created + timedelta(minutes=1 + key % 600)
            reply = (
                (self._comment(number, place * 2 + 1, key // 3, when + timedelta(minutes=5), ()),)
                if key % 3 == 0
                else ()
            )
            made.append(self._comment(number, place * 2, key, when, reply))
        return tuple(made)

    def _comment(self, number: int, place: int, key: int, when: datetime, replies: tuple[Comment, ...]) -> Comment:
        identity = self.comment_ids.text(number * 64 + place)
        return Comment(identity, self._author(key), _text(key), when, (len(replies), key % 3, key % 40), replies)


def _sentence(key: int, words: int) -> str:
    return " ".join(_WORDS[(key >> place * 3) % len(_WORDS)] for place in range(words))


def _text(key: int) -> str:
    lines = [
        _sentence(key + line * 7, 5 + key % 9) + (_SPICE[key % 10] if line == 0 else "") for line in range(1 + key % 3)
    ]
    if key % 4 == 0:
        lines[-1] += f" #{_TAGS[key % 6]}"
    return "\n".join(lines)


def _counts(key: int) -> tuple[int, int, int]:
    return (key % 50, key % 200, key % 900)
