"""What a stranger could see of the replica, thing by thing, and some of what a stranger could not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.parler.site import Site
    from crawler.replicas.parler.world import Comment, Post, User


def things(site: Site) -> Iterator[dict[str, Any]]:
    """Yield every thing: kind, id, url, whether it is public, and what its page says."""
    world, seen = site.world, set[int]()
    for number in world.numbers():
        post = world.post(number)
        yield _post(post)
        yield {
            "kind": "post-json",
            "id": post.hex,
            "url": f"https://api.parler.com/v1/post?id={post.hex}",
            "public": False,
        }
        yield from _media(site, post)
        yield from _comments(post)
        yield from _people(site, post, seen)


def public_counts(site: Site) -> dict[str, int]:
    """Return kind → how many things of it a stranger could see."""
    counts = Counter(thing["kind"] for thing in things(site) if thing["public"])
    return {kind: counts[kind] for kind in ("post", "profile", "comment", "image", "video")}


def _post(post: Post) -> dict[str, Any]:
    return {
        "kind": "post", "id": post.hex, "url": f"https://parler.com/post/{post.hex}", "public": True, "number": post.number,
        "author": post.author.username, "author_name": post.author.name, "text": _shown(post), "created_at": post.created.isoformat(),
        "shape": post.shape, "media": post.kind, "deleted": post.deleted, "sensitive": post.sensitive,
    }  # fmt: skip


def _shown(post: Post) -> str:
    """The body as the page prints it: mentions follow the text."""
    return post.text + "".join(f" @{name}" for name in post.mentions) if post.shape in {1, 3, 5} else ""


def _media(site: Site, post: Post) -> Iterator[dict[str, Any]]:
    if post.kind == "image":
        for slide in range(post.slides):
            url = site.image_url(post.number * 4 + slide)
            yield {
                "kind": "image",
                "id": url.rsplit("/", 1)[1].split(".")[0],
                "url": url,
                "public": True,
                "post": post.hex,
            }
    elif post.kind == "video":
        name = site.world.videos.text(post.number)
        url = f"https://video.parler.com/{name[:2]}/{name[2:4]}/{name}"
        yield {
            "kind": "video",
            "id": name,
            "url": url,
            "public": True,
            "post": post.hex,
            "place": site.world.place(post.number),
        }


def _comments(post: Post) -> Iterator[dict[str, Any]]:
    for comment in post.comments:
        for one in (comment, *comment.replies):
            yield {
                "kind": "comment",
                "id": one.hex,
                "url": f"https://parler.com/post/{post.hex}",
                "public": True,
                "post": post.hex,
                "text": one.text,
            }


def _people(site: Site, post: Post, seen: set[int]) -> Iterator[dict[str, Any]]:
    """Yield whoever a page names, once."""
    world = site.world
    named: list[User] = [post.author]
    named += [world.post(number).author for number in post.echoes]
    named += [
        user for name in post.mentions if post.shape in {1, 3, 5} and (user := world.user_named(name)) is not None
    ]
    named += [one.author for comment in post.comments for one in _with_replies(comment)]
    for user in named:
        if user.number not in seen:
            seen.add(user.number)
            url = f"https://parler.com/profile/{user.username}/posts"
            yield {
                "kind": "profile",
                "id": user.username,
                "url": url,
                "public": not user.private,
                "name": user.name,
                "bio": user.bio,
            }


def _with_replies(comment: Comment) -> tuple[Comment, ...]:
    return (comment, *comment.replies)
