"""What all of the Misskey family shares: how it is asked, and what belongs to a note and to an account."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from spiders import misskey_items as items
from spiders.api import number, objects, text
from spiders.base import (
    ACCOUNTS,
    EXTRAS,
    IMAGES,
    LISTINGS,
    ORIGINALS,
    PAGES,
    POSTS,
    REQUISITES,
    Territory,
    Yield,
)  # fmt: skip
from spiders.misskey_dialects import MISSKEY, Dialect
from spiders.pages import PageSpider
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from crawler.model import Fetch, Lane, Media, Seed
    from crawler.response import CaptureResponse

#: The most that a page of any listing holds.
PAGE = 100
#: A moment after everything, in milliseconds; with an end to it a list goes newest first, and without it would not.
_AFTER_ALL = 3_000_000_000_000
_ACCOUNT = re.compile(r"/@([A-Za-z0-9_.-]{1,128})/?")


class MisskeyNotes(PageSpider):
    """Asks a server of the family, and yields what notes and accounts name."""

    dialect: ClassVar[Dialect] = MISSKEY
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, POSTS, ACCOUNTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "reply", "elsewhere", "account", "image", "video", "audio", "file", "preview", "avatar", "banner",
        "emoji", "page", "asset",
    )  # fmt: skip

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server; its uploads may be anywhere."""
        return Territory()

    def only(self) -> str:
        """Return the one account that the seed names, in lower case; empty where it is the whole server."""
        found = _ACCOUNT.fullmatch(urlsplit(self.seed.url).path)
        return found[1].lower() if found else ""

    def ask(self, endpoint: str, body: dict[str, Any], callback: Any, **work: Any) -> Fetch:
        """Return a reading. The same question has the same bytes, so that it is asked once."""
        sent = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        work = {"lane": LISTINGS, "sweep": True, **work}
        return self.fetch(
            urljoin(self.seed.url, f"/api/{endpoint}"), method="POST", body=sent, callback=callback,
            headers=(("Content-Type", "application/json"),), **work,
        )  # fmt: skip

    def bounds(self, last: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return where a page begins and ends: in time where the window has a beginning, else below an id.

        An end in milliseconds may cut what was said within one: it is set one later, and a note comes twice.
        """
        window = Window.of(self.seed)
        if last is not None and window.since is None:
            return {"untilId": text(last, "id")}
        ends = instant(text(last, "createdAt")) if last is not None else window.until
        until = {"untilDate": _milliseconds(ends) + 1} if ends else {}
        if window.since is None:
            return until
        return {"sinceDate": _milliseconds(window.since) - 1, "untilDate": _AFTER_ALL, **until}

    # Things

    def notes(self, notes: Iterable[dict[str, Any]], response: CaptureResponse, whose: str = "") -> Iterator[Yield]:
        """Yield those of a list that are for strangers and in the window, and ask who is met in them."""
        met: set[str] = set()
        for note in filter(items.is_public, notes):
            if text(note, "id") and Window.of(self.seed).holds(instant(text(note, "createdAt"))):
                yield from self.note(note, response)
                met |= set(_met(note))
            elif items.is_ours(note.get("user")):
                met.add(text(note, "user", "id"))
        if (ids := sorted(met - {whose})) and not self.only():
            for start in range(0, len(ids), PAGE):
                part = ids[start : start + PAGE]
                yield self.ask("users/show", {"userIds": part}, "parse_people", lane=ACCOUNTS, parent=response)

    def note(self, note: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield a note with its page, files, replies, and those that stand inside it."""
        yield items.post_of(note, response, self.name)
        for inner in items.inside(note):
            if not self.is_wanted(inner.get("user")):
                yield items.post_of(inner, response, self.name)
            elif Window.of(self.seed).holds(instant(text(inner, "createdAt"))):
                yield from self.note({**inner, "renote": None, "reply": None}, response)
        if items.is_echo(note) or not self.is_wanted(note.get("user")):
            return
        when, url = instant(text(note, "createdAt")), items.url_of(note, response)
        yield self.fetch(
            url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url), day=day(when)
        )  # fmt: skip
        for file in objects(note, "files"):
            yield from self._file(items.media_of(file, note, response, self.name), file, when, response)
        yield from self.around(note, response)

    def around(self, note: dict[str, Any], response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of what answers a note, and of what it was before it was edited."""
        identity, when = text(note, "id"), day(instant(text(note, "createdAt")))
        if count := number(note, "repliesCount"):
            yield self.ask(
                "notes/children", {"limit": PAGE, "noteId": identity}, "parse_children", lane=POSTS, parent=response,
                day=when, cursor={"count": count},
            )  # fmt: skip
        if text(note, "updatedAt") and self.dialect.history and items.is_ours(note.get("user")):
            yield self.ask(self.dialect.history, {"noteId": identity}, None, lane=POSTS, parent=response, day=when)

    def _file(
        self, made: Media, file: dict[str, Any], when: datetime | None, response: CaptureResponse
    ) -> Iterator[Yield]:
        if made.url:
            lane = IMAGES if made.kind == "image" else ORIGINALS
            yield made
            yield self.fetch(made.url, lane=lane, parent=response, covers=(made.kind, made.url), day=day(when))
            yield from self.also(text(file, "thumbnailUrl"), "preview", response)

    def is_wanted(self, user: Any) -> bool:
        """Say whether what an account says is to be taken: it lives here, and the seed names no other."""
        return items.is_ours(user) and self.only() in {"", text(user, "username").lower()}

    def account(self, user: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield an account, and where it lives here its page and all it said."""
        if not text(user, "username") or not self.is_wanted(user):
            return
        yield items.account_of(user, response, self.name)
        url = items.page_of(user, response)
        yield self.fetch(
            url, lane=PAGES, parent=response, callback=self.parse_page, covers=("account", text(user, "id"))
        )  # fmt: skip
        for part in ("avatar", "banner"):
            yield from self.also(text(user, f"{part}Url"), part, response)
        window, came, last = Window.of(self.seed), instant(text(user, "createdAt")), instant(text(user, "updatedAt"))
        is_silent = window.is_before(last) or window.is_after(came)
        if items.is_shown(user) and not is_silent:
            body = {"userId": text(user, "id"), "limit": PAGE, **self.dialect.whole, **self.bounds()}
            count = None if window else number(user, "notesCount")
            yield self.ask(
                "users/notes", body, "parse_notes", lane=ACCOUNTS, parent=response,
                cursor={} if count is None else {"count": count},
            )  # fmt: skip

    def also(self, url: str, kind: str, response: CaptureResponse) -> Iterator[Fetch]:
        """Yield the fetch of what is nice to have: as pages show it, and where a proxy stands before it, itself."""
        for one in items.unwrapped(url, response):
            yield self.fetch(one, lane=EXTRAS, parent=response, covers=(kind, one))


def _met(note: dict[str, Any]) -> Iterator[str]:
    """Yield the accounts that a note shows and that may live here: who wrote it, whom it answers, whom it names."""
    for one in (note, *items.inside(note)):
        if items.is_ours(one.get("user")):
            yield text(one, "user", "id")
    mentions = note.get("mentions")
    yield from (one for one in mentions if isinstance(one, str)) if isinstance(mentions, list) else ()


def _milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)
