"""Sites of videos, Rumble unless a trap says another: python -P -m crawler.replicas.videos.

What clients trip over: how a player calls a video is not how its page does; lists end in a page with nothing, or in
404; the newest of all are not all; some films are files, some streams whose pieces have queries for names, some are for
subscribers; APIs take nothing but POST, give no more than fifty however many are asked for, and refuse with 200; files
want to know where one comes from; what is hidden says so by a tag alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.films import Film
from crawler.replicas.images import noise
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, html, main, moved, posted, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Request

_RUMBLE, _ODYSEE, _BITCHUTE = "rumble.com", "odysee.com", "www.bitchute.com"
_FILES = {_RUMBLE: "hugh.cdn.rumble.cloud", _ODYSEE: "player.odycdn.com", _BITCHUTE: "seed128.bitchute.com"}
_PICTURES = {_RUMBLE: "1a-1791.com", _ODYSEE: "thumbs.odycdn.com", _BITCHUTE: "static-3.bitchute.com"}
#: Videos of a page, pages of the newest; videos of a page of an API.
_PAGE, _NEWEST, _MOST = 25, 2, 50
_PLAYLIST = "application/vnd.apple.mpegurl"


@dataclass(eq=False)
class Video:
    """A video: ``kind`` is file, stream, subscribers or live; one that is not public has a tag."""

    id: str
    embed: str
    channel: str
    at: datetime
    title: str
    text: str
    kind: str
    is_public: bool
    file: str = ""
    picture: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)


class VideosSite(PlatformSite):
    """Some channels and their videos."""

    name = "videos"
    title = "Sites of videos."
    hosts = (
        _RUMBLE, _ODYSEE, "api.na-backend.odysee.com", "comments.odysee.tv", _BITCHUTE, "api.bitchute.com",
        *_FILES.values(), *_PICTURES.values(),
    )  # fmt: skip
    traps: ClassVar[dict[str, str]] = {
        "odysee": "it is Odysee",
        "bitchute": "it is BitChute",
        "json": "a channel's list stands in its page as JSON",
        "leak": "lists hold what is not public, and say so",
        "guard": "a guard tests browsers",
    }

    def build(self) -> None:
        """Make the channels and their videos, oldest first."""
        self._site = next((one for one in (_ODYSEE, _BITCHUTE) if one.split(".")[-2] in self.trap), _RUMBLE)
        self._channels = [f"heron{n}" for n in range(1 if self._site != _RUMBLE else min(max(self.size // 25, 3), 20))]
        self._videos = [self._make(n) for n in range(self.size)]
        self._by_id = {name: one for one in self._videos for name in (one.id, one.embed)}
        if "guard" in self.trap:
            self.books = type(self.books)()
            return
        self.asset("/static/site.css")
        {_RUMBLE: self._enter_rumble, _ODYSEE: self._enter_odysee, _BITCHUTE: self._enter_bitchute}[self._site]()

    def _make(self, n: int) -> Video:
        key = hashlib.sha256(f"{self._site}/{n}".encode()).hexdigest()
        is_public = n % 9 != 4 or self._site == _RUMBLE
        kind = "file" if n % 3 else "stream"
        kind = {5: "subscribers", 7: "live"}.get(n % 40, kind) if self._site == _RUMBLE else kind
        channel = self._channels[n // 2 % len(self._channels) if n % 2 else 0]
        identity = {_RUMBLE: f"v{key[:6]}", _ODYSEE: key[:40], _BITCHUTE: key[:12]}[self._site]
        at = self.clock.moment - timedelta(hours=7 * (self.size - n), minutes=self.rng.randrange(300))
        said = self.says(3, public=is_public), self.says(public=is_public)
        video = Video(identity, f"v{key[6:12]}", channel, at, *said, kind, is_public)
        mark = "" if is_public else PRIVATE
        video.picture = self.image(f"/t/{mark}{identity}.jpg", kind="preview", public=is_public)
        if kind in {"file", "stream"}:
            self._film(video, f"{mark}{identity}")
        if self._site == _ODYSEE:
            count = 120 if n == 8 else self.rng.randrange(4)
            video.comments = [self._say(f"{key}/{one}", is_public=is_public) for one in range(count)]
        return video

    def _say(self, key: str, *, is_public: bool) -> dict[str, Any]:
        return {
            "comment_id": hashlib.sha256(key.encode()).hexdigest(), "comment": self.says(public=is_public),
            "channel_id": "c" * 40, "channel_name": "@stork", "timestamp": 1_600_000_000,
        }  # fmt: skip

    def _film(self, video: Video, key: str) -> None:
        """Make a file, or a stream; on Odysee the address of the one leads to the other."""
        video.file = f"/api/v4/streams/free/{key}" if self._site == _ODYSEE else f"/video/{key}.mp4"
        path = video.file.replace("/v4/", "/v3/")
        url = f"https://{_FILES[self._site]}{path}"
        if video.kind == "file":
            data = Film(key=key, frames=2).data()
            self.file(path, data, "video/mp4")
            digest = hashlib.sha256(data).hexdigest()
            self.books.add("video-file", url, path, public=video.is_public, item="Media", sha256=digest)
            return
        there = f"/hls/{key}/"
        video.file = video.file if self._site == _ODYSEE else f"{there}playlist.m3u8"
        if self._site != _RUMBLE:
            self.books.add("video-file", url if self._site == _ODYSEE else f"https://{_FILES[self._site]}{video.file}",
                           public=video.is_public, item="Media")  # fmt: skip
        lists, pieces = ["#EXTM3U", "#EXT-X-STREAM-INF:BANDWIDTH=9", "chunks.m3u8"], ["#EXTM3U"]
        for part in range(3):
            name = f"seg-{part}.ts"
            self._put("segment", there + name, noise(there + name, 900), "video/mp2t", video)
            pieces += ["#EXTINF:4,", name]
        end = "\n".join([*pieces, "#EXT-X-ENDLIST", ""]).encode()
        self._put("stream", f"{there}chunks.m3u8", end, _PLAYLIST, video)
        self._put("stream", f"{there}playlist.m3u8", "\n".join([*lists, ""]).encode(), _PLAYLIST, video)

    def _put(self, kind: str, path: str, data: bytes, content_type: str, video: Video) -> None:
        self.books.file(kind, self.file(path, data, content_type), data, public=video.is_public)

    def _of(self, channel: str) -> list[Video]:
        return [one for one in reversed(self._videos) if one.channel == channel]

    def _shown(self, videos: list[Video]) -> list[Video]:
        return [one for one in videos if one.is_public or "leak" in self.trap]

    # Rumble

    def _enter_rumble(self) -> None:
        self.books.add("page", "/", "/")
        self.books.listing("newest", min(self.size, _NEWEST * _PAGE) + 1, _PAGE)
        for name in self._channels:
            self.books.add("account", f"c/{name}", f"/c/{name}/about", item="Account")
            self.books.listing("channels", len(self._of(name)) + 1, _PAGE)
            self.image(f"/z/{name}.jpg", kind="avatar")
        for video in self._videos:
            self.books.add("video", video.id, self._page(video), item="Post", at=video.at.isoformat())
            if video.kind != "subscribers":
                self.books.listing("facts", 1, 1)
                self.books.add("page", f"/embed/{video.embed}/", f"/embed/{video.embed}/")
            if video.kind == "file":
                said = f"WEBVTT\n\n00:00.000 --> 00:01.000\n{video.text}\n".encode()
                self._put("caption", f"/cc/{video.id}.vtt", said, "text/vtt", video)

    def _page(self, video: Video) -> str:
        return f"/{video.id}-{video.title.lower().strip('.').replace(' ', '-')}.html"

    def answer(self, request: Request) -> Answer:
        """Answer, where no guard stands before it and the client says where it comes from."""
        if "guard" in self.trap:
            return html("Just a moment...", "<script>window._cf_chl_opt={}</script>", status=403)
        if request.host == _FILES[_ODYSEE] and "odysee.com" not in request.headers.get("referer", ""):
            return as_json({"error": "forbidden"}, 403)
        return super().answer(request)

    def _html(self, body: str) -> Answer:
        home = (
            f'<meta property="og:url" content="https://{self._site}/"><link rel="stylesheet" href="/static/site.css">'
        )
        return html("Herons", body, head=home + f'<link rel="preconnect" href="https://{_PICTURES[self._site]}/">')

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return self._html("<p>Videos</p>")

    @route(r"/(videos|c/\w+)")
    def listed(self, request: Request, what: str) -> Answer:
        found = self._of(what.partition("/")[2]) if what != "videos" else self._videos[::-1][: _NEWEST * _PAGE]
        start = (whole(query(request).get("page"), 1) - 1) * _PAGE
        page = found[start : start + _PAGE]
        if not page and what == "videos":
            return html("404", "<p>Nothing here.</p>", status=404)
        if "json" in self.trap and what != "videos":
            things = [
                {
                    "object_type": "video",
                    "url": f"https://{_RUMBLE}{self._page(one)}",
                    "upload_date": one.at.isoformat(),
                }
                for one in page
            ]
            return self._html(f'<script type="application/json">{json.dumps({"items": things})}</script>')
        return self._html("".join(map(self._card, page)))

    def _card(self, one: Video) -> str:
        """Return how a list shows a video: as it did until 2023, or as it does since."""
        page, at = self._page(one), one.at.isoformat()
        if one.id[1] in "0123":
            return (
                f"<li class='video-listing-entry'><a class=video-item--a href={page}><h3>{one.title}</h3></a>"
                f"<time class=video-item--meta datetime={at}>then</time></li>"
            )
        return (
            f'<div class="videostream thumbnail__grid--item"><a class="videostream__link link" draggable="false" '
            f'href="{page}?e9s=src_v1_ucp"></a><time class="videostream__data videostream__time" datetime="{at}">'
            f"then</time></div>"
        )

    @route(r"/c/(\w+)/about")
    def about(self, request: Request, name: str) -> Answer:
        return self._html(
            f'<div class="channel-header--title"><h1>The {name}</h1></div><img class="channel-header--img" '
            f'src="https://{_PICTURES[_RUMBLE]}/z/{name}.jpg"><div class="channel-about--description">Of <b>tea</b></div>'
        )

    @route(r"/(v[0-9a-f]{6})-[^/]*\.html")
    def watch(self, request: Request, identity: str) -> Answer:
        one = self._by_id.get(identity)
        if one is None:
            return self.missing(request)
        film = {
            "@type": "VideoObject", "name": one.title, "description": one.text, "uploadDate": one.at.isoformat(),
            "thumbnailUrl": f"https://{_PICTURES[_RUMBLE]}{one.picture}",
            "interactionStatistic": {"@type": "InteractionCounter", "userInteractionCount": 9},
        }  # fmt: skip
        if one.kind != "subscribers":
            film["embedUrl"] = f"https://{_RUMBLE}/embed/{one.embed}/"
        return self._html(
            f'<script type="application/ld+json">{json.dumps([film])}</script>'
            f'<a class="media-by--a" href="/c/{one.channel}?e9s=src">The {one.channel}</a>'
        )

    @route(r"/embed/(v[0-9a-f]{6})/")
    def embedded(self, request: Request, embed: str) -> Answer:
        return html("Player", "<video></video>")

    @route(r"/embedJS/u3/")
    def facts(self, request: Request) -> Answer:
        one = self._by_id.get(query(request).get("v", ""))
        if one is None:
            return as_json(False)
        there, ua = f"https://{_FILES[_RUMBLE]}", {}
        if one.kind == "file":
            ua = {"mp4": {
                str(lines): {"url": f"{there}{one.file}" if lines == 720 else f"{there}/video/small.mp4",
                             "meta": {"h": lines, "w": 2 * lines, "size": 9 * lines, "bitrate": lines}}
                for lines in (360, 720)
            }}  # fmt: skip
        elif one.kind == "stream":
            ua = {
                "hls": {"auto": {"url": f"{there}{one.file}"}},
                "timeline": {"180": {"url": f"{there}/video/line.mp4"}},
            }
        captions = {"en": {"language": "English", "path": f"{there}/cc/{one.id}.vtt"}} if one.kind == "file" else []
        return as_json({
            "title": one.title, "pubDate": one.at.isoformat(), "live": 2 if one.kind == "live" else 0, "ua": ua,
            "cc": captions, "i": f"https://{_PICTURES[_RUMBLE]}{one.picture}",
        })  # fmt: skip

    # Odysee

    def _enter_odysee(self) -> None:
        name, videos = self._channels[0], self._shown(self._videos)
        self.books.add("account", name[-1] * 40, item="Account")
        self.books.add("page", f"/@{name}:{name[-1]}", f"/@{name}:{name[-1]}")
        self.books.listing("who", 1, 1)
        self.image(f"/z/{name}.jpg", kind="avatar")
        self.books.listing("channel", len(videos) + (len(videos) % _MOST == 0), _MOST)
        for one in self._videos:
            page = f"/@{name}:{name[-1]}/{one.title.split(' ')[0]}:{one.id[:6]}"
            self.books.add("video", one.id, public=one.is_public, item="Post", at=one.at.isoformat())
            self.books.add("page", page, page, public=one.is_public)
            for said in one.comments:
                self.books.add("comment", said["comment_id"], public=one.is_public, item="Post")
            if one.is_public:
                self.books.listing("files", 1 + (one.kind == "stream"), 1)
                self.books.listing("comments", len(one.comments), _MOST)

    @route(r"/@\w+:\w+(?:/[^/]+)?|/channel/\w+/|/video/\w+/")
    def shell(self, request: Request) -> Answer:
        return self._html(f"<p>{request.path}</p>")

    @route(r"/api/v1/proxy", method="POST")
    def proxy(self, request: Request) -> Answer:
        asked = posted(request)
        method, given = asked.get("method"), asked.get("params", {})
        if method == "resolve":
            found = {url: self._resolved(url) for url in given.get("urls", [])}
            return as_json({"jsonrpc": "2.0", "result": found, "id": 0})
        if method == "get":
            one = self._named(given.get("uri", ""))
            if one is None:
                return as_json({"jsonrpc": "2.0", "error": {"code": -32603, "message": "not found"}, "id": 0})
            return as_json(
                {"jsonrpc": "2.0", "result": {"streaming_url": f"https://{_FILES[_ODYSEE]}{one.file}"}, "id": 0}
            )
        end = int(str(given.get("release_time", "<99999999999")).removeprefix("<"))
        found_ = [one for one in self._shown(self._videos[::-1]) if one.at.timestamp() < end]
        size = min(int(given.get("page_size", 20)), _MOST)
        start = (int(given.get("page", 1)) - 1) * size
        return as_json({"result": {"items": [self._claim(one) for one in found_[start : start + size]], "page": 1}})

    def _resolved(self, url: str) -> dict[str, Any]:
        one = self._named(url)
        return self._claim(one) if one else self._who() if "/" not in url[7:] else {"error": {"name": "NOT_FOUND"}}

    def _named(self, url: str) -> Video | None:
        begin = url.rpartition("#")[2] if "/" in url[7:] else "-"
        return next((one for one in self._videos if one.id.startswith(begin)), None)

    def _who(self) -> dict[str, Any]:
        name = self._channels[0]
        return {
            "claim_id": name[-1] * 40, "name": f"@{name}", "canonical_url": f"lbry://@{name}#{name[-1]}",
            "value_type": "channel", "timestamp": 1_500_000_000, "meta": {"claims_in_channel": self.size},
            "value": {"title": f"The {name}", "thumbnail": {"url": f"https://{_PICTURES[_ODYSEE]}/z/{name}.jpg"}},
        }  # fmt: skip

    def _claim(self, one: Video) -> dict[str, Any]:
        who, word = self._who(), one.title.split(" ")[0]
        return {
            "claim_id": one.id, "name": word, "canonical_url": f"{who['canonical_url']}/{word}#{one.id[:6]}",
            "value_type": "stream", "timestamp": int(one.at.timestamp()) + 60, "signing_channel": who,
            "value": {
                "title": one.title, "description": one.text, "release_time": str(int(one.at.timestamp())),
                "tags": ["tea", *([] if one.is_public else ["c:unlisted"])], "stream_type": "video",
                "thumbnail": {"url": f"https://{_PICTURES[_ODYSEE]}{one.picture}"}, "video": {"duration": 9},
            },
        }  # fmt: skip

    @route(r"/api/v3/streams/free/\w+")
    def stream(self, request: Request) -> Answer:
        """Give the upload, or lead to the stream where there is none."""
        if request.path in self._files:
            return Answer(200, *self._files[request.path])
        return moved(f"https://{_FILES[_ODYSEE]}/hls/{request.path.rpartition('/')[2]}/playlist.m3u8")

    @route(r"/api/v2", method="POST")
    def comments(self, request: Request) -> Answer:
        given = posted(request).get("params", {})
        one = self._by_id.get(given.get("claim_id", ""))
        start = (int(given.get("page", 1)) - 1) * _MOST
        found = one.comments[start : start + _MOST] if one else []
        return as_json({"jsonrpc": "2.0", "result": {"items": found or None, "page": 1}, "id": 0})

    # BitChute

    def _enter_bitchute(self) -> None:
        name, videos = self._channels[0], self._shown(self._videos)
        self.books.add("account", name, item="Account")
        self.books.add("page", f"/channel/{name}/", f"/channel/{name}/")
        self.books.listing("who", 1, 1)
        self.image(f"/z/{name}.jpg", kind="avatar")
        self.books.listing("channel", len(videos) + (len(videos) % _MOST == 0), _MOST)
        for one in self._videos:
            self.books.add("video", one.id, public=one.is_public, item="Post", at=one.at.isoformat())
            self.books.add("page", f"/video/{one.id}/", f"/video/{one.id}/", public=one.is_public)
            if one.is_public:
                self.books.listing("videos", 2, 1)

    @route(r"/api/beta/(channel|channel/videos|video|video/media)", method="POST")
    def beta(self, request: Request, what: str) -> Answer:
        given = posted(request)
        one = self._by_id.get(str(given.get("video_id", "")))
        if what == "channel":
            return as_json({
                "channel_id": self._channels[0], "channel_name": "The herons", "description": "tea",
                "channel_url": f"/channel/{self._channels[0]}/", "video_count": len(self._shown(self._videos)),
                "thumbnail_url": f"https://{_PICTURES[_BITCHUTE]}/z/{self._channels[0]}.jpg",
            })  # fmt: skip
        if what == "channel/videos":
            start, size = int(given.get("offset", 0)), min(int(given.get("limit", 20)), _MOST)
            shown = self._shown(self._videos[::-1])[start : start + size]
            return as_json({"videos": [self._beta(each) for each in shown]})
        if one is None:
            return as_json({"errors": [{"context": "HTTP", "message": "Not Found"}]}, 404)
        if what == "video/media":
            return as_json({"media_url": f"https://{_FILES[_BITCHUTE]}{one.file}", "media_type": "video/mp4"})
        who = {"channel_id": self._channels[0], "channel_name": "The herons"}
        return as_json({**self._beta(one), "description": one.text, "channel": who, "hashtags": ["tea"]})

    def _beta(self, one: Video) -> dict[str, Any]:
        return {
            "video_id": one.id, "video_name": one.title, "description": one.text[:20], "duration": "1:23",
            "date_published": f"{one.at:%Y-%m-%dT%H:%M:%S}.000000Z", "view_count": 9, "video_url": f"/video/{one.id}/",
            "thumbnail_url": f"https://{_PICTURES[_BITCHUTE]}{one.picture}",
            "state_id": "published" if one.is_public else "private",
        }  # fmt: skip


if __name__ == "__main__":
    main(VideosSite)
