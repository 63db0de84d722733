"""Classic forums through one engine: phpBB, XenForo, vBulletin, Simple Machines, Invision, ProBoards, FlaskBB.

How it is walked: the index names boards, boards list threads with the latest first, a thread's pages hold its posts and
are what people see, and posts name members and files. What sets the engines apart is data (``forum_engines.py``).
Only addresses that an engine's patterns know are followed, without the session ids that guests are handed in links, so
nothing is ever asked that would log in, report or mark as read. A thread that an answer moves to the front while its
board is read is for the next round.

Where one permission opens both the list of members and their pages (phpBB, vBulletin), only the list leads to members;
elsewhere posts do, too. Where the first file of a page is refused its others are not asked for. A seed may be a forum,
a board or a thread. ``--since`` and ``--until`` hold on to the times in lists of threads; a thread that began long
before is read from its end. vBulletin 3 and 4 write days as numbers in an order that nobody can tell, and FlaskBB in as
many ways as it has languages: where no time can be read for sure everything is inside.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Account, Claim, Covered, Media, Note, Post, Standing, Verdict
from spiders import forum_engines as engines
from spiders.api import source, turn
from spiders.base import ACCOUNTS, EXTRAS, IMAGES, LISTINGS, ORIGINALS, PAGES, REQUISITES, Evidence, Territory
from spiders.forum_engines import UNAPPROVED, clean
from spiders.forum_items import Shown, place
from spiders.html import page
from spiders.pages import PageSpider, kind_of, text_of
from spiders.window import Window, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse
    from spiders.base import Yield
    from spiders.forum_engines import Engine
    from spiders.forum_items import Row, Said

#: Files of a page that wait for its first one.
MAX_WAITING = 2000
#: Characters of a page in which its engine, a login form or a thing that is not for strangers shows.
MAX_HEAD, MAX_LOOKED_AT = 1 << 17, 1 << 20
_LOGIN = ("login", "signin", "sign_in", "auth/", "ucp.php?mode=")
_IMAGE = re.compile(
    r"[.-](?:jpe?g|png|gif|webp|avif|bmp)(?:\.[0-9]{1,18}/?)?$|[?&]mode=view$|;image$|[?&]id=[0-9]+&type=full$",
    re.IGNORECASE,
)


class ForumSpider(PageSpider):
    """Walks a forum, a board or a thread. Its subclasses say which engines they are."""

    engines: ClassVar[tuple[Engine, ...]] = ()
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = ("thread", "post", "account", "image", "file", "avatar", "page", "asset")
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_members", "parse_file"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_members", "parse_file"})
    names_all: ClassVar[frozenset[str]] = frozenset({"parse_thread"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe an engine's mark in a page."""
        for reply in replies:
            shown = text_of(reply)[:MAX_HEAD] if kind_of(reply) == "html" else ""
            for engine in cls.engines:
                if engine.mark.search(shown) or engine.mark.search(shown[-8192:]):
                    return Evidence(confidence=96, reasons=(f"its page shows {engine.title}",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the host, with and without www."""
        host = urlsplit(seed.url).hostname or ""
        return Territory(hosts=(host, host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"))

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a way to a login, a login form, an error that comes with 200, and what waits for a moderator."""
        to = response.header("Location").lower() if 300 <= response.status < 400 else ""
        if any(word in to for word in _LOGIN):
            return Verdict.LOGIN
        if response.status == 200 and response.fetch.callback and kind_of(response) == "html":
            shown, engine = text_of(response)[:MAX_LOOKED_AT], self._engine(response)
            if engine.login.search(shown):
                return Verdict.LOGIN
            if engine.missing.search(shown):
                return Verdict.MISSING
            if UNAPPROVED.search(shown):
                return Verdict.MIXED
        return super().judge(response)

    def _engine(self, response: CaptureResponse) -> Engine:
        """Return the engine of a page: of a family with several the one whose mark it shows."""
        if len(self.engines) == 1:
            return self.engines[0]
        shown = text_of(response)[:MAX_HEAD]
        return next((one for one in self.engines if one.mark.search(shown)), self.engines[0])

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield what the seed names: a thread, or a page that lists boards or threads."""
        yield self.listed(seed.url)

    def listed(self, url: str) -> Fetch:
        """Return the work of a URL that was named."""
        url = clean(url)
        for engine in self.engines:
            if found := place(engine.thread, url, engine):
                return self.fetch(url, lane=PAGES, callback=self.parse_thread, covers=("thread", found.id))
        return self.fetch(url, lane=LISTINGS, callback=self.parse_index, covers=("page", url))

    # What leads to threads

    def parse_index(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page that the walk begins with: the board's own counts, and what any page of a board has."""
        if kind_of(response) != "html":
            return
        engine = self._engine(response)
        shown = _shown(response, engine)
        why = "counts boards that strangers cannot have, too"
        for kind, count in shown.counts().items():
            yield Claim(kind=kind, count=count, counter="board index", caveat=why, url=response.url)
        if engine.members and self._is_whole(engine):
            url = urljoin(self.seed.url, engine.members)
            yield self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_members, sweep=True, depth=0)
        yield from self._listing(shown, engine, response)

    def _is_whole(self, engine: Engine) -> bool:
        """Say whether all of a forum is wanted: neither a board alone nor a window of time."""
        is_board = engine is not engines.VBULLETIN5 and place(engine.board, clean(self.seed.url), engine) is not None
        return not is_board and not Window.of(self.seed)

    def parse_members(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the list of members, or hear that it is closed."""
        if response.status != 200 or self.judge(response) not in {Verdict.OK, Verdict.MIXED}:
            shown = f"HTTP {response.status}" if response.status != 200 else "a login form"
            why = f"The list of members is closed to strangers ({shown}); they are known by their posts."
            yield Note(text=why, url=response.url)
            return
        engine = self._engine(response)
        listed = _shown(response, engine)
        yield from self.parse_page(response)
        found = listed.members()
        for url in found:
            yield self._member(url, listed.member(url), response)
        if following := listed.part(engine.member_list):
            yield from turn(response, found, self._page(following, self.parse_members, response))

    def parse_board(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a board: boards within it, its threads, and the next page."""
        if kind_of(response) == "html":
            engine = self._engine(response)
            yield from self._listing(_shown(response, engine), engine, response)

    def _listing(self, shown: Shown, engine: Engine, response: CaptureResponse) -> Iterator[Yield]:
        yield from self.parse_page(response)
        here = place(engine.board, clean(response.url), engine)
        for url in shown.boards():
            if place(engine.board, url, engine) != here:
                # One that wants a login is named all the same: its refusal is an answer.
                yield replace(self._page(url, self.parse_board, response), sweep=True)
        rows, window = list(shown.rows()), Window.of(self.seed)
        for row in rows:
            yield from self._thread(row, response)
        dated = [row for row in rows if row.times and not row.is_pinned]
        is_over = bool(dated) and all(window.is_before(row.times[-1].latest) for row in dated)
        following = shown.part(engine.board)
        if shown.has(engine.rows) and following and not is_over:
            ahead = self._page(following, self.parse_board, response)
            yield from turn(response, [row.id for row in rows], ahead, newest_first=True)

    def _thread(self, row: Row, response: CaptureResponse) -> Iterator[Yield]:
        window = Window.of(self.seed)
        first, last = (row.times[0], row.times[-1]) if row.times else (None, None)
        if last and window.is_before(last.latest):
            return
        if first and len(row.times) > 1 and window.is_after(first.earliest):
            return
        has_begun = first is None or len(row.times) < 2 or window.is_before(first.latest)
        if window.since and has_begun and row.last != row.url:
            # It began before the window: read from its end, back to where the window begins.
            yield self._page(row.last, self.parse_thread, response, {"back": True})
            return
        yield self.fetch(
            row.url, lane=PAGES, parent=response, callback=self.parse_thread, covers=("thread", row.id),
            day=day(first.latest if first and len(row.times) > 1 else None),
        )  # fmt: skip

    def _page(self, url: str, callback: Any, response: CaptureResponse, cursor: dict[str, Any] | None = None) -> Fetch:
        """Return the fetch of a page; a thread's stand among pages, what leads to them before."""
        return self.fetch(
            url, lane=PAGES if callback == self.parse_thread else LISTINGS, parent=response, callback=callback,
            cursor=cursor, covers=("page", url), depth=0,
        )  # fmt: skip

    # Threads

    def parse_thread(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of a thread: its posts, who wrote them, their files, and where it goes on."""
        if kind_of(response) != "html":
            return
        engine, cursor, window = self._engine(response), response.fetch.cursor or {}, Window.of(self.seed)
        shown = _shown(response, engine)
        here = place(engine.thread, clean(response.url), engine)
        posts, thread = list(shown.posts()), here.id if here else ""
        first, is_back = str(cursor.get("first") or ""), bool(cursor.get("back"))
        if not first and here and here.at == engine.first and posts:
            first = posts[0].id
        files: dict[str, None] = {}
        for said in posts:
            if said.when and (window.is_before(said.when.latest) or window.is_after(said.when.earliest)):
                continue
            yield from self._said(said, engine.anchor, first, thread, response)
            files |= dict.fromkeys(said.files)
            if said.author_id and not (engine.has_full_list and self._is_whole(engine)):
                yield self._member(said.author_url, said.author_id, response)
        yield from self._files(list(files), response)
        yield from self._needs(response, {*(url for said in posts for url in (*said.files, said.avatar))})
        times = [said.when for said in posts if said.when]
        before = bool(times) and window.is_before(min(time.latest for time in times))
        after = bool(times) and window.is_after(min(time.earliest for time in times))
        is_over = before if is_back else after
        following = shown.part(engine.thread, back=is_back)
        if shown.has(engine.posts) and following and not is_over:
            ahead = self._page(following, self.parse_thread, response, {**cursor, "first": first})
            yield from turn(response, [said.id for said in posts], ahead)

    def _said(self, said: Said, anchor: str, first: str, thread: str, response: CaptureResponse) -> Iterator[Yield]:
        when = said.when
        yield Post(
            platform=self.name, id=said.id, url=f"{clean(response.url)}#{anchor}{said.id}",
            author=said.author_id or None, author_name=said.author or None, text=said.text,
            created_at=when.span if when else None, in_reply_to=first if first != said.id and first else None,
            media=tuple(said.files), links=tuple(said.links), deleted=said.is_deleted,
            extra={"thread": thread, **({"edited_at": said.edited} if said.edited else {})}, **source(response),
        )  # fmt: skip
        if said.author_id:
            yield Account(
                platform=self.name, id=said.author_id, username=said.author, url=said.author_url, name=said.author,
                avatar=said.avatar or None, **source(response),
            )  # fmt: skip
        if said.avatar:
            yield self.fetch(said.avatar, lane=EXTRAS, parent=response, covers=("avatar", said.avatar))
        for url in said.files:
            yield Media(
                platform=self.name, id=url, url=url, kind=_kind(url), post=said.id, account=said.author_id or None,
                **source(response),
            )  # fmt: skip

    # Members and files

    def _member(self, url: str, identity: str, response: CaptureResponse) -> Fetch:
        return self.fetch(
            url, lane=ACCOUNTS, parent=response, callback=self.parse_member, covers=("account", identity), depth=0,
            sweep=True,
        )  # fmt: skip

    def parse_member(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read the page of a member."""
        if kind_of(response) != "html":
            return
        engine = self._engine(response)
        shown = _shown(response, engine)
        if identity := shown.member(clean(response.url)):
            name, face = shown.person(), shown.face()
            yield Account(
                platform=self.name, id=identity, username=name, url=clean(response.url), name=name, avatar=face or None,
                **source(response),
            )  # fmt: skip
            if face:
                yield self.fetch(face, lane=EXTRAS, parent=response, covers=("avatar", face))
        yield from self._needs(response, {shown.face()})

    def _files(self, urls: list[str], response: CaptureResponse) -> Iterator[Yield]:
        """Yield the first file of a page; the others wait for what becomes of it."""
        if urls:
            rest = urls[1 : 1 + MAX_WAITING]
            for url in rest:
                yield Covered(kind=_kind(url), id=url, standing=Standing.KNOWN, url=url)
            yield self.fetch(
                urls[0], lane=_lane(urls[0]), parent=response, callback=self.parse_file, cursor={"rest": rest},
                covers=(_kind(urls[0]), urls[0]), sweep=True,
            )  # fmt: skip

    def parse_file(self, response: CaptureResponse) -> Iterator[Yield]:
        """Learn from the first file of a page whether strangers get its others."""
        rest = [str(url) for url in (response.fetch.cursor or {}).get("rest", ())]
        if response.status == 404:  # a post names it: gone, and no hole of an id space
            kind, url = _kind(response.fetch.url), response.fetch.url
            yield Covered(kind=kind, id=url, standing=Standing.MISSING, reason="HTTP 404", url=url)
        if response.status in {200, 404, 410} and self.judge(response) is not Verdict.LOGIN:
            for url in rest:
                yield self.fetch(url, lane=_lane(url), parent=response, covers=(_kind(url), url))
            return
        yield Note(text="Files are closed to strangers: where one of a page is refused, its others are not asked for.",
                   url=response.url)  # fmt: skip
        for url in rest:
            why = "another file of the same page was refused"
            yield Covered(kind=_kind(url), id=url, standing=Standing.REFUSED, reason=why, url=url)

    def _needs(self, response: CaptureResponse, others: set[str]) -> Iterator[Yield]:
        """Yield what a page needs, but for what has a lane of its own: files of posts, and faces."""
        for url in page(text_of(response), response.url).requisites:
            if clean(url) not in others:
                yield from self.requisite(url, response)

    def requisite(self, url: str, response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a page needs, without the session it was shown in."""
        yield from super().requisite(clean(url), response)


def _kind(url: str) -> str:
    """Return what a file is by its address, or else by what most files on forums are."""
    return "image" if _IMAGE.search(url) else "file"


def _lane(url: str) -> Lane:
    return IMAGES if _kind(url) == "image" else ORIGINALS


def _shown(response: CaptureResponse, engine: Engine) -> Shown:
    return Shown(text_of(response), response.url, engine, response.captured_at)
