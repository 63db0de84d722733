"""The world is the same for the same seed, as large as asked, and every id leads back."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from crawler.replicas.exchange import Clock, Request
from crawler.replicas.launch import NOW
from crawler.replicas.parler.api import cookies
from crawler.replicas.parler.cards import ago, short
from crawler.replicas.parler.site import ParlerSite
from crawler.replicas.parler.world import HIDDEN, Post, World


@pytest.fixture(scope="module")
def world() -> World:
    return World(2000)


@pytest.fixture(scope="module")
def posts(world: World) -> list[Post]:
    return [world.post(number) for number in world.numbers()]


def test_there_are_exactly_so_many_posts() -> None:
    for count in (1, 2, 20, 100, 333, 2000):
        world = World(count, seed=count)
        numbers = list(world.numbers())
        assert len(numbers) == count
        assert numbers[-1] == world.last
        for number in numbers:
            world.post(number)
    for count in (0, 10**8):
        with pytest.raises(ValueError, match="posts"):
            World(count)


def test_a_million_posts_cost_nothing() -> None:
    world = World(1_000_000)
    middle = next(n for n in range(500_000, 600_000) if not world.is_hole(n))
    post = world.post(middle)
    assert world.with_id(post.hex) == post
    assert post in list(world.of(post.author))
    assert world.last > 1_000_000


def test_the_same_seed_is_the_same_world_and_another_is_not() -> None:
    a, b, c = World(50, 3), World(50, 3), World(50, 4)
    assert [a.post(n) for n in a.numbers()] == [b.post(n) for n in b.numbers()]
    assert {a.post(n).hex for n in a.numbers()}.isdisjoint({c.post(n).hex for n in c.numbers()})


def test_ids_lead_back_and_holes_lead_nowhere(world: World, posts: list[Post]) -> None:
    assert len({post.hex for post in posts}) == 2000
    assert all(re.fullmatch("[0-9a-f]{32}", post.hex) and world.with_id(post.hex) is post for post in posts[::50])
    assert world.with_id("0" * 32) is None
    for text in ("", "0", "-" + "0" * 31, "G" * 32, "0" * 33):
        with pytest.raises(ValueError, match="hexadecimal"):
            world.with_id(text)
    assert world.post_at(0) is None
    assert world.post_at(world.last + 1) is None
    assert sum(world.is_hole(n) for n in range(1, world.last)) > 50


def test_time_rises_with_the_counter_and_crowds_in_january(world: World, posts: list[Post]) -> None:
    times = [post.created for post in posts]
    assert times == sorted(times)
    assert times[0] < datetime(2018, 10, 1, tzinfo=UTC)
    assert times[-1] < NOW
    sixth = [t for t in times if datetime(2021, 1, 6, tzinfo=UTC) <= t < datetime(2021, 1, 8, tzinfo=UTC)]
    assert len(sixth) > 400
    for post in posts[::100]:
        assert world.newest_before(post.created) == post.number
    assert world.newest_before(datetime(2000, 1, 1, tzinfo=UTC)) == 0


def test_every_shape_and_kind_is_there(posts: list[Post]) -> None:
    assert set(Counter(post.shape for post in posts)) == {1, 2, 3, 4, 5}
    kinds = Counter(post.media for post in posts)
    assert set(kinds) == {"image", "video", "article", "website", "basic", "iframe", "audio", None}
    assert min(kinds.values()) > 10
    for wanted in (
        [p for p in posts if p.slides > 1], [p for p in posts if p.is_sensitive], [p for p in posts if p.is_deleted],
        [p for p in posts if HIDDEN in p.mentions], [p for p in posts if set(p.mentions) - {HIDDEN}],
        [p for p in posts if "\n" in p.text], [p for p in posts if any(c.replies for c in p.comments)],
        [p for p in posts if p.shape == 1 and not p.text], [p for p in posts if not p.text.isascii()],
    ):  # fmt: skip
        assert len(wanted) > 5


def test_echoes_point_back_at_plain_posts(world: World, posts: list[Post]) -> None:
    for post in posts:
        assert len(post.echoes) == {1: 0, 2: 1, 3: 1, 4: 2, 5: 2}[post.shape]
        for number in post.echoes:
            assert number < post.number
            assert not world.is_hole(number)
            assert world.post(number).shape == 1


def test_everybody_has_the_posts_they_wrote(world: World, posts: list[Post]) -> None:
    written = Counter(post.author.number for post in posts)
    busiest, most = written.most_common(1)[0]
    assert most > 20
    for number in (busiest, min(written)):
        own = list(world.of(world.people.user(number)))
        assert own == [post for post in reversed(posts) if post.author.number == number]
    assert not any(post.author.is_private for post in posts)
    assert {user.is_private for user in world.people} == {True, False}


def test_names_lead_back(world: World) -> None:
    for user in world.people:
        assert world.people.named(user.username) is user
        assert world.people.with_id(user.hex) is user
        assert re.fullmatch(r"[0-9a-zA-Z.\-_]+", user.username)
    for name in ("", "nobody", "quietheron_999999", "wrongname_1", "x" * 1000, "a_-1", "a_1\uff11"):
        assert world.people.named(name) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (7199, "1 hour ago"), (4 * 86400, "4 days ago"),
     (13 * 86400, "1 week ago"), (14 * 86400, "2 weeks ago"), (65 * 86400, "2 months ago"), (800 * 86400, "2 years ago")],
)  # fmt: skip
def test_pages_say_how_long_ago(seconds: int, said: str) -> None:
    assert ago(datetime.fromtimestamp(NOW.timestamp() - seconds, UTC), NOW) == said


def test_counts_are_rounded_as_people_see_them() -> None:
    assert [short(n) for n in (0, 999, 1000, 1234, 129_000, 3_200_000)] == [
        "0",
        "999",
        "1.0k",
        "1.2k",
        "129.0k",
        "3.2m",
    ]


def test_hostile_targets_get_an_answer(world: World) -> None:
    site = ParlerSite(world, Clock(NOW))
    session = "; ".join(f"{k}={v}" for k, v in cookies(world.seed).items())
    targets = [
        "/", "//", "/post/" + "f" * 32, "/l/00000", "/l/" + "z" * 5, "/v3/uuidConversion/post/" + "9" * 18, "/../../etc",
        "/profile/a%00b/posts", "/v1/post?id=zz", "/v1/feed?startkey=x_y", "/z/z/zzzzzzzzzz.png", "/zz/zz/zzzzzzzzzzzz",
        "/v1/post/creator?id=-1", "/" + "Z" * 32, "/" + "f" * 32 + "_256", "/v3/uuidConversion/post/\u0661", "*", "",
    ]  # fmt: skip
    for host in site.hosts:
        for target in targets:
            answer = site.answer(Request("GET", host, target, {"cookie": session}))
            assert answer.status in {200, 301, 400, 404}, (host, target)
