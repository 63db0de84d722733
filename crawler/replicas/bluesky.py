"""An app view of the AT Protocol, with the directory and the data server behind it: python -P -m crawler.replicas.bluesky.

What clients trip over, beside what a data server has (``crawler.replicas.atproto``): a handle, an account and its data
are on three hosts; a feed shows what others said as well; threads are cut short in their depth, and hold people who do
not want to be shown to strangers, whom the API shows all the same; pictures are made smaller than what was uploaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from crawler.replicas.atproto import AtprotoSite, Repo, error, path, shown
from crawler.replicas.exchange import Answer
from crawler.replicas.images import jpeg
from crawler.replicas.kit import PRIVATE, Books, as_json, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.exchange import Request

_APP, _API, _DIRECTORY, _DATA, _WEB, _CDN = (
    "bsky.app", "public.api.bsky.app", "plc.directory", "pds.heron.example", "web.heron.example", "cdn.bsky.app",
)  # fmt: skip
_POST, _REPOST = "app.bsky.feed.post", "app.bsky.feed.repost"
#: Posts of a page, and how deep a thread is shown.
_PAGE, _DEPTH = 100, 1
_CLOSED = {"val": "!no-unauthenticated"}


class BlueskySite(AtprotoSite):
    """One account, its threads, and who is in them."""

    name = "bluesky"
    title = "An app view of the AT Protocol."
    hosts = (_APP, _API, _DIRECTORY, _DATA, _WEB, _CDN)
    traps: ClassVar[dict[str, str]] = {
        "web": "the account is its own host's (did:web)",
        "norepo": "repositories are closed to strangers, records are not",
        "nodata": "the directory knows of no data server",
        "closed": "the account does not want to be shown to strangers",
        "cursors": "cursors that it did not make are refused",
    }

    def build(self) -> None:
        """Make the accounts, and look at the first as an app view does."""
        super().build()
        self._posts = {f"at://{repo.did}/{name}": (repo, record) for repo in self._repos.values()
                       for name, record in repo.records.items() if name.startswith(f"{_POST}/")}  # fmt: skip
        self._below: dict[str, list[str]] = {}
        for uri, (_, record) in self._posts.items():
            if above := record.get("reply"):
                self._below.setdefault(above["parent"]["uri"], []).append(uri)
        self._own = next(iter(self._repos.values()))
        self._own.is_closed = "closed" in self.trap
        self.books, self._threads = Books(), set[str]()
        self._enter_view() if not self._own.is_closed else self._enter_nothing()

    def named(self, name: str, number: int) -> str:
        """Return a DID; the first may be that of a host."""
        return f"did:web:{_WEB}" if not number and "web" in self.trap else f"did:plc:{name}"

    # The books

    def _enter_nothing(self) -> None:
        self.books.listing("who", 2, 1)
        self.books.add("account", self._own.did, item="Account", public=False)
        for uri in self._feed():
            self.books.add("post", uri, item="Post", public=False)

    def _enter_view(self) -> None:
        own, has_data = self._own, "nodata" not in self.trap
        self.books.listing("who", 3, 1)
        self.books.listing("feed", len(self._feed()) + 1, _PAGE)
        self.books.add("account", own.did, item="Account")
        self.asset("/static/app.css")
        keys = [f"/post/{uri.rpartition('/')[2]}" for uri in self._feed()]
        for page in (f"/profile/{own.did}{key}" for key in ("", *keys)):
            self.books.add("page", page, page)
        if has_data:
            self.books.listing("data", 2, 1)
            self.books.add("description", own.did, path("repo.describeRepo", repo=own.did))
            if "norepo" in self.trap:
                for name in {name.partition("/")[0] for name in own.records}:
                    count = sum(one.startswith(f"{name}/") for one in own.records)
                    self.books.listing("records", count + (count % _PAGE == 0), _PAGE)
            for cid in _blobs(own.records):
                self.books.file("blob", path("sync.getBlob", did=own.did, cid=cid), self._blobs[own.did, cid][0])
        self._enter_threads()

    def _enter_threads(self) -> None:
        seen: set[str] = set()
        for uri in self._feed():
            record = self._posts[uri][1]
            above = record.get("reply", {})
            seen |= {uri, *(one["uri"] for one in above.values())}
            is_within = above and above["root"]["uri"].startswith(f"at://{self._own.did}/")
            if self._shown_below(uri) and not is_within:
                seen |= set(self._enter_thread(uri))
        for uri, (repo, record) in self._posts.items():
            kind, at = "reply" if "reply" in record else "post", record["createdAt"]
            if uri in seen and repo.is_public:
                self.books.add(kind, uri, item="Post", at=at)
                if repo is not self._own:
                    self._enter_other(repo, record)
            elif not repo.is_public:
                self.books.add(kind, uri, item="Post", public=False)

    def _enter_thread(self, uri: str) -> Iterator[str]:
        """Enter what reading a thread costs, and yield what is in it."""
        if uri in self._threads:
            return
        self._threads.add(uri)
        self.books.listing("threads", 1, 1)
        waiting = [(uri, 0)]
        while waiting:
            one, deep = waiting.pop()
            yield one
            if deep == _DEPTH:
                if self._shown_below(one) and self._posts[one][0].is_public:
                    yield from self._enter_thread(one)
            else:
                waiting += [(below, deep + 1) for below in self._shown_below(one)]

    def _enter_other(self, repo: Repo, record: dict[str, Any]) -> None:
        self.books.add("account", repo.did, item="Account")
        profile = repo.records.get("app.bsky.actor.profile/self", {})
        for kind, thing in (("avatar", profile.get("avatar")), ("image", record.get("embed"))):
            for cid in _blobs(thing) if kind == "avatar" else _images(thing):
                self.books.file(kind, f"/img/{kind}/{repo.did}/{cid}", jpeg(f"{kind}/{cid}"))

    def _feed(self) -> list[str]:
        """Return what the account said, newest first."""
        return sorted((uri for uri, (repo, _) in self._posts.items() if repo is self._own), reverse=True)

    def _shown_below(self, uri: str) -> list[str]:
        return [one for one in self._below.get(uri, []) if not self._posts[one][0].status]

    # What it answers

    @route(r"/")
    def home(self, request: Request) -> Answer:
        if request.host == _APP:
            return self._page("/")
        said = f'This is an AT Protocol Application View (AppView) for the "{_APP}" application'
        return Answer(200, said.encode(), "text/plain")

    @route(r"/profile/[\w.:%-]+(?:/post/\w+)?")
    def page(self, request: Request) -> Answer:
        return self._page(request.path)

    def _page(self, what: str) -> Answer:
        head = '<meta property="og:site_name" content="Bluesky"><link rel="canonical" href="https://bsky.app/">'
        return html("Bluesky", f"<p>{what}</p>", head=f'{head}<link rel="stylesheet" href="/static/app.css">')

    @route(r"/xrpc/com\.atproto\.identity\.resolveHandle")
    def handle(self, request: Request) -> Answer:
        wanted = query(request).get("handle")
        did = next((one.did for one in self._repos.values() if one.handle == wanted), None)
        return as_json({"did": did}) if did else error("InvalidRequest", "Unable to resolve handle")

    @route(r"/(did:plc:\w+)|/\.well-known/did\.json")
    def document(self, request: Request, did: str | None) -> Answer:
        server = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": f"https://{_DATA}"}
        return as_json({"id": did or f"did:web:{_WEB}", "service": [] if "nodata" in self.trap else [server]})

    @route(r"/xrpc/app\.bsky\.actor\.getProfile")
    def profile(self, request: Request) -> Answer:
        repo = self._repos.get(query(request).get("actor", ""))
        if repo is None or repo.status:
            return error("InvalidRequest", "Profile not found")
        count = sum(one is repo for one, _ in self._posts.values())
        return as_json({**self._person(repo), "postsCount": count, "followersCount": 7, "followsCount": 3})

    @route(r"/xrpc/app\.bsky\.feed\.getAuthorFeed")
    def feed(self, request: Request) -> Answer:
        """Answer with a page of posts, and with what others said that the account passed on."""
        asked = query(request)
        if not 1 <= whole(asked.get("limit"), 50) <= _PAGE:
            return error("InvalidRequest", "limit can not be greater than 100")
        cursor = asked.get("cursor", "9")
        if "cursors" in self.trap and cursor != "9" and "::" not in cursor:
            return error("InvalidRequest", "Malformed cursor")
        before = cursor.partition("::")[0]
        own = [uri for uri in self._feed() if self._posts[uri][1]["createdAt"] < before]
        page = own[: whole(asked.get("limit"), 50) - (cursor == "9")]
        said = [{"post": self._view(uri), **self._reply(uri)} for uri in page]
        if cursor == "9":
            other = next(uri for uri, (repo, _) in self._posts.items() if repo is not self._own and repo.is_public)
            said.insert(
                len(said) // 2, {"post": self._view(other), "reason": {"$type": "app.bsky.feed.defs#reasonRepost"}}
            )
        more = {"cursor": f"{self._posts[page[-1]][1]['createdAt']}::x"} if len(page) < len(own) else {}
        return as_json({"feed": said, **more})

    def _reply(self, uri: str) -> dict[str, Any]:
        above = self._posts[uri][1].get("reply")
        shown_ = {name: self._view(above[name]["uri"]) for name in ("root", "parent")} if above else {}
        return {"reply": shown_} if above else {}

    @route(r"/xrpc/app\.bsky\.feed\.getPostThread")
    def thread(self, request: Request) -> Answer:
        uri = query(request).get("uri", "")
        if uri not in self._posts:
            return error("NotFound", "Post not found")
        return as_json({"thread": self._tree(uri, 0)})

    def _tree(self, uri: str, deep: int) -> dict[str, Any]:
        below = self._below.get(uri, [])
        replies = [
            {"uri": one, "notFound": True} if self._posts[one][0].status else self._tree(one, deep + 1) for one in below
        ]
        return {"post": self._view(uri), **({"replies": replies} if deep < _DEPTH else {})}

    def _view(self, uri: str) -> dict[str, Any]:
        repo, record = self._posts[uri]
        if repo.status:
            return {"uri": uri, "notFound": True}
        images = [
            {"fullsize": f"https://{_CDN}/img/image/{repo.did}/{cid}", "alt": "a heron"}
            for cid in _images(record.get("embed"))
        ]
        made = shown(repo, uri.partition(f"{repo.did}/")[2])
        return {
            "uri": uri, "cid": made["cid"], "author": self._person(repo), "record": made["value"],
            "embed": {"images": images}, "indexedAt": record["createdAt"], "likeCount": 2, "repostCount": 1,
            "replyCount": len(self._shown_below(uri)), "quoteCount": 0,
        }  # fmt: skip

    def _person(self, repo: Repo) -> dict[str, Any]:
        record = repo.records.get("app.bsky.actor.profile/self", {})
        faces = [f"https://{_CDN}/img/avatar/{repo.did}/{cid}" for cid in _blobs(record.get("avatar"))]
        return {
            "did": repo.did, "handle": repo.handle, "displayName": record.get("displayName", ""),
            "labels": [_CLOSED] if repo.is_closed else [], **({"avatar": faces[0]} if faces else {}),
        }  # fmt: skip

    @route(r"/img/(avatar|image)/([\w.:]+)/(\w+)")
    def picture(self, request: Request, kind: str, did: str, cid: str) -> Answer:
        data = jpeg(f"{kind}/{cid}") + (b"" if self._repos[unquote(did)].is_public else PRIVATE.encode())
        return Answer(200, data, "image/jpeg")


def _blobs(value: Any) -> list[str]:
    """Return the CIDs of the files that a record holds."""
    if isinstance(value, dict):
        return [str(value["ref"])] if "ref" in value else [cid for one in value.values() for cid in _blobs(one)]
    return [cid for one in value for cid in _blobs(one)] if isinstance(value, list) else []


def _images(embed: Any) -> list[str]:
    """Return the CIDs of the pictures that a post shows."""
    shown_ = (embed or {}).get("media", embed) or {}
    return _blobs(shown_.get("images", []))


if __name__ == "__main__":
    main(BlueskySite)
