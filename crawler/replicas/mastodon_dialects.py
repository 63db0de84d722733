"""What sets the relatives of Mastodon apart, as its replica shows it: names, ids, addresses, what is open, pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FLAKES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _flake(number: int) -> str:
    """Return an id as Pleroma makes them: 18 digits of base 62, in the order of time, from which no time is told."""
    digits, left = "", number * 1_000_003 + 7
    for _ in range(17):
        left, digit = divmod(left, 62)
        digits = _FLAKES[digit] + digits
    return f"A{digits}"


def _ulid(number: int) -> str:
    """Return an id as GoToSocial makes them: 10 digits of milliseconds, 16 of chance."""
    when, chance = number >> 16, number & 0xFFFF
    head = "".join(_CROCKFORD[when >> 5 * place & 31] for place in range(9, -1, -1))
    return head + "".join(_CROCKFORD[chance >> 5 * place & 31] for place in range(15, -1, -1))


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one member of the family answers."""

    title: str = ""
    #: What NodeInfo says; empty where there is none.
    software: str = "mastodon"
    version: str = "4.5.2"
    mark: str = "mastodon"
    assets: tuple[str, ...] = ("/packs/application.css", "/packs/application.js")
    files: str = "/system/media_attachments"
    robots: str = ""
    id: Callable[[int], str] = str
    #: What ids are sorted by, and what an id looks like.
    order: Callable[[str], Any] = str
    knows: Callable[[str], bool] = str.isdecimal
    post: str = "/@{}/{}"
    account: str = "/@{}"
    prefix: str = ""
    has_directory: bool = True
    has_lists: bool = True
    has_unlisted: bool = True
    has_boosts: bool = True
    has_history: bool = True
    has_cards: bool = True
    is_numbered: bool = False
    is_rendered: bool = False
    is_old: bool = False
    #: How the end of the window of requests is written.
    reset: str = "%Y-%m-%dT%H:%M:%S.%fZ"

    def post_url(self, account: Any, identity: str) -> str:
        """Return the path of a post's page."""
        return self.post.format(account.acct, identity)

    def account_url(self, account: Any) -> str:
        """Return the path of an account's page."""
        return self.account.format(account.acct)

    def account_id(self, account: Any) -> str:
        """Return the id of an account; on pages alone it is its name."""
        return str(account.username) if not self.has_lists else f"{self.prefix}{account.id}"


MASTODON = Dialect(order=int)
DIALECTS = {
    "old": Dialect(
        title="Mastodon 2.6: no NodeInfo and no directory, lists of accounts want a token, pages hold the posts",
        software="", version="2.6.1", order=int, has_directory=False, has_history=False, has_boosts=False,
        has_cards=False, is_rendered=True, is_old=True,
    ),
    "pleroma": Dialect(
        title="Pleroma: flakes for ids, which nothing may be reckoned with, and pages under /notice/",
        software="pleroma", version="2.7.2 (compatible; Pleroma 2.5.0)", mark="app", prefix="AHeron",
        assets=("/static/app.css", "/static/app.js"), id=_flake, knows=lambda one: len(one) == 18,
        post="/notice/{1}", account="/users/{}", reset="",
    ),
    "gotosocial": Dialect(
        title="GoToSocial: ULIDs for ids, an API for those who have a token, and pages that hold public posts",
        software="gotosocial", version="0.17.3+git-abcdef0", mark="page",
        assets=("/assets/dist/status.css", "/assets/dist/profile.css"), files="/fileserver/01HERON/attachment/original",
        robots="User-agent: *\nCrawl-delay: 500\nDisallow: /api/\nDisallow: /fileserver/\nDisallow: /users/\n",
        id=_ulid, post="/@{}/statuses/{}", has_directory=False, has_lists=False, has_unlisted=False, has_boosts=False,
        has_history=False, has_cards=False, is_rendered=True,
    ),
    "gab": Dialect(
        title="Gab: no NodeInfo, an explore timeline in numbered pages that repeats its last one, streamed videos",
        software="", version="3.3.0", mark="gabsocial", order=int, post="/{}/posts/{}", account="/{}",
        has_directory=False, has_history=False, is_numbered=True, reset="%Y-%m-%dT%H:%M:%SZ",
    ),
}  # fmt: skip


def limits(dialect: Dialect, now: datetime) -> tuple[tuple[str, str], ...]:
    """Return the headers that say how often the API may be asked; Pleroma has none."""
    if not dialect.reset:
        return ()
    ends = (now + timedelta(minutes=5)).strftime(dialect.reset)
    return (("X-RateLimit-Limit", "300"), ("X-RateLimit-Remaining", "299"), ("X-RateLimit-Reset", ends))


def account_page(dialect: Dialect, account: Any, posts: list[Any], cap: int, here: str, *, replies: bool) -> str:
    """Return the body of an account's page: the newest posts, and the link to older ones."""
    user = dialect.account_url(account)
    place = f"{user}/with_replies" if replies else user
    older = f"{here}{place}?max_id={dialect.id(posts[cap - 1].id)}" if len(posts) > cap else ""
    shown = "".join(_post(dialect, one, here) for one in posts[:cap])
    if dialect.is_old:
        tab = "" if replies else f'<a href="{here}{user}/with_replies">Posts and replies</a>'
        more = f'<a class="load-more" href="{older}">Show more</a>' if older else ""
        return f'<div class="account__section-headline">{tab}</div><div class="activity-stream">{shown}{more}</div>'
    pinned = "".join(_post(dialect, one, here, suffix="-pinned") for one in posts[-1:])
    more = f'<a class="next" href="{older}">Show older</a>' if older else ""
    images = "".join(
        f'<div class="{kind}-image-wrapper"><img src="{here}/system/accounts/{kind}s/{account.id}.jpg"></div>'
        for kind in ("avatar", "header")
    )
    return (
        f'<main class="profile">{images}<dd class="displayname">A heron</dd><div class="bio"><p>tea</p></div>'
        f'<section class="pinned">{pinned}</section><section class="recent">{shown}</section>'
        f'<nav class="backnextlinks">{more}</nav></main>'
    )


def thread_page(dialect: Dialect, status: Any, here: str) -> str:
    """Return the body of a post's page, with what stands around it."""
    above = [status]
    while above[0].reply_to is not None:
        above.insert(0, above[0].reply_to)
    below, left = [], list(status.replies)
    while left:
        one = left.pop(0)
        below.append(one)
        left += one.replies
    shown = [one for one in (*above, *below) if one.is_public]
    return "".join(_post(dialect, one, here) for one in shown)


def _post(dialect: Dialect, one: Any, here: str, suffix: str = "") -> str:
    identity, who = dialect.id(one.id), one.account
    root = f"https://{who.host}" if who.host else here
    author, url = f"{root}/@{who.username}", f"{root}{dialect.post.format(who.username, identity)}"
    when = one.at.isoformat().replace("+00:00", "Z")
    said = f"<p>{one.text}</p>" + "".join(
        f' <a href="{here}/@{whom.username}" class="u-url mention">@{whom.username}</a>' for whom in one.mentions
    )
    if dialect.is_old:
        files = "".join(f'<a href="{here}{path}"><img src="{here}{path}" alt="a heron"></a>' for path in one.media)
        if one.film:
            files += f'<div class="video-player"><video src="{here}{one.film}"></video></div>'
        return (
            f'<div class="entry h-entry"><div class="status"><a class="status__display-name p-author" href="{author}">'
            f'<span class="display-name__account">@{who.acct}</span></a><div class="status__content">'
            f'<div class="e-content">{said}</div></div><div class="media-gallery">{files}</div>'
            f'<a class="status__relative-time u-url u-uid" href="{url}"><time datetime="{when}">then</time></a></div></div>'
        )
    files = "".join(
        f'<div class="media-wrapper"><a class="photoswipe-slide" href="{here}{path}"><img src="{here}{path}" alt="a heron"></a></div>'
        for path in one.media
    )
    return (
        f'<article class="status expanded" id="{identity}{suffix}"><address><a href="{author}" rel="author">'
        f'<span class="username">@{who.acct}</span></a></address><div class="text"><div class="content">{said}</div>'
        f'</div>{files}<aside class="status-info"><time datetime="{when}">then</time></aside>'
        f'<a href="{url}" class="status-link">Open thread at this post</a></article>'
    )
