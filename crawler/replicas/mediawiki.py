"""A wiki (MediaWiki 1.43's action API as documented, and its pages): python -P -m crawler.replicas.mediawiki.

What clients trip over: errors come with status 200; a list with text gives fifty at the most; what to go on with is a
whole object to be sent back; two listings in one answer go on by turns; revisions, users and files that were hidden
stand in the lists, marked; statistics count what is deleted.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote, unquote

from crawler.replicas.images import jpeg
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, base, html, main, moved, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.replicas.exchange import Answer, Request

_TEXTS, _LIST, _VERSIONS = 50, 500, 60
_NAMESPACES = {0: "", 1: "Talk", 2: "User", 3: "User talk", 4: "Project", 6: "File", 10: "Template", 14: "Category"}


@dataclass
class Page:
    """A page and all that was ever saved of it."""

    id: int
    namespace: int
    title: str
    revisions: list[Revision] = field(default_factory=list)


@dataclass
class Revision:
    """What was saved of a page at a time. ``hidden`` is empty, ``text`` or ``user``."""

    id: int
    at: datetime
    page: Page
    user: int
    text: str
    hidden: str = ""


@dataclass
class File:
    """A version of a file."""

    page: Page
    at: datetime
    path: str
    archive: str = ""
    hidden: bool = False


_Dated = TypeVar("_Dated", Revision, File)


class MediaWikiSite(PlatformSite):
    """One wiki."""

    name = "mediawiki"
    title = "A MediaWiki."
    traps: ClassVar[dict[str, str]] = {
        "private": "strangers may not read: readapidenied",
        "lag": "every list says maxlag the first time it is asked",
        "leak": "hidden revisions come with their text",
        "root": "the API is at /api.php, and no page says so",
    }

    def build(self) -> None:
        """Make the pages and what was saved of them, oldest first."""
        self._at = self.clock.moment - timedelta(days=400)
        self._users = {n: f"Heron {n}" for n in range(1, max(self.size // 8, 4))}
        self._pages: list[Page] = []
        self._revisions: list[Revision] = []
        self._files: dict[str, tuple[bytes, str]] = {}
        self._versions: list[File] = []
        self._asked: set[str] = set()
        self._door = "/api.php" if "root" in self.trap else "/w/api.php"
        self.asset("/w/load.php")
        self._page(4, "Project:Main Page")
        for number in range(self.size):
            namespace = list(_NAMESPACES)[number % len(_NAMESPACES)]
            prefix = f"{_NAMESPACES[namespace]}:" if namespace else ""
            page = self._page(namespace, f"{prefix}Teapot {number}{' & co' * (number % 9 == 4)}")
            for turned in range(number % 5):
                hidden = (
                    "text" if turned == 1 and number % 7 == 2 else "user" if turned == 2 and number % 7 == 3 else ""
                )
                self._save(page, hidden)
            if namespace == 6:
                self._upload(page, number)
        self._enter()

    def _page(self, namespace: int, title: str) -> Page:
        page = Page(self._pages[-1].id + 3 if self._pages else 100, namespace, title)
        self._pages.append(page)
        self._save(page, "")
        return page

    def written(self) -> list[str]:
        return [one.title for one in self._pages[1:] if one.namespace != 6]

    def edit(self, identity: str) -> None:
        self._save(next(one for one in self._pages if one.title == identity), "")

    def delete(self, identity: str) -> None:
        page = next(one for one in self._pages if one.title == identity)
        self._pages.remove(page)
        self._revisions = [one for one in self._revisions if one.page is not page]

    def write(self) -> str:
        return self._page(0, f"Teapot {len(self._revisions)} new").title

    def _save(self, page: Page, hidden: str) -> None:
        self._at += timedelta(minutes=3 + self.rng.randrange(400))
        text = self.says(25, public=hidden != "text")
        user = 1 + self.rng.randrange(len(self._users))
        identity = self._revisions[-1].id + 2 if self._revisions else 1000
        revision = Revision(identity, self._at, page, user, text, hidden)
        page.revisions.append(revision)
        self._revisions.append(revision)

    def _upload(self, page: Page, number: int) -> None:
        name = page.title.partition(":")[2].replace(" ", "_") + ".jpg"
        for old in range(number % 3):
            hidden = number % 2 == 1 and old == 0
            archive = f"{self._at - timedelta(days=9 - old):%Y%m%d%H%M%S}!{name}"
            self._versions.append(
                File(
                    page,
                    self._at - timedelta(days=9 - old),
                    f"/images/archive/{PRIVATE if hidden else ''}{archive}",
                    archive,
                    hidden,
                )
            )
        self._versions.append(File(page, self._at, f"/images/{number % 9}/{name}"))

    def _enter(self) -> None:
        is_open = "private" not in self.trap
        if not is_open:
            self.books.add("page", "/wiki/Main_Page", "/wiki/Main_Page")
            self.books.listing("home and door", 2, 1)
            return
        for page in self._pages:
            self.books.add("page", page.title, self._path(page.title))
        for one in self._revisions:
            self.books.add("revision", one.id, item="Post", public=one.hidden != "text", at=one.at.isoformat())
        for file in self._versions:
            data = jpeg(file.path)
            self.file(quote(file.path), data, "image/jpeg")
            self.books.file("file", quote(file.path), data, public=not file.hidden)
            self.books.add("upload", file.archive or file.page.title, item="Media", public=not file.hidden)
        for number, name in self._users.items():
            self.books.add("account", number, item="Account", public=name != "Heron 3")
        self.books.listing("home", 1, 1)
        doors = 1 + len(self.trap & {"root"})
        self.books.listing("doors", doors, 1)
        calls = 2 if "lag" in self.trap else 1
        for name, count, cap in (
            ("revisions", len(self._revisions), _TEXTS), ("users", len(self._users), _LIST),
            ("files", len(self._versions), _VERSIONS),
        ):  # fmt: skip
            for _ in range(calls):
                self.books.listing(name, count, cap)

    def _path(self, title: str) -> str:
        return "/wiki/" + quote(title.replace(" ", "_"), safe="/:;@$!*(),~")

    # What it answers

    @route(r"/(?:w/)?api\.php")
    def api(self, request: Request) -> Answer:
        if request.path != self._door:
            return self.missing(request)
        asked = query(request)
        if "private" in self.trap:
            return _error("readapidenied", "You need read permission to use this module.")
        is_list = "list" in asked or "generator" in asked
        if "lag" in self.trap and is_list and request.target not in self._asked:
            self._asked.add(request.target)
            return _error("maxlag", "Waiting for a database server: 7 seconds lagged.", (("Retry-After", "1"),))
        if asked.get("meta") == "siteinfo":
            return self._site(request)
        if asked.get("list") == "allrevisions":
            return self._all_revisions(asked)
        if asked.get("generator") == "allimages":
            return self._all_images(request, asked)
        if asked.get("list") == "allusers":
            return self._all_users(asked)
        return _error("badvalue", "Unrecognized value.")

    def _site(self, request: Request) -> Answer:
        names = {str(n): {"id": n, "name": name, "content": n == 0} for n, name in _NAMESPACES.items()}
        statistics = {
            "pages": len(self._pages) + 2, "edits": len(self._revisions) + 9, "users": len(self._users),
            "images": len({one.page.id for one in self._versions}), "articles": 3,
        }  # fmt: skip
        general = {
            "generator": "MediaWiki 1.43.0",
            "articlepath": "/wiki/$1",
            "server": base(request),
            "sitename": "Tea",
        }
        return as_json({"query": {"general": general, "namespaces": names, "statistics": statistics}})

    def _all_revisions(self, asked: dict[str, str]) -> Answer:
        found = _between(self._revisions, asked, "arv", lambda one: one.at, "older")
        start = _place(asked.get("arvcontinue"))
        shown = found[start : start + _TEXTS]
        groups: dict[int, dict[str, Any]] = {}
        for one in shown:
            page = one.page
            group = groups.setdefault(
                page.id, {"pageid": page.id, "ns": page.namespace, "title": page.title, "revisions": []}
            )
            group["revisions"].append(self._revision(one))
        return _answered({"allrevisions": list(groups.values())}, "arvcontinue", start + _TEXTS, len(found))

    def _revision(self, one: Revision) -> dict[str, Any]:
        place = one.page.revisions.index(one)
        main_slot: dict[str, Any] = {"contentmodel": "wikitext", "contentformat": "text/x-wiki", "content": one.text}
        said = {"revid": one.id, "parentid": one.page.revisions[place - 1].id if place else 0, "minor": False,
                "user": self._users[one.user], "userid": one.user, "timestamp": _stamp(one.at), "size": len(one.text),
                "comment": "tea", "slots": {"main": main_slot}, "tags": []}  # fmt: skip
        if one.hidden == "user":
            said["userhidden"] = True
            del said["user"], said["userid"]
        elif one.hidden:
            said["texthidden"] = True
            main_slot["texthidden"] = True
            if "leak" not in self.trap:
                del main_slot["content"]
        return said

    def _all_images(self, request: Request, asked: dict[str, str]) -> Answer:
        """Answer with pages of files. Their versions go on within a page before the pages do."""
        here = base(request)
        newest = {one.page.id: one.at for one in self._versions}
        found = _between(self._versions, asked, "gai", lambda one: newest[one.page.id], "newer")
        start = _place(asked.get("iicontinue"))
        pages: dict[int, dict[str, Any]] = {}
        for one in found[start : start + _VERSIONS]:
            page = pages.setdefault(
                one.page.id, {"pageid": one.page.id, "ns": 6, "title": one.page.title, "imageinfo": []}
            )
            info: dict[str, Any] = {"timestamp": _stamp(one.at), "user": "Heron 1", "mime": "image/jpeg", "sha1": "0"}
            info |= {"archivename": one.archive} if one.archive else {}
            info |= {"filehidden": True} if one.hidden else {"url": here + quote(one.path)}
            page["imageinfo"].append(info)
        return _answered({"pages": list(pages.values())}, "iicontinue", start + _VERSIONS, len(found))

    def _all_users(self, asked: dict[str, str]) -> Answer:
        start = _place(asked.get("aufrom"))
        users = [
            {"userid": n, "name": name, "editcount": 3, "registration": "2019-01-01T00:00:00Z"}
            | ({"hidden": True} if name == "Heron 3" else {})
            for n, name in self._users.items()
        ]  # fmt: skip
        return _answered({"allusers": users[start : start + _LIST]}, "aufrom", start + _LIST, len(users))

    @route(r"/")
    def home(self, request: Request) -> Answer:
        return moved("/wiki/Main_Page" if "private" in self.trap else "/wiki/Project:Main_Page", 301)

    @route(r"/wiki/(.+)")
    def page(self, request: Request, path: str) -> Answer:
        title = unquote(path).replace("_", " ")
        page = next((one for one in self._pages if one.title == title), None)
        head = '<meta name="generator" content="MediaWiki 1.43.0"><link rel="stylesheet" href="/w/load.php">'
        if "root" not in self.trap:
            head += f'<link rel="EditURI" type="application/rsd+xml" href="{base(request)}/w/api.php?action=rsd">'
        if "private" in self.trap:
            return html("Login required", "<p>Please log in to read.</p>", head=head)
        if page is None:
            return html("Missing", "<p>There is no text here.</p>", head=head, status=404)
        shown = [one.text for one in page.revisions if one.hidden != "text"]
        return html(title.replace("&", "&amp;"), f'<div class="mw-parser-output">{shown[-1]}</div>', head=head)


def _answered(found: dict[str, Sequence[Any]], key: str, end: int, whole_count: int) -> Answer:
    more = {"continue": {key: _token(end), "continue": "-||"}} if end < whole_count else {"batchcomplete": True}
    return as_json({**more, "query": found})


def _token(place: int) -> str:
    return "c" + base64.b32encode(str(place).encode()).decode().rstrip("=").lower()


def _between(
    made: list[_Dated], asked: dict[str, str], prefix: str, at: Callable[[_Dated], datetime], usual: str
) -> list[_Dated]:
    """Return what lies between start and end in the direction that is asked for; ``made`` is in order of time."""
    start, end = asked.get(f"{prefix}start"), asked.get(f"{prefix}end")
    is_older = asked.get(f"{prefix}dir", usual) == "older"
    first, last = (end, start) if is_older else (start, end)
    found = [one for one in made if (first or "") <= _stamp(at(one)) <= (last or "9999")]
    return found[::-1] if is_older else found


def _place(token: str | None) -> int:
    if not token:
        return 0
    text = token[1:].upper()
    return whole(base64.b32decode(text + "=" * (-len(text) % 8)).decode(), 0)


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _error(code: str, info: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    said = {"error": {"code": code, "info": info}}
    return as_json(said, headers=(("MediaWiki-API-Error", code), *headers))


if __name__ == "__main__":
    main(MediaWikiSite)
