"""The media of the replica: what is at which URL, as real bytes, and which of it is the same under two ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.replicas.exchange import Answer, Flow
from crawler.replicas.films import Film
from crawler.replicas.images import jpeg, png
from crawler.replicas.permute import keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.replicas.parler.people import User
    from crawler.replicas.parler.world import Post, World

STORES = frozenset({"images.parler.com", "image-cdn.parler.com", "video.parler.com"})
NO_OBJECT = Answer(
    404,
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
    "application/xml",
)
_SIZES = ((320, 240), (400, 304), (240, 320), (480, 320))
_FILLERS = (9_000, 12_000, 20_000, 12_000, 40_000, 9_000, 250_000)


class Files:
    """The files of one world. ``huge``, where given, is the size in bytes of the oldest video's original."""

    def __init__(self, world: World, huge: int = 0) -> None:
        self._world = world
        self._huge = huge
        videos = (number for number in world.numbers() if world.post(number).media == "video")
        self.huge_number = next(videos, 0) if huge else 0

    # Where they are

    def image_url(self, post: Post, slide: int) -> str:
        """Return where an uploaded image is."""
        place = post.number * 4 + slide
        name = self._world.images.text(place)
        return f"https://image-cdn.parler.com/{name[0]}/{name[1]}/{name}.{self._extension(place)}"

    def video_url(self, post: Post) -> str:
        """Return where a video is as it was uploaded; ``.mp4`` and ``_small.mp4`` are its variants."""
        name = self._world.videos.text(post.number)
        return f"https://video.parler.com/{name[:2]}/{name[2:4]}/{name}"

    def preview_url(self, post: Post) -> str:
        """Return the picture of the page that a post links to; empty where it has none."""
        has_one = post.media == "article" or (post.media == "website" and post.number % 2 == 1)
        return f"https://images.parler.com/{self._world.previews.text(post.number)}" if has_one else ""

    def target(self, post: Post, slide: int) -> str:
        """Return where the short link of an upload or outlink leads; empty where there is no such link."""
        if slide >= post.slides:
            return ""
        if post.media == "image":
            return self.image_url(post, slide)
        if post.media == "video":
            return f"{self.video_url(post)}_small.mp4"
        return post.outlink if post.media in {"article", "website", "basic"} else ""

    def place(self, post: Post) -> str:
        """Return where a video was taken (ISO 6709), or nothing: about one in five says."""
        key = self._content("video", post.number)
        return f"{10 + key % 500 / 10:+08.4f}{-120 + key // 500 % 400 / 10:+09.4f}/" if key % 5 == 0 else ""

    # What they are

    def image(self, name: str, extension: str) -> Answer:
        """Answer for an uploaded image."""
        place = self._world.images.number(name)
        post = self._world.post_at(place // 4)
        if post is None or post.media != "image" or place % 4 >= post.slides or extension != self._extension(place):
            return NO_OBJECT
        content = self._content("image", place)
        width, height = _SIZES[content % 4]
        key = f"image/{content}"
        return Answer(200, png(key) if extension == "png" else jpeg(key, width, height), f"image/{extension}")

    def video(self, first: str, second: str, name: str, variant: str) -> Answer:
        """Answer for a video: as it was uploaded, or one of the two variants made of it, which say no place."""
        post = self._world.post_at(self._world.videos.number(name))
        if post is None or post.media != "video" or not name.startswith(first + second):
            return NO_OBJECT
        key = self._content("video", post.number)
        if variant:
            film = Film(
                key=f"film/{key}", frames=8 if variant == "_small.mp4" else 12, filler=4000 * (variant == ".mp4")
            )
            return Answer(200, film.data(), "video/mp4")
        film = Film(
            key=f"film/{key}", frames=16, quicktime=True, notes=dict(self._notes(post)), filler=_FILLERS[key % 7]
        )
        if post.number != self.huge_number:
            return Answer(200, film.data(), "video/quicktime")
        vast = Film(
            key=film.key, frames=16, quicktime=True, notes=film.notes, filler=self._huge - film.size() + film.filler
        )
        return Answer(200, content_type="video/quicktime", flow=Flow(vast.size(), vast.pieces))

    def portrait(self, identity: str, size: str) -> Answer:
        """Answer for an avatar (256) or a banner (1200). Many people keep one of a few avatars."""
        user = self._world.people.with_id(identity)
        if user is None or not (user.has_avatar if size == "256" else user.has_banner):
            return NO_OBJECT
        return Answer(200, self._face(user) if size == "256" else jpeg(f"banner/{user.number}", 480, 160), "image/jpeg")

    def preview(self, name: str) -> Answer:
        """Answer for the picture of a linked page. Many link to the same few."""
        post = self._world.post_at(self._world.previews.number(name))
        if post is None or not self.preview_url(post):
            return NO_OBJECT
        return Answer(200, jpeg(f"preview/{post.number % 40}"), "image/jpeg")

    def _notes(self, post: Post) -> Iterator[tuple[bytes, str]]:
        """Yield what a camera writes into a film; of the place, only if it says."""
        if place := self.place(post):
            yield b"\xa9xyz", place
        # The moment belongs to the content: films posted twice are the same, byte for byte.
        key = self._content("video", post.number)
        yield b"\xa9day", f"2020-12-{1 + key % 28:02d}T{key % 24:02d}:{key % 60:02d}:00-0500"
        yield b"\xa9mak", "Invented Camera Works"
        yield b"\xa9mod", f"Pocket {key % 4}"
        yield b"\xa9swr", "14.3"

    def _content(self, kind: str, place: int) -> int:
        """Return what a file shows: several ids share one content, as people post the same picture."""
        few = max(self._world.last // (12 if kind == "image" else 16), 6)
        return keyed(self._world.seed, kind, keyed(self._world.seed, kind, place) % few) >> 8

    def _face(self, user: User) -> bytes:
        seed = self._world.seed
        return jpeg(f"avatar/{keyed(seed, 'avatar', user.number) % max(self._world.people.count // 3, 4)}", 256, 256)

    def _extension(self, place: int) -> str:
        return "png" if keyed(self._world.seed, "extension", place) % 4 == 0 else "jpeg"
