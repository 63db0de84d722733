"""A double of a classic forum, in the skins of eight engines (``forum_skins.py``): none real, all of them paged HTML.

Always there: a board for members whose name is on the index and whose address leads to a login, links with a session
for guests without cookies, threads that moved and whose rows say so, one of them into the members' board, pinned threads,
numbers of threads that are nearly dense, links that log out, report or mark as read, and a count of everything on the
index. What strangers may not have answers by its number as it does by its link: with a login.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import ClassVar
from urllib.parse import unquote

from crawler.replicas.exchange import Answer, Request
from crawler.replicas.forum_skins import SKINS, Skin
from crawler.replicas.images import jpeg
from crawler.replicas.kit import PRIVATE, PlatformSite, main, moved, route
from crawler.replicas.words import NOUNS

POSTS, THREADS, MEMBERS = 10, 8, 20
START = datetime(2020, 1, 1, 8, tzinfo=UTC)


@dataclass(eq=False)
class Member:
    """Somebody invented."""

    id: int
    name: str
    url: str
    avatar: str


@dataclass(eq=False)
class Post:
    """Something said."""

    id: int
    by: Member
    text: str
    at: datetime
    files: list[str] = field(default_factory=list)
    is_edited: bool = False
    is_deleted: bool = False


@dataclass(eq=False)
class Thread:
    """A thread, where it is, and whether strangers see it."""

    id: int
    title: str
    is_public: bool = True
    is_pinned: bool = False
    is_unapproved: bool = False
    has_ghosts: bool = False
    posts: list[Post] = field(default_factory=list)

    @property
    def last(self) -> datetime:
        return self.posts[-1].at


@dataclass(eq=False)
class Board:
    """A board: its threads, and those that were here once."""

    id: int
    name: str
    is_public: bool = True
    threads: list[Thread] = field(default_factory=list)
    gone: list[Thread] = field(default_factory=list)
    inner: list[Board] = field(default_factory=list)


class ForumSite(PlatformSite):
    """A forum."""

    name = "forums"
    title = "A double of a classic forum, in the skin of any of several engines."
    traps: ClassVar[dict[str, str]] = {
        **{name: f"the skin is that of {skin.title}" for name, skin in SKINS.items()},
        "nofiles": "strangers get no attachments",
        "nomembers": "strangers see neither the list of members nor their pages",
        "repeat": "deleted posts are counted: a thread names a page past its end, and that repeats its last",
        "leak": "threads and posts that wait for a moderator are shown to strangers",
    }

    def build(self) -> None:
        self.engine = next((name for name in SKINS if name in self.trap), "phpbb")
        self.skin: Skin = SKINS[self.engine]
        self._pages: dict[str, tuple[str, object, int]] = {}
        self._closed: set[str] = set()
        self.books.add("asset", "/forum.css", self.asset("/forum.css"))
        self.books.add("index", "/", "/")
        self.members = [self._member(number) for number in range(1, max(self.size // 10, 5))]
        self.boards = [Board(number, f"board{number}") for number in (1, 2, 3)]
        self.boards[0].inner = [Board(4, "board4")]
        self.boards.append(Board(5, "staff", is_public=False))
        self._write()
        for board in self._all():
            self._enter(board)
        wrote = {post.by for board in self._all() for one in board.threads if one.is_public for post in one.posts}
        for member in self.members:  # whoever wrote nothing is met in the list of members alone
            has_face = self.skin.members[0] and "nomembers" not in self.trap and "{avatar}" in self.skin.person
            if member in wrote or has_face:
                self.file(member.avatar, jpeg(member.avatar), "image/jpeg")
                self.books.file("avatar", member.avatar, jpeg(member.avatar))
            if "nomembers" not in self.trap and (self.skin.members[0] or member in wrote):
                identity = member.name if self.engine == "flaskbb" else member.id
                self.books.add("account", identity, member.url, item="Account")
        if self.skin.members[0]:
            if "nomembers" in self.trap:
                self.books.listing("members", 1, 1)
                self._closed.add(self.skin.members[0])
            else:
                self.books.listing("members", len(self.members), MEMBERS)
                self._place("members", None, self.skin.members, len(self.members), MEMBERS, 0, "")

    def _all(self) -> list[Board]:
        return [one for board in self.boards for one in (board, *board.inner)]

    def _member(self, number: int) -> Member:
        name = f"{NOUNS[number % len(NOUNS)]}{number}"
        url = self.skin.member.format(id=number, slug=name)
        avatar = self.skin.avatar.format(id=number)
        member = Member(number, name, url, avatar)
        if "nomembers" in self.trap:
            self._closed.add(url)
        else:
            self._pages[url] = ("member", member, 1)
        return member

    def _write(self) -> None:
        """Fill the boards: threads of one to some dozens of posts, in the order of their numbers."""
        left, thread, post = self.size, 0, 0
        boards = self._all()
        while left > 0:
            thread += 1
            if thread % 13 == 0:
                continue  # deleted for good: a hole
            board = boards[thread % len(boards)]
            is_unapproved = thread % 17 == 3
            one = Thread(
                thread, "", is_public=board.is_public and not is_unapproved, is_pinned=thread % 10 == 6,
                is_unapproved=is_unapproved, has_ghosts="repeat" in self.trap and thread % 9 == 2,
            )  # fmt: skip
            one.title = self.says(3, public=one.is_public)
            for turn in range(1 + (thread * 7) % 9 + (35 if thread % 12 == 1 else 0)):
                post += 1
                at = START + timedelta(hours=9 * thread + turn * 5)
                one.posts.append(self._post(post, one, at))
            board.threads.append(one)
            left -= len(one.posts)
        public = [one for one in self._all() if one.is_public]
        for board, other in pairwise(public):
            board.gone += [one for one in other.threads if one.is_public][1:2]
        self.boards[0].gone += self.boards[-1].threads[:1]
        self._closed.update(
            self._address(self.skin.thread[0], one.id, "thread", 1, POSTS) for one in self.boards[-1].threads
        )
        for board in self._all():
            board.threads.sort(key=lambda one: (one.is_pinned, one.last), reverse=True)

    def _post(self, number: int, thread: Thread, at: datetime) -> Post:
        is_public, skin = thread.is_public, self.skin
        by = self.members[(number * 7 + number // 3) % len(self.members)]
        made = Post(number, by, self.says(9, public=is_public), at, is_edited=number % 11 == 0,
                    is_deleted=bool(skin.deleted) and number % 23 == 0)  # fmt: skip
        closed = not is_public or "nofiles" in self.trap
        for part in range(3) if skin.file and number % 24 == 6 else ():
            url = skin.file.format(id=number * 10 + part, thread=thread.id)
            made.files.append(url)
            if closed:
                self._closed.add(url)
            else:
                self.file(url, jpeg(url), "image/jpeg")
            if self.engine == "invision" and is_public:
                thumb = self.file(f"{url}.thumb.jpg", jpeg(f"{url}/small"), "image/jpeg")
                self.books.file("thumb", thumb, jpeg(f"{url}/small"))
            self.books.file("file", url, jpeg(url), public=not closed)
        return made

    def written(self) -> list[str]:
        shown = (one for board in self._all() if board.is_public for one in board.threads if one.is_public)
        return [str(post.id) for one in shown for post in one.posts[1:] if not post.is_deleted and not post.files]

    def edit(self, identity: str) -> None:
        self._found(identity)[1].text = self.says(9)

    def delete(self, identity: str) -> None:
        thread, post = self._found(identity)
        thread.posts.remove(post)

    def write(self) -> str:
        everything = [one for board in self._all() for one in board.threads]
        post = max(one.posts[-1].id for one in everything) + 1
        board, thread = next(
            (board, one) for board in self._all() if board.is_public for one in board.threads if one.is_public
        )
        thread.posts.append(self._post(post, thread, max(one.last for one in everything) + timedelta(minutes=9)))
        self._place("thread", thread, self.skin.thread, len(thread.posts), POSTS, thread.id, "thread")
        board.threads.sort(key=lambda one: (one.is_pinned, one.last), reverse=True)
        return str(post)

    def _found(self, identity: str) -> tuple[Thread, Post]:
        threads = (one for board in self._all() for one in board.threads)
        return next((one, post) for one in threads for post in one.posts if str(post.id) == identity)

    def _enter(self, board: Board) -> None:
        """Enter a board and its threads in the books, and where their pages are."""
        addresses = [address.replace("{slug}", board.name) for address in self.skin.board]
        rows = self._rows(board)
        self._place("board", board, (addresses[0], addresses[1]), len(rows), THREADS, board.id, board.name)
        if board.is_public:
            self.books.listing(f"board {board.id}", len(rows), THREADS)
        for thread in board.threads:
            slug = f"{PRIVATE}-thread" if not thread.is_public else "thread"
            urls = self._place("thread", thread, self.skin.thread, len(thread.posts), POSTS, thread.id, slug)
            for url in urls if thread.is_public else ():
                self.books.add("threadpage", url, url, at=thread.posts[0].at.isoformat())
            if thread.has_ghosts:
                ghost = self._address(self.skin.thread[1], thread.id, slug, len(urls) + 1, POSTS)
                self._pages[ghost] = ("thread", thread, len(urls) + 1)
            if not board.is_public or (thread.is_unapproved and "leak" not in self.trap):
                self._closed.update(urls)
            for post in thread.posts:
                kind = "post" if post is thread.posts[0] else "reply"
                self.books.add(kind, post.id, "", public=thread.is_public, item="Post", at=post.at.isoformat())
        if not board.is_public:
            self._closed.update(url for url, (_, one, _) in self._pages.items() if one is board)

    def _rows(self, board: Board) -> list[tuple[Thread, bool]]:
        """Return the rows of a board: (thread, whether it has gone elsewhere)."""
        shown = [one for one in board.threads if not one.is_unapproved or "leak" in self.trap]
        rows = [(one, False) for one in shown]
        return rows + ([(one, True) for one in board.gone] if self.skin.moved else [])

    def _address(self, template: str, number: int, slug: str, page: int, cap: int) -> str:
        return template.format(id=number, slug=slug, page=page, start=(page - 1) * cap)

    def _place(
        self, kind: str, thing: object, addresses: tuple[str, str], count: int, cap: int, number: int, slug: str
    ) -> list[str]:
        """Say at which addresses the pages of a thing are, and return them."""
        urls = []
        for page in range(1, max(-(-count // cap), 1) + 1):
            urls.append(self._address(addresses[page > 1], number, slug, page, cap))
            self._pages[urls[-1]] = (kind, thing, page)
        return urls

    # Answers

    @route(r"/.*")
    def any(self, request: Request) -> Answer:
        """Answer by the whole address: engines put what they are asked for into the path, or into the query."""
        target = re.sub(r"(?<=[?&;])(?:sid|s|PHPSESSID)=[0-9a-f]{32}(?:[&;]|$)", "", unquote(request.target)).rstrip(
            "?&;"
        )
        self._session = self.skin.session.format(hashlib.md5(request.target.encode()).hexdigest())  # noqa: S324 - a name
        if request.headers.get("cookie"):
            self._session = ""
        if target in {"/", "/index.php"}:
            return self._index()
        if target in self._closed:
            return self._login()
        if target in self._files:
            data, kind = self._files[target]
            return Answer(200, data, kind)
        kind, thing, page = self._pages.get(target, ("", None, 1))
        if kind == "board":
            return self._board(thing, page)  # type: ignore[arg-type]
        if kind == "thread":
            return self._thread(thing, page)  # type: ignore[arg-type]
        if kind == "member":
            return self._member_page(thing)  # type: ignore[arg-type]
        if kind == "members":
            return self._member_list(page)
        return self.missing(request)

    def _login(self) -> Answer:
        if self.skin.login_form:
            return self._page("Login", self.skin.login_form)
        return (
            moved(self.skin.login)
            if self.engine != "xenforo"
            else self._page("Log in", "", template="login", status=403)
        )

    def _link(self, url: str) -> str:
        """Return an address as a guest's page has it: with a session."""
        if not self._session:
            return url.replace("&", "&amp;")
        path, mark, rest = url.partition("?")
        if self.engine == "smf":
            return f"{path}?{self._session}&amp;{rest}" if rest else url
        joined = f"{path}?{rest}&{self._session}" if mark else f"{path}?{self._session}"
        return joined.replace("&", "&amp;")

    def _page(self, title: str, body: str, *, template: str = "page", status: int = 200) -> Answer:
        skin = self.skin
        text = (
            f"<!DOCTYPE html>\n<html {skin.html.format(template=template)}><head><title>{title}</title>{skin.head}"
            f'<link rel="stylesheet" href="/forum.css"></head>\n<body {skin.body}>\n{body}\n{skin.foot}</body></html>\n'
        )
        return Answer(status, text.encode(), varies=True)

    def _index(self) -> Answer:
        threads = [one for board in self._all() for one in board.threads]
        stats = self.skin.stats.format(
            posts=f"{sum(len(one.posts) for one in threads):,}", threads=len(threads), members=len(self.members)
        )
        return self._page("Forum", f"<table>{self._forums(self.boards)}</table>{stats}")

    def _forums(self, boards: list[Board]) -> str:
        return "".join(
            self.skin.forum.format(
                id=one.id, name=one.name,
                url=self._link(self._address(self.skin.board[0], one.id, one.name, 1, THREADS)),
            )
            for one in boards
        )  # fmt: skip

    def _pager(self, addresses: tuple[str, str], number: int, slug: str, page: int, count: int, cap: int) -> str:
        links = "".join(
            f'<a href="{self._link(self._address(addresses[turn > 1], number, slug, turn, cap))}">{turn}</a> '
            for turn in range(1, max(-(-count // cap), 1) + 1)
            if turn != page and (abs(turn - page) < 2 or turn in {1, -(-count // cap)})
        )
        return self.skin.pager.format(links=links)

    def _board(self, board: Board, page: int) -> Answer:
        rows = self._rows(board)
        skin, shown = self.skin, []
        for one, has_gone in rows[(page - 1) * THREADS : page * THREADS]:
            slug = "thread" if one.is_public or has_gone else f"{PRIVATE}-thread"
            last = -(-len(one.posts) // POSTS)
            parts = self._address(skin.thread[last > 1], one.id, slug, last, POSTS)
            shown.append(
                skin.row.format(
                    id=one.id, title=one.title if not has_gone or one.is_public else "gone",
                    url=self._link(self._address(skin.thread[0], one.id, slug, 1, POSTS)),
                    parts=f'<a href="{self._link(parts)}">{last}</a>' if last > 1 else "", first=one.posts[0].id,
                    pinned=skin.pinned if one.is_pinned else "", moved=skin.moved if has_gone else "",
                    hidden=skin.unapproved if one.is_unapproved else "", **_times("began", one.posts[0].at, skin.time),
                    **_times("last", one.last, skin.time),
                )
            )  # fmt: skip
        pager = self._pager((skin.board[0], skin.board[1]), board.id, board.name, page, len(rows), THREADS)
        inner = f"<table>{self._forums(board.inner)}</table>" if board.inner else ""
        return self._page(board.name, inner + skin.rows.format(rows="".join(shown)) + pager)

    def _thread(self, thread: Thread, page: int) -> Answer:
        skin, slug = self.skin, "thread" if thread.is_public else f"{PRIVATE}-thread"
        last = -(-len(thread.posts) // POSTS)
        turn = min(page, last)
        posts = thread.posts[(turn - 1) * POSTS : turn * POSTS]
        counted = (last + 1) * POSTS + 1 if thread.has_ghosts else len(thread.posts)
        hidden = skin.unapproved if thread.is_unapproved else ""
        body = "".join(self._post_html(one, thread, slug, turn, hidden) for one in posts)
        return self._page(thread.title, body + self._pager(skin.thread, thread.id, slug, page, counted, POSTS))

    def _post_html(self, post: Post, thread: Thread, slug: str, page: int, hidden: str) -> str:
        skin = self.skin
        here = self._address(skin.thread[page > 1], thread.id, slug, page, POSTS)
        when = _times("when", post.at, skin.time)
        return skin.post.format(
            id=post.id, name=post.by.name, member=self._link(post.by.url), member_id=post.by.id,
            avatar=self._link(post.by.avatar), hidden=hidden, permalink=f"{self._link(here)}#{post.id}",
            text=post.text + (skin.deleted if post.is_deleted else ""), words=f"{post.at:%B %d, %Y, %I:%M:%S %p}",
            files="".join(skin.attached.format(url=self._link(one)) for one in post.files),
            edited=skin.edited.format(**when) if post.is_edited else "", **when,
        )  # fmt: skip

    def _member_page(self, member: Member) -> Answer:
        return self._page(member.name, self.skin.person.format(name=member.name, avatar=self._link(member.avatar)))

    def _member_list(self, page: int) -> Answer:
        shown = self.members[(page - 1) * MEMBERS : page * MEMBERS]
        body = "".join(f'<p><a href="{self._link(one.url)}">{one.name}</a></p>' for one in shown)
        return self._page("Members", body + self._pager(self.skin.members, 0, "", page, len(self.members), MEMBERS))


def _times(name: str, at: datetime, written: str) -> dict[str, str]:
    return {name: at.strftime(written) if written else at.isoformat(), f"{name}_ms": str(int(at.timestamp() * 1000))}


if __name__ == "__main__":
    main(ForumSite)
