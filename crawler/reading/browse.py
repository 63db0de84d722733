"""``archive browse``: readable pages of what is held, on loopback, with no script and nothing from anywhere else.

Text of strangers is escaped by the templates, their URLs are shown as text, and media goes out only as what its bytes
are. Who asks under another host's name (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from crawler.errors import OutlastError
from crawler.reading.dataset import Dataset
from crawler.reading.find import find
from crawler.reading.replay.served import Quiet, running, span
from crawler.reading.shelf import Shelf
from crawler.reading.shown import Shown
from crawler.reading.sniff import media_type
from crawler.reading.templating import style, template
from crawler.warc.reader import Torn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.collection import Collection
    from crawler.reading.shelf import Remote
    from crawler.response import CaptureResponse

_PIECE = 1 << 16
_FILE = re.compile(r"/file/([0-9a-f]{64})")
_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox allow-forms allow-same-origin"
)
_FILE_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
#: What all answers say.
_ALWAYS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Source:
    """What the pages are made of."""

    collection: Collection
    shelf: Shelf
    with_deleted: bool


@contextmanager
def browsing(
    collection: Collection, *, port: int = 0, remote: Remote | None = None, with_deleted: bool = False
) -> Iterator[int]:  # fmt: skip
    """Serve a collection's pages on the loopback until this is left; yield the port. Raises UsageError: it is taken."""

    class Handler(_Answer):
        source = _Source(collection, Shelf(collection, remote), with_deleted)

    with running(Handler, port) as server:
        yield int(server.server_address[1])


class _Answer(Quiet):
    source: _Source
    _is_begun = False

    def do_GET(self) -> None:  # noqa: N802 - its name in the base class
        """Answer; whatever goes wrong over what is held is a page, too."""
        self._is_begun = False
        port = self.connection.getsockname()[1]
        if self.headers.get("Host", "").lower() not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
            self.refuse(HTTPStatus.MISDIRECTED_REQUEST, "This answers on the loopback only.\n")
            return
        try:
            self._route()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        except (OutlastError, Torn, sqlite3.Error) as e:
            if self._is_begun:  # a record that ends in the middle: so does its answer
                self.close_connection = True
                return
            self._page(HTTPStatus.NOT_FOUND, "browse_none.html", title="Not here", why=str(e))

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    def _route(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/style.css":
            self._send(HTTPStatus.OK, "text/css; charset=utf-8", style().encode())
            return
        with Dataset(self.source.collection) as dataset:
            if file := _FILE.fullmatch(parts.path):
                found = find(dataset, self.source.collection, file[1], with_deleted=self.source.with_deleted)
                with self.source.shelf.answer(found.place) as answer:
                    self._file(file[1], answer)
                return
            page = _PAGES.get(parts.path)
            if page is None:
                self._page(HTTPStatus.NOT_FOUND, "browse_none.html", title="Not here", why="There is no such page.")
                return
            asked = _Asked(parts.query)
            name, told = page(Shown(dataset, with_deleted=self.source.with_deleted), asked)
        self._page(HTTPStatus.OK if told else HTTPStatus.NOT_FOUND, name, query=asked["q"], **told)

    def _page(self, status: HTTPStatus, name: str, **told: Any) -> None:
        marker = self.source.collection.marker
        text = template(name).render({"query": "", "marker": marker, **told})
        self._send(status, "text/html; charset=utf-8", text.encode("utf-8", "replace"))

    def _file(self, digest: str, answer: CaptureResponse) -> None:
        """Send media, or the part of it that is asked for; anything else goes out as bytes to keep."""
        kind = media_type(answer.head_bytes)
        headers = {"ETag": f'"{digest}"', "Content-Security-Policy": _FILE_POLICY}
        if kind is None:
            headers["Content-Disposition"] = f'attachment; filename="{digest}.bin"'
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self._begin(HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Type"] = kind or "application/octet-stream"
        with answer.open() as stream:
            if answer.header("Content-Encoding"):  # how long it is decoded shows only at its end
                self.close_connection = True
                self._begin(HTTPStatus.OK, headers | {"Connection": "close"})
                self._copy(stream, None)
            else:
                self._range(stream, answer.payload_length, headers | {"Accept-Ranges": "bytes"})

    def _range(self, stream: BinaryIO, size: int, headers: dict[str, str]) -> None:
        try:
            wanted = span(self.headers.get("Range"), size)
        except ValueError:
            headers["Content-Range"] = f"bytes */{size}"
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "text/plain", b"", headers)
            return
        start, stop = wanted or (0, size)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["Content-Length"] = str(stop - start)
        self._begin(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, headers)
        if self.command != "HEAD":
            _skip(stream, start)
            self._copy(stream, stop - start)

    def _copy(self, stream: BinaryIO, count: int | None) -> None:
        """Send so many bytes, or all; the connection closes where the record ends before."""
        if self.command == "HEAD":
            return
        while piece := stream.read(_PIECE if count is None else min(_PIECE, count)):
            self.wfile.write(piece)
            count = None if count is None else count - len(piece)
        self.close_connection = self.close_connection or bool(count)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        told = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": _POLICY}
        self._begin(status, told | (headers or {}))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self._is_begun = True
        self.send_response(status)
        for name, value in (_ALWAYS | headers).items():
            self.send_header(name, value)
        self.end_headers()


class _Asked:
    """The query of a URL: the first value of each name, empty where there is none."""

    def __init__(self, query: str) -> None:
        try:
            self._values = parse_qs(query, max_num_fields=16)
        except ValueError:
            self._values = {}

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, [""])[0]


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0 and (piece := stream.read(min(_PIECE, count))):
        count -= len(piece)


def _newest(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    return "browse_posts.html", {"title": "Posts, newest first", "page": shown.newest(asked["from"]), "here": "/?"}


def _post(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    above, chosen, replies = shown.thread(asked["id"], asked["from"])
    if not chosen and not replies.rows:
        return _none("No post that is held has this id.")
    return "browse_post.html", {"title": "Post", "above": above, "chosen": chosen, "page": replies, "id": asked["id"]}


def _account(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    account, page = shown.account(asked["id"]), shown.newest(asked["from"], asked["id"])
    if account is None and not page.rows:
        return _none("No account that is held has this id.")
    return "browse_account.html", {"title": "Account", "account": account, "page": page, "id": asked["id"]}


def _accounts(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    return "browse_accounts.html", {"title": "Accounts", "page": shown.accounts(asked["from"])}


def _media(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    return "browse_media.html", {"title": "Media", "page": shown.files(asked["from"])}


def _search(shown: Shown, asked: _Asked) -> tuple[str, dict[str, Any]]:
    if not asked["q"].strip():
        return _newest(shown, asked)
    return "browse_search.html", {"title": "Search", "page": shown.search(asked["q"], asked["from"])}


def _none(why: str) -> tuple[str, dict[str, Any]]:
    raise OutlastError(why)


_PAGES: dict[str, Callable[[Shown, _Asked], tuple[str, dict[str, Any]]]] = {
    "/": _newest, "/post": _post, "/account": _account, "/accounts": _accounts, "/media": _media, "/search": _search,
}  # fmt: skip
