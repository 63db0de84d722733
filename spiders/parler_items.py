"""From what a Parler page shows to what it says: posts, comments, accounts and media. Pure.

Pages print few ids. A comment's stands there only where it has replies, and a post shown on another page rarely has
any; such a thing gets an id made of its page, its author and its text, the same wherever it is shown, and
``extra["made_up_id"]`` says so. Accounts are keyed by username here; only the API gives their real ids.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from crawler.model import Account, Media, Post
from spiders.api import source
from spiders.html import absolute
from spiders.parler_pages import Block, Card, Comment, PostPage, ProfilePage, Shown
from spiders.window import ago

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch, Item
    from crawler.response import CaptureResponse

#: How far a server's clock may run ahead of ours and still be believed, and how far back it may be.
AHEAD = timedelta(days=1)
BACK = datetime(1970, 1, 1, tzinfo=UTC)
_LINKS = frozenset({"article", "website", "basic", "iframe-embed", "audio"})
#: Media blocks whose file is somewhere else, or is no upload.
_SHOWN_AS = {"article": "preview", "website": "preview", "iframe-embed": "embed", "audio": "audio"}


def clock(response: CaptureResponse) -> datetime:
    """Return when the server made the page, by its own clock; our time of the capture where it does not say.

    "4 days ago" was reckoned by that clock, and a page out of a cache is as old as its Date header says.
    """
    said = _date(response.header("Date"))
    return said if said and BACK <= said <= response.captured_at + AHEAD else response.captured_at


@lru_cache(maxsize=256)
def _date(header: str) -> datetime | None:
    """Return the moment of a Date header; each card of a page asks for the same one."""
    try:
        said = parsedate_to_datetime(header)
        return said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def written(shown: Shown, response: CaptureResponse) -> tuple[datetime, datetime] | None:
    """Return (earliest, latest) of when a post was made; an echo was made when it was echoed."""
    said = shown.echoed_ago if shown.is_echo else shown.own.ago if shown.own else ""
    return ago(said, clock(response))


def day(interval: tuple[datetime, datetime] | None) -> str | None:
    """Return the day a thing belongs to, where its time is known to a day or so."""
    if interval is None or interval[1] - interval[0] > timedelta(days=1):
        return None
    return (interval[0] + (interval[1] - interval[0]) / 2).date().isoformat()


def from_post(page: PostPage, identity: str, response: CaptureResponse) -> Iterator[Item]:
    """Yield all a post page says, the post itself first."""
    shown = page.shown
    yield _post(shown, identity, page, response)
    for place, card in (("parent", shown.parent), ("root", shown.root)):
        if card is not None:
            yield _card(card, card.id if card.id != identity else "", f"{identity}/{place}", response)
    yield from _discussion(shown, identity, response)
    yield from (_person(card, response) for card in people(page).values())
    for post, card in cards(shown, identity):
        yield from _media(card, post, response)


def from_profile(page: ProfilePage, response: CaptureResponse) -> Iterator[Item]:
    """Yield all a profile page says: the account, and its latest posts as cards."""
    yield Account(
        platform="parler", id=page.username, username=page.username, url=profile_url(page.username), name=page.name,
        bio=page.bio, avatar=page.avatar or None, banner=page.banner or None, badges=page.badges,
        extra={"bio_links": list(page.bio_links), "cards": len(page.cards)}, **source(response),
    )  # fmt: skip
    same: Counter[str] = Counter()
    for shown in page.cards:
        card = shown.own or shown.parent
        if card is None:
            continue
        made = _digest(page.username, shown.shape, shown.echoed_by, card.username, card.text)
        same[made] += 1
        identity = card_id(shown)
        yield _card(card, identity, f"{page.username}/{made}.{same[made]}", response, shown)
        if identity:
            yield from _discussion(shown, identity, response)


def cards(shown: Shown, identity: str) -> Iterator[tuple[str, Card]]:
    """Yield every card with media of its own, comments included, beside the id of its post where that is known."""
    if shown.own is not None:
        yield identity, shown.own
    for card in (shown.parent, shown.root):
        if card is not None:
            yield card.id, card
    for comment in shown.comments:
        for one in (comment, *comment.replies):
            yield one.id, one.card


def people(page: PostPage) -> dict[str, Card]:
    """Return whoever a post page names, by username, with the card that says most of them."""
    shown = page.shown
    echoer = Card(username=page.username, name=shown.echoed_by, avatar=shown.echoer_avatar or page.avatar)
    found: dict[str, Card] = {}
    for card in [card for _, card in cards(shown, page.id)] + [echoer]:
        if card.username:
            found.setdefault(card.username, card)
    for _, card in cards(shown, page.id):
        for username in card.mentions:
            found.setdefault(username, Card(username=username))
    return found


def upload(fetch: Fetch, post: str, response: CaptureResponse, *, short: str = "", title: str = "") -> Media | None:
    """Return what a fetch of an uploaded image or video is; None where it is something else.

    ``extra["short"]`` is the short link that pages show an image by, so a post's ``media`` names it even where the
    link was first met on another page, under an echo whose own id stays unknown (then ``post`` is None).
    """
    kind, identity = fetch.covers or ("", "")
    variant = "original"
    if kind == "variant":
        variant, kind = ("small" if identity.endswith("_small.mp4") else "large"), "video"
        identity = identity.removesuffix(".mp4").removesuffix("_small")
    if kind not in {"image", "video"}:
        return None
    return Media(
        platform="parler", id=identity, url=fetch.url, kind=kind, variant=variant, post=post or None, title=title,
        extra={"short": short} if short else {}, **source(response),
    )  # fmt: skip


def card_id(shown: Shown) -> str:
    """Return a card's own post id, where the page lets it slip."""
    return shown.comments_id or shown_id(shown.own)


def shown_id(card: Card | None) -> str:
    """Return the id a card lets slip."""
    return card.id if card else ""


def profile_url(username: str) -> str:
    """Return the public page of an account."""
    return f"https://parler.com/profile/{username}/posts"


def post_url(identity: str) -> str:
    """Return the permalink of a post."""
    return f"https://parler.com/post/{identity}"


def _post(shown: Shown, identity: str, page: PostPage, response: CaptureResponse) -> Post:
    own = shown.own or Card()
    bare = shown.is_echo and shown.own is None
    slipped = (shown.comments_id if bare else "", shown_id(shown.parent))
    extra: dict[str, Any] = {
        "shape": shown.shape,
        "impressions": own.impressions,
        "hidden_mentions": own.hidden_mentions,
    }
    if shown.parent is not None:
        extra["echoes"] = [_quoted(card, response) for card in (shown.parent, shown.root) if card is not None]
    if bare:
        extra["echoed_counters"] = shown.counters  # they belong to the post that is echoed
    return Post(
        platform="parler", id=identity, url=post_url(identity), author=page.username or own.username or None,
        author_name=own.name or shown.echoed_by or None, text=own.text,
        created_at=_stamps(written(shown, response)),
        repost_of=next((one for one in slipped if one not in {"", identity}), None),
        media=_files(own), links=_links(own), mentions=own.mentions, hashtags=own.hashtags,
        counters={} if bare else shown.counters, sensitive=own.sensitive, extra=extra, **source(response),
    )  # fmt: skip


def _card(card: Card, identity: str, made_up: str, response: CaptureResponse, shown: Shown | None = None) -> Post:
    """Return a post as another page shows it. It never stands for the post itself, which has a page of its own."""
    extra: dict[str, Any] = {"impressions": card.impressions}
    extra |= {"post": identity} if identity else {"made_up_id": True}
    if shown is not None:
        extra |= {"shape": shown.shape, "echoed_by": shown.echoed_by}
    return Post(
        platform="parler", id=identity or made_up, kind="card", url=post_url(identity) if identity else response.url,
        author=card.username or None, author_name=card.name or None, text=card.text,
        created_at=_stamps(ago(card.ago, clock(response))), media=_files(card), links=_links(card),
        mentions=card.mentions, hashtags=card.hashtags, counters=shown.counters if shown else {},
        sensitive=card.sensitive, extra=extra,
        **source(response),
    )  # fmt: skip


def _discussion(shown: Shown, identity: str, response: CaptureResponse) -> Iterator[Item]:
    """Yield the comments on a post, each with its replies and media."""
    yield from _remarks(shown.comments, shown.comments_id or identity, shown.comments_id or identity, response)


def _remarks(comments: tuple[Comment, ...], post: str, parent: str, response: CaptureResponse) -> Iterator[Item]:
    same: Counter[str] = Counter()
    for comment in comments:
        card = comment.card
        made = _digest(card.username, card.text)
        same[made] += 1
        identity = comment.id or f"{parent}/{made}.{same[made]}"
        yield Post(
            platform="parler", id=identity, kind="comment", url=post_url(post), author=card.username or None,
            author_name=card.name or None, text=card.text, created_at=_stamps(ago(card.ago, clock(response))),
            in_reply_to=parent, media=_files(card), links=_links(card), mentions=card.mentions, hashtags=card.hashtags,
            counters=comment.counters, sensitive=card.sensitive,
            extra={"post": post} | ({} if comment.id else {"made_up_id": True}), **source(response),
        )  # fmt: skip
        yield from _remarks(comment.replies, post, identity, response)


def _person(card: Card, response: CaptureResponse) -> Account:
    return Account(
        platform="parler", id=card.username, username=card.username, url=profile_url(card.username), name=card.name,
        avatar=card.avatar or None, badges=card.badges, extra={"mentioned_only": True}, **source(response),
    )  # fmt: skip


def _media(card: Card | None, post: str, response: CaptureResponse) -> Iterator[Media]:
    """Yield what a card shows from elsewhere. Uploads are told of by the URLs they are fetched from."""
    for block in card.blocks if card else ():
        if block.src and (kind := _SHOWN_AS.get(block.kind)):
            yield Media(
                platform="parler", id=block.src, url=absolute(response.url, block.src) or block.src, kind=kind,
                post=post or None, title=block.title,
                extra={"leads_to": block.text or block.link, "excerpt": block.excerpt}, **source(response),
            )  # fmt: skip


def _files(card: Card) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(block.src for block in card.blocks if block.src and block.kind in {"image", "video", "audio"})
    )


def _links(card: Card) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_target(block) for block in card.blocks if block.kind in _LINKS and _target(block)))


def _target(block: Block) -> str:
    """Where a block leads: the page writes the whole address out, its link is a short one."""
    return block.text if block.text.startswith(("http://", "https://")) else block.link or block.src


def _quoted(card: Card, response: CaptureResponse) -> dict[str, Any]:
    return {
        "id": card.id, "author": card.username, "author_name": card.name, "text": card.text,
        "created_at": _stamps(ago(card.ago, clock(response))),
    }  # fmt: skip


def _stamps(interval: tuple[datetime, datetime] | None) -> tuple[str, str] | None:
    return (interval[0].isoformat(), interval[1].isoformat()) if interval else None


def _digest(*parts: object) -> str:
    return blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).hexdigest()
