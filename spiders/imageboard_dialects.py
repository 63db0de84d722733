"""The engines of imageboards, as data: where each keeps its boards, threads and posts, and how it calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

#: ``/b/``, ``/b/res/1.html``, ``/b/thread/1/…``
PLACE = re.compile(r"/([\w.+-]{1,64})(?:/(?:res|thread)/([0-9]{1,18}))?(?:[/.].*)?", re.ASCII)
BOARD_LINK = re.compile(r"/([\w+-]{1,64})/(?:index\.html)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One engine. Paths are templates over ``board``, ``thread`` and ``page``."""

    name: str
    #: What only pages of this engine show.
    mark: re.Pattern[str]
    #: The list of boards, the list of a board's threads, one thread, its page for people.
    boards: str = ""
    catalog: str = "/{board}/catalog.json"
    thread: str = "/{board}/res/{thread}.json"
    page: str = "/{board}/res/{thread}.html"
    #: Closed threads that are still there for some days.
    archive: str = ""
    #: Base of its JSON, of its pages and of its files, where they have hosts of their own.
    api: str = ""
    home: str = ""
    media: str = ""
    #: Whether the list of threads has pages of its own.
    is_paged: bool = False
    #: Names of a post's number, time, text, poster and subject; and of when a thread last changed.
    no: str = "no"
    time: str = "time"
    text: str = "com"
    poster: str = "name"
    subject: str = "sub"
    changed: str = "last_modified"
    anchor: str = "#"

    def at(self, base: str, template: str, host: str, **names: object) -> str:
        """Return the URL of a template on the host for it, or on the seed's."""
        return urljoin(host or base, template.format(**names))


VICHAN = Dialect(
    name="vichan", mark=re.compile(r"https?://(?:engine\.vichan\.net|tinyboard\.org)|\bvar active_page\s*=\s*[\"']"),
    boards="/boards.json",
)  # fmt: skip
FOURCHAN = Dialect(
    name="4chan", mark=re.compile(r"//s\.4cdn\.org/"), boards="/boards.json", thread="/{board}/thread/{thread}.json",
    page="/{board}/thread/{thread}", archive="/{board}/archive.json", api="https://a.4cdn.org/",
    home="https://boards.4chan.org/", media="https://i.4cdn.org/", anchor="#p",
)  # fmt: skip
EIGHTKUN = Dialect(
    name="8kun", mark=re.compile(r"//media\.128ducks\.com/"), boards="/boards.json", media="https://media.128ducks.com/"
)
LYNXCHAN = Dialect(
    name="lynxchan", mark=re.compile(r"gitgud\.io/LynxChan/LynxChan"), boards="/boards.js?json=1&page={page}",
    no="postId", time="creation", text="markdown", subject="subject", changed="lastBump",
)  # fmt: skip
JSCHAN = Dialect(
    name="jschan", mark=re.compile(r"gitgud\.io/fatchan/jschan"), boards="/boards.json?page={page}",
    thread="/{board}/thread/{thread}.json", page="/{board}/thread/{thread}.html", no="postId", time="date",
    text="message", subject="subject", changed="bumped",
)  # fmt: skip
MAKABA = Dialect(
    name="2ch", mark=re.compile(r"[\"'](?:https?://2ch\.[a-z]+)?/makaba/|[\"']/user/posting"),
    boards="/api/mobile/v2/boards", no="num", time="timestamp", text="comment", subject="subject", changed="lasthit",
)  # fmt: skip
FOOLFUUKA = Dialect(
    name="foolfuuka", mark=re.compile(r"name=[\"']generator[\"'] content=[\"']FoolFuuka|>FoolFuuka Imageboard"),
    catalog="/_/api/chan/index/?board={board}&page={page}", thread="/_/api/chan/thread/?board={board}&num={thread}",
    page="/{board}/thread/{thread}/", is_paged=True, no="num", time="timestamp", text="comment", subject="title",
    changed="timestamp",
)  # fmt: skip
DIALECTS = {one.name: one for one in (FOURCHAN, EIGHTKUN, VICHAN, LYNXCHAN, JSCHAN, MAKABA, FOOLFUUKA)}
#: Hosts that are one engine and nothing else.
KNOWN = {
    **dict.fromkeys(
        ("boards.4chan.org", "www.4chan.org", "4chan.org", "boards.4channel.org", "a.4cdn.org"), FOURCHAN
    ),
    **dict.fromkeys(("8kun.top", "www.8kun.top"), EIGHTKUN),
    **dict.fromkeys(("2ch.org", "2ch.su", "2ch.hk", "2ch.life"), MAKABA),
}  # fmt: skip
FOURCHAN_HOSTS = ("boards.4chan.org", "www.4chan.org", "4chan.org", "a.4cdn.org", "i.4cdn.org", "s.4cdn.org")


def dialect_of_page(shown: str) -> Dialect | None:
    """Return the engine whose mark a page shows."""
    return next((one for one in DIALECTS.values() if one.mark.search(shown)), None)


def place(url: str) -> tuple[str | None, str | None]:
    """Return the board and the thread that a seed names."""
    path = urlsplit(url).path
    found = None if path in {"/", "/index.html"} else PLACE.fullmatch(path)
    return (found[1], found[2]) if found else (None, None)


def host(url: str) -> str:
    """Return the host of a URL."""
    return urlsplit(url).hostname or ""
