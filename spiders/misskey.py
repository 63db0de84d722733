"""The Misskey family, through the API that its own pages use. Every reading is a POST with a JSON body.

How it is walked: the local timeline and the directory name accounts, and so do notes that mention them or answer them;
each account's own list is the complete source of what it said, with replies, renotes and what it said in channels. The
timeline is a short cut and never the end: it leaves replies out, may forget what is older than some days, and may be
closed. Notes with replies have these read for those from elsewhere. A page that is short is not the last: notes that
strangers may not have are taken out of it after it was cut. What came from other servers is kept as it stands in the
answers, and not followed.

What sets the relatives apart is data: see ``misskey_dialects.py`` and the classes at the end.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin, urlsplit

from crawler.model import Claim, Note, Verdict
from spiders import misskey_items as items
from spiders.api import at, number, objects, text, turn
from spiders.base import LISTINGS, PAGES, POSTS, Evidence, Yield
from spiders.misskey_dialects import FIREFISH, SHARKEY, Dialect
from spiders.misskey_notes import PAGE, MisskeyNotes
from spiders.nodeinfo import DOOR, document, nodeinfo, read
from spiders.pages import kind_of, text_of
from spiders.window import Window, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Seed
    from crawler.response import CaptureResponse

_MARK = re.compile(r"Thank you for using Misskey!|name=\"application-name\"[^>]{0,40}content=\"Misskey\"")
_SINGLE = re.compile(r"/notes/[0-9A-Za-z]{1,64}")
_CLOSED = frozenset({
    "LTL_DISABLED", "GTL_DISABLED", "CREDENTIAL_REQUIRED", "SIGNIN_REQUIRED", "ACCESS_DENIED", "PERMISSION_DENIED",
    "CONTENT_RESTRICTED_BY_USER", "CONTENT_RESTRICTED_BY_SERVER",
})  # fmt: skip
#: How the timeline is asked for.
_EVERYTHING: dict[str, Any] = {"limit": PAGE, "withReplies": True}


class MisskeySpider(MisskeyNotes):
    """Walks what one server has of its own people."""

    name = "misskey"
    title: ClassVar[str] = "Misskey"
    software: ClassVar[frozenset[str]] = frozenset({"misskey", "cherrypick", "yojo-art", "meisskey", "nexkey"})
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_timeline", "parse_directory", "parse_notes"})
    reads_holes: ClassVar[frozenset[str]] = frozenset({"parse_timeline", "parse_directory"})

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Believe NodeInfo; where there is none, what the front page says of what it is made with."""
        if nodeinfo(replies) is not None:
            return super().recognise(replies)
        if "misskey" in cls.software and any(reply.status == 200 and _MARK.search(text_of(reply)) for reply in replies):
            return Evidence(confidence=96, reasons=("its page says that it is made with Misskey",))
        return None

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know a closed door by its code, lists that hold what is withheld, and the shell that stands for no note."""
        if response.fetch.method == "POST":
            return self._answered(response)
        is_note = response.status == 200 and _SINGLE.fullmatch(urlsplit(response.url).path)
        if is_note and kind_of(response) == "html":
            page = text_of(response)
            return Verdict.OK if ':note-id"' in page or 'content="article"' in page else Verdict.MISSING
        return super().judge(response)

    def _answered(self, response: CaptureResponse) -> Verdict:
        said = response.data()
        code = text(said, "error", "code")
        if code in _CLOSED:
            return Verdict.LOGIN
        if code.endswith("RATE_LIMIT_EXCEEDED"):
            return Verdict.LIMITED
        if code.startswith("NO_SUCH_"):
            return Verdict.MISSING
        listed = objects({"all": said if isinstance(said, list) else [said]}, "all")
        pinned = (note for one in listed for note in objects(one, "pinnedNotes"))
        if response.status == 200 and any(map(items.leaks, (*listed, *pinned))):
            return Verdict.MIXED
        return super().judge(response)

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield the listings that lead to everything, or the one account that the seed names."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_page, covers=("page", seed.url))
        yield self.fetch(urljoin(seed.url, DOOR), lane=LISTINGS, callback=self.parse_nodeinfo, sweep=True)
        yield self.ask("meta", {"detail": True}, self.parse_meta)
        yield self.ask("stats", {}, self.parse_stats)
        yield self.ask("emojis", {}, self.parse_emojis)
        if name := self.only():
            yield self.ask("users/show", {"username": name, "host": None}, self.parse_people)
            return
        yield self._people_from(0)
        yield self.ask("notes/local-timeline", {**_EVERYTHING, **self.bounds()}, self.parse_timeline)

    # What the server says of itself

    def parse_nodeinfo(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the server's own count of its notes and accounts."""
        if said := read(response):
            yield from _claims("nodeinfo localPosts", said.posts, "nodeinfo users.total", said.users, response)
        elif found := document([response]):
            yield self.fetch(found, lane=LISTINGS, parent=response, callback=self.parse_nodeinfo, sweep=True)

    def parse_meta(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the server's own pictures, and say where it shows strangers nothing."""
        said = response.data()
        for key in ("iconUrl", "bannerUrl", "backgroundImageUrl"):
            yield from self.also(text(said, key), "banner", response)
        yield from self.parse_emojis(response)
        if text(said, "ugcVisibilityForVisitor") == "none" or at(said, "policies", "canViewContents") is False:
            yield Note(text="The server says that it shows strangers nothing that anybody wrote.", url=response.url)

    def parse_stats(self, response: CaptureResponse) -> Iterator[Yield]:
        """Take the same counts where NodeInfo is silent."""
        posts, users = number(response.data(), "originalNotesCount"), number(response.data(), "originalUsersCount")
        yield from _claims("stats originalNotesCount", posts, "stats originalUsersCount", users, response)

    def parse_emojis(self, response: CaptureResponse) -> Iterator[Yield]:
        """Yield the pictures of a server's own emoji; older servers name them with everything else."""
        for emoji in objects(response.data(), "emojis"):
            yield from self.also(text(emoji, "url"), "emoji", response)

    # Listings

    def parse_timeline(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the local timeline, or hear that it is closed."""
        if not isinstance(response.data(), list):
            yield _closed("The timeline is closed to strangers", "accounts are walked instead.", response)
            return
        if not response.data() and Window.of(self.seed) and response.fetch.cursor is None:
            # It remembers some days alone: whoever is met in them may have written in the window, too.
            yield self.ask("notes/local-timeline", dict(_EVERYTHING), self.parse_newest, parent=response)
            return
        yield from self.page(response, "notes/local-timeline", self.parse_timeline)

    def parse_newest(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read who wrote the newest notes, which are none of a window."""
        yield from self.notes(objects({"all": response.data()}, "all"), response)

    def _people_from(self, offset: int) -> Fetch:
        body = {"limit": PAGE, "offset": offset, "sort": "-createdAt", "state": "all", "origin": "local"}
        return self.ask("users", body, self.parse_directory, cursor={"offset": offset})

    def parse_directory(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the accounts that let themselves be listed, oldest first: nothing shifts."""
        people = objects({"all": response.data()}, "all")
        if not isinstance(response.data(), list):
            yield _closed("The directory is closed to strangers", "accounts are known by what they say.", response)
        yield from self.parse_people(response)
        if len(people) >= PAGE:
            following = self._people_from((response.fetch.cursor or {}).get("offset", 0) + PAGE)
            yield from turn(response, [text(one, "id") for one in people], following)

    def parse_people(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what the server says of accounts, of one or of several."""
        said = response.data()
        for user in objects({"all": said if isinstance(said, list) else [said]}, "all"):
            yield from self.account(user, response)

    def parse_notes(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what one account said."""
        if not isinstance(response.data(), list):
            yield _closed("The lists of accounts are closed to strangers", "", response)
            return
        yield from self.page(response, "users/notes", self.parse_notes)

    def parse_children(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of what answers a note, and what answers those of elsewhere; ours have theirs read anyway."""
        cursor = response.fetch.cursor or {}
        notes = objects({"all": response.data()}, "all")
        yield from self.notes(notes, response)
        for one in notes:
            if items.is_public(one) and not items.is_ours(one.get("user")):
                yield from self.around(one, response)
        seen = cursor.get("seen", 0) + sum(bool(text(one, "replyId")) for one in notes)
        if notes and seen < cursor.get("count", 0):
            body = {**json.loads(response.fetch.body), "untilId": text(notes[-1], "id")}
            following = self.ask(
                "notes/children", body, self.parse_children, lane=POSTS, parent=response, day=response.fetch.day,
                cursor={**cursor, "seen": seen},
            )  # fmt: skip
            yield from turn(response, [text(one, "id") for one in notes], following, newest_first=True)

    def page(self, response: CaptureResponse, endpoint: str, callback: Any) -> Iterator[Yield]:
        """Read a page of notes, newest first, and name the one below it.

        An empty page is the last, and a short one with which all are there that an account is said to have.
        """
        notes, asked = objects({"all": response.data()}, "all"), json.loads(response.fetch.body)
        yield from self.notes(notes, response, whose=str(asked.get("userId", "")))
        cursor = dict(response.fetch.cursor or {})
        cursor["seen"] = cursor.get("seen", 0) + len(notes)
        is_all = len(notes) < PAGE and cursor["seen"] >= cursor.get("count", cursor["seen"] + 1)
        if not notes or is_all or Window.of(self.seed).is_before(instant(text(notes[-1], "createdAt"))):
            return
        body = {name: value for name, value in asked.items() if not name.startswith(("since", "until"))}
        following = self.ask(
            endpoint, {**body, **self.bounds(notes[-1])}, callback, parent=response, sweep=False,
            lane=self.lane(response.fetch.lane), cursor=cursor,
        )  # fmt: skip
        yield from turn(response, [text(one, "id") for one in notes], following, newest_first=True)


def _claims(
    counter: str, posts: int | None, of_users: str, users: int | None, response: CaptureResponse
) -> Iterator[Claim]:
    if posts is not None:
        why = "counts notes that strangers cannot have, too"
        yield Claim(kind="post", count=posts, counter=counter, caveat=why, url=response.url)
    if users is not None:
        yield Claim(kind="account", count=users, counter=of_users, url=response.url)


def _closed(what: str, instead: str, response: CaptureResponse) -> Note:
    why = text(response.data(), "error", "code")[:60] or "no list"
    end = f"; {instead}" if instead else "."
    return Note(text=f"{what} (HTTP {response.status}, {why}){end}", url=response.url)


class SharkeySpider(MisskeySpider):
    """A fork of version 13 with edits; its limits are said in milliseconds."""

    name = "sharkey"
    title: ClassVar[str] = "Sharkey"
    dialect: ClassVar[Dialect] = SHARKEY
    software: ClassVar[frozenset[str]] = frozenset({"sharkey"})


class FirefishSpider(MisskeySpider):
    """Forks of version 12: Calckey, and what was made of it."""

    name = "firefish"
    title: ClassVar[str] = "Firefish"
    dialect: ClassVar[Dialect] = FIREFISH
    software: ClassVar[frozenset[str]] = frozenset({"firefish", "calckey", "iceshrimp", "catodon", "foundkey"})
