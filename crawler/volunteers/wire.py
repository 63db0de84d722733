"""What a volunteer and its coordinator say to each other: JSON over HTTPS, always asked by the volunteer.

    POST /v1/enrol      Enrol → Enrolled      once, with the secret of an invitation
    POST /v1/attend     {} → Attended         I am here: what is my part of the pace, what became of my segments?
    POST /v1/lease      Want → Given          give me work
    POST /v1/hold       Hold → Held           these are durable here, in this segment of mine
    POST /v1/give-back  GiveBack → Held       I shall not fetch these, or could not
    POST /v1/bring      Bring → Ways          a segment is sealed: where do its parts go?
    PUT  /v1/part/NAME/N                      a part, where it goes through the coordinator
    POST /v1/brought    Brought → Standing    all its parts are there
    POST /v1/leave      {} → Held             I go
    GET  /health                              of whoever keeps the coordinator running: 200 while it answers at all

Every call but the first shows the volunteer's own secret (``Authorization: Bearer``). Refusals are a status and a
sentence: 400 makes no sense, 401 unknown or revoked, 403 not yours, 404 no such call, 409 not as it is known,
413 too much, 429 over the quota, 503 not now.
"""

from __future__ import annotations

import re

import msgspec

from crawler.model import Fetch, Seed, SegmentClass
from crawler.warc.seal import PART_BYTES

#: Bytes of one message, whichever way.
MOST = 8 << 20
#: Fetches of one message.
MOST_FETCHES = 500
#: Bytes of a segment; one with a film may be longer than it was meant to be.
LONGEST = 64 << 30
_NAME = re.compile(r"OUTLAST-[A-Za-z0-9._]{1,100}-\d{14}-\d{5,9}-n(\d{1,18})-w\d{1,9}-([a-z]{1,20})\.warc\.gz")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes over the wire."""


class Enrol(Message, frozen=True):
    """Volunteer: I was invited. Hex: the invitation's secret, the SHA-256 of what I shall show, my Ed25519 key."""

    invitation: str
    shows: str
    public_key: str


class Settings(Message, frozen=True):
    """What a volunteer crawls with, as the coordinator's crawl does."""

    contact: str = ""
    operator: str = ""
    purpose: str = ""
    user_agent: str = ""
    robots: str = "obey"


class Enrolled(Message, frozen=True):
    """Coordinator: you are this node, and this is the crawl."""

    node: int
    #: Id of the coordinator's collection.
    crawl: str
    seed: Seed
    platform: str
    settings: Settings


class Attended(Message, frozen=True):
    """Coordinator: who else is there; times are the database's (seconds since the epoch)."""

    place: int
    size: int
    is_ready: bool
    was_out: bool
    now: float
    #: Seconds that you may be silent.
    lease: float
    frozen: dict[str, float]
    #: The crawl's ceilings per host, for all of us together.
    rate: float
    concurrency: int
    delay: float
    #: Nothing is left to do, for anybody.
    is_over: bool
    #: Segments of yours → proven, refused or lost, and why.
    standing: dict[str, tuple[str, str]]


class Attend(Message, frozen=True):
    """Volunteer: I am here, and wait for what becomes of these segments."""

    waits_for: tuple[str, ...] = ()
    #: Origins that told me to leave them alone → until when.
    limited: dict[str, float] = {}


class Want(Message, frozen=True):
    """Volunteer: give me up to ``n`` fetches, and take back what you lent me that is not among ``has`` (ids).

    An answer may have been lost on its way.
    """

    n: int
    has: tuple[int, ...] | None = None


class Errand(Message, frozen=True):
    """One fetch to do, under this token."""

    id: int
    token: int
    fetch: Fetch
    attempt: int = 0


class Given(Message, frozen=True):
    """Coordinator: do these."""

    errands: tuple[Errand, ...]


class Hold(Message, frozen=True):
    """Volunteer: these (id, token) are durable here, in this segment."""

    segment: str
    ids: tuple[tuple[int, int], ...]


class GiveBack(Message, frozen=True):
    """Volunteer: I hold these (id, token) no more; with ``why`` I tried in vain."""

    ids: tuple[tuple[int, int], ...]
    why: str = ""


class Held(Message, frozen=True):
    """Coordinator: it is so, for these ids."""

    ids: tuple[int, ...] = ()


class Bring(Message, frozen=True):
    """Volunteer: this segment is sealed. Sums are hex; ``signature`` is over ``claim``."""

    name: str
    bytes: int
    sha256: str
    parts: tuple[str, ...]
    signature: str


class Ways(Message, frozen=True):
    """Coordinator: where the parts go that are not there yet (number → URL, or a path of mine).

    None where it is not asked for any more; ``state`` says why.
    """

    state: str
    ways: dict[int, str] = {}


class Brought(Message, frozen=True):
    """Volunteer: all parts are there; ``etags`` as the destination told them."""

    name: str
    etags: dict[int, str] = {}


class Standing(Message, frozen=True):
    """Coordinator: how a segment stands."""

    state: str
    reason: str = ""


class Refusal(Message, frozen=True):
    """Coordinator: no, and why."""

    error: str


def node_and_class(segment: str) -> tuple[int, SegmentClass] | None:
    """Return whose node's a segment's name says that it is, and of which class; None where it is no such name."""
    found = _NAME.fullmatch(segment)
    try:
        return (int(found[1]), SegmentClass(found[2])) if found else None
    except ValueError:
        return None


def claim(crawl: str, node: int, one: Bring) -> bytes:
    """Return what a volunteer signs of a segment: which crawl's, whose, and what it is."""
    return f"outlast-segment/1\n{crawl}\n{node}\n{one.name}\n{one.bytes}\n{one.sha256}\n".encode()


def is_sound(one: Bring) -> bool:
    """Say whether what is said of a segment can be."""
    sums = len(one.sha256) == 64 and _is_hex(one.sha256) and all(len(md5) == 32 and _is_hex(md5) for md5 in one.parts)
    return 0 < one.bytes <= LONGEST and len(one.parts) == -(-one.bytes // PART_BYTES) and sums


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]*", text) is not None


def length_of(whole: int, number: int) -> int:
    """Return the bytes of a part, of which the last may be shorter."""
    return min(PART_BYTES, whole - (number - 1) * PART_BYTES)
