"""What a crawl was told to do: one typed object, filled by the command line (flags > environment > file > default)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SEGMENT_BYTES = 1 << 30
SEAL_EVERY = 15 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one run. Every field crosses to the workers as it is; none holds a secret."""

    contact: str = ""
    operator: str = ""
    purpose: str = ""
    user_agent: str = ""
    platform: str = ""
    robots: Literal["obey", "ignore", "observe"] = "obey"
    offsite: Literal["none", "requisites"] = "requisites"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: Hosts of further seeds and of a list (-i), in scope beside the platform's own.
    listed_hosts: tuple[str, ...] = ()
    #: Captures after which this run stops; 0 = no limit.
    limit: int = 0
    #: Seconds after which this run stops; 0 = no limit.
    max_time: float = 0.0
    #: Wire bytes after which this run stops; 0 = no limit.
    max_bytes: int = 0
    #: When the site goes dark, ISO 8601 UTC; empty where nobody knows.
    deadline: str = ""
    #: What goes first, each ``since/until``; and in which zone people read times, beside UTC.
    window: tuple[str, ...] = ()
    tz: str = ""
    #: Wire bytes that the whole collection may have; 0 = no limit.
    budget: int = 0
    #: Ceilings of the pace per host; 0 = adaptive.
    rate: float = 0.0
    concurrency: int = 16
    delay: float = 0.0
    #: Worker processes; 0 = one a core.
    workers: int = 0
    #: Seconds without a sign of life after which a worker is taken for hung.
    watchdog: float = 60.0
    #: Exchanges in flight over all hosts of one worker.
    in_flight: int = 64
    #: Seconds until what died is asked again for the first time.
    probe_every: float = 30.0
    #: Seconds after which a crawl ends of which all that is left is dead.
    give_up_after: float = 24 * 3600.0
    segment_bytes: int = SEGMENT_BYTES
    seal_every: float = SEAL_EVERY
    #: Free bytes below which a crawl stops (exit code 8).
    disk_reserve: int = 256 << 20
    #: Destinations to which sealed segments go while the crawl runs.
    push_to: tuple[str, ...] = ()
    #: Whether originals may go to public ones.
    public_originals: bool = False
    #: Whether segments go from this machine once ``copies`` owners have them.
    delete_local: bool = False
    copies: int = 2
    ca_cert: str = ""
    verify: bool = True
    proxy: str = ""
    #: The authority that time-stamps the manifest's head whenever a segment is sealed; empty for none.
    tsa: str = ""
    resolve: tuple[str, ...] = ()
    connect_to: tuple[str, ...] = ()
    bind_address: str = ""
    #: Whether to go on with the last known addresses of a host whose name is gone.
    keep_addresses: bool = False
    allow_private: tuple[str, ...] = ()
    connect_timeout: float = 15.0
    first_byte_timeout: float = 60.0
    idle_timeout: float = 60.0
    total_timeout: float = 6 * 3600.0
    #: Bytes at which the body of an answer is cut off; 0 = no limit.
    max_body: int = 0
    #: The database that a fleet shares (no password in it); empty for the collection's own file.
    frontier: str = ""
    #: Seconds that a machine of a fleet may be silent before others have what it held.
    lease: float = 60.0
    #: Whether a coordinator says what is fetched: none of its hosts is trusted with private addresses.
    volunteer: bool = False
    #: Where each value that is not a default came from: {"robots": "commandline"}.
    sources: dict[str, str] = field(default_factory=dict)
