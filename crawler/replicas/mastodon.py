"""A Mastodon server (4.5's API as documented) and its relatives: python -P -m crawler.replicas.mastodon.

What the documentation says it does and clients trip over: guests see public posts in the local timeline only, without
boosts, replies to others and unlisted posts; the directory lists who opted in, and some are only ever mentioned; more
than 40 posts of a page is clamped; ``localPosts`` counts what strangers cannot have; the pages for people are a shell
for scripts. The relatives are chosen as traps, and described in ``mastodon_dialects.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.films import Film
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole
from crawler.replicas.mastodon_dialects import DIALECTS, MASTODON, account_page, limits, thread_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.replicas.exchange import Answer, Request

_PAGE, _DIRECTORY, _SHOWN = 40, 80, 20
#: Of twenty posts in turn, how visible they are.
_VISIBILITY = ("public",) * 14 + ("unlisted", "unlisted", "private", "private", "direct", "public")


@dataclass
class Account:
    """Somebody with an account here, or (``at`` a host) elsewhere."""

    id: int
    username: str
    host: str = ""
    listed: bool = True
    posts: list[Status] = field(default_factory=list)

    @property
    def acct(self) -> str:
        return f"{self.username}@{self.host}" if self.host else self.username


@dataclass
class Status:
    """A post, a reply or a boost."""

    id: int
    at: datetime
    account: Account
    visibility: str
    text: str
    is_public: bool
    media: list[str] = field(default_factory=list)
    film: str = ""
    preview: str = ""
    is_edited: bool = False
    mentions: list[Account] = field(default_factory=list)
    reply_to: Status | None = None
    boost_of: Status | None = None
    replies: list[Status] = field(default_factory=list)

    @property
    def is_in_timeline(self) -> bool:
        is_to_others = self.reply_to is not None and self.reply_to.account is not self.account
        return self.visibility == "public" and not self.boost_of and not is_to_others and not self.account.host


class MastodonSite(PlatformSite):
    """One server, the people on it, and a few from elsewhere."""

    name = "mastodon"
    title = "A Mastodon server."
    traps: ClassVar[dict[str, str]] = {
        "closed": "the timeline answers 401 to strangers",
        "disabled": "the timeline answers 200 with an empty list",
        "leak": "private posts stand in an account's list and answer by id",
        "restricted": "the timeline and the lists of accounts answer 401, and feeds name a few posts",
        **{name: one.title for name, one in DIALECTS.items()},
    }

    def build(self) -> None:
        """Make the people and what they said, oldest first."""
        self.dialect = next((DIALECTS[name] for name in sorted(self.trap) if name in DIALECTS), MASTODON)
        self._at = self.clock.moment - timedelta(days=40)
        self._accounts = [Account(100 + n, f"heron{n}", listed=n % 3 != 2) for n in range(max(self.size // 12, 4))]
        self._strangers = [Account(9000 + n, f"otter{n}", host="elsewhere.example") for n in range(3)]
        self._statuses: dict[str, Status] = {}
        for number in range(self.size):
            self._say(number)
        welcome = next(one for one in self._accounts[0].posts if one.is_public and not one.boost_of)
        welcome.mentions = self._accounts[1:]
        for path in self.dialect.assets:
            self.asset(path)
        self._emoji = self.image("/system/custom_emojis/tea.jpg", kind="emoji") if self.dialect.has_lists else ""
        for account in self._accounts:
            self._enter(account)
        self._count()

    def _say(self, number: int) -> None:
        self._at += timedelta(minutes=7 + self.rng.randrange(90))
        # The last one never says anything; the last but one is in no listing, and whispers.
        author = self._accounts[0 if number % 4 == 0 else self.rng.randrange(len(self._accounts) - 1)]
        author.listed = author.listed and author is not self._accounts[-2]
        visibility = _VISIBILITY[number % len(_VISIBILITY)]
        if author is self._accounts[-2] and visibility == "public" and self.dialect.has_unlisted:
            visibility = "unlisted"
        is_public = visibility == "public" or (visibility == "unlisted" and self.dialect.has_unlisted)
        identity = int(self._at.timestamp() * 1000) << 16 | self.rng.randrange(1 << 16)
        status = Status(identity, self._at, author, visibility, self.says(public=is_public), is_public)
        if number % 5 == 1:
            others = [one for one in self._statuses.values() if one.is_public and not one.boost_of]
            status.reply_to = self.rng.choice(others) if others else None
        elif number % 11 == 3 and status.is_public and self.dialect.has_boosts:
            earlier = [one for one in author.posts if one.is_public]
            theirs = self._stranger_says(number) if number % 2 else (earlier[-1] if earlier else None)
            status.boost_of = theirs.boost_of or theirs if theirs else None
            status.text = "" if status.boost_of else status.text
        elif number % 4 == 0:
            status.media = [self._picture(status, part) for part in range(1 + number % 3)]
        elif number % 7 == 2 and is_public and self.dialect.has_lists:
            status.film = f"/system/media_attachments/{identity:x}.mp4"
            data = Film(key=status.film, frames=8).data()
            self.books.file("video", self.file(status.film, data, "video/mp4"), data)
        if number % 6 == 4 and is_public and not status.boost_of and self.dialect.has_cards:
            status.is_edited, status.preview = True, self.image(f"/system/cache/{identity:x}.jpg", kind="preview")
            if self.dialect.has_history:
                self.books.listing("history", 1, 1)
        if status.reply_to:
            status.reply_to.replies.append(status)
            if number % 2:
                answer = self._stranger_says(number)
                answer.reply_to = status.reply_to
                status.reply_to.replies.append(answer)
        self._statuses[self.dialect.id(identity)] = status
        author.posts.append(status)

    def _picture(self, status: Status, part: int) -> str:
        folder = f"files/{status.id % 999:03}/original" if status.is_public else PRIVATE
        root = self.dialect.files
        return self.image(f"{root}/{folder}/{status.id:x}{part}.jpg", public=status.is_public)

    def _stranger_says(self, number: int) -> Status:
        account = self._strangers[number % len(self._strangers)]
        identity = (int(self._at.timestamp() * 1000) - 500) << 16 | number
        return Status(identity, self._at, account, "public", self.says(), is_public=True)

    def _enter(self, account: Account) -> None:
        self.books.add("account", self._account_id(account), self.dialect.account_url(account), item="Account")
        for kind in ("avatar", "header"):
            self.image(f"/system/accounts/{kind}s/{account.id}.jpg", kind=kind)
        for status in account.posts:
            self.books.add(
                "reply" if status.reply_to else "post", self.dialect.id(status.id),
                "" if status.boost_of else self.dialect.post_url(account, self.dialect.id(status.id)),
                public=status.is_public, item="Post", at=status.at.isoformat(),
            )  # fmt: skip
            has_context = self.dialect.has_lists and (not self.dialect.is_old or status.is_in_timeline)
            if has_context and status.is_public and [one for one in status.replies if one.is_public]:
                self.books.listing("thread", 1, 1)
        shown = [one for one in account.posts if one.is_public and (self.dialect.has_lists or not one.reply_to)]
        if self.dialect.has_lists:
            self.books.listing("statuses", len(shown), _SHOWN if self.dialect.is_old else _PAGE)
        elif len(shown) > _SHOWN:
            self.books.listing("pages", len(shown) - _SHOWN, _SHOWN)

    def _count(self) -> None:
        listed = sum(one.is_in_timeline for one in self._statuses.values())
        is_closed = bool(self.trap & {"closed", "disabled", "restricted"}) or not self.dialect.has_lists
        self.books.listing("timeline", 0 if is_closed else listed, _SHOWN if self.dialect.is_numbered else _PAGE)
        self.books.listing("directory", sum(account.listed for account in self._accounts), _DIRECTORY)
        self.books.listing("instance", 4, 1)  # the instance twice, its emoji, the front page
        if not self.dialect.has_lists:
            self.books.listing("about", 1, 1)

    def answer(self, request: Request) -> Answer:
        """Answer a request; the API says with everything how often it may be asked."""
        found = super().answer(request)
        if not request.path.startswith("/api/"):
            return found
        return replace(found, headers=(*found.headers, *limits(self.dialect, self.clock.moment)))

    # Time goes by

    def written(self) -> list[str]:
        echoed = {id(one.boost_of) for one in self._statuses.values()}
        return [
            identity for identity, one in self._statuses.items()
            if one.is_public and not one.boost_of and id(one) not in echoed and not one.film
        ]  # fmt: skip

    def edit(self, identity: str) -> None:
        self._statuses[identity].text = self.says()

    def delete(self, identity: str) -> None:
        status = self._statuses.pop(identity)
        status.account.posts.remove(status)
        if status.reply_to:
            status.reply_to.replies.remove(status)

    def write(self) -> str:
        self._at = self.clock.moment - timedelta(minutes=9)
        self._say(len(_VISIBILITY) * 11 * (1 + len(self._statuses)))
        return next(reversed(self._statuses))

    # What it answers

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        if not self.dialect.robots:
            return as_json(None, 404)
        return replace(html("", ""), body=self.dialect.robots.encode(), content_type="text/plain")

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        if not self.dialect.software:
            return self.missing(request)
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/nodeinfo/2.0"}]})

    @route(r"/nodeinfo/2\.0")
    def nodeinfo(self, request: Request) -> Answer:
        if not self.dialect.software:
            return self.missing(request)
        usage = {"users": {"total": len(self._accounts)}, "localPosts": len(self._statuses)}
        software = {"name": self.dialect.software, "version": self.dialect.version}
        return as_json({"version": "2.0", "software": software, "usage": usage})

    @route(r"/api/v1/instance")
    def instance(self, request: Request) -> Answer:
        stats = {"user_count": len(self._accounts), "status_count": len(self._statuses), "domain_count": 3}
        contact = self._account(self._accounts[0], request)
        return as_json({
            "uri": "heron.example", "version": self.dialect.version, "title": "Herons", "stats": stats,
            "contact_account": contact,
        })  # fmt: skip

    @route(r"/api/v2/instance")
    def instance_2(self, request: Request) -> Answer:
        if not self.dialect.software:
            return as_json({"error": "Not found"}, 404)
        access = "authenticated" if "closed" in self.trap else "disabled" if "disabled" in self.trap else "public"
        timelines = {"live_feeds": {"local": access, "remote": "authenticated"}}
        return as_json({
            "domain": "heron.example", "version": self.dialect.version, "title": "Herons",
            "configuration": {"timelines_access": timelines},
        })  # fmt: skip

    @route(r"/api/v1/timelines/public")
    def timeline(self, request: Request) -> Answer:
        if self.dialect.is_numbered or not self.dialect.has_lists or "restricted" in self.trap:
            return as_json({"error": "authorization required for timeline view"}, 401)
        if "closed" in self.trap:
            return as_json({"error": "This method requires an authenticated user"}, 422)
        if "disabled" in self.trap:
            return as_json([])
        return self._paged(request, [one for one in self._statuses.values() if one.is_in_timeline])

    @route(r"/api/v1/timelines/explore")
    def explore(self, request: Request) -> Answer:
        """Answer with a numbered page; beyond the last one that one is repeated."""
        if not self.dialect.is_numbered:
            return as_json({"error": "Record not found"}, 404)
        newest = [one for one in self._statuses.values() if one.is_in_timeline][::-1]
        page = min(whole(query(request).get("page"), 1), -(-len(newest) // _SHOWN))
        return as_json([self._status(one, request) for one in newest[(page - 1) * _SHOWN : page * _SHOWN]])

    @route(r"/api/v1/directory")
    def directory(self, request: Request) -> Answer:
        if not self.dialect.has_directory:
            return as_json({"error": "Record not found"}, 404)
        asked = query(request)
        listed = [account for account in self._accounts if account.listed]
        start, limit = whole(asked.get("offset"), 0), min(whole(asked.get("limit"), 40), _DIRECTORY)
        return as_json([self._account(account, request) for account in listed[start : start + limit]])

    @route(r"/api/v1/custom_emojis")
    def emojis(self, request: Request) -> Answer:
        if not self.dialect.has_lists:
            return as_json({"error": "Unauthorized: token not supplied"}, 401)
        return as_json([{"shortcode": "tea", "url": f"{base(request)}{self._emoji}"}])

    @route(r"/api/v1/accounts/lookup")
    def lookup(self, request: Request) -> Answer:
        wanted = query(request).get("acct", "").lower()
        return self._one(request, lambda account: account.username == wanted)

    @route(r"/api/v1/accounts/([0-9A-Za-z]+)")
    def person(self, request: Request, identity: str) -> Answer:
        return self._one(request, lambda account: self._account_id(account) == identity)

    def _one(self, request: Request, is_wanted: Callable[[Account], bool]) -> Answer:
        account = next(filter(is_wanted, self._accounts), None)
        if account is None:
            return as_json({"error": "Record not found"}, 404)
        is_closed = not self.dialect.has_lists or "restricted" in self.trap
        return as_json({"error": "Unauthorized"}, 401) if is_closed else as_json(self._account(account, request))

    @route(r"/api/v1/accounts/([0-9A-Za-z]+)/statuses")
    def statuses(self, request: Request, identity: str) -> Answer:
        account = next((one for one in self._accounts if self._account_id(one) == identity), None)
        if account is None:
            return as_json({"error": "Record not found"}, 404)
        if not self.dialect.has_lists or self.dialect.is_old or "restricted" in self.trap:
            return as_json({"error": "The access token is invalid"}, 401)
        leaks = "leak" in self.trap
        return self._paged(request, [one for one in account.posts if one.is_public or leaks])

    @route(r"/api/v1/statuses/([0-9A-Za-z]+)/(context|history)")
    def around(self, request: Request, identity: str, part: str) -> Answer:
        status = self._statuses.get(identity)
        if status is None or not status.is_public or not self.dialect.has_lists:
            return as_json({"error": "Record not found"}, 404)
        if part == "history":
            edits = [{"content": f"<p>{status.text}{n}</p>", "created_at": _iso(status.at)} for n in range(2)]
            return as_json(edits) if self.dialect.has_history else as_json({"error": "Record not found"}, 404)
        below = [one for one in status.replies if one.is_public]
        above = [status.reply_to] if status.reply_to else []
        return as_json({
            "ancestors": [self._status(one, request) for one in above if one],
            "descendants": [self._status(one, request) for one in below[:60]],
        })  # fmt: skip

    @route(r"/@([a-z0-9]+)(?:/(with_replies)|(?:/statuses)?/([0-9A-Za-z]+))?")
    @route(r"/(?:users/)?([a-z0-9]+)()(?:/posts/([0-9A-Za-z]+))?")
    @route(r"/notice()()/([0-9A-Za-z]+)")
    def page(self, request: Request, username: str, replies: str | None, identity: str | None) -> Answer:
        """Answer with the page of an account or of a post, under the addresses of this dialect and no others."""
        status = self._statuses.get(identity or "")
        account = status.account if status else next((a for a in self._accounts if a.username == username), None)
        if account is None or (identity and (status is None or not status.is_public)):
            return self.missing(request)
        right = self.dialect.post_url(account, identity) if identity else self.dialect.account_url(account)
        if request.path.removesuffix("/with_replies") != right:
            return self.missing(request)
        if not self.dialect.is_rendered:
            return self._shell(username)
        if status is not None:
            return html(username, thread_page(self.dialect, status, base(request)), head=self._head())
        shown = [one for one in account.posts if one.is_public and (replies or not one.reply_to)]
        shown.sort(key=lambda one: one.id, reverse=True)
        asked = query(request).get("max_id")
        below = [
            one for one in shown if not asked or self.dialect.order(self.dialect.id(one.id)) < self.dialect.order(asked)
        ]
        body = account_page(self.dialect, account, below, _SHOWN, base(request), replies=bool(replies))
        return html(username, body, head=self._head())

    @route(r"/(?:users/|@)([a-z0-9]+)(?:\.rss|/feed\.rss)")
    def feed(self, request: Request, username: str) -> Answer:
        account = next((one for one in self._accounts if one.username == username), None)
        if account is None:
            return self.missing(request)
        latest = [one for one in account.posts if one.is_public and not one.boost_of][:-11:-1]
        links = [f"{base(request)}{self.dialect.post_url(account, self.dialect.id(one.id))}" for one in latest]
        entries = "".join(f"<item><link>{link}</link><guid>{link}</guid></item>" for link in links)
        body = f'<?xml version="1.0"?><rss version="2.0"><channel>{entries}</channel></rss>'
        return replace(html("", ""), body=body.encode(), content_type="application/rss+xml")

    @route(r"/about")
    def about(self, request: Request) -> Answer:
        who = f'<a href="{self.dialect.account_url(self._accounts[0])}">who runs this</a>'
        return self._shell("Herons") if self.dialect.has_lists else html("About", who, head=self._head())

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._shell("Herons")

    def _head(self) -> str:
        return "".join(
            f'<link rel="stylesheet" href="{path}">' if path.endswith("css") else f'<script src="{path}"></script>'
            for path in self.dialect.assets
        )

    def _shell(self, title: str) -> Answer:
        """Answer with the page that scripts fill."""
        return html(title, f'<div class="app-holder" id="{self.dialect.mark}"></div>', head=self._head())

    def _paged(self, request: Request, statuses: Sequence[Status]) -> Answer:
        """Answer with a page of statuses, newest first, and the Link header that names the next."""
        asked, order = query(request), self.dialect.order
        limit = min(whole(asked.get("limit"), 20), _PAGE)
        newest = sorted(statuses, key=lambda one: one.id, reverse=True)
        if below := asked.get("max_id"):
            if not self.dialect.knows(below):
                return as_json({"error": "Invalid id"}, 400)
            newest = [one for one in newest if order(self.dialect.id(one.id)) < order(below)]
        page = newest[:limit]
        here = f"{base(request)}{request.path}?limit={limit}"
        last = self.dialect.id(page[-1].id) if page else ""
        link = (("Link", f'<{here}&max_id={last}>; rel="next", <{here}&min_id=0>; rel="prev"'),) if page else ()
        return as_json([self._status(one, request) for one in page], headers=link)

    def _account_id(self, account: Account) -> str:
        return self.dialect.account_id(account)

    def _status(self, status: Status, request: Request) -> dict[str, Any]:
        here, identity = base(request), self.dialect.id(status.id)
        mine = f"{here}{self.dialect.post_url(status.account, identity)}"
        theirs = f"https://{status.account.host}/@{status.account.username}/{identity}"
        pictures = [
            {"id": str(n), "type": "image", "url": here + path, "preview_url": None, "description": "a heron"}
            for n, path in enumerate(status.media)
        ]
        film = {"id": "9", "type": "video", "url": here + status.film, "preview_url": None}
        if self.dialect.is_numbered:  # what is streamed is made of the file
            film = {**film, "url": f"{here}/system/streamed.m3u8", "source_mp4": here + status.film}
        option = [{"title": "tea", "votes_count": 3}, {"title": "rain", "votes_count": 1}]
        return {
            "id": identity, "created_at": _iso(status.at),
            "visibility": status.visibility, "sensitive": False, "spoiler_text": "", "language": "en",
            "uri": mine, "url": theirs if status.account.host else mine, "content": f"<p>{status.text}</p>",
            "replies_count": len([one for one in status.replies if one.is_public]), "reblogs_count": 0,
            "favourites_count": 3, "edited_at": _iso(status.at) if status.is_edited else None,
            "in_reply_to_id": self.dialect.id(status.reply_to.id) if status.reply_to else None,
            "in_reply_to_account_id": self._account_id(status.reply_to.account) if status.reply_to else None,
            "reblog": self._status(status.boost_of, request) if status.boost_of else None,
            "account": self._account(status.account, request), "tags": [], "emojis": [],
            "mentions": [
                {key: self._account(one, request)[key] for key in ("id", "username", "url", "acct")}
                for one in status.mentions
            ],
            "poll": {"options": option, "expires_at": _iso(status.at)} if status.is_edited else None,
            "card": {"url": "https://elsewhere.example/tea", "image": here + status.preview}
            if status.preview else None,
            "media_attachments": [*pictures, *([film] if status.film else [])],
        }  # fmt: skip

    def _account(self, account: Account, request: Request) -> dict[str, Any]:
        here = base(request)
        last = max((one.at for one in account.posts if one.is_public), default=None)
        return {
            "id": self._account_id(account), "username": account.username, "acct": account.acct,
            "display_name": "A heron", "note": "<p>tea</p>", "url": f"{here}{self.dialect.account_url(account)}",
            "created_at": "2019-01-01T00:00:00.000Z",
            "avatar": f"{here}/system/accounts/avatars/{account.id}.jpg", "locked": False, "bot": False,
            "header": f"{here}/system/accounts/headers/{account.id}.jpg", "discoverable": account.listed,
            "statuses_count": len(account.posts), "followers_count": 2, "following_count": 1,
            "last_status_at": last.date().isoformat() if last else None,
        }  # fmt: skip


def _iso(when: datetime) -> str:
    return when.isoformat().replace("+00:00", ".000Z")


if __name__ == "__main__":
    main(MastodonSite)
