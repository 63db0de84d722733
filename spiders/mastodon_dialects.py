"""What sets the members of the Mastodon family apart, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Nothing matches it.
_NEVER = "(?!)"


def snowflake(when: datetime) -> str:
    """Return the id that nothing said before a moment reaches: 48 bits of milliseconds, 16 of anything."""
    return str(_milliseconds(when) << 16)


def ulid(when: datetime) -> str:
    """Return the same where ids are ULIDs: 10 digits of milliseconds, 16 of anything."""
    left = _milliseconds(when)
    return "".join(_CROCKFORD[left >> 5 * place & 31] for place in range(9, -1, -1)) + "0" * 16


def pixelfed(when: datetime) -> str:
    """Return the same where ids count milliseconds since February 2019, before 22 bits of anything."""
    return str(max(_milliseconds(when) - 1_549_756_800_000, 0) << 22)


def _milliseconds(when: datetime) -> int:
    return max(int(when.astimezone(UTC).timestamp() * 1000), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one member of the family does in its own way."""

    #: The listing of this server's own posts; empty where no stranger ever gets it.
    timeline: str = "/api/v1/timelines/public?local=true&limit=40"
    #: Its pages are numbered, from 1.
    is_numbered: bool = False
    #: Those who let themselves be listed, and the most that a page of them holds.
    directory: str = "/api/v1/directory?local=true&order=new&limit=80"
    directory_page: int = 80
    #: What one account said, and the most that a page of it holds.
    list: str = "/api/v1/accounts/{}/statuses?limit=40"
    page: int = 40
    #: False where strangers never get it: pages for people are read instead.
    has_lists: bool = True
    #: What a server says of one account.
    person: str = "/api/v1/accounts/{}"
    #: What turns a moment into an id, where ids carry time.
    bound: Callable[[datetime], str] | None = snowflake
    #: Where an account's feed is.
    feed: str = "/@{}.rss"
    #: Path of an account's page where that is not ``/@name``.
    address: str = _NEVER
    #: What ``version`` in /api/v1/instance looks like, and what the front page holds, where NodeInfo is missing.
    version: str = _NEVER
    mark: str = ""


MASTODON = Dialect(version=r"[1-9]\d*\.\d+(?!.*\(compatible)")
PLEROMA = Dialect(
    bound=None, feed="/users/{}.rss", version=r".*\(compatible; (?:Pleroma|Akkoma|Rebased|Soapbox) ",
)  # fmt: skip
GOTOSOCIAL = Dialect(
    has_lists=False, bound=ulid, feed="/@{}/feed.rss", version=r"0\.\d+\.\d+(?!.*\(compatible)",
)  # fmt: skip
GAB = Dialect(
    timeline="/api/v1/timelines/explore?sort_by=newest", is_numbered=True, directory="",
    address=r"/([A-Za-z0-9_]{1,100})/?", mark='id="gabsocial"',
)  # fmt: skip
TRUTH_SOCIAL = Dialect(timeline="", directory="", list="/api/v1/accounts/{}/statuses?limit=20", page=20)
PIXELFED = Dialect(
    timeline="", directory="/api/landing/v1/directory", directory_page=20, bound=pixelfed,
    list="/api/pixelfed/v1/accounts/{}/statuses?limit=24", page=24, person="/api/pixelfed/v1/accounts/{}",
    feed="/users/{}.atom", address=r"/(?!i$|site$|login$|discover$)([A-Za-z0-9_.-]{2,64})/?",
    version=r".*\(compatible; Pixelfed ",
)  # fmt: skip
