"""The AT Protocol, at its source: a personal data server (PDS), which keeps whole accounts (atproto.com/specs).

How it is walked: the server lists its accounts; of each it is asked first what its profile says, then who it is, then
for its repository, one signed file that holds every record: posts, replies, likes, follows. What records name as
uploads is taken as it was uploaded. So an account costs three requests, however much it said; where a server gives no
repositories to strangers its records are listed, a hundred at a time.

An account that is taken down, suspended or deactivated is not asked for. One whose profile says `!no-unauthenticated`
wants to be shown to those alone who logged in, and is left out: ``--option logged-out=all`` takes it all the same.
Whom the window leaves out the key of a record says (TID), as the time in the record is whatever its author liked.

A single record that a moderator of the server hid is in the repository all the same, as the signature is over all of
it, and nothing there says so; the hidden file is refused.

A data server has no pages for people. Those stand at an app view, on another host; ``--option app=https://bsky.app``
takes the page of each account and post from there, too. Identities (did:plc) are not looked up anywhere else: the
document that the server itself gives is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urljoin, urlsplit

from crawler.model import Covered, Note, Standing, Verdict
from spiders import atproto_items as items
from spiders.api import at, objects, text, turn, with_query
from spiders.base import (
    ACCOUNTS,
    EXTRAS,
    IMAGES,
    LISTINGS,
    ORIGINALS,
    PAGES,
    POSTS,
    REQUISITES,
    Evidence,
    Probe,
    Territory,
    Yield,
)  # fmt: skip
from spiders.car import records
from spiders.pages import PageSpider, text_of
from spiders.window import Window, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.model import Fetch, Lane, Seed
    from crawler.response import CaptureResponse

DESCRIBE, MARK = "/xrpc/com.atproto.server.describeServer", "AT Protocol Personal Data Server"
#: The most that a page of accounts, and one of records, may hold.
ACCOUNTS_PAGE, RECORDS_PAGE = 1000, 100
#: What a server answers where it has an account and does not give it.
_GONE = ("RepoTakendown", "RepoSuspended", "RepoDeactivated", "RepoNotFound", "AccountTakedown")


class AtprotoSpider(PageSpider):
    """Walks one data server."""

    name = "atproto"
    title: ClassVar[str] = "AT Protocol (a data server)"
    probes: ClassVar[tuple[Probe, ...]] = (Probe(path=DESCRIBE, order=30),)
    lanes: ClassVar[tuple[Lane, ...]] = (LISTINGS, ACCOUNTS, POSTS, PAGES, REQUISITES, IMAGES, ORIGINALS, EXTRAS)
    kinds: ClassVar[tuple[str, ...]] = (
        "post", "reply", "account", "repository", "image", "video", "audio", "file", "avatar", "banner", "preview",
        "page", "asset",
    )  # fmt: skip
    reads_refusals: ClassVar[frozenset[str]] = frozenset({"parse_profile", "parse_repository"})
    reads_holes: ClassVar[frozenset[str]] = reads_refusals

    @classmethod
    def recognise(cls, replies: Sequence[CaptureResponse]) -> Evidence | None:
        """Know what the reference server's front page says, and how any of them describes itself."""
        for reply in replies:
            if reply.status != 200:
                continue
            if urlsplit(reply.url).path == DESCRIBE and items.did(reply.data(), "did"):
                return Evidence(confidence=97, reasons=(f"it describes itself as {items.did(reply.data(), 'did')}",))
            if "text/plain" in reply.header("Content-Type") and MARK in text_of(reply)[:4096]:
                return Evidence(confidence=96, reasons=("its page says that it is a data server of AT Protocol",))
        return None

    @classmethod
    def territory(cls, seed: Seed) -> Territory:
        """Return the server, and the app view that the user names."""
        app = urlsplit(seed.options.get("app", "")).hostname
        return Territory(hosts=(app,) if app else ())

    def judge(self, response: CaptureResponse) -> Verdict:
        """Know whom strangers shall not be shown."""
        fetch = response.fetch
        if response.status == 200 and fetch.callback in {"parse_profile", "parse_records"} and not self._takes_all():
            said = response.data()
            if items.is_closed(at(said, "value")):
                return Verdict.PRIVATE
            if any(items.is_closed(one.get("value")) for one in objects(said, "records")):
                return Verdict.MIXED
        return super().judge(response)

    def _takes_all(self) -> bool:
        return self.seed.options.get("logged-out") == "all"

    def seeds(self, seed: Seed) -> Iterator[Fetch]:
        """Yield what the server says of itself, and its accounts or the one that the seed names."""
        yield self.fetch(seed.url, lane=PAGES, callback=self.parse_page, covers=("page", seed.url))
        yield self.fetch(urljoin(seed.url, DESCRIBE), lane=LISTINGS, sweep=True)
        if whose := items.did({"did": urlsplit(seed.url).path.strip("/")}, "did"):
            yield self.profile(whose, seed.url, None)
        else:
            asked = xrpc(seed.url, "sync.listRepos", limit=ACCOUNTS_PAGE)
            yield self.fetch(asked, lane=LISTINGS, callback=self.parse_accounts)

    # Accounts

    def parse_accounts(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the accounts that a server has; those out of action are counted, and no more."""
        found = objects(response.data(), "repos")
        for one in found:
            whose = items.did(one, "did")
            if whose and one.get("active") is False:
                yield self.left_out(whose, text(one, "status")[:40] or "not active", response)
            elif whose:
                yield self.profile(whose, response.url, response)
        if found and (cursor := text(response.data(), "cursor")):
            url = with_query(response.url, cursor=cursor)
            following = self.fetch(url, lane=LISTINGS, parent=response, callback=self.parse_accounts)
            yield from turn(response, [text(one, "did") for one in found], following)

    def left_out(self, whose: str, why: str, response: CaptureResponse) -> Covered:
        """Say that an account is not taken, and why."""
        return Covered(kind="account", id=whose, standing=Standing.EXCLUDED, reason=why, url=response.url)

    def profile(self, whose: str, server: str, parent: CaptureResponse | None) -> Fetch:
        """Return the fetch of what an account says of itself, from its data server; the rest follows."""
        url = xrpc(server, "repo.getRecord", repo=whose, collection=items.PROFILE, rkey="self")
        return self.fetch(
            url, lane=ACCOUNTS, parent=parent, callback=self.parse_profile, cursor={"did": whose},
            covers=("account", whose) if parent is None else None, sweep=True,
        )  # fmt: skip

    def parse_profile(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read what an account says of itself, which may be nothing; then ask who it is, and what it has."""
        whose, said = str((response.fetch.cursor or {}).get("did", "")), at(response.data(), "value")
        if (why := text(response.data(), "error")) in _GONE:
            yield self.left_out(whose, why, response)
            return
        if response.status in {401, 403}:
            told = (
                f"Profiles are closed to strangers (HTTP {response.status}); whether anybody may be shown is not known."
            )
            yield Note(text=told, url=response.url)
            yield Covered(
                kind="account", id=whose, standing=Standing.REFUSED, reason="profile closed", url=response.url
            )
            return
        profile = {
            "name": text(said, "displayName")[:640], "bio": text(said, "description")[: items.MAX_BIO],
            "at": text(said, "createdAt")[:64],
        }  # fmt: skip
        for blob, name, _ in items.blobs(said):
            profile[name] = xrpc(response.url, "sync.getBlob", did=whose, cid=text(blob, "ref", "$link"))
        cursor = {"did": whose, "profile": profile}
        yield self.fetch(
            xrpc(response.url, "repo.describeRepo", repo=whose), lane=ACCOUNTS, parent=response,
            callback=self.parse_description, cursor=cursor, covers=("account", whose),
        )  # fmt: skip

    def parse_description(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read who an account is, and which collections it has."""
        asked, said = response.fetch.cursor or {}, response.data()
        whose, handle, listed = str(asked.get("did", "")), text(said, "handle")[:256], at(said, "collections")
        yield items.account_of(whose, handle, asked.get("profile", {}), response, self.name)
        if app := self.app():
            yield self.shown(f"{app}/profile/{whose}", response)
        names = [one for one in listed if isinstance(one, str)][:100] if isinstance(listed, list) else []
        cursor = {"did": whose, "handle": handle, "collections": [one[:320] for one in names]}
        yield self.fetch(
            xrpc(response.url, "sync.getRepo", did=whose), lane=POSTS, parent=response, callback=self.parse_repository,
            cursor=cursor, covers=("repository", whose), sweep=True,
        )  # fmt: skip

    # Records

    def parse_repository(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a repository; where a server gives none its records are listed."""
        asked = response.fetch.cursor or {}
        whose, why = str(asked.get("did", "")), text(response.data(), "error") if response.status != 200 else ""
        if why in _GONE:
            yield self.left_out(whose, why, response)
        elif response.status != 200:
            told = f"Repositories are closed to strangers (HTTP {response.status}); records are listed instead."
            yield Note(text=told, url=response.url)
            for name in asked.get("collections", ()):
                yield self._records(whose, name, response)
        else:
            count = 0
            for name, cid, record in records(response.open):
                count += 1
                yield from self.record(f"at://{whose}/{name}", cid, record, response)
            if not count and asked.get("collections"):
                yield Note(text=f"Nothing in the repository of {whose} can be read.", url=response.url)

    def _records(self, whose: str, name: str, response: CaptureResponse) -> Fetch:
        until = Window.of(self.seed).until
        first = items.tid(until) if until and name in {items.POST, items.REPOST} else None
        url = xrpc(response.url, "repo.listRecords", repo=whose, collection=name, limit=RECORDS_PAGE, cursor=first)
        cursor = {"handle": (response.fetch.cursor or {}).get("handle", "")}
        return self.fetch(url, lane=POSTS, parent=response, callback=self.parse_records, cursor=cursor)

    def parse_records(self, response: CaptureResponse) -> Iterator[Yield]:
        """Read a page of the records of one collection, newest first."""
        found = objects(response.data(), "records")
        whose = "".join(parse_qs(urlsplit(response.url).query).get("repo", [])[:1])
        for one in found:
            uri, value = text(one, "uri"), one.get("value")
            if isinstance(value, dict) and items.split(uri)[0] == whose:
                yield from self.record(uri, text(one, "cid"), value, response)
        cursor, last = text(response.data(), "cursor"), text(found[-1], "uri") if found else ""
        is_older = Window.of(self.seed).is_before(items.time_of(items.split(last)[2]))
        if len(found) >= RECORDS_PAGE and cursor and not is_older:
            url, asked = with_query(response.url, cursor=cursor), response.fetch.cursor or {}
            handle = {"handle": asked.get("handle", "")}
            following = self.fetch(url, lane=POSTS, parent=response, callback=self.parse_records, cursor=handle)
            yield from turn(response, [text(one, "uri") for one in found], following, newest_first=True)

    def record(self, uri: str, cid: str, record: dict[str, Any], response: CaptureResponse) -> Iterator[Yield]:
        """Yield what a record is, and the files that it names, where it is in the window."""
        whose, collection, key = items.split(uri)
        when = items.time_of(key) or instant(text(record, "createdAt"))
        if collection != items.PROFILE and not Window.of(self.seed).holds(when):
            return
        if collection in {items.POST, items.REPOST}:
            handle = str((response.fetch.cursor or {}).get("handle", ""))
            yield items.post_of(uri, cid, record, response, self.name, handle)
            if collection == items.POST and (app := self.app()):
                yield self.shown(f"{app}/profile/{whose}/post/{key}", response, day(when))
        for blob, name, shows in items.blobs(record):
            kind = items.kind_of(blob, name)
            url = xrpc(response.url, "sync.getBlob", did=whose, cid=text(blob, "ref", "$link"))
            lane = {"image": IMAGES, "avatar": EXTRAS, "banner": EXTRAS, "preview": EXTRAS}.get(kind, ORIGINALS)
            yield items.media_of(blob, kind, shows, url, uri, response, self.name)
            yield self.fetch(url, lane=lane, parent=response, covers=(kind, url), day=day(when))

    def app(self) -> str:
        """Return the app view at which people look at what is here; empty where none is named."""
        return self.seed.options.get("app", "")

    def shown(self, url: str, response: CaptureResponse, of_day: str | None = None) -> Fetch:
        """Return the fetch of a page for people."""
        return self.fetch(
            url, lane=PAGES, parent=response, callback=self.parse_page, covers=("page", url), day=of_day
        )  # fmt: skip


def xrpc(url: str, method: str, **parameters: object) -> str:
    """Return where the server of a URL answers a method of ``com.atproto``."""
    return with_query(urljoin(url, f"/xrpc/com.atproto.{method}"), **parameters)
