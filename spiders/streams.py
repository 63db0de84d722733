"""Sites of videos: streams in pieces, read from their playlists down to the last segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from crawler.model import Lane, Note, SegmentClass
from spiders import hls
from spiders.base import EXTRAS, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Yield
from spiders.pages import MAX_NESTING, PageSpider, level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.model import Fetch
    from crawler.response import CaptureResponse

#: Playlists of streams, then the pieces they name; both may be on hosts of their own.
STREAMS = Lane(name="streams", order=75, anywhere=True)
SEGMENTS = Lane(name="segments", order=85, segment_class=SegmentClass.ORIGINALS, anywhere=True)


class StreamSpider(PageSpider):
    """A platform whose videos may be streams in pieces."""

    lanes: ClassVar[tuple[Lane, ...]] = (
        LISTINGS, POSTS, PAGES, REQUISITES, STREAMS, ORIGINALS, SEGMENTS, EXTRAS,
    )  # fmt: skip

    #: Sent with requests for playlists and pieces.
    stream_headers: ClassVar[tuple[tuple[str, str], ...]] = ()

    def stream(self, url: str, response: CaptureResponse, *, deep: int = 1) -> Iterator[Fetch]:
        """Yield the fetch of a playlist; what it names is read when it comes."""
        if url:
            yield self.fetch(
                url, lane=STREAMS, parent=response, callback=self.parse_stream, covers=("stream", url),
                cursor={"level": deep}, day=response.fetch.day, headers=self.stream_headers,
            )  # fmt: skip

    def parse_stream(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a playlist: those below it, or the pieces of its stream."""
        with response.open() as stream:
            said = stream.read(hls.MAX_TEXT).decode("utf-8", "replace")
        found = hls.playlist(said, response.url)
        if found is None:
            yield Note(text="What should be a playlist of a stream is none.", url=response.url)
            return
        if found.is_live:
            yield Note(text="A stream is still live: only the pieces named just now are taken.", url=response.url)
        if level(response) < MAX_NESTING:
            for url in found.playlists:
                yield from self.stream(url, response, deep=level(response) + 1)
        for url in found.files:
            yield self.fetch(
                url, lane=SEGMENTS, parent=response, covers=("segment", url), day=response.fetch.day,
                headers=self.stream_headers,
            )  # fmt: skip
