"""What a stranger could see of the replica, thing by thing, and some of what a stranger could not.

Every thing has ``kind``, ``id``, ``url`` and ``public``; the rest is what its page says:

post      number, author, author_name, text, created_at, shape, media (kind or null), media_ids, echoes, mentions,
          counts and comments_of (the post they belong to), impressions, sensitive, deleted (and still served)
comment   post, parent (the comment it answers, or null), author, text, created_at, counts, shows_id
share     author_name, text                   profile   name, bio, home, badge
link      post, target, outside               image     post                preview   post
video     post, place (ISO 6709 or ""), huge  variant   post                avatar, banner   profile
asset     what pages look with, and the papers in their footers
Not public: post-json (API v1), private-profile, login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.replicas.parler import pages
from crawler.replicas.parler.cards import BUILD, ICONS
from crawler.replicas.parler.people import DEFAULT_AVATAR, DEFAULT_BANNER
from crawler.replicas.parler.world import HIDDEN, LINKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.parler.files import Files
    from crawler.replicas.parler.people import User
    from crawler.replicas.parler.world import Comment, Post, World

Thing = dict[str, Any]
_ICONS = (
    "arrow", "echo", "comments", "echoes", "upvotes", "impressions", "link", "replies", "downvotes", "texture",
)  # fmt: skip


def things(world: World, files: Files) -> Iterator[Thing]:
    """Yield every thing once."""
    met: set[int] = set()
    badges: set[int] = set()
    for number in world.numbers():
        post = world.post(number)
        yield _post(world, files, post)
        yield _thing("share", post.hex, f"https://share.par.pw/post/{post.hex}",
                     author_name=post.author.name, text=post.shown)  # fmt: skip
        yield _thing("post-json", post.hex, f"https://api.parler.com/v1/post?id={post.hex}", public=False)
        yield from _media(world, files, post)
        for comment in post.comments:
            yield from _comments(post, comment, None)
        for user in _people(world, post):
            if user.number not in met:
                met.add(user.number)
                badges |= set() if user.badge is None else {user.badge}
                yield from _profile(user)
    yield from _closed(world)
    yield from _furniture(badges)


def _thing(kind: str, identity: str, url: str, *, public: bool = True, **facts: Any) -> Thing:
    return {"kind": kind, "id": identity, "url": url, "public": public, **facts}


def _post(world: World, files: Files, post: Post) -> Thing:
    counted = world.counted(post)
    return _thing(
        "post", post.hex, post.url, number=post.number, author=post.author.username, author_name=post.author.name,
        text=post.shown, created_at=post.created.isoformat(), shape=post.shape, media=post.media,
        media_ids=[thing["id"] for thing in _uploads(files, post)],
        echoes=[world.post(number).hex for number in post.echoes], mentions=[n for n in post.mentions if n != HIDDEN],
        counts=dict(zip(("comments", "echoes", "upvotes"), counted.counts, strict=True)), comments_of=counted.hex,
        impressions=post.impressions, sensitive=post.is_sensitive, deleted=post.is_deleted,
    )  # fmt: skip


def _uploads(files: Files, post: Post) -> Iterator[Thing]:
    if post.media == "image":
        for url in (files.image_url(post, slide) for slide in range(post.slides)):
            yield _thing("image", url.rpartition("/")[2].partition(".")[0], url, post=post.hex)
    elif post.media == "video":
        url = files.video_url(post)
        is_huge = post.number == files.huge_number
        yield _thing("video", url.rpartition("/")[2], url, post=post.hex, place=files.place(post), huge=is_huge)


def _media(world: World, files: Files, post: Post) -> Iterator[Thing]:
    yield from _uploads(files, post)
    if post.media == "video":
        for url in (files.video_url(post) + variant for variant in (".mp4", "_small.mp4")):
            yield _thing("variant", url.rpartition("/")[2], url, post=post.hex)
        return
    for slide in range(post.slides):
        if target := files.target(post, slide):
            name = world.links.text(post.number * LINKS + slide)
            is_outside = post.media != "image"
            yield _thing(
                "link", name, f"https://api.parler.com/l/{name}", post=post.hex, target=target, outside=is_outside
            )
    if preview := files.preview_url(post):
        yield _thing("preview", preview.rpartition("/")[2], preview, post=post.hex)


def _comments(post: Post, comment: Comment, parent: str | None) -> Iterator[Thing]:
    yield _thing(
        "comment", comment.hex, post.url, post=post.hex, parent=parent, author=comment.author.username,
        text=comment.text, created_at=comment.created.isoformat(),
        counts=dict(zip(("replies", "downvotes", "upvotes"), comment.counts, strict=True)),
        shows_id=bool(comment.replies),
    )  # fmt: skip
    for reply in comment.replies:
        yield from _comments(post, reply, comment.hex)


def _people(world: World, post: Post) -> Iterator[User]:
    """Yield whoever a post brings onto its page; those it echoes have brought themselves."""
    yield post.author
    for comment in post.comments:
        yield from (one.author for one in (comment, *comment.replies))
    yield from (user for name in post.mentions if (user := world.people.named(name)) is not None)


def _profile(user: User) -> Iterator[Thing]:
    yield _thing("profile", user.username, user.url, name=user.name, bio=" ".join(filter(None, (user.bio, user.home))),
                 home=user.home, badge=user.badge)  # fmt: skip
    if user.has_avatar:
        yield _thing("avatar", f"{user.hex}_256", user.avatar, profile=user.username)
    if user.has_banner:
        yield _thing("banner", f"{user.hex}_1200", user.banner, profile=user.username)


def _closed(world: World) -> Iterator[Thing]:
    """Yield what needs a login."""
    for user in world.people:
        if user.is_private:
            yield _thing("private-profile", user.username, user.url, public=False)
    yield _thing("login", "login", pages.LOGIN, public=False)


def _furniture(badges: set[int]) -> Iterator[Thing]:
    paths = [*pages.STYLES, *pages.SCRIPTS, *(f"{ICONS}/{name}.svg" for name in _ICONS)]
    paths += [f"/{BUILD}/images/badges/{badge:02d}.svg" for badge in sorted(badges)]
    for url in (*(f"https://parler.com{path}" for path in paths), DEFAULT_AVATAR, DEFAULT_BANNER):
        yield _thing("asset", url.rpartition("/")[2], url)
    for url in (pages.AGREEMENT, pages.QUESTIONS):
        yield _thing("asset", url, url)
