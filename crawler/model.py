"""The nouns that travel between the rooms of the crawler.

Every class here is plain, immutable data; behaviour lives in the room that owns it. The classes cross
process boundaries as msgpack (``msgspec`` encodes dataclasses as they are), so fields hold only
str, bytes, int, float, bool, None, tuples, dicts and other nouns of this file.

Times are UTC: ``datetime`` with tzinfo where people read them, float seconds since the epoch in the frontier.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO, Literal
from urllib.parse import urlsplit

from crawler.url import canonical

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_size = Struct(">Q").pack
#: A body up to this many bytes stays in memory; a bigger one is spooled to disk.
SPOOL_THRESHOLD = 1 << 20
#: The lane of what was asked to recognise a site: recorded, but no fetch of the frontier.
PROBE_LANE = "probe"
#: A payload below this many bytes is never replaced by a revisit (design section 4).
REVISIT_MIN_BYTES = 1024


def _sized(part: bytes) -> bytes:
    return _size(len(part)) + part


_GET, _NOTHING = _sized(b"GET"), _sized(b"")


class SegmentClass(StrEnum):
    """What a segment holds; each class has its own push order and access (design section 11.2)."""

    TEXT = "text"
    IMAGES = "images"
    ORIGINALS = "originals"
    ATTEMPTS = "attempts"
    RESTRICTED = "restricted"
    #: What other programs saved, taken in as it was.
    IMPORTED = "imported"


class Outcome(StrEnum):
    """How an exchange ended on the wire. Anything but OK carries its story in ``Capture.error``."""

    OK = "ok"
    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    TIMEOUT = "timeout"
    CUT = "cut"
    PROTOCOL = "protocol"
    PROXY = "proxy"
    FORBIDDEN_ADDRESS = "forbidden-address"


class Verdict(StrEnum):
    """What a platform's ``judge`` says an answered exchange really is."""

    OK = "ok"
    MISSING = "missing"
    LOGIN = "login"
    TOMBSTONE = "tombstone"
    LIMITED = "limited"
    PRIVATE = "private"
    MIXED = "mixed"


class State(StrEnum):
    """Where a fetch stands in the frontier. The allowed moves are the table in ``frontier/states.py``."""

    QUEUED = "queued"
    LEASED = "leased"
    #: Durable with a volunteer, and not yet proven at a destination.
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    PARKED = "parked"
    EXCLUDED = "excluded"


class Standing(StrEnum):
    """Coverage of one thing of the platform. It only ever moves forward in the order written here."""

    KNOWN = "known"
    EXCLUDED = "excluded"
    REFUSED = "refused"
    #: A number of a swept id space at which nothing lives: no gap.
    VACANT = "vacant"
    MISSING = "missing"
    PARTIAL = "partial"
    CAPTURED = "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A kind of work: listings, posts, images, video. Lower ``order`` goes first."""

    name: str
    order: int
    segment_class: SegmentClass = SegmentClass.TEXT
    #: Its fetches may leave the platform's own hosts.
    anywhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What the user asked for, normalised."""

    #: Absolute URL; a bare host becomes ``https://host/``.
    url: str
    #: Window of interest, ISO 8601 UTC instants, inclusive since, exclusive until.
    since: str | None = None
    until: str | None = None
    #: Spider-specific parameters (for example where an id counter starts and ends).
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One piece of work: a request and what its answer is for."""

    url: str
    lane: str
    method: str = "GET"
    body: bytes = b""
    #: Extra request headers, in order (Content-Type of a POST read, Accept of an API).
    headers: tuple[tuple[str, str], ...] = ()
    #: Name of the spider method that reads the answer; None for a capture nobody parses.
    callback: str | None = None
    #: JSON-able state of an enumeration; a listing page carries its cursor here, never in the spider.
    cursor: dict[str, Any] | None = None
    #: URL of the page that named this one.
    via: str | None = None
    #: Links followed from the seed.
    depth: int = 0
    #: Redirect hops taken so far for this piece of work.
    hops: int = 0
    #: (kind, id) of the thing of the platform this fetch would capture, for coverage.
    covers: tuple[str, str] | None = None
    #: ISO day (YYYY-MM-DD) the thing belongs to, where known: part of the bucket.
    day: str | None = None
    #: Value class, 0 = ordinary, higher is worth more: part of the bucket.
    value: int = 0
    #: True where ids are swept and a 404 is simply a hole; False where something named this URL.
    sweep: bool = False
    #: True where a listing goes on with what is older: needless where all that came before is held since earlier, or
    #: this itself is.
    deeper: bool = False
    #: False: a 3xx goes to the callback instead of becoming a fetch of its target.
    follow: bool = True

    @property
    def fingerprint(self) -> bytes:
        """128 bits over method, canonical URL and body; unique within a round."""
        url = canonical(self.url).encode()
        method = _GET if self.method == "GET" else _sized(self.method.encode())
        body = _sized(self.body) if self.body else _NOTHING
        return blake2b(b"%b%b%b%b" % (method, _size(len(url)), url, body), digest_size=16).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A fetch in the hands of a worker. Only the holder of the newest token may settle it."""

    id: int
    token: int
    fetch: Fetch
    #: How many attempts came before this one.
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A batch of fetches held until ``expires`` (seconds since the epoch)."""

    token: int
    worker: str
    expires: float
    fetches: tuple[Leased, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What the TLS handshake settled."""

    version: str
    cipher: str
    #: DER certificates as the server sent them, leaf first.
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """SHA-256 (hex) and SHA-1 (base32) of a block and of a payload, as WARC/1.1 section 5.8/5.9 define them.

    The payload is the entity body: transfer coding removed, content coding kept.
    """

    block_sha256: str
    payload_sha256: str
    payload_sha1: str
    #: Bytes of the payload.
    payload_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Bytes in memory (``data``) or in a spool file (``path``), exactly as they were on the wire."""

    size: int
    data: bytes = b""
    path: Path | None = None

    def open(self) -> BinaryIO:
        """Return a new readable stream at the start of the bytes; the caller closes it."""
        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")


EMPTY_BODY = Body(size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One exchange as it went over the wire.

    ``request`` and ``head`` + ``body`` are byte for byte what was sent and received: ``head`` runs from the
    first byte of the final status line to the end of the blank line, ``body`` holds the rest with its transfer
    framing. ``head`` is empty when no answer came (then ``outcome`` is not OK).
    """

    url: str
    method: str
    request: bytes
    head: bytes
    body: Body
    status: int
    outcome: Outcome
    #: When the request was about to be sent, UTC; every record of the capture carries this one date.
    started: datetime
    ended: datetime
    #: Why the outcome is not OK, or what was odd about a whole answer, for people.
    error: str = ""
    #: WARC-Truncated value: "disconnect", "time", "length" or "unspecified"; None for a whole body.
    truncated: Literal["disconnect", "time", "length", "unspecified"] | None = None
    #: Address of the origin (never a proxy's); None where unknown.
    ip: str | None = None
    #: Its name did not resolve any more: this is an address that it had before.
    is_stale: bool = False
    tls: Tls | None = None
    #: Heads of 1xx answers that came before the final one, exact bytes; kept in the metadata record.
    interim: bytes = b""
    #: Response digests; None when ``head`` is empty.
    digests: Digests | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One name resolved: the evidence behind a ``dns:`` record."""

    host: str
    addresses: tuple[str, ...]
    when: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a capture's group of records begins: the byte offset of its request record's gzip member."""

    segment: str
    offset: int
    #: Bytes of the response (or revisit) record's member, and its own offset.
    response_offset: int = 0
    response_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The committed record a revisit may refer to."""

    record_id: str
    url: str
    #: WARC-Date of the original record, as written.
    date: str
    segment: str
    #: Its WARC-Payload-Digest, where a server said that nothing has changed since.
    payload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One step of the coverage ledger: what is now known of one thing."""

    kind: str
    id: str
    standing: Standing
    day: str | None = None
    #: Why, for refused, missing and partial things.
    reason: str = ""
    url: str = ""
    #: Of a post: what told of it (``source_of``) and what it said, 8 bytes each, so that a later round sees a change.
    mark: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """How many things of a kind the platform itself says it has."""

    #: A kind of coverage.
    kind: str
    count: int
    #: Which counter says so: ``nodeinfo usage.localPosts``.
    counter: str
    #: Why it may differ from what strangers can have.
    caveat: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person must hear once: a door that is closed, another way that is taken."""

    text: str
    #: The answer that shows it.
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What an origin's robots.txt settled, once, for the round."""

    #: ``scheme://host[:port]``.
    origin: str
    #: The robots.txt text; empty where everything is allowed.
    rules: str = ""
    #: False where no readable answer ever came: the origin stays closed until the user decides.
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an answer looked like, for whoever watches whether the platform still lives."""

    url: str
    lane: str
    #: A word of ``deathwatch.Sign``.
    sign: str
    #: Where it redirects, without query.
    target: str = ""
    sweep: bool = False
    #: How many answers of its host or lane in a row look like it, where a worker waits to hear what that means; else 0.
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What the committer tells the frontier about one leased fetch, in one transaction."""

    id: int
    token: int
    #: DONE, FAILED, PARKED, EXCLUDED, or QUEUED for another attempt.
    state: State
    reason: str = ""
    #: Earliest time of the next attempt (epoch seconds) when ``state`` is QUEUED.
    not_before: float = 0.0
    status: int = 0
    #: Set when records were written.
    location: Location | None = None
    digests: Digests | None = None
    record_id: str = ""
    date: str = ""
    #: False for a revisit: its payload is already known by its original.
    is_original: bool = True
    outlinks: tuple[Fetch, ...] = ()
    coverage: tuple[Covered, ...] = ()
    claims: tuple[Claim, ...] = ()
    notes: tuple[Note, ...] = ()
    #: Wire bytes of the response, for the totals.
    size: int = 0
    #: Set by the fetch of a robots.txt: opens its origin.
    gate: Gate | None = None
    seen: Seen | None = None
    #: True where this try does not count: a dead host answered.
    untried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One group commit: settlements plus the low-water mark of each segment they touched.

    Everything in a segment before its mark is settled; the bytes of every settlement are already fsynced.
    """

    settlements: tuple[Settlement, ...] = ()
    low_water: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a platform says of an account."""

    platform: str
    id: str
    username: str
    url: str
    name: str = ""
    bio: str = ""
    #: (earliest, latest) ISO 8601 UTC; equal when the platform gives an exact time.
    created_at: tuple[str, str] | None = None
    avatar: str | None = None
    banner: str | None = None
    badges: tuple[str, ...] = ()
    counters: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    captured_at: str = ""
    source_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a platform says of a post, comment or reply."""

    platform: str
    id: str
    url: str
    kind: str = "post"
    author: str | None = None
    author_name: str | None = None
    text: str = ""
    #: (earliest, latest) ISO 8601 UTC; an interval where the page gives only "4 days ago".
    created_at: tuple[str, str] | None = None
    in_reply_to: str | None = None
    #: The post this one echoes, boosts or quotes, where the page says.
    repost_of: str | None = None
    media: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    counters: dict[str, str] = field(default_factory=dict)
    sensitive: bool = False
    deleted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    captured_at: str = ""
    source_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A media file a post or account names."""

    platform: str
    id: str
    url: str
    #: "image", "video", "audio", "avatar", "banner", "preview", "embed" …
    kind: str
    #: "original", "large", "small", "thumbnail"; what the URL serves.
    variant: str = "original"
    post: str | None = None
    account: str | None = None
    title: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    captured_at: str = ""
    source_url: str = ""


Item = Account | Post | Media


def source_of(fetch: Fetch) -> bytes:
    """Return 8 bytes for what tells of things: a callback, and a path without the page of a list."""
    path = urlsplit(fetch.url).path
    return blake2b(f"{fetch.callback} {path}".encode("utf-8", "replace"), digest_size=8).digest()
