"""The videos of a PeerTube server and all that hangs on them: files, streams, captions, threads of comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from crawler.model import Media, Note
from spiders import peertube_items as items
from spiders.api import number, objects, source, text, turn, with_query
from spiders.base import EXTRAS, ORIGINALS, PAGES, POSTS, Yield
from spiders.streams import StreamSpider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

API = "/api/v1/"
#: Objects of a page, at the most: asking for more is an error.
PAGE = 100


class PeertubeVideos(StreamSpider):
    """Reads a video from its details down to the last reply."""

    def at(self, place: str) -> str:
        """Return where the API has something."""
        return urljoin(self.seed.url, API + place)

    def here(self) -> str:
        """Return the name by which the server calls itself: its host, with the port if there is one."""
        return urlsplit(self.seed.url).netloc

    def actor(self, actor: Any, kind: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield an account or a channel, its pictures, and its page if it is of this server."""
        handle = items.handle(actor, self.here())
        if not handle:
            return
        page = urljoin(response.url, f"/{'a' if kind == 'account' else 'c'}/{quote(handle)}")
        yield items.account_of(actor, kind, page, self.here(), response, self.name)
        for name in ("avatar", "banner"):
            yield from self.beside(name, items.pictures(actor, name, response), response)
        if "@" not in handle and self.has_people():
            yield self.page(page, response, (kind, handle))

    def has_people(self) -> bool:
        """Say whether people are taken with what they made."""
        return True

    def page(self, url: str, response: CaptureResponse, covers: tuple[str, str]) -> Fetch:
        """Return the fetch of a page for people."""
        return self.fetch(
            url, lane=PAGES, parent=response, callback=self.parse_page, covers=covers, day=response.fetch.day
        )  # fmt: skip

    def beside(self, kind: str, urls: Iterator[str], response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetches of pictures that go with something."""
        for url in urls:
            yield self.fetch(url, lane=EXTRAS, parent=response, covers=(kind, url), day=response.fetch.day)

    def video(self, uuid: str, parent: CaptureResponse | None, on: str | None = None) -> Fetch:
        """Return the fetch of a video's details."""
        return self.fetch(
            self.at(f"videos/{quote(uuid, safe='')}"), lane=POSTS, parent=parent,
            callback=self.parse_video, covers=("video", uuid), day=on,
        )  # fmt: skip

    def parse_video(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the details of a video, and ask for what hangs on it."""
        video = response.data()
        if not (uuid := quote(text(video, "uuid"), safe="")) or not items.is_public(video):
            return
        page = urljoin(response.url, f"/w/{text(video, 'shortUUID') or uuid}")
        yield items.video_of(video, page, self.here(), response, self.name)
        yield from self.actor(video.get("account"), "account", response)
        yield from self.actor(video.get("channel"), "channel", response)
        yield self.page(page, response, ("page", page))
        for url in items.located(response, text(video, "embedPath")):
            yield self.page(url, response, ("page", url))
        yield from self.beside("preview", items.previews(video, response), response)
        yield from self._files(video, response)
        yield from self._hanging(video, uuid, response)

    def _files(self, video: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield the best file and the streams of what is not live."""
        if video.get("isLive") is True:
            why = "A video is live: only its pages and words are taken. Its recording will be another."
            yield Note(text=why, url=response.url)
            return
        best = items.file_of(items.best_of(items.files_of(video)), video, response, self.name)
        if best.url:
            yield best
            yield self.fetch(
                best.url, lane=ORIGINALS, parent=response, covers=("video-file", best.url), day=response.fetch.day
            )  # fmt: skip
        for stream in items.streams_of(video):
            for url in items.located(response, text(stream, "playlistUrl")):
                yield from self.stream(url, response)
            for url in items.located(response, text(stream, "segmentsSha256Url")):
                yield self.fetch(url, lane=ORIGINALS, parent=response, covers=("stream", url), day=response.fetch.day)

    def _hanging(self, video: dict[str, Any], uuid: str, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the lists of a video: captions, and what servers before 6.1 did not have; comments if there are any."""
        lists = ["captions"] + ["chapters", "storyboards"] * ("aspectRatio" in video)
        for name in lists:
            yield self.fetch(
                self.at(f"videos/{uuid}/{name}"), lane=POSTS, parent=response, cursor={"video": uuid},
                callback=None if name == "chapters" else self.parse_files, day=response.fetch.day, sweep=True,
            )  # fmt: skip
        if number(video, "comments") != 0 and video.get("commentsEnabled") is not False:
            yield self._threads(uuid, 0, response)

    def parse_files(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take captions and storyboards."""
        uuid = str((response.fetch.cursor or {}).get("video", ""))
        for one in objects(response.data(), "captions") or objects(response.data(), "data"):
            for url in items.located(response, text(one, "fileUrl") or text(one, "captionPath")):
                yield Media(
                    platform=self.name, id=url, url=url, kind="caption", post=f"video/{uuid}",
                    title=text(one, "language", "label"), **source(response),
                )  # fmt: skip
                yield self.fetch(url, lane=EXTRAS, parent=response, covers=("caption", url), day=response.fetch.day)
        for one in objects(response.data(), "storyboards"):
            urls = items.located(response, text(one, "fileUrl") or text(one, "storyboardPath"))
            yield from self.beside("preview", urls, response)

    # Comments

    def _threads(self, uuid: str, start: int, response: CaptureResponse) -> Fetch:
        url = with_query(self.at(f"videos/{uuid}/comment-threads"), start=start, count=PAGE, sort="-createdAt")
        return self.fetch(
            url, lane=POSTS, parent=response, callback=self.parse_threads, cursor={"video": uuid, "start": start},
            day=response.fetch.day, sweep=True,
        )  # fmt: skip

    def parse_threads(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of threads; one with replies is asked for them."""
        cursor, threads = response.fetch.cursor or {}, objects(response.data(), "data")
        uuid = str(cursor.get("video", ""))
        for comment in threads:
            if not items.is_public(comment) or not text(comment, "id"):
                continue
            if number(comment, "totalReplies") == 0:
                yield from self._comment(comment, response)
            else:
                yield self.fetch(
                    self.at(f"videos/{uuid}/comment-threads/{quote(text(comment, 'id'))}"), lane=POSTS,
                    parent=response, callback=self.parse_thread, cursor={"video": uuid}, day=response.fetch.day,
                )  # fmt: skip
        start = cursor.get("start", 0) + PAGE
        if threads and start < (number(response.data(), "total") or 0):
            yield from turn(response, [text(one, "id") for one in threads], self._threads(uuid, start, response))

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the tree of a thread; below a branch that is cut short the replies are listed."""
        uuid = str((response.fetch.cursor or {}).get("video", ""))
        for comment, is_cut in items.branches(response.data()):
            yield from self._comment(comment, response)
            if is_cut and text(comment, "id"):
                yield self._replies(uuid, text(comment, "id"), 0, response)

    def _replies(self, uuid: str, identity: str, start: int, response: CaptureResponse) -> Fetch:
        url = with_query(self.at(f"videos/{uuid}/comments/{quote(identity)}/replies"), start=start, count=PAGE)
        return self.fetch(
            url, lane=POSTS, parent=response, callback=self.parse_replies, day=response.fetch.day, sweep=True,
            cursor={"video": uuid, "id": identity, "start": start},
        )  # fmt: skip

    def parse_replies(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the replies below a comment: trees of their own, or comments alone."""
        cursor, found = response.fetch.cursor or {}, objects(response.data(), "data")
        uuid, start = str(cursor.get("video", "")), cursor.get("start", 0) + PAGE
        for one in found:
            for comment, is_cut in items.branches(one if "comment" in one else {"comment": one}):
                yield from self._comment(comment, response)
                if is_cut and text(comment, "id"):
                    yield self._replies(uuid, text(comment, "id"), 0, response)
        if found and start < (number(response.data(), "total") or 0):
            following = self._replies(uuid, str(cursor.get("id", "")), start, response)
            yield from turn(response, [text(one, "id") or text(one, "comment", "id") for one in found], following)

    def _comment(self, comment: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        if not text(comment, "id") or not items.is_public(comment):
            return
        uuid = str((response.fetch.cursor or {}).get("video", ""))
        yield items.comment_of(comment, uuid, self.here(), response, self.name)
        yield from self.actor(comment.get("account"), "account", response)
