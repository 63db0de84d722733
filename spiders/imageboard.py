"""Imageboards: 4chan, vichan and 8kun, LynxChan, jschan, 2ch, and FoolFuuka's archives of them, one walk for all.

How it is walked: a board's catalog lists its threads, a thread's JSON holds all its posts, and they name their files,
which are as they were uploaded. Threads die within hours: those at the end of a board go first (``value``), what is
archived and about to be deleted before them, and files before pages for people. A thread that was listed and is gone
is said to be. A seed may be a site, a board or a thread.

4chan asks for at most one request a second to its API (github.com/4chan/4chan-API); ``rates`` says so.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Claim, Note, Verdict
from spiders import imageboard_dialects as engines
from spiders import imageboard_items as items
from spiders.api import text, turn
from spiders.base import EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, POSTS, REQUISITES, Evidence, Probe, Territory
from spiders.html import page
from spiders.imageboard_dialects import DIALECTS, FOOLFUUKA, FOURCHAN, VICHAN, Dialect, host, place
from spiders.pages import PageSpider, is_page, kind_of, text_of
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield
    from spiders.imageboard_items import Upload

#: Worth of a thread by where it stands: archived ones are deleted next, then those at the board's end.
ARCHIVED, THIRDS = 3, 3
#: Files die with their thread; pages for people repeat what its JSON has.
_IMAGES, _ORIGINALS = replace(IMAGES, order=44), replace(ORIGINALS, order=45)


class ImageboardSpider(PageSpider):
    """Walks a site of boards, one board, or one thread."""

    name = "imageboard"
    title: ClassVar[str] = "an imageboard"
    markup: ClassVar[bool] = True
    known_hosts: ClassVar[tuple[str, ...]] = tuple(engines.KNOWN)
    rates: ClassVar[dict[str, float]] = {"a.4cdn.org": 1.0}
    probes: ClassVar[tuple[Probe, ...]] = (Probe(path="catalog.json", order=90),)
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, _IMAGES, _ORIGINALS, PAGES, REQUISITES, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = ("thread", "reply", "image", "video", "audio", "file", "thumb", "page", "asset")
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_boards", "parse_catalog"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_boards", "parse_catalog", "parse_thread"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe an engine's mark in a page, or a catalog as only an engine lists threads."""
        for reply in (one for one in replies if one.status == 200):
            found = engines.dialect_of_page(text_of(reply)) if kind_of(reply) == "html" else None
            if found is not None and (found is not FOURCHAN or host(reply.url) in engines.KNOWN):
                return Evidence(confidence=96, reasons=(f"its page shows {found.name}",))
            if urlsplit(reply.url).path.endswith("/catalog.json") and (found := items.dialect_of_catalog(reply.data())):
                return Evidence(confidence=96, reasons=(f"its catalog is one of {found.name}",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the site; 4chan's parts have hosts of their own."""
        return Territory(hosts=engines.FOURCHAN_HOSTS if engines.KNOWN.get(host(seed.url)) is FOURCHAN else ())

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know an error that comes with 200, and a page (a challenge, terms to agree to) where JSON was asked for."""
        wants_json = response.fetch.callback in {"parse_boards", "parse_catalog", "parse_archive", "parse_thread"}
        if wants_json and response.status == 200:
            if kind_of(response) == "html":
                return Verdict.LOGIN
            said = response.data()
            if isinstance(said, dict) and (said.get("error") or said.get("Error")):
                return Verdict.MISSING
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the page the seed names; its engine says where to go on."""
        if (known := engines.KNOWN.get(host(seed.url))) is not None:
            yield from self._begin(known, None, [])
        if place(seed.url)[1] is None or known is None:
            yield self.fetch(seed.url, lane=LISTINGS, callback=self.parse_door, covers=("page", seed.url))

    def parse_door(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the site's own page: what it needs, and which engine made it."""
        if kind_of(response) != "html":
            return
        shown = text_of(response)
        yield from self.parse_page(response)
        if host(self.seed.url) not in engines.KNOWN:
            links = [urlsplit(url) for url in page(shown, response.url).links]
            found = [engines.BOARD_LINK.fullmatch(link.path) for link in links if link.hostname == host(response.url)]
            named = list(dict.fromkeys(match[1] for match in found if match))
            yield from self._begin(engines.dialect_of_page(shown) or VICHAN, response, named)

    def _begin(self, dialect: Dialect, parent: CaptureResponse | None, named: list[str]) -> Iterator[Fetch]:
        """Yield the thread or the board that the seed names, or the list of all boards."""
        board, thread = place(self.seed.url)
        if board and thread:
            yield self._thread(dialect, board, thread, parent)
        elif board:
            yield from self._board(dialect, board, parent)
        elif dialect.boards:
            yield self._boards(dialect, 1, parent, named)
        else:
            for one in named:
                yield from self._board(dialect, one, parent)

    # Listings

    def _boards(self, dialect: Dialect, part: int, parent: CaptureResponse | None, named: list[str]) -> Fetch:
        url = dialect.at(self.seed.url, dialect.boards, dialect.api, page=part)
        cursor = {"dialect": dialect.name, "part": part, "named": named}
        return self.fetch(url, lane=LISTINGS, parent=parent, callback=self.parse_boards, cursor=cursor, sweep=True)

    def parse_boards(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a list of boards; where there is none, take the boards that the site's own page links to."""
        dialect, cursor = _dialect(response), response.fetch.cursor or {}
        found = items.boards(response.data()) if response.status == 200 else []
        named = cursor["named"] if not found and cursor["part"] == 1 else []
        if named:
            why = "There is no list of boards; those that the front page links to are tried."
            yield Note(text=why, url=response.url)
        for board in found or named:
            yield from self._board(dialect, board, response)
        if cursor["part"] < items.board_pages(response.data()):
            following = self._boards(dialect, cursor["part"] + 1, response, [])
            yield from turn(response, found, following)

    def _board(self, dialect: Dialect, board: str, parent: CaptureResponse | None) -> Iterator[Fetch]:
        yield self._catalog(dialect, board, 1, parent)
        if dialect.archive:
            url = dialect.at(self.seed.url, dialect.archive, dialect.api, board=board)
            cursor = {"dialect": dialect.name, "board": board}
            yield self.fetch(url, lane=LISTINGS, parent=parent, callback=self.parse_archive, cursor=cursor, sweep=True)

    def _catalog(self, dialect: Dialect, board: str, part: int, parent: CaptureResponse | None) -> Fetch:
        url = dialect.at(self.seed.url, dialect.catalog, dialect.api, board=board, page=part)
        cursor = {"dialect": dialect.name, "board": board, "part": part}
        return self.fetch(url, lane=LISTINGS, parent=parent, callback=self.parse_catalog, cursor=cursor, sweep=True)

    def parse_catalog(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a board's threads, or hear that it has no such list."""
        dialect, cursor = _dialect(response), response.fetch.cursor or {}
        board, data = cursor["board"], response.data()
        if response.status != 200 or kind_of(response) == "html":
            if response.status != 404:
                why = f"/{board}/ does not list its threads to strangers (HTTP {response.status}); its pages are read."
                yield Note(text=why, url=response.url)
            yield self._index(dialect, board, 1, response)
            return
        if dialect is VICHAN:  # for want of a mark, perhaps
            dialect = items.dialect_of_catalog(data) or dialect
        if cursor["part"] == 1 and items.threads(data):
            home = urljoin(dialect.home or self.seed.url, f"/{board}/")
            yield self.fetch(home, lane=PAGES, parent=response, callback=self.parse_page)
        listed, window = items.threads(data), Window.of(self.seed)
        for rank, thread in reversed(list(enumerate(listed))):
            identity = items.number_of(thread, dialect)
            is_early = window.is_before(items.changed(thread, dialect))
            if not identity or is_early or window.is_after(instant(text(thread, dialect.time))):
                continue
            value = THIRDS * rank // len(listed)
            if items.is_whole(thread, dialect):
                yield from self._posts(items.posts({identity: thread}), dialect, board, identity, response, value)
            else:
                yield self._thread(dialect, board, identity, response, value)
        if dialect.is_paged and not all(window.is_before(items.changed(one, dialect)) for one in listed):
            following = self._catalog(dialect, board, cursor["part"] + 1, response)
            yield from turn(response, [items.number_of(one, dialect) for one in listed], following)
        elif listed and not dialect.is_paged:
            why = "changes as threads come and go"
            yield Claim(kind="thread", count=len(listed), counter=f"/{board}/ catalog", caveat=why, url=response.url)

    def _index(self, dialect: Dialect, board: str, part: int, parent: CaptureResponse) -> Fetch:
        name = "" if part == 1 else f"{part}{'' if dialect in {FOURCHAN, FOOLFUUKA} else '.html'}"
        url = urljoin(dialect.home or self.seed.url, f"/{board}/{name}")
        url = urljoin(url, "index.html") if url == self.seed.url else url
        cursor = {"dialect": dialect.name, "board": board, "part": part}
        return self.fetch(
            url, lane=LISTINGS, parent=parent, callback=self.parse_index, cursor=cursor,
            sweep=True,
        )  # fmt: skip

    def parse_index(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a board's page where there is no catalog: its threads, and files in case their JSON is closed, too."""
        dialect, cursor = _dialect(response), response.fetch.cursor or {}
        links = [urlsplit(url).path for url in page(text_of(response), response.url).links]
        places = [found for link in links if (found := engines.PLACE.fullmatch(link)) and found[1] == cursor["board"]]
        threads = list(dict.fromkeys(found[2] for found in places if found[2]))
        window, times = Window.of(self.seed), items.shown_times(text_of(response))
        early = [one for one in threads if one in times and window.is_before(times[one][1])]
        late = [one for one in threads if one in times and window.is_after(times[one][0])]
        yield from self.parse_page(response)
        for thread in (one for one in reversed(threads) if one not in {*early, *late}):
            yield self._thread(dialect, cursor["board"], thread, response)
            people = self._people(dialect, cursor["board"], thread, response, 0)
            yield replace(people, callback="parse_bare", cursor={"dialect": dialect.name})
        following = self._index(dialect, cursor["board"], cursor["part"] + 1, response)
        if len(threads) > len(early) and urlsplit(following.url).path in links:
            yield from turn(response, threads, following)

    def parse_bare(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a thread's page for its files as well."""
        yield from self.parse_page(response)
        for url in page(text_of(response), response.url).links:
            if not is_page(url):
                yield self._file(url, items.Upload(url=url).kind, "", response, None)

    def parse_archive(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the numbers of closed threads, those that are deleted next first."""
        board, found = (response.fetch.cursor or {})["board"], response.data()
        for one in found if isinstance(found, list) else []:
            if isinstance(one, int) and not isinstance(one, bool) and one > 0:
                yield self._thread(_dialect(response), board, str(one), response, ARCHIVED)

    # Threads

    def _thread(
        self, dialect: Dialect, board: str, thread: str, parent: CaptureResponse | None, value: int = 0
    ) -> Fetch:
        url = dialect.at(self.seed.url, dialect.thread, dialect.api, board=board, thread=thread)
        cursor = {"dialect": dialect.name, "board": board, "thread": thread}
        return self.fetch(
            url, lane=POSTS, parent=parent, callback=self.parse_thread, cursor=cursor, value=value,
            covers=("thread", f"{board}/{thread}"),
        )  # fmt: skip

    def _people(self, dialect: Dialect, board: str, thread: str, parent: CaptureResponse, value: int) -> Fetch:
        """Return the page of a thread that people see."""
        url = dialect.at(self.seed.url, dialect.page, dialect.home, board=board, thread=thread)
        return self.fetch(url, lane=PAGES, parent=parent, callback=self.parse_page, covers=("page", url), value=value)

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a thread; one that was listed and is gone is said to be."""
        dialect, cursor = _dialect(response), response.fetch.cursor or {}
        found = items.posts(response.data()) if response.status == 200 else []
        if not found:
            yield Note(text="Threads that their board listed were gone when they were asked for.", url=response.url)
            return
        yield from self._posts(found, dialect, cursor["board"], cursor["thread"], response, response.fetch.value)

    def _posts(
        self,
        found: list[dict[str, Any]],
        dialect: Dialect,
        board: str,
        thread: str,
        response: CaptureResponse,
        value: int,
    ) -> Iterator[Yield]:
        home = self._people(dialect, board, thread, response, value)
        window = Window.of(self.seed)
        for post in found:
            identity, when = items.number_of(post, dialect), instant(text(post, dialect.time))
            if identity and window.holds(when):
                uploads = list(items.uploads(post, dialect, board, self.seed.url))
                yield items.said(post, dialect, board, thread, home.url, uploads, response)
                for upload in uploads:
                    yield from self._upload(upload, f"{board}/{identity}", day(when), response)
                yield home

    def _upload(self, upload: Upload, post: str, of: str | None, response: CaptureResponse) -> Iterator[Yield]:
        url, value = upload.url or upload.remote, response.fetch.value
        yield items.named(upload, post, response)
        if upload.remote:
            cursor = {"md5": upload.md5}
            yield self.fetch(
                url, lane=_ORIGINALS, parent=response, callback=self.parse_remote, cursor=cursor, day=of, value=value
            )
        else:
            yield self._file(url, upload.kind, upload.md5, response, of)
        if upload.thumb:
            yield self.fetch(upload.thumb, lane=EXTRAS, parent=response, covers=("thumb", upload.thumb), value=value)

    def _file(self, url: str, kind: str, md5: str, response: CaptureResponse, of: str | None) -> Fetch:
        reading: dict[str, Any] = {"callback": self.parse_file, "cursor": {"md5": md5}} if md5 else {}
        return self.fetch(
            url, lane=_IMAGES if kind == "image" else _ORIGINALS, parent=response, covers=(kind, url), day=of,
            value=response.fetch.value, **reading,
        )  # fmt: skip

    def parse_file(self, response: CaptureResponse) -> Iterator[Yield]:
        """Hold a file against the MD5 that the board gave."""
        said, digest = (response.fetch.cursor or {}).get("md5", ""), hashlib.md5(usedforsecurity=False)
        with response.open() as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        if said not in {digest.hexdigest(), base64.b64encode(digest.digest()).decode()}:
            yield Note(text="Files are not what their board's MD5 says; they are kept as they came.", url=response.url)

    def parse_remote(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page through which an archive leads to a file that it does not keep itself."""
        if kind_of(response) != "html":
            return
        for url in page(text_of(response), response.url).links:
            if not is_page(url):
                upload = items.Upload(url=url)
                yield self._file(url, upload.kind, (response.fetch.cursor or {}).get("md5", ""), response, None)
                return


def _dialect(response: CaptureResponse) -> Dialect:
    return DIALECTS.get((response.fetch.cursor or {}).get("dialect", ""), VICHAN)
