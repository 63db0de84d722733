"""Which host answers what (platforms as of January 2021): a function from request to answer, no state."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

from crawler.replicas import media
from crawler.replicas.parler.pages import ANGULAR_SHELL, Pages, outside
from crawler.replicas.parler.world import BUILD
from crawler.replicas.permute import keyed
from crawler.replicas.server import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.replicas.parler.world import Post, User, World

HOSTS = (
    "parler.com", "www.parler.com", "api.parler.com", "par.pw", "share.par.pw", "images.parler.com", "image-cdn.parler.com",
    "video.parler.com", "company-media.parler.com", "legal.parler.com", "faq.parler.com",
)  # fmt: skip
NOT_FOUND = Answer(404, b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>")
NO_OBJECT = Answer(
    404,
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>',
    "application/xml",
)
NO_RESOURCE = Answer(404, b'{"message":"No resource for URL","fieldvalidationsMap":[]}', "application/json")
_HEX = r"([0-9a-f]{32})"


class Site:
    """The replica's answers for one world and clock."""

    def __init__(self, world: World, pages: Pages) -> None:
        self.world = world
        self.pages = pages
        html = self._html
        self._routes: dict[str, list[tuple[re.Pattern[str], Callable[..., Answer]]]] = {
            "parler.com": _table({
                rf"/post/{_HEX}": self._post, r"/profile/([0-9A-Za-z.\-_]+)(?:/posts)?": self._profile, r"/": self._home,
                r"/auth/access": lambda: html("<form><input name=user></form>"), rf"/{BUILD}/(.+)": self._asset,
                r"/robots.txt": lambda: Answer(200, b"User-agent: *\nDisallow: /auth/\n", "text/plain"),
            }),
            "api.parler.com": _table({
                r"/v3/uuidConversion/post/(\d{1,18})": self._uuid, r"/l/([0-9A-Za-z]{5})": self._link, r"/v1/.*": self._login_only,
            }),
            "par.pw": _table({r"/l/([0-9A-Za-z]{5})": self._link, r"/v1/.*": self._login_only}),
            "share.par.pw": _table({rf"/post/{_HEX}": self._share}),
            "images.parler.com": _table({rf"/{_HEX}_(256|1200)": self._portrait, r"/([0-9A-Za-z]{32})": self._preview}),
            "image-cdn.parler.com": _table({r"/[^/]/[^/]/([0-9A-Za-z]{10})\.(jpeg|png)": self._image}),
            "video.parler.com": _table({r"/(..)/(..)/([0-9A-Za-z]{12})(_small\.mp4|\.mp4|)": self._video}),
            "company-media.parler.com": _table({r"/(par-default-[a-z-]+\.jpg)": lambda name: Answer(200, media.jpeg(name), "image/jpeg")}),
            "legal.parler.com": _table({r"/documents/useragreement.pdf": lambda: Answer(200, b"%PDF-1.4\n% invented agreement\n%%EOF\n", "application/pdf")}),
            "faq.parler.com": _table({r"/": lambda: html("<h1>Questions</h1><p>None so far.</p>")}),
        }  # fmt: skip

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        host = request.host.removeprefix("www.")
        path = request.target.split("?")[0]
        for pattern, answer in self._routes.get(host, []):
            if (found := pattern.fullmatch(path)) is not None:
                return answer(*found.groups())
        return NO_OBJECT if host in {"video.parler.com", "image-cdn.parler.com", "images.parler.com"} else NOT_FOUND

    @staticmethod
    def _html(text: str, status: int = 200) -> Answer:
        return Answer(status, text.encode(), vary=True)

    @staticmethod
    def _login_only() -> Answer:
        return Answer(401, b'{"message":"Unauthorized","fieldvalidationsMap":[]}', "application/json")

    def _home(self) -> Answer:
        return self._html(
            '<!DOCTYPE html><html><head><title>Parler</title><meta property="og:site_name" content="Parler"><meta name="twitter:site" content="@parler_app"></head>'
            '<body><app-root></app-root><a href="https://parler.com/auth/access">Log in</a><a href="https://legal.parler.com/documents/useragreement.pdf">Legal</a></body></html>'
        )

    def _uuid(self, text: str) -> Answer:
        number = int(text)
        if self.world.is_hole(number):
            return NO_RESOURCE
        return Answer(
            200, b"\x0a\x20" + self.world.post_ids.text(number).encode() + b"\x18\x01", "application/x-protobuf"
        )

    def _known(self, identity: str) -> Post | None:
        number = self.world.number_of(identity)
        return self.world.post(number) if number is not None else None

    def _post(self, identity: str) -> Answer:
        post = self._known(identity)
        return self._html(self.pages.post(post)) if post else NOT_FOUND

    def _share(self, identity: str) -> Answer:
        post = self._known(identity)
        return self._html(self.pages.share(post)) if post else NOT_FOUND

    def _profile(self, username: str) -> Answer:
        user = self.world.user_named(username)
        if user is None or user.private:
            return self._html(ANGULAR_SHELL)
        return self._html(self.pages.profile(user, self.posts_of(user)))

    @lru_cache(maxsize=4096)  # noqa: B019 - one site a process
    def posts_of(self, user: User) -> list[Post]:
        """Return some of a person's posts, newest first: those on the last stretch of the counter."""
        found: list[Post] = []
        for number in range(self.world.last, max(self.world.last - 400, 0), -1):
            if not self.world.is_hole(number) and self.world.post(number).author == user:
                found.append(self.world.post(number))
                if len(found) == 20:
                    break
        return found

    def _link(self, identity: str) -> Answer:
        number, slide = divmod(self.world.links.number(identity), 4)
        if self.world.is_hole(number):
            return NOT_FOUND
        post = self.world.post(number)
        if post.kind == "image" and slide < post.slides:
            target = self.image_url(number * 4 + slide)
        elif post.kind in {"article", "website", "basic"} and slide == 0:
            target = outside(post)
        else:
            return NOT_FOUND
        body = f'<html><body>Found. Redirecting to <a href="{escape(target)}">{escape(target)}</a></body></html>'
        return Answer(302, body.encode(), headers=(("Location", target),))

    def image_url(self, number: int) -> str:
        """Return where an uploaded image is."""
        name = self.world.images.text(number)
        return f"https://image-cdn.parler.com/{name[0]}/{name[1]}/{name}.{self._extension(number)}"

    def _extension(self, number: int) -> str:
        return "png" if keyed(self.world.seed, "extension", number) % 4 == 0 else "jpeg"

    def _image(self, name: str, extension: str) -> Answer:
        number = self.world.images.number(name)
        post = None if self.world.is_hole(number // 4) else self.world.post(number // 4)
        if post is None or post.kind != "image" or number % 4 >= post.slides or extension != self._extension(number):
            return NO_OBJECT
        content = self.world.media_content("image", number)
        return Answer(200, media.png(content) if extension == "png" else media.jpeg(content), f"image/{extension}")

    def _portrait(self, identity: str, size: str) -> Answer:
        number = self.world.user_ids.number(identity)
        if number >= self.world.users:
            return NO_OBJECT
        content = self.world.avatar_content(number) if size == "256" else f"banner/{number}"
        return Answer(200, media.jpeg(content, *((256, 256) if size == "256" else (480, 160))), "image/jpeg")

    def _preview(self, name: str) -> Answer:
        number = self.world.previews.number(name)
        if self.world.is_hole(number):
            return NO_OBJECT
        return Answer(200, media.jpeg(f"preview/{number % 40}", 240, 160), "image/jpeg")

    def _video(self, first: str, second: str, name: str, variant: str) -> Answer:
        number = self.world.videos.number(name)
        if self.world.is_hole(number) or self.world.post(number).kind != "video" or not name.startswith(first + second):
            return NO_OBJECT
        content = self.world.media_content("video", number)
        if variant == "_small.mp4":
            return Answer(200, media.video(content, frames=4), "video/mp4")
        if variant == ".mp4":
            return Answer(200, media.video(content, frames=12, padding=4000), "video/mp4")
        place = self.world.place(number)
        return Answer(
            200,
            media.video(content, frames=16, quicktime=True, place=place, padding=9000 + number % 7 * 3000),
            "video/quicktime",
        )

    def _asset(self, path: str) -> Answer:
        if path.endswith(".css"):
            return Answer(
                200, f"/* {path} */ .card {{ margin: 0 }} body {{ font: 16px sans-serif }}\n".encode() * 20, "text/css"
            )
        if path.endswith(".js"):
            return Answer(
                200, f"// {path}\nfunction commentsListOpen(id) {{}}\n".encode() * 20, "application/javascript"
            )
        if path.endswith(".svg"):
            return Answer(
                200,
                b'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><circle cx="8" cy="8" r="7"/></svg>',
                "image/svg+xml",
            )
        return NOT_FOUND


def _table(routes: dict[str, Callable[..., Answer]]) -> list[tuple[re.Pattern[str], Callable[..., Answer]]]:
    return [(re.compile(pattern), answer) for pattern, answer in routes.items()]
