"""A server of PeerTube: python -P -m crawler.replicas.peertube.

What clients trip over: a page of more than a hundred is an error; videos are listed by offset; what is unlisted or
internal answers to who knows its id; accounts, videos and playlists of other servers stand among ours; a thread's tree is cut short in its
depth; deleted comments keep their place; some videos have files, some a stream of byte ranges in one file, some a
stream of many files; a limit counts what was asked in a stretch of time, and says how much is left of it.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer, Flow
from crawler.replicas.films import Film
from crawler.replicas.images import noise
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Request

_MOST, _DEPTH, _BUDGET = 100, 3, 100
_SHORT = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
#: Bytes of the one file that is too large to hold.
_LARGE = 6 << 20
_PLAYLIST = "application/vnd.apple.mpegurl"
_LABELS = {1: "Public", 2: "Unlisted", 3: "Private", 4: "Internal", 5: "Password protected"}


@dataclass(eq=False)
class Person:
    """An account with its channel; ``host`` is empty for one of this server."""

    id: int
    name: str
    host: str = ""


@dataclass(eq=False)
class Comment:
    """A comment; ``state`` is empty, deleted or held."""

    id: int
    author: Person
    text: str
    state: str = ""
    below: list[Comment] = field(default_factory=list)
    depth: int = 0


@dataclass(eq=False)
class Video:
    """A video with what hangs on it."""

    id: int
    uuid: str
    short: str
    owner: Person
    at: datetime
    text: str
    privacy: int
    files: list[dict[str, Any]] = field(default_factory=list)
    stream: str = ""
    caption: str = ""
    story: str = ""
    pictures: list[str] = field(default_factory=list)
    threads: list[Comment] = field(default_factory=list)
    is_silent: bool = False


class PeertubeSite(PlatformSite):
    """Videos of some people, their channels, and playlists of them."""

    name = "peertube"
    title = "A server of PeerTube."
    traps: ClassVar[dict[str, str]] = {
        "leak": "lists hold what is unlisted, private, of other servers, or not let through yet, and say so",
        "old": "a server of 2022: paths in place of URLs, no storyboards, no count of comments",
        "closed": "the API is for members; the sitemap and the pages are not",
        "nosearch": "the search is an error",
        "limited": "a hundred requests of the API in a second, and no more",
        "repeat": "past its end a list repeats its last page, and its total is a guess",
    }

    def build(self) -> None:
        """Make people, their videos, and what is said of them."""
        #: The second that is now, and what the API was asked in it.
        self._second = self._asked = 0
        #: Whether anything but pages is to be had.
        self._is_open = "closed" not in self.trap
        self._flows: dict[str, Flow] = {}
        self._numbers = iter(range(1000, 10_000_000))
        self._people = [Person(n + 1, f"heron{n}") for n in range(max(self.size // 20, 4))]
        self._people += [Person(5000 + n, f"stork{n}", "elsewhere.example") for n in range(3)]
        self._ours = [one for one in self._people if not one.host]
        self._videos = [self._make(n) for n in range(self.size)]
        self._public = [one for one in self._videos if one.privacy == 1]
        self._remote = [
            Video(
                9000 + n, self._name(f"remote{n}"), f"remote{n}", self._people[-1 - n],
                self.clock.moment - timedelta(days=29, hours=n), self.says(30), 1,
            ) for n in range(3)
        ]  # fmt: skip
        self._lists = [
            (n + 1, self._name(f"list{n}"), self._ours[n % len(self._ours)], 1 + (n % 4 == 2), [*self._videos[n * 7 :][:9], self._remote[n % 3]])
            for n in range(max(self.size // 25, 3))
        ]  # fmt: skip
        self._enter()

    def _name(self, key: str) -> str:
        return str(uuid.UUID(bytes=hashlib.md5(f"{self.name}/{key}".encode(), usedforsecurity=False).digest()))

    def _make(self, n: int) -> Video:
        privacy = (2, 3, 4, 5)[n // 9 % 4] if n % 9 == 4 else 1
        is_public = privacy == 1
        identity = self._name(f"video{n}")
        owner = self._ours[n % len(self._ours)] if n % 2 else self._ours[0]
        video = Video(
            n + 1, identity, "".join(_SHORT[byte % len(_SHORT)] for byte in noise(identity, 22)), owner,
            self.clock.moment - timedelta(hours=6 * (self.size - n), minutes=self.rng.randrange(300)),
            self.says(30, public=is_public), privacy, is_silent=n % 11 == 6,
        )  # fmt: skip
        key = identity if is_public else f"{PRIVATE}-{identity}"
        has_stream = n % 2 == 0 or n % 7 == 3
        if n % 7 != 3:
            self._web_files(video, n, key)
        if has_stream:
            self._stream(video, n, key)
        for name in ("thumbnails", "previews"):
            path = f"/lazy-static/{name}/{key}.jpg"
            video.pictures.append(self.image(path, kind="preview", public=is_public and self._is_open))
        if n % 3 == 0:
            said = f"WEBVTT\n\n00:00.000 --> 00:01.000\n{video.text}\n".encode()
            path = f"/lazy-static/video-captions/{key}-en.vtt"
            video.caption = self._put("caption", path, said, "text/vtt", video)
        if n % 3 == 1 and "old" not in self.trap:
            path = f"/lazy-static/storyboards/{key}.jpg"
            video.story = self.image(path, kind="preview", public=is_public and self._is_open)
        if not video.is_silent:
            count = 130 if n == 8 else self.rng.randrange(4)
            video.threads = [self._say(0, is_public=is_public) for _ in range(count)]
        return video

    def _put(self, kind: str, path: str, data: bytes, content_type: str, video: Video) -> str:
        is_public = video.privacy == 1 and self._is_open
        self.books.file(kind, self.file(path, data, content_type), data, public=is_public)
        return path

    def _web_files(self, video: Video, n: int, key: str) -> None:
        is_public, best = video.privacy == 1 and self._is_open, 1080 if n % 4 == 0 else 720
        for lines in (240, best):
            path, number = f"/static/web-videos/{key}-{lines}.mp4", next(self._numbers)
            film = Film(key=path, frames=2, filler=_LARGE if n == 1 and lines == best else 0)
            self._flows[path] = Flow(film.size(), film.pieces)
            if lines == best:
                digest = hashlib.sha256()
                for piece in film.pieces():
                    digest.update(piece)
                facts = {"item": "Media", "sha256": digest.hexdigest()}
                self.books.add("video-file", number, path, public=is_public, **facts)
            video.files.append({"id": number, "path": path, "lines": lines, "size": film.size()})

    def _stream(self, video: Video, n: int, key: str) -> None:
        """Make a stream of two renditions: each byte ranges in one file, or many files."""
        there, master = f"/static/streaming-playlists/hls/{key}", ["#EXTM3U", "#EXT-X-VERSION:7"]
        for lines in (240, 720):
            media = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXT-X-PLAYLIST-TYPE:VOD"]
            if n % 10 == 0 and n % 7 != 3:
                for part in range(4):
                    path = f"{there}/{lines}-{part:06}.ts"
                    self._put("segment", path, noise(path, 1500), "video/mp2t", video)
                    media += ["#EXTINF:4,", path.rpartition("/")[2]]
            else:
                path, number = f"{there}/{key}-{lines}-fragmented.mp4", next(self._numbers)
                is_best = n % 7 == 3 and lines == 720
                data = Film(key=path, frames=2).data()
                self.file(path, data, "video/mp4")
                self.books.add(
                    "video-file" if is_best else "segment", number, path, item="Media" if is_best else "",
                    public=video.privacy == 1 and self._is_open, sha256=hashlib.sha256(data).hexdigest(),
                )  # fmt: skip
                name = path.rpartition("/")[2]
                media.append(f'#EXT-X-MAP:URI="{name}",BYTERANGE="700@0"')
                for part in range(5):
                    media += ["#EXTINF:4,", f"#EXT-X-BYTERANGE:400@{700 + part * 400}", name]
                if not video.files or "hls" in video.files[0]:
                    video.files.append({"id": number, "path": path, "lines": lines, "size": len(data), "hls": True})
            text = "\n".join([*media, "#EXT-X-ENDLIST", ""]).encode()
            self._put("stream", f"{there}/{lines}.m3u8", text, _PLAYLIST, video)
            master += [f"#EXT-X-STREAM-INF:BANDWIDTH={lines * 999},RESOLUTION=160x120", f"{lines}.m3u8"]
        text = "\n".join([*master, ""]).encode()
        video.stream = self._put("stream", f"{there}/master.m3u8", text, _PLAYLIST, video)
        self._put("stream", f"{there}/segments-sha256.json", b'{"1.mp4": {}}', "application/json", video)

    def _say(self, depth: int, *, is_public: bool) -> Comment:
        state = ("", "", "", "", "", "deleted", "held")[self.rng.randrange(7)]
        if state == "deleted" and depth:
            state = ""
        found = Comment(
            next(self._numbers), self.rng.choice(self._people),
            "" if state == "deleted" else self.says(public=is_public and not state), state, depth=depth,
        )  # fmt: skip
        if state != "held" and self.rng.randrange(3) == 0:
            found.below = [
                self._say(depth + 1, is_public=is_public) for _ in range(1 + self.rng.randrange(2 + 2 * (depth > 1)))
            ] * (depth < 5)  # fmt: skip
        return found

    # The books

    def _enter(self) -> None:
        for video in self._videos:
            self._enter_video(video)
        for video in self._remote:
            self.books.add("video", video.uuid, f"/api/v1/videos/{video.uuid}", public=False, item="Post")
        for person in self._people:
            self._enter_person(person)
        for _, identity, _, privacy, _ in self._lists:
            is_open = privacy == 1 and self._is_open
            self.books.add("playlist", identity, public=is_open, item="Post")
            self.books.add("page", f"/w/p/{identity}", f"/w/p/{identity}", public=is_open)
            self.image(self._cover(identity, privacy), kind="preview", public=is_open)
            if is_open:
                self.books.listing("playlist", 1, 1)
        for name, count in (
            ("videos", len(self._public)), ("accounts", len(self._people)), ("channels", len(self._ours)),
            ("playlists", len(self._lists)),
        ):  # fmt: skip
            self.books.listing(name, count, _MOST)
        self.books.listing("about" if self._is_open else "sitemap", 3 + (not self._is_open), 1)
        self.books.add("page", "/", "/")
        self.asset("/client/styles.css")
        self.asset("/client/main.js", "'use strict';\n")

    def _enter_video(self, video: Video) -> None:
        is_public = video.privacy == 1
        is_open, is_old = is_public and self._is_open, "old" in self.trap
        path = f"/api/v1/videos/{video.uuid}"
        self.books.add("video", video.uuid, path, public=is_open, item="Post", at=video.at.isoformat())
        self.books.add("page", f"/w/{video.short}", f"/w/{video.short}", public=is_public)
        embed = f"/videos/embed/{video.uuid}"
        self.books.add("page", embed, embed, public=is_open)
        for one in video.threads:
            self._enter_comment(one, is_public=is_open)
        if not is_open:
            return
        self.books.listing("of a video", 1 if is_old else 3, 1)
        shown = self._shown(video.threads)
        if not video.is_silent and (shown or is_old):
            self.books.listing("threads", len(shown), _MOST)
        for one in shown:
            self._enter_trees(one)

    def _enter_person(self, person: Person) -> None:
        item = "Account" if self._is_open else ""
        self.books.add("account", person.name, f"/a/{person.name}", item=item, public=not person.host)
        self.image(f"/lazy-static/avatars/{person.name}.jpg", kind="avatar", public=self._is_open)
        if not person.host:
            self.books.add("channel", f"{person.name}_tv", f"/c/{person.name}_tv", item=item)
            self.image(f"/lazy-static/avatars/{person.name}_tv.jpg", kind="avatar", public=self._is_open)

    def _enter_comment(self, one: Comment, *, is_public: bool) -> None:
        self.books.add("comment", one.id, public=is_public and one.state != "held", item="Post")
        for below in one.below:
            self._enter_comment(below, is_public=is_public)

    def _enter_trees(self, thread: Comment) -> None:
        """Enter what reading the replies of a thread costs."""
        if self._count(thread):
            self.books.listing("tree", 1, 1)
        waiting = [thread]
        while waiting and "old" not in self.trap:
            one = waiting.pop()
            waiting += one.below
            if one.depth == _DEPTH and self._shown(one.below):
                self.books.listing("branch", 1, 1)

    def _shown(self, comments: list[Comment]) -> list[Comment]:
        return [one for one in comments if one.state != "held" or "leak" in self.trap]

    def _count(self, one: Comment) -> int:
        return sum(1 + self._count(below) for below in self._shown(one.below))

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer, and count what the API was asked."""
        if request.path in self._flows:
            return Answer(200, b"", "video/mp4", flow=self._flows[request.path])
        if not request.path.startswith("/api/v1/"):
            return super().answer(request)
        limits = self._limits() if "limited" in self.trap else ()
        if self._asked > _BUDGET:
            late = (*limits, ("Retry-After", "1"))
            return as_json({"status": 429, "title": "Too Many Requests"}, 429, headers=late)
        if not self._is_open:
            return as_json({"status": 401, "title": "Unauthorized", "code": "missing_token"}, 401)
        if whole(query(request).get("count"), 1) > _MOST:
            return as_json({"status": 400, "detail": "Incorrect request parameters: count"}, 400)
        found = super().answer(request)
        return Answer(found.status, found.body, found.content_type, (*found.headers, *limits), varies=found.varies)

    def _limits(self) -> tuple[tuple[str, str], ...]:
        """Count a request, and say what is left of the second that runs, whose end is Unix time."""
        now = int(time.time())
        self._second, self._asked = now, self._asked + 1 if now == self._second else 1
        left = max(_BUDGET - self._asked, 0)
        return (
            ("X-RateLimit-Limit", str(_BUDGET)), ("X-RateLimit-Remaining", str(left)),
            ("X-RateLimit-Reset", str(now + 1)),
        )  # fmt: skip

    @route(r"/\.well-known/nodeinfo")
    def door(self, request: Request) -> Answer:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return as_json({"links": [{"rel": rel, "href": f"{base(request)}/nodeinfo/2.0.json"}]})

    @route(r"/nodeinfo/2\.0\.json")
    def nodeinfo(self, request: Request) -> Answer:
        usage = {"users": {"total": len(self._ours)}, "localPosts": len(self._videos)}
        return as_json({"version": "2.0", "software": {"name": "peertube", "version": "8.1.0"}, "usage": usage})

    @route(r"/api/v1/config(?:/about)?")
    def config(self, request: Request) -> Answer:
        return as_json({"serverVersion": "4.3.0" if "old" in self.trap else "8.1.0", "instance": {"name": "Herons"}})

    @route(r"/api/v1/server/stats")
    def stats(self, request: Request) -> Answer:
        comments = sum(1 + self._count(one) for video in self._public for one in self._shown(video.threads))
        return as_json({
            "totalLocalVideos": len(self._public), "totalLocalVideoComments": comments, "totalUsers": len(self._ours),
        })  # fmt: skip

    @route(r"/sitemap\.xml")
    def sitemap(self, request: Request) -> Answer:
        paths = [f"/w/{one.short}" for one in self._public]
        paths += [f"{kind}{one.name}{end}" for one in self._ours for kind, end in (("/a/", ""), ("/c/", "_tv"))]
        urls = "".join(f"<url><loc>{base(request)}{path}</loc></url>" for path in paths)
        space = "http://www.sitemaps.org/schemas/sitemap/0.9"
        return Answer(200, f'<urlset xmlns="{space}">{urls}</urlset>'.encode(), "application/xml")

    @route(r"/api/v1/videos")
    def videos(self, request: Request) -> Answer:
        is_ours = query(request).get("isLocal") == "true" and "leak" not in self.trap
        every = sorted([*self._videos, *([] if is_ours else self._remote)], key=lambda one: one.at)
        return self._listed(every, request)

    @route(r"/api/v1/(?:accounts/(\w+)|video-channels/(\w+)_tv)/videos")
    def videos_of(self, request: Request, account: str | None, channel: str | None) -> Answer:
        return self._listed([one for one in self._videos if one.owner.name == (account or channel)], request)

    @route(r"/api/v1/search/videos")
    def search(self, request: Request) -> Answer:
        asked = query(request)
        if "nosearch" in self.trap:
            return as_json({"status": 400, "detail": "Incorrect request parameters: search"}, 400)
        found = self._videos
        if "startDate" in asked:
            found = [one for one in found if one.at >= datetime.fromisoformat(asked["startDate"])]
        if "endDate" in asked:
            found = [one for one in found if one.at <= datetime.fromisoformat(asked["endDate"])]
        return self._listed(found, request)

    def _listed(self, videos: list[Video], request: Request) -> Answer:
        found = [one for one in videos if one.privacy == 1 or "leak" in self.trap]
        found = found[::-1] if query(request).get("sort", "-publishedAt").startswith("-") else found
        shown = [self._video(one, request) for one in found]
        if "repeat" in self.trap and shown:
            last = (len(shown) - 1) // _MOST * _MOST
            start = min(whole(query(request).get("start"), 0), last)
            return as_json({"total": len(shown) + 3 * _MOST, "data": shown[start : start + _MOST]})
        return self._paged(shown, request)

    def _paged(self, things: Sequence[Any], request: Request, **more: Any) -> Answer:
        asked = query(request)
        start, count = whole(asked.get("start"), 0), whole(asked.get("count"), 15)
        return as_json({"total": len(things), "data": things[start : start + count], **more})

    @route(r"/api/v1/videos/([-0-9a-f]{36})")
    def video(self, request: Request, identity: str) -> Answer:
        found = next((one for one in [*self._videos, *self._remote] if identity == one.uuid), None)
        if found is None:
            return as_json({"status": 404, "detail": "Video not found"}, 404)
        if found.privacy in {3, 5}:
            return as_json({"status": 403, "detail": "Cannot fetch this video"}, 403)
        return as_json(self._details(found, request))

    @route(r"/api/v1/videos/([-0-9a-f]{36})/(captions|chapters|storyboards|comment-threads)")
    def hanging(self, request: Request, identity: str, what: str) -> Answer:
        video = next((one for one in self._public if identity == one.uuid), None)
        if video is None or (what in {"chapters", "storyboards"} and "old" in self.trap):
            return as_json({"status": 404, "detail": "Not found"}, 404)
        here = "" if "old" in self.trap else base(request)
        if what == "comment-threads":
            found = [self._comment(one, request) for one in self._shown(video.threads)]
            return self._paged(found, request, totalNotDeletedComments=len(found))
        if what == "chapters":
            return as_json({"chapters": [{"timecode": 0, "title": "Beginning"}]})
        name, path = "fileUrl" if here else "captionPath", video.caption if what == "captions" else video.story
        said = [{name: here + path, "language": {"id": "en", "label": "English"}}] if path else []
        return as_json({"storyboards": said} if what == "storyboards" else {"total": len(said), "data": said})

    @route(r"/api/v1/videos/([-0-9a-f]{36})/comment-threads/(\d+)")
    def thread(self, request: Request, identity: str, number: str) -> Answer:
        video = next((one for one in self._public if identity == one.uuid), None)
        found = next((one for one in self._shown(video.threads) if one.id == int(number)), None) if video else None
        return as_json({"status": 404}, 404) if found is None else as_json(self._tree(found, 0, request))

    @route(r"/api/v1/videos/([-0-9a-f]{36})/comments/(\d+)/replies")
    def replies(self, request: Request, identity: str, number: str) -> Answer:
        video = next((one for one in self._public if identity == one.uuid), None)
        waiting = list(video.threads) if video else []
        while waiting:
            one = waiting.pop()
            if one.id == int(number):
                return self._paged([self._tree(below, -9, request) for below in self._shown(one.below)], request)
            waiting += one.below
        return as_json({"status": 404}, 404)

    @route(r"/api/v1/(accounts|video-channels)")
    def people(self, request: Request, kind: str) -> Answer:
        people = self._people if kind == "accounts" else self._ours
        return self._paged([self._person(one, request, channel=kind != "accounts") for one in people], request)

    @route(r"/api/v1/(?:accounts/(\w+)|video-channels/(\w+)_tv)")
    def person(self, request: Request, account: str | None, channel: str | None) -> Answer:
        found = next((one for one in self._ours if one.name == (account or channel)), None)
        if found is None:
            return as_json({"status": 404}, 404)
        return as_json(self._person(found, request, channel=not account))

    @route(r"/api/v1/video-playlists")
    def playlists(self, request: Request) -> Answer:
        return self._paged([
            {"id": n, "uuid": identity, "shortUUID": identity, "isLocal": True, "displayName": "List",
             "description": self._said(privacy), "privacy": {"id": privacy, "label": _LABELS[privacy]},
             "videosLength": len(videos),
             "thumbnailPath": self._cover(identity, privacy),
             "ownerAccount": self._person(owner, request), "createdAt": self._iso(self.clock.moment)}
            for n, identity, owner, privacy, videos in self._lists if privacy == 1 or "leak" in self.trap
        ], request)  # fmt: skip

    def _said(self, privacy: int) -> str:
        return "Herons" if privacy == 1 else f"{PRIVATE} list"

    def _cover(self, identity: str, privacy: int) -> str:
        return f"/lazy-static/thumbnails/{'' if privacy == 1 else PRIVATE}{identity}.jpg"

    @route(r"/api/v1/video-playlists/([-0-9a-f]{36})/videos")
    def elements(self, request: Request, identity: str) -> Answer:
        found = next((videos for _, one, _, _, videos in self._lists if one == identity), None)
        if found is None:
            return as_json({"status": 404}, 404)
        return self._paged([
            {"id": n, "position": n, "type": 0 if one.privacy == 1 else 2,
             **({"video": self._video(one, request)} if one.privacy == 1 or "leak" in self.trap else {})}
            for n, one in enumerate(found, 1)
        ], request)  # fmt: skip

    @route(r"/|/w/(?:p/)?[-\w]+|/a/\w+(?:/video-channels)?|/c/\w+|/videos/embed/[-0-9a-f]+")
    def page(self, request: Request) -> Answer:
        head = '<meta property="og:platform" content="PeerTube"><link rel="stylesheet" href="/client/styles.css">'
        return html("Herons", f"<my-app>{request.path}</my-app><script src='/client/main.js'></script>", head=head)

    # How it says it

    def _iso(self, at: datetime) -> str:
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _person(self, one: Person, request: Request, *, channel: bool = False) -> dict[str, Any]:
        name = f"{one.name}_tv" if channel else one.name
        path = f"/lazy-static/avatars/{name}.jpg"
        pictures = {"avatar": {"path": path}} if "old" in self.trap else {
            "avatars": [{"path": path, "fileUrl": base(request) + path, "width": 120}]
        }  # fmt: skip
        host = one.host or request.headers.get("host", "")
        return {
            "id": one.id, "name": name, "host": host, "displayName": f"The {name}", "description": "tea",
            "url": f"http://{host}/accounts/{name}", "followersCount": 3, "followingCount": 1, **pictures,
            **({"ownerAccount": self._person(one, request)} if channel else {}),
        }  # fmt: skip

    def _video(self, one: Video, request: Request) -> dict[str, Any]:
        here = base(request)
        return {
            "id": one.id, "uuid": one.uuid, "shortUUID": one.short, "name": one.text[:40], "isLocal": not one.owner.host,
            "privacy": {"id": one.privacy, "label": _LABELS[one.privacy]}, "publishedAt": self._iso(one.at),
            "createdAt": self._iso(one.at), "truncatedDescription": one.text[:20] + "...", "description": one.text[:20],
            "isLive": False, "nsfw": one.id % 13 == 0, "views": 9, "likes": 2, "dislikes": 0,
            "url": f"http://{one.owner.host}/w/{one.short}" if one.owner.host else f"{here}/w/{one.short}",
            **dict(zip(("thumbnailPath", "previewPath"), one.pictures, strict=False)),
            "embedPath": f"/videos/embed/{one.uuid}",
            "account": self._person(one.owner, request), "channel": self._person(one.owner, request, channel=True),
            **({} if "old" in self.trap else {"aspectRatio": 1.7778, "comments": len(self._shown(one.threads))}),
        }  # fmt: skip

    def _details(self, one: Video, request: Request) -> dict[str, Any]:
        here = base(request)
        files = [
            {"id": file["id"], "resolution": {"id": file["lines"], "label": f"{file['lines']}p"}, "size": file["size"],
             "fileUrl": here + file["path"], "fileDownloadUrl": f"{here}/download{file['path']}", "magnetUri": "magnet:?"}
            for file in one.files
        ]  # fmt: skip
        is_stream = bool(one.files) and "hls" in one.files[0]
        streams = [
            {"id": one.id, "type": 1, "playlistUrl": here + one.stream, "files": files if is_stream else [],
             "segmentsSha256Url": here + one.stream.replace("master.m3u8", "segments-sha256.json")}
        ]  # fmt: skip
        return {
            **self._video(one, request), "description": one.text, "tags": ["tea", "kettle"],
            "commentsEnabled": not one.is_silent,
            "commentsPolicy": {"id": 2 if one.is_silent else 1}, "downloadEnabled": True, "support": None,
            "files": [] if is_stream else files, "streamingPlaylists": streams if one.stream else [],
        }  # fmt: skip

    def _comment(self, one: Comment, request: Request) -> dict[str, Any]:
        is_deleted = one.state == "deleted"
        return {
            "id": one.id, "url": f"{base(request)}/comments/{one.id}", "text": one.text, "threadId": one.id,
            "inReplyToCommentId": None, "createdAt": self._iso(self.clock.moment), "isDeleted": is_deleted,
            "deletedAt": self._iso(self.clock.moment) if is_deleted else None, "totalReplies": self._count(one),
            "heldForReview": one.state == "held", "account": None if is_deleted else self._person(one.author, request),
        }  # fmt: skip

    def _tree(self, one: Comment, depth: int, request: Request) -> dict[str, Any]:
        below = self._shown(one.below)
        is_cut = depth == _DEPTH and "old" not in self.trap
        children = [] if is_cut else [self._tree(each, depth + 1, request) for each in below]
        more = {} if "old" in self.trap else {"totalChildren": len(below)}
        return {"comment": self._comment(one, request), "children": children, **more}


if __name__ == "__main__":
    main(PeertubeSite)
