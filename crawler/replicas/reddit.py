"""Reddit: a community, the people in it, and their threads: python -P -m crawler.replicas.reddit.

What clients trip over: listings end after a thousand things, whatever there is; threads keep comments back behind
"more", wide ones by their ids and deep ones without any; galleries name signed previews and not the uploads; sound is
a file of its own; removed and deleted things stay as shells; JSON may be closed (403) to whole networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.films import Film
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.replicas.exchange import Request

_WWW, _OLD, _IMAGES, _VIDEO = "www.reddit.com", "old.reddit.com", "i.redd.it", "v.redd.it"
_PREVIEWS, _STATIC = "b.thumbs.redditmedia.com", "www.redditstatic.com"
#: Things of one page, and of a whole listing; comments beside and below one another before some are kept back.
_PAGE, _END, _WIDE, _DEEP = 100, 1000, 4, 3
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass
class Comment:
    """What somebody said below a post or another comment."""

    id: str
    at: datetime
    author: str
    text: str
    above: str
    below: list[Comment] = field(default_factory=list)


@dataclass
class Post:
    """A post with its comments."""

    id: str
    at: datetime
    author: str
    title: str
    pictures: list[str] = field(default_factory=list)
    film: str = ""
    is_public: bool = True
    removed: str = ""
    below: list[Comment] = field(default_factory=list)
    comments: int = 0

    @property
    def permalink(self) -> str:
        return f"/r/{'tea' if self.is_public else PRIVATE}/comments/{self.id}/a_title/"


class RedditSite(PlatformSite):
    """One community and the people in it."""

    name = "reddit"
    title = "Reddit."
    hosts = (_WWW, _OLD, _IMAGES, _VIDEO, _PREVIEWS, _STATIC)
    traps: ClassVar[dict[str, str]] = {
        "blocked": "JSON answers 403 with a page, old pages do not",
        "feeds": "JSON and old pages answer 403, feeds do not",
        "private": "the community is private",
        "leak": "a post of a private community stands in the list",
    }

    def build(self) -> None:
        """Make the posts and what was said below them, oldest first."""
        self._at = self.clock.moment - timedelta(days=60)
        self._number = 60_000_000
        self._posts: list[Post] = []
        self._everybody = [f"heron_{n}" for n in range(max(self.size // 10, 3))]
        style = "/static/reddit.css"
        is_shown = not self.trap & {"feeds", "private"}
        self._asset = self.asset(style) if is_shown else self.file(style, b"", "text/css")
        made = 0
        while made < self.size:
            made += 1 + self._begin(len(self._posts))
        if "leak" in self.trap:
            self._posts.insert(-1, self._private())
        if self.trap & {"feeds", "private"}:
            self._enter_little()
        else:
            self._enter()

    def _next(self) -> str:
        self._number += 1 + self.rng.randrange(9)
        self._at += timedelta(minutes=5 + self.rng.randrange(200))
        digits, number = "", self._number
        while number:
            number, digit = divmod(number, 36)
            digits = _DIGITS[digit] + digits
        return digits

    def _begin(self, number: int) -> int:
        """Make a thread; return how many comments it has."""
        post = Post(self._next(), self._at, self.rng.choice(self._everybody), self.says(5))
        if number % 3 == 0:
            pictures = 1 + (number % 9 == 0) * 3
            post.pictures = [f"/{post.id}p{n}.jpg" for n in range(pictures)]
        elif number % 7 == 1:
            post.film = f"/{post.id}v"
        if number % 10 == 4:
            post.author, post.removed = "[deleted]", "deleted"
        made: list[Comment] = []
        for _ in range(self.rng.randrange(25)):
            above = self.rng.choice([None, *made[-6:]])
            author = "[deleted]" if len(made) % 11 == 10 else self.rng.choice(self._everybody)
            name = f"t1_{above.id}" if above else f"t3_{post.id}"
            comment = Comment(self._next(), self._at, author, self.says() if author[0] != "[" else "[deleted]", name)
            (above.below if above else post.below).append(comment)
            made.append(comment)
        post.comments = len(made)
        self._posts.append(post)
        return len(made)

    def _private(self) -> Post:
        return Post(self._next(), self._at, "heron_0", self.says(public=False), is_public=False)

    def _enter(self) -> None:
        is_blocked = "blocked" in self.trap
        writers = set()
        for post in self._posts:
            self.books.add(
                "post", f"t3_{post.id}", post.permalink, item="Post", public=post.is_public, at=post.at.isoformat()
            )
            if not post.is_public:
                continue
            comments = list(_all(post.below))
            writers |= {post.author, *(one.author for one in comments)}
            for one in comments:
                self.books.add("comment", f"t1_{one.id}", item="Post", at=one.at.isoformat())
            if comments:
                self.books.listing("thread", self._cost(post.below) + (not is_blocked), 1)
            for path in post.pictures:
                self.image(path)
            if post.film:
                self._film(post.film)
            if not is_blocked:
                self.image(f"/thumb/{post.id}.jpg", kind="preview")
        for name in sorted(writers - {"[deleted]"}):
            about, page = f"/user/{name}/about.json?raw_json=1", f"/user/{name}/"
            self.books.add("account", name, "" if is_blocked else about, item="Account")
            self.books.add("page", page, page)
            if not is_blocked:
                self.image(f"/thumb/{name}.png", kind="avatar")
        listed = min(len(self._posts), _END)
        self.books.listing("new", listed, _PAGE)
        self.books.listing("place", 2, 1)
        self.books.listing("closed", 1 if is_blocked else 0, 1)

    def _enter_little(self) -> None:
        """Enter what is left where all but the feed is closed: the newest posts, by name."""
        for post in self._posts[::-1][:_PAGE] if "feeds" in self.trap else ():
            self.books.add("post", f"t3_{post.id}", item="Post", at=post.at.isoformat())
        if "private" in self.trap:
            for post in self._posts:
                self.books.add("post", f"t3_{post.id}", item="Post", public=False)
        # Each door once, and the page that the seed names once more: a refusal gets a second look.
        self.books.listing("doors", 6 if "feeds" in self.trap else 4, 1)

    def _film(self, path: str) -> None:
        for name, kind in (("DASH_720.mp4", "video"), ("DASH_AUDIO_128.mp4", "audio")):
            data = Film(key=f"{path}/{name}", frames=4).data()
            self.books.file(kind, self.file(f"{path}/{name}", data, "video/mp4"), data)
        for name in ("DASH_240.mp4", "DASH_AUDIO_64.mp4"):
            self.file(f"{path}/{name}", b"worse", "video/mp4")
        sets = (
            ("video", (("DASH_240.mp4", 400_000), ("DASH_720.mp4", 2_000_000))),
            ("audio", (("DASH_AUDIO_64.mp4", 64_000), ("DASH_AUDIO_128.mp4", 128_000))),
        )
        body = "".join(
            f'<AdaptationSet contentType="{kind}">'
            + "".join(
                f'<Representation bandwidth="{rate}"><BaseURL>{name}</BaseURL></Representation>' for name, rate in those
            )
            + "</AdaptationSet>"
            for kind, those in sets
        )
        manifest = f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>{body}</Period></MPD>'
        self.file(f"{path}/DASHPlaylist.mpd", manifest.encode(), "application/dash+xml")
        self.books.add("manifest", path, f"{path}/DASHPlaylist.mpd")

    def _cost(self, roots: Sequence[Comment]) -> int:
        """Return how many requests show all that the page of these comments keeps back."""
        return sum(1 + self._cost([one]) for one in self._kept_back(roots, 0))

    def _kept_back(self, comments: Sequence[Comment], depth: int) -> Iterator[Comment]:
        for one in comments[:_WIDE]:
            if depth + 1 >= _DEEP and one.below:
                yield one
            else:
                yield from self._kept_back(one.below, depth + 1)
        yield from comments[_WIDE:]

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer on the host that has it, or close the door."""
        path = request.path
        if path == "/robots.txt":
            return as_json(None, 404)
        if request.host in {_WWW, _OLD}:
            is_data, is_feed = path.endswith(".json"), path.endswith(".rss")
            if "private" in self.trap and path.startswith("/r/tea/"):
                reason = {"reason": "private", "message": "Forbidden", "error": 403}
                return (
                    as_json(reason, 403)
                    if is_data
                    else html("Private", "<p>This community is private.</p>", status=403)
                )
            is_old_closed = "feeds" in self.trap and not is_feed and request.host == _OLD
            if is_old_closed or (is_data and self.trap & {"blocked", "feeds"}):
                return html("Blocked", "<p>whoa there, pardner!</p>", status=403)
        answer = super().answer(request)
        if request.host != _WWW or not path.endswith(".json"):
            return answer
        limits = (("x-ratelimit-remaining", "98.0"), ("x-ratelimit-used", "2"), ("x-ratelimit-reset", "341"))
        return Answer(answer.status, answer.body, answer.content_type, (*answer.headers, *limits), answer.varies)

    @route(r"/r/tea/?")
    def place(self, request: Request) -> Answer:
        if request.host == _WWW:
            return html("tea", "<shreddit-app></shreddit-app>")
        return self._page("tea", "")

    @route(r"/r/tea/about\.json")
    def about(self, request: Request) -> Answer:
        return as_json({"kind": "t5", "data": {"display_name": "tea", "subscribers": 12, "community_icon": ""}})

    @route(r"/r/tea/(new|top|hot|controversial)\.json")
    def listing(self, request: Request, order: str) -> Answer:
        asked = query(request)
        listed = self._posts[::-1] if order == "new" else sorted(self._posts, key=lambda one: one.id[::-1])
        return self._listed([self._post(one) for one in listed[:_END]], asked)

    @route(r"/r/tea/comments\.json")
    def said(self, request: Request) -> Answer:
        told = sorted(self._said(), key=lambda one: one[0].at, reverse=True)
        return self._listed([self._comment(*one) for one in told[:_END]], query(request))

    @route(r"/r/tea/comments/")
    def old_said(self, request: Request) -> Answer:
        told = sorted(self._said(), key=lambda one: one[0].at, reverse=True)
        listed = [(f"t1_{one.id}", self._old_comments([replace(one, below=[])], post, 0)) for one, post in told[:_END]]
        return self._page("tea", self._old_listed("/r/tea/comments/", listed, query(request)))

    def _said(self) -> list[tuple[Comment, Post]]:
        return [(one, post) for post in self._posts if post.is_public for one in _all(post.below)]

    @route(r"/user/(\w+)/(submitted|comments)\.json")
    def written(self, request: Request, name: str, kind: str) -> Answer:
        posts = [self._post(one) for one in self._posts[::-1] if one.author == name]
        said = [self._comment(one, post) for post in self._posts for one in _all(post.below) if one.author == name]
        return self._listed(posts if kind == "submitted" else said, query(request))

    def _listed(self, listed: list[dict[str, Any]], asked: dict[str, str]) -> Answer:
        names = [one["data"]["name"] for one in listed]
        start = names.index(asked["after"]) + 1 if asked.get("after") in names else 0
        page = listed[start : start + min(whole(asked.get("limit"), 25), _PAGE)]
        after = page[-1]["data"]["name"] if start + len(page) < len(listed) else None
        return as_json({"kind": "Listing", "data": {"children": page, "after": after, "dist": len(page)}})

    @route(r"/comments/(\w+)(?:/_/(\w+))?\.json")
    def thread(self, request: Request, identity: str, comment: str | None) -> Answer:
        post = self._find(identity)
        if post is None:
            return as_json({"message": "Not Found", "error": 404}, 404)
        roots = [one for one in _all(post.below) if one.id == comment] if comment else post.below
        said = {"kind": "Listing", "data": {"children": self._shown(roots, post, 0), "after": None}}
        return as_json([{"kind": "Listing", "data": {"children": [self._post(post)]}}, said])

    @route(r"/user/(\w+)/about\.json")
    def account(self, request: Request, name: str) -> Answer:
        icon = f"https://{_PREVIEWS}/thumb/{name}.png?width=256&s=abc"
        data = {"name": name, "id": f"x{name[6:]}", "icon_img": icon, "created_utc": 1500000000.0, "link_karma": 3}
        return as_json({"kind": "t2", "data": data}) if name in self._everybody else as_json({"error": 404}, 404)

    @route(r"/user/(\w+)/")
    def person(self, request: Request, name: str) -> Answer:
        return self._page(name, "") if name in self._everybody else self.missing(request)

    @route(r"/r/tea/new/")
    def old(self, request: Request) -> Answer:
        listed = [(f"t3_{one.id}", self._old_post(one)) for one in self._posts[::-1][:_END]]
        body = '<div class="thing link" data-fullname="t3_zz" data-permalink="/r/x/comments/zz/" data-promoted="true"></div>'
        return self._page("tea", body + self._old_listed("/r/tea/new/", listed, query(request)))

    def _old_listed(self, path: str, listed: list[tuple[str, str]], asked: dict[str, str]) -> str:
        """Return a page of a listing of (name, markup), and the way to the next."""
        names = [name for name, _ in listed]
        start = names.index(asked["after"]) + 1 if asked.get("after") in names else 0
        page = listed[start : start + min(whole(asked.get("limit"), 25), _PAGE)]
        body = "".join(markup for _, markup in page)
        if start + len(page) < len(listed):
            target = f"https://{_OLD}{path}?limit={_PAGE}&amp;count={start}&amp;after={page[-1][0]}"
            body += f'<span class="next-button"><a href="{target}" rel="nofollow next">next</a></span>'
        return body

    @route(r"/r/tea/comments/(\w+)/\w+/|/comments/(\w+)/_/(\w+)/")
    def old_thread(self, request: Request, whole_of: str | None, part_of: str | None, comment: str | None) -> Answer:
        post = self._find(whole_of or part_of or "")
        if post is None:
            return self.missing(request)
        roots = [one for one in _all(post.below) if one.id == comment] if comment else post.below
        gallery = "".join(
            f'<a href="https://preview.redd.it{path}?width=9&amp;s=x">picture</a>' for path in post.pictures
        )
        return self._page("thread", self._old_post(post) + gallery + self._old_comments(roots, post, 0))

    @route(r"/r/tea/new/\.rss")
    def feed(self, request: Request) -> Answer:
        listed = "".join(
            f'<entry><id>t3_{one.id}</id><link href="https://{_WWW}{one.permalink}"/>'
            f"<published>{one.at.isoformat()}</published><title>{one.title}</title></entry>"
            for one in self._posts[::-1][:_PAGE]
        )
        text = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>tea</title>{listed}</feed>'
        return Answer(200, text.encode(), "application/atom+xml")

    def _find(self, identity: str) -> Post | None:
        return next((one for one in self._posts if one.id == identity and one.is_public), None)

    def _page(self, title: str, body: str) -> Answer:
        return html(title, body, head=f'<link rel="stylesheet" href="//{_STATIC}{self._asset}">')

    def _post(self, post: Post) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": post.id, "name": f"t3_{post.id}", "permalink": post.permalink, "author": post.author,
            "title": post.title, "selftext": "[deleted]" if post.removed else "", "created_utc": post.at.timestamp(),
            "subreddit": "tea", "subreddit_type": "public" if post.is_public else "private", "edited": False,
            "num_comments": post.comments, "removed_by_category": post.removed or None, "over_18": False,
            "thumbnail": f"https://{_PREVIEWS}/thumb/{post.id}.jpg" if post.is_public else "self",
            "url": f"https://{_WWW}{post.permalink}", "secure_media": None,
        }  # fmt: skip
        if len(post.pictures) > 1:
            data["is_gallery"] = True
            data["media_metadata"] = {
                path[1:-4]: {"status": "valid", "e": "Image", "m": "image/jpg", "s": {
                    "u": f"https://preview.redd.it{path}?width=320&format=pjpg&auto=webp&s=abc"}}
                for path in post.pictures
            }  # fmt: skip
        elif post.pictures:
            data["url"] = data["url_overridden_by_dest"] = f"https://{_IMAGES}{post.pictures[0]}"
        elif post.film:
            here = f"https://{_VIDEO}{post.film}"
            data["url"] = here
            data["secure_media"] = {"reddit_video": {
                "fallback_url": f"{here}/DASH_720.mp4?source=fallback", "dash_url": f"{here}/DASHPlaylist.mpd?a=1&v=1",
                "has_audio": True,
            }}  # fmt: skip
        return {"kind": "t3", "data": data}

    def _comment(self, one: Comment, post: Post) -> dict[str, Any]:
        return {"kind": "t1", "data": {
            "id": one.id, "name": f"t1_{one.id}", "author": one.author, "body": one.text, "parent_id": one.above,
            "created_utc": one.at.timestamp(), "permalink": f"{post.permalink}{one.id}/", "subreddit_type": "public",
            "replies": "", "edited": one.at.timestamp() + 60 if one.id[-1] == "7" else False,
        }}  # fmt: skip

    def _shown(self, comments: Sequence[Comment], post: Post, depth: int) -> list[dict[str, Any]]:
        """Return comments as a thread shows them, and what it keeps back."""
        shown = []
        for one in comments[:_WIDE]:
            said = self._comment(one, post)
            if one.below:
                is_deep = depth + 1 >= _DEEP
                more: dict[str, Any] = {
                    "kind": "more",
                    "data": {"id": "_", "children": [], "count": 0, "parent_id": f"t1_{one.id}"},
                }
                below = [more] if is_deep else self._shown(one.below, post, depth + 1)
                said["data"]["replies"] = {"kind": "Listing", "data": {"children": below}}
            shown.append(said)
        if rest := [one.id for one in comments[_WIDE:]]:
            kept = {"id": rest[0], "children": rest, "count": len(rest), "parent_id": comments[0].above}
            shown.append({"kind": "more", "data": kept})
        return shown

    def _old_post(self, post: Post) -> str:
        url = f"https://{_VIDEO}{post.film}" if post.film else post.permalink
        if len(post.pictures) == 1:
            url = f"https://{_IMAGES}{post.pictures[0]}"
        return (
            f'<div class="thing link" data-fullname="t3_{post.id}" data-permalink="{post.permalink}" data-url="{url}" '
            f'data-author="{"" if post.removed else post.author}" data-timestamp="{int(post.at.timestamp() * 1000)}" '
            f'data-comments-count="{post.comments}" data-subreddit="tea" data-subreddit-type="public">'
            f'<div class="entry"><a class="title" href="{url}">{post.title}</a></div></div>\n'
        )

    def _old_comments(self, comments: Sequence[Comment], post: Post, depth: int) -> str:
        shown = ""
        for one in comments[:_WIDE]:
            below = self._old_comments(one.below, post, depth + 1)
            if depth + 1 >= _DEEP and one.below:
                below = f'<span class="deepthread"><a href="{post.permalink}{one.id}/">continue this thread</a></span>'
            parent = f'<a href="#{one.above[3:]}" data-event-action="parent">parent</a>' if "t1_" in one.above else ""
            writer = "" if one.author == "[deleted]" else one.author
            shown += (
                f'<div class="thing comment" data-fullname="t1_{one.id}" data-permalink="{post.permalink}{one.id}/" '
                f'data-author="{writer}" data-subreddit-type="public"><div class="entry">'
                f'<time datetime="{one.at.isoformat()}">then</time>{parent}<div class="md"><p>{one.text}</p></div></div>'
                f'<div class="child">{below}</div></div>\n'
            )
        if rest := ",".join(one.id for one in comments[_WIDE:]):
            shown += (
                f"""<a onclick="return morechildren(this, 't3_{post.id}', 'confidence', '{rest}', 3, '')">more</a>\n"""
            )
        return shown


def _all(comments: Sequence[Comment]) -> Iterator[Comment]:
    for one in comments:
        yield one
        yield from _all(one.below)


if __name__ == "__main__":
    main(RedditSite)
