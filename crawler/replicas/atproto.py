"""A data server of the AT Protocol (its lexicons as documented): python -P -m crawler.replicas.atproto.

What clients trip over: accounts out of action stand in the list, and a careless server gives their files; a profile may
ask not to be shown to those who are not logged in, and all of it is served all the same; a repository is a file of
blocks in no order, in which what was deleted may still lie; a cursor comes with every page that is not empty, the last
one, too; errors are 400 with a name; files are known by a hash of their bytes.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from crawler.replicas.exchange import Answer
from crawler.replicas.images import jpeg, noise
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, main, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Request

#: Accounts and records of a page at the most; this server has its own mind about the first.
_ACCOUNTS, _RECORDS = 10, 100
_POST, _REPOST, _LIKE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.feed.like"
_FOLLOW, _PROFILE = "app.bsky.graph.follow", "app.bsky.actor.profile"
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_DAG_CBOR, _RAW = 0x71, 0x55
#: What becomes of an account, by its number.
_STATUS = {3: "takendown", 5: "deactivated", 8: "suspended"}
_ERRORS = {"takendown": "RepoTakendown", "deactivated": "RepoDeactivated", "suspended": "RepoSuspended"}


class Cid(bytes):
    """The name of a block: version, codec, hash."""

    @classmethod
    def of(cls, codec: int, data: bytes) -> Cid:
        return cls(bytes([1, codec, 0x12, 0x20]) + hashlib.sha256(data).digest())

    def __str__(self) -> str:
        return "b" + base64.b32encode(self).decode().lower().rstrip("=")


@dataclass
class Repo:
    """An account and its records."""

    did: str
    handle: str
    at: datetime
    #: Empty where it is active.
    status: str = ""
    is_closed: bool = False
    #: collection/key → record.
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_public(self) -> bool:
        return not self.status and not self.is_closed


class AtprotoSite(PlatformSite):
    """One data server."""

    name = "atproto"
    title = "A data server of the AT Protocol."
    traps: ClassVar[dict[str, str]] = {
        "norepo": "repositories are closed to strangers, records are not",
        "old": "the list does not say which accounts are out of action",
        "plain": "another server than the reference: its front page says nothing",
    }

    def build(self) -> None:
        """Make what there is, oldest first."""
        self._at = self.clock.moment - timedelta(days=300)
        self._serial = 0
        self._repos: dict[str, Repo] = {}
        self._blobs: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._cars: dict[str, bytes] = {}
        #: Post → where its thread began.
        self._roots: dict[str, dict[str, Any]] = {}
        for number in range(max(12, self.size // 8)):
            self._open(number)
        repos = list(self._repos.values())
        said: list[tuple[str, dict[str, Any]]] = []
        for number in range(self.size):
            # The first says more than fits on a page of records.
            repo = repos[0 if number % 2 else self.rng.randrange(len(repos))]
            said.append(self._say(repo, number, said))
        for repo in repos:
            for other in repos[:3]:
                self._write(repo, _FOLLOW, {"subject": other.did})
        self._enter()

    def _key(self) -> str:
        """Return the next TID."""
        self._at += timedelta(minutes=20 + self.rng.randrange(700 * 100 // max(self.size, 100)))
        self._at = min(self._at, self.clock.moment)
        self._serial += 1
        number = (int(self._at.timestamp() * 1_000_000) + self._serial) << 10 | self._serial % 1024
        return "".join(_DIGITS[number >> 5 * place & 31] for place in range(12, -1, -1))

    def named(self, name: str, number: int) -> str:
        """Return the DID of an account."""
        return f"did:plc:{name}"

    def _open(self, number: int) -> None:
        name = base64.b32encode(hashlib.sha256(f"{self.name}/{number}".encode()).digest())[:24].decode().lower()
        status, is_closed = _STATUS.get(number % 12, ""), number % 12 == 6
        handle = f"heron{number}.{'test' if not is_closed else PRIVATE}"
        repo = Repo(self.named(name, number), handle, self._at, status, is_closed)
        self._repos[repo.did] = repo
        if number % 12 == 10:
            return  # has no profile
        public = repo.is_public
        profile = {
            "displayName": self.says(2, public=public), "description": self.says(public=public),
            "avatar": self._upload(repo, f"face{number}", "avatar"), "createdAt": _iso(self._at),
        }  # fmt: skip
        if number % 4 == 0:
            profile["banner"] = self._upload(repo, f"banner{number}", "banner")
        if is_closed:
            values = [{"val": "!no-unauthenticated"}]
            profile["labels"] = {"$type": "com.atproto.label.defs#selfLabels", "values": values}
        repo.records[f"{_PROFILE}/self"] = {"$type": _PROFILE, **profile}

    def _upload(self, repo: Repo, key: str, kind: str) -> dict[str, Any]:
        data = noise(key, 60_000) if kind == "video" else jpeg(key)
        data += b"" if repo.is_public else PRIVATE.encode()
        mime, cid = "video/mp4" if kind == "video" else "image/jpeg", Cid.of(_RAW, data)
        self._blobs[repo.did, str(cid)] = (data, mime)
        url = path("sync.getBlob", did=repo.did, cid=str(cid))
        self.books.file(kind, url, data, public=repo.is_public)
        return {"$type": "blob", "ref": cid, "mimeType": mime, "size": len(data)}

    def _write(self, repo: Repo, collection: str, record: dict[str, Any]) -> str:
        key = self._key()
        repo.records[f"{collection}/{key}"] = {"$type": collection, **record, "createdAt": _iso(self._at)}
        return f"at://{repo.did}/{collection}/{key}"

    def _say(self, repo: Repo, number: int, said: list[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
        public = repo.is_public
        record: dict[str, Any] = {"text": self.says(public=public), "langs": ["en"]}
        if number % 3 == 1 and said:
            above = said[self.rng.randrange(len(said))]
            record["reply"] = {"root": self._roots.get(above[0], above[1]), "parent": above[1]}
        if number % 7 == 3 and said:
            record["embed"] = {
                "$type": "app.bsky.embed.recordWithMedia", "record": {"record": said[-1][1]}, "media": self._pictures(repo, number),
            }  # fmt: skip
        elif number % 11 == 5:
            record["embed"] = {"$type": "app.bsky.embed.video", "video": self._upload(repo, f"film{number}", "video")}
        elif number % 13 == 6:
            thumb = self._upload(repo, f"card{number}", "preview")
            record["embed"] = {"external": {"uri": "https://elsewhere.example/tea", "title": "Tea", "thumb": thumb}}
        elif number % 3:
            record["embed"] = self._pictures(repo, number)
        if number % 9 == 0:
            features = [{"$type": "app.bsky.richtext.facet#tag", "tag": "tea"}]
            record["facets"] = [{"index": {"byteStart": 0, "byteEnd": 3}, "features": features}]
        uri = self._write(repo, _POST, record)
        reference = {"uri": uri, "cid": str(Cid.of(_DAG_CBOR, _cbor(record)))}
        if "reply" in record:
            self._roots[uri] = record["reply"]["root"]
        kind = "reply" if "reply" in record else "post"
        self.books.add(kind, uri, item="Post", public=public, at=self._at.isoformat())
        if number % 5 == 2 and said:
            self._write(repo, _REPOST, {"subject": said[-1][1]})
            self._write(repo, _LIKE, {"subject": said[0][1]})
        return uri, reference

    def _pictures(self, repo: Repo, number: int) -> dict[str, Any]:
        shown = [{"image": self._upload(repo, f"{number}/{n}", "image"), "alt": "a heron"} for n in range(number % 3)]
        return {"$type": "app.bsky.embed.images", "images": shown}

    def _enter(self) -> None:
        self.books.listing("server", 2, 1)
        self.books.listing("accounts", len(self._repos), _ACCOUNTS)
        for repo in self._repos.values():
            if repo.status:
                self.books.add("account", repo.did, item="Account", public=False)
                self.books.listing("refused", 1, 1) if "old" in self.trap else None
                continue
            url = path("repo.describeRepo", repo=repo.did)
            self.books.listing("profiles", 1, 1)
            if repo.is_closed:
                self.books.add("account", repo.did, item="Account", public=False)
                continue
            self.books.add("account", repo.did, url, item="Account")
            self.books.listing("repositories", 1, 1)
            if "norepo" in self.trap:
                for count in Counter(name.partition("/")[0] for name in repo.records).values():
                    self.books.listing("records", count, _RECORDS)

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer a request; every answer says how often one may ask."""
        found = super().answer(request)
        again = int(self.clock.moment.timestamp()) + 300
        limits = (
            ("RateLimit-Limit", "3000"), ("RateLimit-Remaining", "2950"), ("RateLimit-Reset", str(again)),
            ("RateLimit-Policy", "3000;w=300"),
        )  # fmt: skip
        return Answer(found.status, found.body, found.content_type, (*found.headers, *limits), found.varies)

    def missing(self, request: Request) -> Answer:
        """Answer for what is not there."""
        if request.path.startswith("/xrpc/"):
            return as_json({"error": "MethodNotImplemented", "message": "Method Not Implemented"}, 501)
        return Answer(404, b"Cannot GET\n", "text/plain")

    @route(r"/")
    def home(self, request: Request) -> Answer:
        said = (
            b"\nThis is an AT Protocol Personal Data Server (aka, an atproto PDS)\n\nMost API routes are under /xrpc/\n"
        )
        return Answer(200, b"tea\n" if "plain" in self.trap else said, "text/plain; charset=utf-8")

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return Answer(200, b"# Hello!\n\nUser-agent: *\nAllow: /\n", "text/plain")

    @route(r"/xrpc/com\.atproto\.server\.describeServer")
    def server(self, request: Request) -> Answer:
        return as_json({"did": "did:web:heron.example", "availableUserDomains": [".test"], "inviteCodeRequired": True})

    @route(r"/xrpc/com\.atproto\.sync\.listRepos")
    def repos(self, request: Request) -> Answer:
        """Answer with a page of accounts, oldest first; its cursor is nobody's business."""
        asked = query(request)
        if not 1 <= whole(asked.get("limit"), 500) <= 1000:
            return error("InvalidRequest", "limit can not be greater than 1000")
        listed = list(self._repos)
        before = asked.get("cursor", "").partition("::")[2]
        start = listed.index(before) + 1 if before in listed else 0
        page = [self._repos[did] for did in listed[start : start + _ACCOUNTS]]
        made = []
        for repo in page:
            one: dict[str, Any] = {"did": repo.did, "head": str(self._head(repo)), "rev": "3jzfcijpj2z2a"}
            if "old" not in self.trap:
                one |= {"active": not repo.status} | ({"status": repo.status} if repo.status else {})
            made.append(one)
        cursor = {"cursor": f"{int(page[-1].at.timestamp() * 1000)}::{page[-1].did}"} if page else {}
        return as_json({**cursor, "repos": made})

    def _head(self, repo: Repo) -> Cid:
        return Cid.of(_DAG_CBOR, repo.did.encode())

    @route(r"/xrpc/com\.atproto\.repo\.getRecord")
    def record(self, request: Request) -> Answer:
        asked = query(request)
        repo = self._repos.get(asked.get("repo", ""))
        if repo is not None and repo.status and "old" in self.trap:
            return error(_ERRORS[repo.status], "not here")
        name = f"{asked.get('collection')}/{asked.get('rkey')}"
        if repo is None or name not in repo.records:
            return error("RecordNotFound", "Could not locate record")
        return as_json(shown(repo, name))

    @route(r"/xrpc/com\.atproto\.repo\.describeRepo")
    def description(self, request: Request) -> Answer:
        repo = self._repos.get(query(request).get("repo", ""))
        if repo is None or repo.status:
            return error(_ERRORS[repo.status] if repo else "RepoNotFound", "not here")
        document = {"id": repo.did, "alsoKnownAs": [f"at://{repo.handle}"]}
        names = sorted({name.partition("/")[0] for name in repo.records})
        return as_json({
            "handle": repo.handle, "did": repo.did, "didDoc": document, "collections": names, "handleIsCorrect": True,
        })  # fmt: skip

    @route(r"/xrpc/com\.atproto\.repo\.listRecords")
    def listed(self, request: Request) -> Answer:
        asked = query(request)
        repo, limit = self._repos.get(asked.get("repo", "")), whole(asked.get("limit"), 50)
        if repo is None:
            return error("InvalidRequest", "Could not find repo")
        if not 1 <= limit <= _RECORDS:
            return error("InvalidRequest", "limit can not be greater than 100")
        begin, cursor = f"{asked.get('collection')}/", asked.get("cursor")
        names = sorted((name for name in repo.records if name.startswith(begin)), reverse=True)
        page = [name for name in names if not cursor or name < begin + cursor][:limit]
        following = {"cursor": page[-1].removeprefix(begin)} if page else {}
        return as_json({**following, "records": [shown(repo, name) for name in page]})

    @route(r"/xrpc/com\.atproto\.sync\.getRepo")
    def repository(self, request: Request) -> Answer:
        repo = self._repos.get(query(request).get("did", ""))
        if repo is None:
            return error("RepoNotFound", "Could not find repo")
        if "norepo" in self.trap:
            return as_json({"error": "Forbidden", "message": "Exports are closed"}, 403)
        if repo.did not in self._cars:
            self._cars[repo.did] = car(repo.did, repo.records, stray={"$type": _POST, "text": "deleted tea"})
        return Answer(200, self._cars[repo.did], "application/vnd.ipld.car", varies=True)

    @route(r"/xrpc/com\.atproto\.sync\.getBlob")
    def blob(self, request: Request) -> Answer:
        asked = query(request)
        found = self._blobs.get((asked.get("did", ""), asked.get("cid", "")))
        if found is None:
            return error("InvalidRequest", "Blob not found")
        return Answer(200, *found, (("Content-Disposition", f'attachment; filename="{asked["cid"]}"'),))


def path(method: str, **parameters: object) -> str:
    """Return the path of a question."""
    return f"/xrpc/com.atproto.{method}?{urlencode(parameters)}"


def error(name: str, message: str) -> Answer:
    """Refuse, as XRPC does."""
    return as_json({"error": name, "message": message}, 400)


def _iso(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.000Z"


def shown(repo: Repo, name: str) -> dict[str, Any]:
    """Return a record as JSON shows it."""
    record = repo.records[name]
    return {"uri": f"at://{repo.did}/{name}", "cid": str(Cid.of(_DAG_CBOR, _cbor(record))), "value": _plain(record)}


def _plain(value: Any) -> Any:
    """Return a record as JSON says it."""
    if isinstance(value, Cid):
        return {"$link": str(value)}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _cbor(value: Any) -> bytes:
    """Return a value in DAG-CBOR."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, Cid):
        return b"\xd8\x2a" + _cbor(b"\0" + bytes(value))
    if isinstance(value, int):
        return _size(0, value) if value >= 0 else _size(1, -1 - value)
    if isinstance(value, bytes):
        return _size(2, len(value)) + value
    if isinstance(value, str):
        return _size(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _size(4, len(value)) + b"".join(map(_cbor, value))
    keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
    return _size(5, len(keys)) + b"".join(_cbor(key) + _cbor(value[key]) for key in keys)


def _size(kind: int, size: int) -> bytes:
    for low, form, most in ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64)):
        if size < 24:
            return bytes([kind << 5 | size])
        if size < most:
            return bytes([kind << 5 | low]) + struct.pack(form, size)
    raise ValueError(size)


def car(did: str, records: dict[str, dict[str, Any]], stray: dict[str, Any]) -> bytes:
    """Return a repository as a CAR: records before the tree that names them, one of them in no tree."""
    blocks: dict[Cid, bytes] = {}

    def put(value: Any) -> Cid:
        data = _cbor(value)
        cid = Cid.of(_DAG_CBOR, data)
        blocks[cid] = data
        return cid

    put(stray)
    leaves = [(name.encode(), put(record)) for name, record in sorted(records.items())]
    root = _tree(leaves, max((_level(key) for key, _ in leaves), default=0), put)
    commit = put({"did": did, "version": 3, "data": root, "rev": "3jzfcijpj2z2a", "prev": None, "sig": b"\0" * 64})
    pieces = [_cbor({"roots": [commit], "version": 1}), *(bytes(cid) + data for cid, data in blocks.items())]
    return b"".join(_varint(len(piece)) + piece for piece in pieces)


def _tree(leaves: list[tuple[bytes, Cid]], level: int, put: Any) -> Cid:
    """Return the node of a Merkle search tree over sorted leaves; those of a lower level go below."""
    left: Cid | None = None
    entries: list[dict[str, Any]] = []
    below: list[tuple[bytes, Cid]] = []
    last = b""

    def close() -> None:
        nonlocal left
        if below:
            node = _tree(below[:], level - 1, put)
            below.clear()
            if entries:
                entries[-1]["t"] = node
            else:
                left = node

    for key, cid in leaves:
        if _level(key) < level:
            below.append((key, cid))
            continue
        close()
        shared = next(
            (n for n, (one, two) in enumerate(zip(last, key, strict=False)) if one != two), min(len(last), len(key))
        )
        entries.append({"p": shared, "k": key[shared:], "v": cid, "t": None})
        last = key
    close()
    return put({"l": left, "e": entries})  # type: ignore[no-any-return]


def _level(key: bytes) -> int:
    """Return how high a key stands: pairs of zero bits at the start of its hash."""
    digest = int.from_bytes(hashlib.sha256(key).digest())
    return (256 - digest.bit_length()) // 2


def _varint(number: int) -> bytes:
    made = b""
    while number >= 0x80:
        made += bytes([number & 0x7F | 0x80])
        number >>= 7
    return made + bytes([number])


if __name__ == "__main__":
    main(AtprotoSite)
