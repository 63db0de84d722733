"""The world behind the replica: who wrote what, when, with which media. All of it a function of the seed.

Nothing is stored, so a million posts cost nothing; ids are disguises of small numbers and can be turned back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from crawler.replicas import words
from crawler.replicas.parler.people import People
from crawler.replicas.permute import Base62, Disguise, Hex32, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.parler.people import User

#: (share of the counter, instant): the counter rises through these points, steepest on 6 January 2021.
TIMELINE = (
    (0.0, datetime(2018, 8, 20, tzinfo=UTC)), (0.35, datetime(2020, 11, 3, tzinfo=UTC)),
    (0.6, datetime(2021, 1, 6, 5, tzinfo=UTC)), (0.85, datetime(2021, 1, 7, 5, tzinfo=UTC)),
    (1.0, datetime(2021, 1, 10, 18, tzinfo=UTC)),
)  # fmt: skip
#: Share of the counter's numbers that have a post.
DENSITY = 0.95
#: The first numbers are plain posts, so that there is something to echo.
EARLY = 40
SHAPES = (1,) * 12 + (2,) * 3 + (3,) * 2 + (4,) * 2 + (5,)
MEDIA = (
    ("image",) * 12 + ("video",) * 6 + ("article",) * 4 + ("website",) * 3 + ("basic",) * 3 + ("iframe",) * 2
    + ("audio",) * 2 + (None,) * 28
)  # fmt: skip
HIDDEN = "Name Hidden"
#: Links of one post: the slides of its slider.
LINKS = 4
#: Comments and replies of one post, at most.
_COMMENTS = 16


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment or, among another's ``replies``, an answer to it."""

    hex: str
    author: User
    text: str
    created: datetime
    #: Replies, downvotes, upvotes.
    counts: tuple[int, int, int]
    replies: tuple[Comment, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """A post. ``echoes`` are the post it echoes and, in shapes 4 and 5, the root above that."""

    number: int
    hex: str
    author: User
    created: datetime
    #: 1 a post, 2 an echo, 3 an echo with text, 4 an echo of an echo, 5 the same with text.
    shape: int
    text: str
    media: str | None
    slides: int
    is_sensitive: bool
    #: Its author deleted it; it is only marked so, and still served.
    is_deleted: bool
    #: Comments, echoes, upvotes.
    counts: tuple[int, int, int]
    impressions: int
    mentions: tuple[str, ...]
    echoes: tuple[int, ...]
    comments: tuple[Comment, ...]

    @property
    def url(self) -> str:
        return f"https://parler.com/post/{self.hex}"

    @property
    def is_bare(self) -> bool:
        """Whether it is an echo that says nothing: counts and comments shown are those of what it echoes."""
        return self.shape in {2, 4}

    @property
    def shown(self) -> str:
        """The text as its page prints it: mentions come last."""
        return " ".join(part for part in (self.text, *(f"@{name}" for name in self.mentions)) if part)

    @property
    def outlink(self) -> str:
        """The page of somebody else's site that it links to."""
        tail = ("", "?utm_source=parler&utm_medium=share", "/caf%C3%A9#part-2")[self.number % 3]
        return f"https://elsewhere.example/articles/{self.number}{tail}"


class World:
    """Everything the replica knows: exactly ``posts`` posts, and what belongs to them."""

    def __init__(self, posts: int, seed: int = 1) -> None:
        if not 1 <= posts <= 10_000_000:
            raise ValueError("a world has 1 to 10,000,000 posts")
        self.seed = seed
        self._posts = posts
        self._span = max(round(posts / DENSITY), posts)
        self._holes = Disguise(seed, "hole", self._span)
        #: The newest number of the counter.
        self.last = next(n for n in range(self._span, 0, -1) if self._holes.hide(n - 1) < posts)
        self.people = People(seed, posts, self._span)
        self._post_ids = Hex32(seed, "post")
        self._comment_ids = Hex32(seed, "comment")
        self.links = Base62(seed, "link", 5)
        self.images = Base62(seed, "image", 10)
        self.videos = Base62(seed, "video", 12)
        self.previews = Base62(seed, "preview", 32)

    def is_hole(self, number: int) -> bool:
        """Say whether the counter has nothing at a number."""
        return not 1 <= number <= self.last or self._holes.hide(number - 1) >= self._posts

    def numbers(self) -> Iterator[int]:
        """Yield the counter's numbers that have a post."""
        return (number for number in range(1, self.last + 1) if not self.is_hole(number))

    def post_at(self, number: int) -> Post | None:
        """Return the post at a number of the counter, or None for a hole."""
        return None if self.is_hole(number) else self.post(number)

    def with_id(self, identity: str) -> Post | None:
        """Return the post with an id, or None for an id nobody has."""
        return self.post_at(self._post_ids.number(identity))

    def of(self, user: User) -> Iterator[Post]:
        """Yield a person's posts, newest first."""
        return (self.post(number) for number in self.people.numbers(user) if not self.is_hole(number))

    def created(self, number: int) -> datetime:
        """Return when a post was written: rising with the counter."""
        share = number / self._span
        points = pairwise(TIMELINE)
        (low, since), (high, until) = next(pair for pair in points if share <= pair[1][0])
        return since + (until - since) * ((share - low) / (high - low))

    def newest_before(self, moment: datetime) -> int:
        """Return the last number of the counter that was given out by a moment; 0 if there was none."""
        low, high = 0, self.last
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.created(middle) <= moment else (low, middle - 1)
        return low

    @lru_cache(maxsize=4096)  # noqa: B019 - one world a process
    def post(self, number: int) -> Post:
        """Return the post at a number of the counter that has one."""
        key = keyed(self.seed, "post", number)
        shape = self._shape(number)
        created = self.created(number)
        media = MEDIA[key // 20 % len(MEDIA)] if shape in {1, 3} else None
        is_silent = shape in {2, 4} or (shape == 1 and media in {"image", "video"} and key % 9 == 0)
        comments = self._comments(number, created) if key // 1200 % 3 == 0 and shape not in {2, 4} else ()
        return Post(
            number=number, hex=self._post_ids.text(number), author=self.people.author(number), created=created,
            shape=shape, text="" if is_silent else words.text(keyed(self.seed, "text", number)), media=media,
            slides=2 + key % 2 if media == "image" and key // 2 % 4 == 0 else 1,
            is_sensitive=media is not None and key // 7 % 12 == 3, is_deleted=key // 11 % 40 == 9,
            counts=(len(comments) or key % 4, key // 13 % 1700, key // 17 % 90000), impressions=key // 19 % 9_000_000,
            mentions=() if shape in {2, 4} else self._mentions(key), comments=comments,
            echoes=self._echoed(number, 2 if shape > 3 else 1) if shape > 1 else (),
        )  # fmt: skip

    def counted(self, post: Post) -> Post:
        """Return the post whose counts and comments a post's page shows."""
        return self.post(post.echoes[0]) if post.is_bare else post

    def _shape(self, number: int) -> int:
        return SHAPES[keyed(self.seed, "post", number) % len(SHAPES)] if number > EARLY else 1

    def _echoed(self, number: int, depth: int) -> tuple[int, ...]:
        """Return original posts before this one, the nearest first."""
        found: list[int] = []
        at = keyed(self.seed, "echo", number) % (number - 1) + 1
        while len(found) < depth:
            if not self.is_hole(at) and self._shape(at) == 1:
                found.append(at)
            at = at - 1 or EARLY
        return tuple(found)

    def _mentions(self, key: int) -> tuple[str, ...]:
        if key // 23 % 7:
            return ()
        user = self.people.someone(key // 161)
        return (HIDDEN,) if key % 5 == 0 else (user.username, HIDDEN) if key % 5 == 1 else (user.username,)

    def _comments(self, number: int, created: datetime) -> tuple[Comment, ...]:
        made, place = [], number * _COMMENTS
        for turn in range(1 + keyed(self.seed, "comments", number) % 4):
            key = keyed(self.seed, "comment", number, turn)
            when = created + timedelta(minutes=1 + key % 600)
            replies = tuple(
                self._comment(place + 1 + answer, keyed(self.seed, "reply", number, turn, answer), when)
                for answer in range(max(key % 4 - 1, 0))
            )
            made.append(self._comment(place, key, when, replies))
            place += 1 + len(replies)
        return tuple(made)

    def _comment(self, place: int, key: int, when: datetime, replies: tuple[Comment, ...] = ()) -> Comment:
        counts = (len(replies), key % 3, key // 3 % 1400)
        author = self.people.someone(key // 29)
        return Comment(self._comment_ids.text(place), author, words.text(key // 5), when, counts, replies)
