"""An imageboard, as vichan or, by its trap, as another engine: python -P -m crawler.replicas.imageboard.

What clients trip over: there is no list of boards (vichan) and the front page links to what is none; a board may be
locked; a thread that the catalog lists is gone by the time it is asked for; files are deleted; errors come with 200;
4chan's JSON, pages and files have hosts of their own, and agents without a name are sent away.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.films import Film
from crawler.replicas.images import jpeg
from crawler.replicas.kit import PlatformSite, as_json, base, html, main, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Request

_BOARDS, _LOCKED = ("birds", "tea"), "staff"
#: Threads of one page of a catalog and of an archive's index, and last posts that either shows.
_PAGE, _SHOWN = 10, 5
_HOSTS = {"4chan": ("boards.4chan.org", "a.4cdn.org", "i.4cdn.org", "s.4cdn.org"), "2ch": ("2ch.su",)}
_MARKS = {
    "vichan": '- Tinyboard + <a href="https://engine.vichan.net/">vichan</a> 5.1.4 -',
    "4chan": '<link rel="shortcut icon" href="//s.4cdn.org/image/favicon.ico">',
    "lynxchan": '<a href="https://gitgud.io/LynxChan/LynxChan">LynxChan</a>',
    "jschan": '<a href="https://gitgud.io/fatchan/jschan/">jschan</a>',
    "2ch": '<form action="/makaba/search.fcgi"></form>',
    "foolfuuka": '<div id="footer">FoolFuuka Imageboard 2.2.0</div>',
}
_PAGES = {"4chan": "/{}/thread/{}", "jschan": "/{}/thread/{}.html", "foolfuuka": "/{}/thread/{}/"}
_THREADS = {
    "4chan": "/{}/thread/{}.json", "jschan": "/{}/thread/{}.json",
    "foolfuuka": "/_/api/chan/thread/?board={}&num={}",
}  # fmt: skip


@dataclass
class File:
    """What somebody uploaded; without data, it was deleted."""

    tim: int
    ending: str
    data: bytes = b""
    path: str = ""
    thumb: str = ""


@dataclass
class Post:
    """One post; the first of a thread is the thread."""

    no: int
    at: datetime
    text: str
    files: list[File] = field(default_factory=list)


@dataclass
class Thread:
    """A thread with its posts."""

    board: str
    posts: list[Post]
    is_gone: bool = False
    is_archived: bool = False

    @property
    def no(self) -> int:
        return self.posts[0].no

    @property
    def changed(self) -> datetime:
        return self.posts[-1].at


class ImageboardSite(PlatformSite):
    """Two boards and a locked one."""

    name = "imageboard"
    title = "An imageboard."
    traps: ClassVar[dict[str, str]] = {
        "4chan": "it is 4chan, with its hosts and its archive", "lynxchan": "it is LynxChan", "jschan": "it is jschan",
        "2ch": "it is 2ch", "foolfuuka": "it is an archive made with FoolFuuka", "wall": "JSON is answered by a challenge",
    }  # fmt: skip

    def build(self) -> None:
        """Make the threads, oldest first."""
        self._engine = next(iter(self.trap - {"wall"}), "vichan")
        self.hosts = _HOSTS.get(self._engine, ())
        self._at = self.clock.moment - timedelta(days=20)
        self._no = 1000
        self._threads: list[Thread] = []
        made = 0
        while made < self.size:
            length = 1 + self.rng.randrange(14)
            self._begin(_BOARDS[len(self._threads) % 2], length)
            made += length
        for board in _BOARDS:
            mine = [one for one in self._threads if one.board == board]
            mine[len(mine) // 2].is_gone = len(mine) > 2 and self._engine != "foolfuuka"
            for thread in mine[: len(mine) // 4] if self._engine == "4chan" else ():
                thread.is_archived = True
            self._count(board)
        self.books.add("thread", f"{_LOCKED}/1", public=False, item="Post")
        self.asset("/css/board.css")
        self.image("/image/favicon.ico", kind="asset")
        for thread in self._threads:
            self._enter(thread)

    def _begin(self, board: str, length: int) -> None:
        posts = []
        for _ in range(length):
            self._no += 1 + self.rng.randrange(3)
            self._at += timedelta(minutes=5 + self.rng.randrange(60))
            posts.append(Post(self._no, self._at, self.says()))
            if self._no % 3 == 0 or len(posts) == 1:
                posts[-1].files = [self._upload(board, n) for n in range(self._pieces())]
        self._threads.append(Thread(board, posts))

    def _pieces(self) -> int:
        return 1 + (self._no % 7 == 0 and self._engine not in {"4chan", "foolfuuka"})

    def _upload(self, board: str, part: int) -> File:
        tim = int(self._at.timestamp() * 1000) + part
        key, ending = f"{board}/{tim}", ".webm" if self._no % 5 == 0 else ".jpg"
        if self._no % 11 == 0:
            return File(tim, ending)
        data = Film(key=key, frames=3).data() if ending == ".webm" else jpeg(key)
        path = {
            "4chan": f"/{board}/{tim}{ending}", "lynxchan": f"/.media/{tim}{ending}", "jschan": f"/file/{tim}{ending}",
            "foolfuuka": f"/data/{board}/image/{tim}{ending}",
        }.get(self._engine, f"/{board}/src/{tim}{ending}")  # fmt: skip
        thumb = {
            "4chan": f"/{board}/{tim}s.jpg", "lynxchan": f"/.media/t_{tim}",
            "jschan": f"/file/thumb/{hashlib.sha256(data).hexdigest()}.jpg",
        }.get(self._engine, f"/{board}/thumb/{tim}s.jpg")  # fmt: skip
        return File(tim, ending, data, path, thumb)

    def _enter(self, thread: Thread) -> None:
        public = not thread.is_gone
        path = _THREADS.get(self._engine, "/{}/res/{}.json").format(thread.board, thread.no)
        is_in_index = self._engine == "foolfuuka" and len(thread.posts) <= _SHOWN + 1
        for post in thread.posts:
            url = path if post is thread.posts[0] and not is_in_index else ""
            kind = "thread" if post is thread.posts[0] else "reply"
            self.books.add(kind, f"{thread.board}/{post.no}", url, item="Post", public=public, at=post.at.isoformat())
            for file in post.files:
                if file.data and public:
                    kind = "video" if file.ending == ".webm" else "image"
                    content = "video/webm" if kind == "video" else "image/jpeg"
                    self.books.file(kind, self.file(file.path, file.data, content), file.data)
                    self.image(file.thumb, kind="thumb")
        self.books.add("page", self._page(thread), self._page(thread), public=public)

    def _count(self, board: str) -> None:
        mine = [one for one in self._threads if one.board == board]
        if self._engine == "foolfuuka":
            self.books.listing("index", len(mine) + _PAGE, _PAGE)
        else:
            self.books.listing("catalog", 1, 1)
            self.books.listing("archive", int(self._engine == "4chan"), 1)
        self.books.listing("board", len(mine) if "wall" in self.trap else 1, _PAGE)
        self.books.listing("boards", 1, 1)

    def _page(self, thread: Thread) -> str:
        return _PAGES.get(self._engine, "/{}/res/{}.html").format(thread.board, thread.no)

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer on the host that has it, and no agent without a name."""
        if not request.headers.get("user-agent", "somebody"):
            return Answer(429, b"", "text/plain")
        if self._engine == "4chan":
            path = request.path
            host = "a.4cdn.org" if path.endswith(".json") else "boards.4chan.org"
            if re.fullmatch(r"/\w+/\d+s?\.\w+", path):
                host = "i.4cdn.org"
            elif path.startswith(("/css/", "/image/")):
                host = "s.4cdn.org"
            if request.host != host and path != "/robots.txt":
                return self.missing(request)
        return super().answer(request)

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return as_json(None, 404)

    @route(r"/")
    def home(self, request: Request) -> Answer:
        links = "".join(f'<a href="/{board}/">/{board}/</a>\n' for board in (*_BOARDS, _LOCKED, "faq"))
        return self._html("Boards", links)

    @route(rf"/({'|'.join(_BOARDS)})/(?:(\d+)\.html)?")
    def board(self, request: Request, board: str, number: str | None) -> Answer:
        mine = [one for one in self._threads if one.board == board]
        mine.sort(key=lambda one: one.changed, reverse=True)
        start = (int(number or 1) - 1) * _PAGE
        if not mine[start : start + _PAGE]:
            return self.missing(request)
        shown = "".join(
            f'<div class="thread" id="thread_{one.no}"><a href="{self._page(one)}">then</a><time datetime='
            f'"{_iso(one.posts[0].at)}">a</time><time datetime="{_iso(one.changed)}">b</time></div>\n'
            for one in mine[start : start + _PAGE]
        )
        links = [f"/{board}/{n + 1}.html" if n else f"/{board}/" for n in range(-(-len(mine) // _PAGE))]
        return self._html(board, shown + "".join(f'<a href="{link}">{link}</a>\n' for link in links))

    @route(rf"/{_LOCKED}/.*")
    def locked(self, request: Request) -> Answer:
        return html("Locked", "<form><input name='password'></form>", status=403)

    @route(r"/boards\.(?:json|js)|/api/mobile/v2/boards")
    def boards(self, request: Request) -> Answer:
        part = whole(query(request).get("page"), 1)
        now = _BOARDS[part - 1 : part]
        match self._engine:
            case "4chan" if request.path == "/boards.json":
                return as_json({"boards": [{"board": board, "title": board, "is_archived": 1} for board in _BOARDS]})
            case "lynxchan" if request.path == "/boards.js":
                boards = [{"boardUri": board, "boardName": board} for board in now]
                return as_json({"status": "ok", "data": {"pageCount": 2, "boards": boards}})
            case "jschan" if request.path == "/boards.json":
                return as_json(
                    {"boards": [{"_id": board, "settings": {}} for board in now], "page": part, "maxPage": 2}
                )
            case "2ch" if request.path.startswith("/api/"):
                return as_json([{"id": board, "name": board} for board in _BOARDS])
        return self.missing(request)

    @route(rf"/({'|'.join(_BOARDS)})/catalog\.json")
    def catalog(self, request: Request, board: str) -> Answer:
        if "wall" in self.trap:
            return html("One moment", "<p>Your browser is being looked at.</p>")
        mine = [one for one in self._threads if one.board == board and not one.is_archived]
        mine.sort(key=lambda one: one.changed, reverse=True)
        match self._engine:
            case "foolfuuka":
                return self.missing(request)
            case "lynxchan":
                return as_json([
                    {"threadId": one.no, "postCount": len(one.posts) - 1, "page": n // _PAGE + 1,
                     "lastBump": _iso(one.changed), "message": one.posts[0].text}
                    for n, one in enumerate(mine)
                ])  # fmt: skip
            case "jschan":
                return as_json([
                    {**self._post(one.posts[0], board), "bumped": _iso(one.changed), "board": board} for one in mine
                ])  # fmt: skip
            case "2ch":
                listed = [{**self._post(one.posts[0], board), "lasthit": int(one.changed.timestamp())} for one in mine]
                return as_json({"board": {"id": board}, "threads": listed})
        return as_json([
            {"page": n // _PAGE + 1, "threads": [
                {**self._post(one.posts[0], board), "last_modified": int(one.changed.timestamp()),
                 "replies": len(one.posts) - 1} for one in mine[n : n + _PAGE]
            ]} for n in range(0, len(mine), _PAGE)
        ])  # fmt: skip

    @route(rf"/({'|'.join(_BOARDS)})/archive\.json")
    def archive(self, request: Request, board: str) -> Answer:
        return as_json([one.no for one in self._threads if one.board == board and one.is_archived])

    @route(r"/_/api/chan/index/")
    def index(self, request: Request) -> Answer:
        asked = query(request)
        mine = [one for one in self._threads if one.board == asked.get("board")]
        mine.sort(key=lambda one: one.changed, reverse=True)
        start = (whole(asked.get("page"), 1) - 1) * _PAGE
        if not mine[start : start + _PAGE]:
            return as_json({"error": "No threads found."})
        return as_json({str(one.no): self._archived(one, _SHOWN, request) for one in mine[start : start + _PAGE]})

    @route(r"/_/api/chan/thread/")
    def archived(self, request: Request) -> Answer:
        asked = query(request)
        thread = self._find(asked.get("board", ""), whole(asked.get("num"), 0))
        if thread is None:
            return as_json({"error": "Thread not found."})
        held = self._archived(thread, len(thread.posts), request)
        held["posts"] = {post["num"]: post for post in held["posts"]}
        return as_json({str(thread.no): held})

    @route(r"/(\w+)/(?:res|thread)/(\d+)(\.json|\.html|/|)")
    def thread(self, request: Request, board: str, number: str, ending: str) -> Answer:
        thread = self._find(board, int(number))
        if thread is None or (self._page(thread) != request.path and ending != ".json"):
            return self.missing(request)
        if ending != ".json":
            return self._people(thread)
        posts = [self._post(post, board) for post in thread.posts]
        match self._engine:
            case "lynxchan":
                first = {**posts[0], "threadId": posts[0].pop("postId")}
                first.pop("postId")
                return as_json({**first, "posts": posts[1:]})
            case "jschan":
                return as_json({**posts[0], "board": board, "replies": posts[1:]})
            case "2ch":
                return as_json({"board": {"id": board}, "threads": [{"posts": posts}]})
        posts[0]["replies"], posts[0]["images"] = len(posts) - 1, sum(bool(one.files) for one in thread.posts[1:])
        return as_json({"posts": [{**one, "resto": thread.no * bool(n)} for n, one in enumerate(posts)]})

    def _find(self, board: str, number: int) -> Thread | None:
        found = (one for one in self._threads if (one.board, one.no) == (board, number) and not one.is_gone)
        return next(found, None)

    def _people(self, thread: Thread) -> Answer:
        media = "//i.4cdn.org" if self._engine == "4chan" else ""
        shown = "".join(
            f'<div id="p{post.no}"><p>{post.text}</p>'
            + "".join(
                f'<a href="{media}{file.path}"><img src="{media}{file.thumb}"></a>' for file in post.files if file.data
            )
            + "</div>\n"
            for post in thread.posts
        )
        return self._html(f"/{thread.board}/", shown)

    def _html(self, title: str, body: str) -> Answer:
        static = "//s.4cdn.org" if self._engine == "4chan" else ""
        head = (
            f'<link rel="stylesheet" href="{static}/css/board.css"><link rel="icon" href="{static}/image/favicon.ico">'
        )
        return html(title, body + _MARKS[self._engine], head=head)

    def _post(self, post: Post, board: str) -> dict[str, Any]:
        """Return a post as the engine writes it."""
        match self._engine:
            case "lynxchan":
                files = [
                    {"path": one.path, "thumb": one.thumb, "originalName": "heron.jpg", "size": len(one.data)}
                    for one in post.files if one.data
                ]  # fmt: skip
                return {
                    "postId": post.no,
                    "creation": _iso(post.at),
                    "markdown": post.text,
                    "files": files,
                    "name": "Heron",
                }
            case "jschan":
                files = [
                    {"filename": f"{one.tim}{one.ending}", "originalFilename": "heron.jpg", "size": len(one.data),
                     "hash": hashlib.sha256(one.data).hexdigest(), "thumbextension": ".jpg", "hasThumb": True}
                    for one in post.files if one.data
                ]  # fmt: skip
                return {
                    "postId": post.no, "date": _iso(post.at), "message": post.text, "files": files, "name": "Heron",
                    "board": board,
                }  # fmt: skip
            case "2ch":
                files = [
                    {"path": one.path, "thumbnail": one.thumb, "fullname": "heron.jpg", "size": len(one.data) // 1024,
                     "md5": hashlib.md5(one.data, usedforsecurity=False).hexdigest()}
                    for one in post.files if one.data
                ]  # fmt: skip
                return {"num": post.no, "timestamp": int(post.at.timestamp()), "comment": post.text, "files": files}
        said: dict[str, Any] = {"no": post.no, "time": int(post.at.timestamp()), "com": post.text, "name": "Anonymous"}
        files = [_chan_file(one) for one in post.files]
        return said | (files[0] if files else {}) | ({"extra_files": files[1:]} if files[1:] else {})

    def _archived(self, thread: Thread, shown: int, request: Request) -> dict[str, Any]:
        first, *rest = (self._kept(post, request) for post in thread.posts)
        return {"op": first, "posts": rest[-shown:], "omitted": len(rest) - shown, "images_omitted": 0}

    def _kept(self, post: Post, request: Request) -> dict[str, Any]:
        said: dict[str, Any] = {"num": str(post.no), "timestamp": int(post.at.timestamp()), "comment": post.text}
        file = next((one for one in post.files), None)
        if file is not None:
            here = base(request)
            said["media"] = {
                "media_link": here + file.path if file.data else None, "media_hash": _md5(file.data),
                "thumb_link": here + file.thumb if file.data else None, "media_size": str(len(file.data)),
                "media_status": "normal" if file.data else "banned", "remote_media_link": None,
            }  # fmt: skip
        return said


def _chan_file(file: File) -> dict[str, Any]:
    if not file.data:
        return {"filedeleted": 1}
    return {
        "tim": file.tim, "ext": file.ending, "filename": "heron", "fsize": len(file.data), "md5": _md5(file.data),
    }  # fmt: skip


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _iso(when: datetime) -> str:
    return when.isoformat().replace("+00:00", ".000Z")


if __name__ == "__main__":
    main(ImageboardSite)
