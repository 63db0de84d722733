"""What servers of the Misskey family say of notes, accounts and files. Pure.

Forks leave things out and add their own, so everything is read as if any of it could be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

from crawler.model import Account, Media, Post
from spiders.api import at, counters, number, objects, source, text
from spiders.html import absolute
from spiders.window import instant, span

if TYPE_CHECKING:
    from crawler.response import CaptureResponse

#: ``home`` is what others call unlisted; then there are ``followers`` and ``specified``.
_PUBLIC = frozenset({"public", "home"})
_POST_COUNTERS = {"replies": "repliesCount", "reposts": "renoteCount", "likes": "reactionCount"}
_ACCOUNT_COUNTERS = {"posts": "notesCount", "followers": "followersCount", "following": "followingCount"}
#: A note holds one that it passes on, which may hold one that it answers; nothing real goes deeper.
_DEEPEST = 4
_KEPT = ("visibility", "cw", "updatedAt", "uri", "channelId")


def is_public(note: Any) -> bool:
    """Say whether a note's own data lets strangers have it, and where it echoes another, that one's, too."""
    echoed = at(note, "renote")
    return _is_open(note) and (not isinstance(echoed, dict) or _is_open(echoed))


def _is_open(note: Any) -> bool:
    """Whoever asks that only those who have logged in see what they say is heard, even where a server forgets."""
    is_open = text(note, "visibility") in _PUBLIC and at(note, "isHidden") is not True
    return is_open and is_shown(at(note, "user"))


def is_shown(user: Any) -> bool:
    """Say whether an account lets strangers see what it says."""
    return at(user, "requireSigninToViewContents") is not True


def inside(note: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the notes that stand inside another for strangers to read: what it passes on, and what it answers."""
    found = [one for one in (note.get("renote"), note.get("reply")) if isinstance(one, dict) and text(one, "id")]
    return [one for one in found if is_public(one)]


def leaks(note: Any, deep: int = 0) -> bool:
    """Say whether a note, or one that stands inside it, holds what its own data withholds."""
    if not isinstance(note, dict) or deep > _DEEPEST:
        return isinstance(note, dict)
    says = bool(text(note, "text") or text(note, "cw") or objects(note, "files"))
    is_withheld = bool(text(note, "visibility")) and not _is_open(note)
    return (is_withheld and says) or any(leaks(note.get(inner), deep + 1) for inner in ("renote", "reply"))


def is_ours(user: Any) -> bool:
    """Say whether an account lives on the server that was asked: others are named with their host."""
    return bool(text(user, "id")) and not text(user, "host")


def is_echo(note: dict[str, Any]) -> bool:
    """Say whether a note only passes another on, and says nothing itself."""
    is_bare = not (text(note, "text") or text(note, "cw") or objects(note, "files") or at(note, "poll"))
    return is_bare and isinstance(note.get("renote"), dict)


def url_of(note: dict[str, Any], response: CaptureResponse) -> str:
    """Return the page of a note; one of another server's has its own."""
    here = urljoin(response.url, f"/notes/{text(note, 'id')}")
    return here if is_ours(note.get("user")) else text(note, "url") or text(note, "uri") or here


def page_of(user: dict[str, Any], response: CaptureResponse) -> str:
    """Return the page of an account; where it lives elsewhere, that one's."""
    return text(user, "url") or text(user, "uri") or urljoin(response.url, f"/@{acct_of(user)}")


def acct_of(user: Any) -> str:
    """Return the name of an account, with its host where that is another."""
    return "@".join(part for part in (text(user, "username"), text(user, "host")) if part)


def unwrapped(url: str, response: CaptureResponse) -> tuple[str, ...]:
    """Return where a picture is: as it is named, and, where that is a proxy's address, its own as well."""
    named = absolute(response.url, url)
    if not named:
        return ()
    parts = urlsplit(named)
    inner = parse_qs(parts.query).get("url", [""])[0] if "/proxy/" in parts.path else ""
    found = absolute(response.url, inner) if inner else None
    return (named, found) if found and found != named else (named,)


def post_of(note: dict[str, Any], response: CaptureResponse, platform: str) -> Post:
    """Return the item of a note. One of another server is held only as this one shows it, and counted apart."""
    ours = "reply" if text(note, "replyId") else "post"
    poll = at(note, "poll")
    choices = [{"title": text(one, "text"), "votes": text(one, "votes")} for one in objects(poll, "choices")]
    reactions = at(note, "reactions")
    mentions, tags = at(note, "mentions"), at(note, "tags")
    return Post(
        platform=platform, id=text(note, "id"), url=url_of(note, response),
        kind=ours if is_ours(note.get("user")) else "elsewhere", author=text(note, "user", "id") or None,
        author_name=acct_of(note.get("user")), text=text(note, "text"),
        created_at=span(instant(text(note, "createdAt"))), in_reply_to=text(note, "replyId") or None,
        repost_of=text(note, "renoteId") or None, sensitive=bool(text(note, "cw")),
        media=tuple(url for file in objects(note, "files") if (url := file_of(file, response))),
        mentions=_texts(mentions), hashtags=_texts(tags), counters=counters(note, _POST_COUNTERS),
        extra={
            **{name: said for name in _KEPT if (said := text(note, name))},
            **({"poll": {"choices": choices, "ends": text(poll, "expiresAt")}} if choices else {}),
            **({"reactions": {key: n for key in reactions if (n := number(reactions, key))}}
               if isinstance(reactions, dict) and reactions else {}),
            **({"localOnly": True} if note.get("localOnly") is True else {}),
        },
        **source(response),
    )  # fmt: skip


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(one for one in values if isinstance(one, str)) if isinstance(values, list) else ()


def account_of(user: dict[str, Any], response: CaptureResponse, platform: str) -> Account:
    """Return the item of an account."""
    fields = [{"name": text(one, "name"), "value": text(one, "value")} for one in objects(user, "fields")]
    return Account(
        platform=platform, id=text(user, "id"), username=acct_of(user), url=page_of(user, response),
        name=text(user, "name"), bio=text(user, "description"), created_at=span(instant(text(user, "createdAt"))),
        counters=counters(user, _ACCOUNT_COUNTERS), extra={"fields": fields} if fields else {},
        avatar=absolute(response.url, text(user, "avatarUrl")) or None,
        banner=absolute(response.url, text(user, "bannerUrl")) or None, **source(response),
    )  # fmt: skip


def file_of(file: Any, response: CaptureResponse) -> str:
    """Return where a file is itself; a picture of elsewhere may be named by its address at the server's proxy."""
    found = unwrapped(text(file, "url"), response)
    return found[-1] if found else ""


def media_of(file: dict[str, Any], note: dict[str, Any], response: CaptureResponse, platform: str) -> Media:
    """Return the item of a file of a note. Its MD5, as the server says it, can be held against what was captured."""
    kind, of = text(file, "type").partition("/")[0], "reply" if text(note, "replyId") else "post"
    extra = {name: said for name in ("name", "type", "md5", "size", "createdAt") if (said := text(file, name))}
    return Media(
        platform=platform, id=text(file, "id"), url=file_of(file, response), post=f"{of}/{text(note, 'id')}",
        kind=kind if kind in {"image", "video", "audio"} else "file", title=text(file, "comment"), extra=extra,
        **source(response),
    )  # fmt: skip
