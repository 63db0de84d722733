"""What a replica of a platform is made of: routes, pages of listings, and books of what there is.

A new platform is one short file beside this one: a ``PlatformSite`` whose methods are marked with the paths they
answer, that adds to ``self.books`` each thing it has as it makes it, and that ends in ``main(TheSite)``. Its answers
are a function of ``seed`` and ``size``; URLs in them begin with ``base(request)``, so that it works on any port.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from crawler.replicas.exchange import Answer, Clock, Request
from crawler.replicas.images import jpeg
from crawler.replicas.launch import launch, parser
from crawler.replicas.words import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Handler = Callable[..., Any]

#: What stands in everything that strangers must not get; whoever reads an archive can look for it.
PRIVATE = "PRIVATE"


def route(pattern: str, method: str = "GET") -> Callable[[Handler], Handler]:
    """Mark a method ``(self, request, *groups)`` as what answers the paths that a pattern matches whole."""

    def mark(handler: Handler) -> Handler:
        marks = getattr(handler, "routes", ())
        handler.routes = (*marks, (method, re.compile(pattern, re.ASCII)))  # type: ignore[attr-defined]
        return handler

    return mark


class Books:
    """What a platform has, and what finding it costs at the least."""

    def __init__(self) -> None:
        self._things: dict[tuple[str, str], dict[str, Any]] = {}
        self._listings: Counter[str] = Counter()

    def add(
        self, kind: str, identity: object, url: str = "", *, public: bool = True, item: str = "", **more: object
    ) -> None:
        """Enter a thing once.

        ``url`` is the path of what holds it, empty where it stands on another's page; asking for it costs a request.
        ``item`` is what a spider makes of it: Account, Post, Media, or nothing. ``sha256`` (hex) in ``more`` is that
        of the payload at the URL, ``at`` the ISO time of the thing.
        """
        facts = {"kind": kind, "id": str(identity), "url": url, "public": public, "item": item, **more}
        self._things.setdefault((kind, str(identity)), facts)

    def file(self, kind: str, url: str, data: bytes, *, public: bool = True, item: str = "", **more: Any) -> None:
        """Enter a file under its path."""
        self.add(kind, url, url, public=public, item=item, sha256=hashlib.sha256(data).hexdigest(), **more)

    def listing(self, name: str, objects: int, cap: int) -> None:
        """Enter what reading a whole listing costs: a request a page of ``cap``, one for an empty listing."""
        self._listings[name] += max(-(-objects // cap), 1)

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield everything there is."""
        return (dict(thing) for thing in self._things.values())

    def listings(self) -> dict[str, int]:
        """Return listing → requests."""
        return dict(self._listings)


class PlatformSite:
    """Base of the replicas of platforms: plain HTTP, any host name. Subclasses make their world in ``build``."""

    #: Name of the module, and what it says of itself in ``--help``.
    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    #: The traps there are to choose from with ``--trap``, → what each does.
    traps: ClassVar[dict[str, str]] = {}
    hosts: tuple[str, ...] = ()
    stores: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset({"GET", "HEAD", "POST"})
    login = "/login"

    def __init__(self, *, seed: int = 1, size: int = 100, trap: Sequence[str] = (), clock: Clock) -> None:
        self.rng = random.Random(f"{self.name}/{seed}")
        self.size = size
        self.trap = frozenset(trap)
        self.clock = clock
        self.books = Books()
        self._files: dict[str, tuple[bytes, str]] = {}
        handlers = (getattr(type(self), name) for name in dir(type(self)))
        self._routes = [(*mark, handler) for handler in handlers for mark in getattr(handler, "routes", ())]
        self.build()

    def build(self) -> None:
        """Make the world, and enter it in the books."""
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        method = "GET" if request.method == "HEAD" else request.method
        for wanted, pattern, handler in self._routes:
            if wanted == method and (found := pattern.fullmatch(request.path)) is not None:
                answer: Answer = handler(self, request, *found.groups())
                return answer
        if method == "GET" and request.path in self._files:
            data, content_type = self._files[request.path]
            tag = (("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"'),)
            if request.headers.get("if-none-match") == tag[0][1]:
                return Answer(304, b"", content_type, tag)
            return Answer(200, data, content_type, tag)
        return self.missing(request)

    def missing(self, request: Request) -> Answer:
        """Answer for what is not there."""
        return html("Not found", "<p>Not here.</p>", status=404)

    # Things to have

    def file(self, path: str, data: bytes, content_type: str) -> str:
        """Serve bytes at a path, without entering them in the books; return the path."""
        self._files[path] = (data, content_type)
        return path

    def image(self, path: str, *, kind: str = "image", public: bool = True, **more: Any) -> str:
        """Serve a picture and enter it in the books; return the path."""
        data = jpeg(path)
        self.books.file(kind, self.file(path, data, "image/jpeg"), data, public=public, **more)
        return path

    def asset(self, path: str, text: str = "body { margin: 0 }\n") -> str:
        """Serve a style sheet or script that pages need, and enter it in the books; return the path."""
        data = text.encode()
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        self.books.file("asset", self.file(path, data, kind), data)
        return path

    def says(self, words: int = 12, *, public: bool = True) -> str:
        """Return something to say; what is not public says so in every word."""
        return sentence(self.rng.getrandbits(60), words) if public else f"{PRIVATE} {self.rng.getrandbits(40):x}"

    # Time goes by

    def age(self, *, edited: int = 0, deleted: int = 0, added: int = 0) -> dict[str, list[str]]:
        """Edit, delete and add so many public posts; return the ids of each, as a spider has them."""
        new = [self.write() for _ in range(added)]
        old = [one for one in self.written() if one not in new]
        chosen = random.Random(f"{self.name}/{len(old)}").sample(old, edited + deleted)
        for one in chosen[:edited]:
            self.edit(one)
        for one in chosen[edited:]:
            self.delete(one)
        return {"edited": chosen[:edited], "deleted": chosen[edited:], "added": new}

    def written(self) -> list[str]:
        """Return the ids of posts that may be edited and deleted, oldest first."""
        raise NotImplementedError(f"time does not go by in {self.name}")

    def edit(self, identity: str) -> None:
        """Have a post say something else."""
        raise NotImplementedError

    def delete(self, identity: str) -> None:
        """Take a post away."""
        raise NotImplementedError

    def write(self) -> str:
        """Make a post; return its id."""
        raise NotImplementedError(f"time does not go by in {self.name}")

    # What the control door asks for

    def things(self) -> Iterator[dict[str, Any]]:
        """Yield everything there is."""
        return self.books.things()

    def facts(self) -> dict[str, Any]:
        """Return what else is worth knowing."""
        return {}

    def overhead(self) -> dict[str, int]:
        """Return what finding everything costs at the least."""
        return self.books.listings()


def base(request: Request) -> str:
    """Return scheme, host and port under which the replica was asked."""
    return f"http://{request.headers.get('host', 'localhost')}"


def query(request: Request) -> dict[str, str]:
    """Return the query parameters of a request; of one given twice the last."""
    return dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))


def whole(text: str | None, default: int) -> int:
    """Return a parameter as a whole number."""
    return int(text) if text and text.isascii() and text.lstrip("-").isdigit() else default


def posted(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; empty where it carries none."""
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def as_json(value: object, status: int = 200, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Answer with JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, "application/json; charset=utf-8", headers, varies=True)


def html(title: str, body: str, *, status: int = 200, head: str = "") -> Answer:
    """Answer with a page."""
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title>{head}</head>\n<body>\n{body}\n</body></html>\n"
    return Answer(status, text.encode(), varies=True)


def moved(target: str, status: int = 302) -> Answer:
    """Answer with a redirect."""
    return Answer(status, b"", headers=(("Location", target),))


def main(site: type[PlatformSite]) -> None:
    """Parse the options of a replica's command and serve until standard input closes."""
    options = parser(site.name, site.title)
    options.add_argument("--size", type=int, default=100, help="how many posts, about")
    options.add_argument("--trap", default="", help=f"several with commas: {site.traps}".replace("%", "%%"))
    options.add_argument(
        "--http-port", type=int, default=0, help="of one with names: where plain HTTP is redirected from"
    )
    given = options.parse_args()
    clock = Clock(given.clock)
    traps = [trap for trap in given.trap.split(",") if trap]
    if unknown := set(traps) - site.traps.keys():
        options.error(f"there is no trap {', '.join(sorted(unknown))}")
    launch(site(seed=given.seed, size=given.size, trap=traps, clock=clock), clock, given)
