"""Which host answers what (Parler as of January 2021): a function from request to answer, no state."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from crawler.replicas.exchange import Answer, Clock, Request
from crawler.replicas.images import jpeg
from crawler.replicas.parler import pages, truth
from crawler.replicas.parler.api import NO_RESOURCE, Api
from crawler.replicas.parler.cards import BUILD, Cards
from crawler.replicas.parler.files import NO_OBJECT, STORES, Files
from crawler.replicas.parler.world import LINKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.replicas.parler.world import World

HOSTS = (
    "parler.com", "www.parler.com", "api.parler.com", "par.pw", "share.par.pw", "images.parler.com",
    "image-cdn.parler.com", "video.parler.com", "company-media.parler.com", "legal.parler.com", "faq.parler.com",
)  # fmt: skip
ROBOTS = b"User-agent: *\nDisallow: /auth/\nDisallow: /search\nDisallow: /post-view?preview=\n"
NOT_FOUND = Answer(404, b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n")
_HEX, _SHORT = r"([0-9a-f]{32})", r"([0-9A-Za-z]{5})"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><circle cx="8" cy="8" r="7"/></svg>\n'

Routes = list[tuple[re.Pattern[str], "Callable[..., Answer]"]]


class ParlerSite:
    """The replica's answers for one world and clock. ``huge``: bytes of one video's original, 0 for none."""

    hosts = HOSTS
    stores = STORES
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    login = pages.LOGIN

    def __init__(self, world: World, clock: Clock, huge: int = 0) -> None:
        self.world = world
        self.files = Files(world, huge)
        cards = Cards(world, self.files, clock)
        self._pages = pages.Pages(world, cards)
        self._api = Api(world, self.files, cards)
        media = self.files
        links: dict[str, Callable[..., Answer]] = {rf"/l/{_SHORT}": self._link}
        self._routes: dict[str, Routes] = {
            "parler.com": _table({
                rf"/post/{_HEX}": self._post, r"/profile/([0-9A-Za-z.\-_]+)(?:/posts)?": self._profile,
                rf"/{BUILD}/(.+)": _asset, r"/": lambda: _html(pages.HOME),
                r"/auth/access": lambda: _html(pages.LOGIN_PAGE), r"/robots\.txt": lambda: _robots(ROBOTS),
            }),
            "api.parler.com": _table({r"/v3/uuidConversion/post/(\d{1,18})": self._uuid, **links}),
            "par.pw": _table(links),
            "share.par.pw": _table({
                rf"/post/{_HEX}": self._share, r"/robots\.txt": lambda: _robots(b"User-agent: *\n"),
            }),
            "images.parler.com": _table({
                rf"/{_HEX}_(256|1200)": media.portrait, r"/([0-9A-Za-z]{32})": media.preview,
            }),
            "image-cdn.parler.com": _table({r"/[^/]/[^/]/([0-9A-Za-z]{10})\.(jpeg|png)": media.image}),
            "video.parler.com": _table({r"/(..)/(..)/([0-9A-Za-z]{12})(_small\.mp4|\.mp4|)": media.video}),
            "company-media.parler.com": _table({r"/(par-default-(?:profile-picture|banner))\.jpg": _default}),
            "legal.parler.com": _table({r"/documents/useragreement\.pdf": _agreement}),
            "faq.parler.com": _table({r"/": lambda: _html("<h1>Questions</h1><p>None so far.</p>\n")}),
        }  # fmt: skip

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        host, path = request.host, request.path
        if host == "www.parler.com":
            return Answer(301, b"", headers=(("Location", f"https://parler.com{request.target}"),))
        if host in {"api.parler.com", "par.pw"} and path.startswith("/v1/"):
            return self._api.answer(request)
        for pattern, answer in self._routes[host]:
            if (found := pattern.fullmatch(path)) is not None:
                return answer(*found.groups())
        if host in {"api.parler.com", "par.pw"}:
            return NO_RESOURCE
        return NO_OBJECT if host in STORES else NOT_FOUND

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield everything there is; see truth.py."""
        return truth.things(self.world, self.files)

    def facts(self) -> dict[str, Any]:
        """Return the lowest and the newest number of the counter."""
        return {"first": next(self.world.numbers()), "last": self.world.last}

    def overhead(self) -> dict[str, int]:
        """Return what finding everything costs: every number of the counter must be asked."""
        return {"id": self.world.last}

    def _uuid(self, text: str) -> Answer:
        post = self.world.post_at(int(text))
        if post is None:
            return NO_RESOURCE
        return Answer(200, b"\x0a\x20" + post.hex.encode() + b"\x18\x01", "application/x-protobuf")

    def _post(self, identity: str) -> Answer:
        post = self.world.with_id(identity)
        return _html(self._pages.post(post)) if post else NOT_FOUND

    def _share(self, identity: str) -> Answer:
        post = self.world.with_id(identity)
        return _html(self._pages.share(post)) if post else NOT_FOUND

    def _profile(self, username: str) -> Answer:
        """Answer with a profile, or with the application's empty shell and status 200: a soft 404."""
        user = self.world.people.named(username)
        return _html(pages.ANGULAR_SHELL if user is None or user.is_private else self._pages.profile(user))

    def _link(self, identity: str) -> Answer:
        number, slide = divmod(self.world.links.number(identity), LINKS)
        post = self.world.post_at(number)
        target = self.files.target(post, slide) if post else ""
        if not target:
            return NO_RESOURCE
        body = f'<html><body>Found. Redirecting to <a href="{escape(target)}">{escape(target)}</a></body></html>\n'
        return Answer(302, body.encode(), headers=(("Location", target),))


def _html(text: str) -> Answer:
    return Answer(200, text.encode(), varies=True)


def _robots(text: bytes) -> Answer:
    return Answer(200, text, "text/plain")


def _asset(path: str) -> Answer:
    """Answer for what pages look with."""
    if path.endswith(".css"):
        image = "url(../images/icons/texture.svg) no-repeat right" if "style" in path else "none"
        rules = f"/* {path} */\n.card {{ margin: 0; background: {image} }}\n" + "body { font: 16px sans-serif }\n" * 40
        return Answer(200, rules.encode(), "text/css")
    if path.endswith(".js"):
        return Answer(200, f"// {path}\nfunction commentsListOpen(id) {{}}\n".encode() * 20, "application/javascript")
    return Answer(200, _SVG, "image/svg+xml") if path.endswith(".svg") else NOT_FOUND


def _default(name: str) -> Answer:
    return Answer(200, jpeg(name), "image/jpeg")


def _agreement() -> Answer:
    return Answer(200, b"%PDF-1.4\n% an invented agreement\n%%EOF\n", "application/pdf")


def _table(routes: dict[str, Callable[..., Answer]]) -> Routes:
    return [(re.compile(pattern, re.ASCII), answer) for pattern, answer in routes.items()]
