"""A Mastodon server (4.5's API as documented) and its relatives: python -P -m crawler.replicas.mastodon.

What the documentation says it does and clients trip over: guests see public posts in the local timeline only, without
boosts, replies to others and unlisted posts; the directory lists who opted in; more than 40 posts of a page is
clamped; ``localPosts`` counts what strangers cannot have; the pages for people are a shell for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Answer, Request

_PAGE, _DIRECTORY = 40, 80
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
    media: list[str] = field(default_factory=list)
    reply_to: Status | None = None
    boost_of: Status | None = None
    replies: list[Status] = field(default_factory=list)

    @property
    def is_public(self) -> bool:
        return self.visibility in {"public", "unlisted"}

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
    }

    def build(self) -> None:
        """Make the people and what they said, oldest first."""
        self._at = self.clock.moment - timedelta(days=40)
        self._accounts = [Account(100 + n, f"heron{n}", listed=n % 3 != 2) for n in range(max(self.size // 12, 3))]
        self._strangers = [Account(9000 + n, f"otter{n}", host="elsewhere.example") for n in range(3)]
        self._statuses: dict[int, Status] = {}
        for number in range(self.size):
            self._say(number)
        for path in ("/packs/application.css", "/packs/application.js"):
            self.asset(path)
        self._emoji = self.image("/system/custom_emojis/tea.jpg", kind="emoji")
        for account in self._accounts:
            self._enter(account)
        self._count()

    def _say(self, number: int) -> None:
        self._at += timedelta(minutes=7 + self.rng.randrange(90))
        author = self._accounts[self.rng.randrange(len(self._accounts) - 1)]  # the last one never says anything
        visibility = _VISIBILITY[number % len(_VISIBILITY)]
        identity = int(self._at.timestamp() * 1000) << 16 | self.rng.randrange(1 << 16)
        status = Status(identity, self._at, author, visibility, self.says(public=visibility in {"public", "unlisted"}))
        earlier = [one for one in author.posts if one.is_public]
        if number % 5 == 1 and self._statuses:
            others = [one for one in self._statuses.values() if one.is_public and not one.boost_of]
            status.reply_to = self.rng.choice(others) if others else None
        elif number % 11 == 3 and status.is_public:
            theirs = self._stranger_says(number) if number % 2 else (earlier[-1] if earlier else None)
            status.boost_of = theirs.boost_of or theirs if theirs else None
            status.text = "" if status.boost_of else status.text
        elif number % 4 == 0:
            status.media = [
                self.image(
                    f"/system/media_attachments/files/{identity % 999:03}/original/{identity:x}{part}.jpg"
                    if status.is_public else f"/system/media_attachments/{PRIVATE}/{identity:x}.jpg",
                    public=status.is_public,
                )
                for part in range(1 + number % 3)
            ]  # fmt: skip
        if status.reply_to:
            status.reply_to.replies.append(status)
            if number % 2:
                answer = self._stranger_says(number)
                answer.reply_to = status.reply_to
                status.reply_to.replies.append(answer)
        self._statuses[identity] = status
        author.posts.append(status)

    def _stranger_says(self, number: int) -> Status:
        account = self._strangers[number % len(self._strangers)]
        identity = (int(self._at.timestamp() * 1000) - 500) << 16 | number
        return Status(identity, self._at, account, "public", self.says())

    def _enter(self, account: Account) -> None:
        self.books.add("account", account.id, f"/@{account.username}", item="Account")
        for kind in ("avatar", "header"):
            self.image(f"/system/accounts/{kind}s/{account.id}.jpg", kind=kind)
        for status in account.posts:
            shown = status.is_public
            url = f"/@{account.username}/{status.id}" if not status.boost_of else ""
            self.books.add(
                "reply" if status.reply_to else "post", status.id, url, public=shown, item="Post",
                at=status.at.isoformat(),
            )  # fmt: skip
            if shown and [one for one in status.replies if one.is_public]:
                self.books.listing("thread", 1, 1)
        self.books.listing("statuses", sum(one.is_public for one in account.posts), _PAGE)

    def _count(self) -> None:
        listed = sum(one.is_in_timeline for one in self._statuses.values())
        self.books.listing("timeline", 0 if self.trap & {"closed", "disabled"} else listed, _PAGE)
        self.books.listing("directory", sum(account.listed for account in self._accounts), _DIRECTORY)
        self.books.listing("instance", 3, 1)  # the instance, its emoji, the front page

    # What it answers

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return as_json(None, 404)

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/nodeinfo/2.0"}]})

    @route(r"/nodeinfo/2\.0")
    def nodeinfo(self, request: Request) -> Answer:
        usage = {"users": {"total": len(self._accounts)}, "localPosts": len(self._statuses)}
        return as_json({"version": "2.0", "software": {"name": "mastodon", "version": "4.5.2"}, "usage": usage})

    @route(r"/api/v2/instance")
    def instance(self, request: Request) -> Answer:
        access = "authenticated" if "closed" in self.trap else "disabled" if "disabled" in self.trap else "public"
        timelines = {"live_feeds": {"local": access, "remote": "authenticated"}}
        return as_json({
            "domain": "heron.example", "version": "4.5.2", "title": "Herons",
            "configuration": {"timelines_access": timelines},
        })  # fmt: skip

    @route(r"/api/v1/timelines/public")
    def timeline(self, request: Request) -> Answer:
        if "closed" in self.trap:
            return as_json({"error": "This method requires an authenticated user"}, 422)
        if "disabled" in self.trap:
            return as_json([])
        statuses = [one for one in self._statuses.values() if one.is_in_timeline]
        return self._paged(request, statuses)

    @route(r"/api/v1/directory")
    def directory(self, request: Request) -> Answer:
        asked = query(request)
        listed = [account for account in self._accounts if account.listed]
        start, limit = whole(asked.get("offset"), 0), min(whole(asked.get("limit"), 40), _DIRECTORY)
        return as_json([self._account(account, request) for account in listed[start : start + limit]])

    @route(r"/api/v1/custom_emojis")
    def emojis(self, request: Request) -> Answer:
        return as_json([{"shortcode": "tea", "url": f"{base(request)}{self._emoji}"}])

    @route(r"/api/v1/accounts/(\d+)/statuses")
    def statuses(self, request: Request, identity: str) -> Answer:
        account = next((one for one in self._accounts if one.id == int(identity)), None)
        if account is None:
            return as_json({"error": "Record not found"}, 404)
        leaks = "leak" in self.trap
        return self._paged(request, [one for one in account.posts if one.is_public or leaks])

    @route(r"/api/v1/statuses/(\d+)/context")
    def context(self, request: Request, identity: str) -> Answer:
        status = self._statuses.get(int(identity))
        if status is None or not status.is_public:
            return as_json({"error": "Record not found"}, 404)
        below = [one for one in status.replies if one.is_public]
        above = [status.reply_to] if status.reply_to else []
        return as_json({
            "ancestors": [self._status(one, request) for one in above if one],
            "descendants": [self._status(one, request) for one in below[:60]],
        })  # fmt: skip

    @route(r"/@([a-z0-9]+)(?:/(\d+))?")
    def page(self, request: Request, username: str, identity: str | None) -> Answer:
        account = next((one for one in self._accounts if one.username == username), None)
        status = self._statuses.get(int(identity or 0))
        if account is None or (identity and (status is None or not status.is_public)):
            return self.missing(request)
        return self._shell(username)

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._shell("Herons")

    def _shell(self, title: str) -> Answer:
        """Answer with the page that scripts fill."""
        head = '<link rel="stylesheet" href="/packs/application.css"><script src="/packs/application.js"></script>'
        return html(title, '<div class="app-holder" id="mastodon"></div>', head=head)

    def _paged(self, request: Request, statuses: Sequence[Status]) -> Answer:
        """Answer with a page of statuses, newest first, and the Link header that names the next."""
        asked = query(request)
        limit = min(whole(asked.get("limit"), 20), _PAGE)
        below, above = whole(asked.get("max_id"), 1 << 70), whole(asked.get("min_id"), 0)
        found = [one for one in sorted(statuses, key=lambda one: one.id, reverse=True) if above < one.id < below]
        page = found[-limit:] if above else found[:limit]
        here = f"{base(request)}{request.path}?limit={limit}"
        link = f'<{here}&max_id={page[-1].id}>; rel="next", <{here}&min_id={page[0].id}>; rel="prev"' if page else ""
        return as_json([self._status(one, request) for one in page], headers=(("Link", link),) if link else ())

    def _status(self, status: Status, request: Request) -> dict[str, Any]:
        here = base(request)
        mine = f"{here}/@{status.account.acct}/{status.id}"
        theirs = f"https://{status.account.host}/@{status.account.username}/{status.id}"
        return {
            "id": str(status.id), "created_at": status.at.isoformat().replace("+00:00", ".000Z"),
            "visibility": status.visibility, "sensitive": False, "spoiler_text": "", "language": "en",
            "uri": mine, "url": theirs if status.account.host else mine, "content": f"<p>{status.text}</p>",
            "replies_count": len([one for one in status.replies if one.is_public]), "reblogs_count": 0,
            "favourites_count": 3, "edited_at": None,
            "in_reply_to_id": str(status.reply_to.id) if status.reply_to else None,
            "in_reply_to_account_id": str(status.reply_to.account.id) if status.reply_to else None,
            "reblog": self._status(status.boost_of, request) if status.boost_of else None,
            "account": self._account(status.account, request), "mentions": [], "tags": [], "emojis": [], "card": None,
            "media_attachments": [
                {"id": str(n), "type": "image", "url": here + path, "preview_url": None, "description": "a heron"}
                for n, path in enumerate(status.media)
            ],
        }  # fmt: skip

    def _account(self, account: Account, request: Request) -> dict[str, Any]:
        here = base(request)
        last = max((one.at for one in account.posts if one.is_public), default=None)
        return {
            "id": str(account.id), "username": account.username, "acct": account.acct, "display_name": "A heron",
            "note": "<p>tea</p>", "url": f"{here}/@{account.acct}", "created_at": "2019-01-01T00:00:00.000Z",
            "avatar": f"{here}/system/accounts/avatars/{account.id}.jpg", "locked": False, "bot": False,
            "header": f"{here}/system/accounts/headers/{account.id}.jpg", "discoverable": account.listed,
            "statuses_count": len(account.posts), "followers_count": 2, "following_count": 1,
            "last_status_at": last.date().isoformat() if last else None,
        }  # fmt: skip


if __name__ == "__main__":
    main(MastodonSite)
