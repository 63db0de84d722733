"""How a replica misbehaves: which faults, how often, how many times, on which host.

As text, faults are separated by commas, each ``KIND[=ARGUMENT][%EVERY][+BURST][*TIMES][@HOST]``:

    429=2%100+10          the last 10 of every 100 requests are answered 429 with Retry-After: 2
    429=date5             every URL is first answered 429, Retry-After being a date, in 5 seconds by the machine's clock
    502%50*3              every fiftieth request is answered 502, three times in all (500, 503 and 504 likewise)
    stall=30%200          every two hundredth answer comes 30 seconds late
    slow=2000%20          every twentieth answer trickles at 2000 bytes a second
    cut=0.5%40            every fortieth answer ends after half of its bytes, and the connection is closed
    reset%50 / reset=0.5  the connection is reset before the answer, or in its middle
    s3xml%10              a tenth of all stored media is gone: status 200, an XML error. For good, by URL
    s3xml@video.parler.com     all media of that host is
    s3xml%10*5            every tenth stored object is said to be gone, five times in all, and is there again
    login@api.parler.com  a host sends everybody to the login page. For good
    die=HOW%150           it dies at the 150th request, until the faults are replaced: tombstone (one page for all),
                          login, 403, 404, 410, 451 (or any status), slow (first half, then all answers are errors),
                          tls (its certificate has expired, for all hosts), stranger (it is nobody's that a client
                          trusts); with @HOST that host alone
    dark=500 / dark=30s   at the 500th request, or the first after 30 seconds, every connection is reset, and then
                          refused; with @HOST that host alone, whose connections are reset. Until POST /up

As JSON they are a list of objects with the same names: ``{"kind": "429", "argument": "2", "every": 100, "burst": 10,
"times": 3, "host": "", "path": "^/post/"}``; ``path`` is a regular expression the target must match.
A fault that is not for good strikes a URL only once, so that trying again succeeds.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from crawler.replicas.permute import keyed

STATUSES = frozenset({"429", "500", "502", "503", "504"})
PACED = frozenset({"stall", "slow", "cut", "reset"})
KINDS = STATUSES | PACED | {"s3xml", "login", "dark", "die"}
#: Ways to die beside answering with one status; and how many answers the slow one takes.
BAD_CERTIFICATES = {"tls": "expired", "stranger": "stranger"}
DEATHS, AGONY = frozenset({"tombstone", "login", "slow", *BAD_CERTIFICATES}), 20
_FAULT = re.compile(
    r"(?P<kind>\w+)(?:=(?P<argument>[^%+*@]*))?(?:%(?P<every>\d+))?(?:\+(?P<burst>\d+))?(?:\*(?P<times>\d+))?"
    r"(?:@(?P<host>\S+))?"
)
_WAIT = re.compile(r"(?:date)?[0-9]{0,9}")
_AMOUNT = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?)?")


@dataclass(slots=True)
class Fault:
    """One fault in force."""

    kind: str
    argument: str = ""
    every: int = 1
    burst: int = 1
    #: How often it still strikes; None is without end.
    times: int | None = None
    host: str = ""
    path: str = ""
    seen: int = 0
    since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Refuse what makes no sense, when it is said and not when it strikes. Raises ValueError."""
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if not 1 <= self.burst <= self.every and (self.every, self.burst) != (1, 1):
            raise ValueError("a burst is at least 1 and at most as long as its period")
        if (self.kind in {"login", "dark", "die"} and self.times is not None) or (self.is_lasting and self.burst > 1):
            raise ValueError(f"{self.kind} is for good; it takes no times and no burst")
        if self.kind in STATUSES and not _WAIT.fullmatch(self.argument):
            raise ValueError(f"{self.kind} takes seconds, or date and seconds, not {self.argument!r}")
        if self.kind == "die" and self.argument not in DEATHS and not re.fullmatch(r"[345]\d\d", self.argument):
            raise ValueError(f"die takes {', '.join(sorted(DEATHS))} or a status, not {self.argument!r}")
        number = self.argument.removesuffix("s") if self.kind == "dark" else self.argument
        if self.kind in PACED | {"dark"} and not _AMOUNT.fullmatch(number):
            raise ValueError(f"{self.kind} takes a number, not {self.argument!r}")
        try:
            re.compile(self.path)
        except re.error as e:
            raise ValueError(f"{self.path!r} is not a regular expression: {e}") from e

    @property
    def is_lasting(self) -> bool:
        """Whether it strikes for good, and not request by request."""
        return self.kind in {"login", "dark", "die"} or (self.kind == "s3xml" and self.times is None)

    def concerns(self, host: str, target: str) -> bool:
        """Say whether a request is of the kind it may strike."""
        return self.host in {"", host} and (not self.path or re.search(self.path, target) is not None)

    def picks(self, host: str, target: str) -> bool:
        """Say whether a URL is among those it strikes for good: the same answer every time."""
        return self.concerns(host, target) and keyed(0, self.kind, host, target) % self.every == 0

    def strikes(self) -> bool:
        """Count one request, and say whether this is the one."""
        if self.times == 0:
            return False
        self.seen += 1
        if (self.seen - 1) % self.every < self.every - self.burst:
            return False
        self.times = None if self.times is None else self.times - 1
        return True

    def kills(self) -> bool:
        """Count one request, and say whether it is answered by the dead."""
        self.seen += 1
        dead = self.seen - self.every
        return dead >= AGONY or (dead >= 0 and (self.argument != "slow" or dead % 2 == 0))

    def has_begun(self) -> bool:
        """Count one request, and say whether darkness has fallen."""
        self.seen += 1
        if self.argument.endswith("s"):
            return time.monotonic() - self.since >= float(self.argument[:-1])
        return self.seen >= float(self.argument or 0)


class Faults:
    """The faults in force; ``stores`` are the hosts that may lose objects. Raises ValueError for what it does not know."""

    def __init__(self, text: str = "", stores: frozenset[str] = frozenset()) -> None:
        self._stores = stores
        self.set(text)

    def set(self, text: str) -> None:
        """Replace all faults by those described, as text or as JSON."""
        found = (
            _from_json(text) if text.lstrip().startswith("[") else [_parse(part) for part in text.split(",") if part]
        )
        self.all = found
        self._struck: set[tuple[str, str]] = set()

    def draw(self, host: str, target: str) -> Fault | None:
        """Return what goes wrong with this request; objects lost for good apart, of which ``is_gone`` tells."""
        return next(
            (fault for fault in self.all if fault.concerns(host, target) and self._hits(fault, host, target)), None
        )

    def _hits(self, fault: Fault, host: str, target: str) -> bool:
        if fault.kind == "s3xml" and (fault.is_lasting or host not in self._stores):
            return False
        if fault.kind == "die":
            return fault.kills()
        if fault.is_lasting:
            return fault.has_begun() if fault.kind == "dark" else fault.picks(host, target)
        if (host, target) in self._struck or not fault.strikes():
            return False
        self._struck.add((host, target))
        return True

    def is_gone(self, host: str, path: str) -> bool:
        """Say whether a stored object is lost for good."""
        return host in self._stores and any(fault.picks(host, path) for fault in self._losses)

    @property
    def losses(self) -> str:
        """What ``is_gone`` depends on, as text that can be compared."""
        return repr([(fault.every, fault.host, fault.path) for fault in self._losses])

    @property
    def _losses(self) -> list[Fault]:
        return [fault for fault in self.all if fault.kind == "s3xml" and fault.is_lasting]

    @property
    def certificate(self) -> str:
        """Which certificate it shows."""
        dead = (one.argument for one in self.all if one.kind == "die" and one.seen >= one.every)
        return next((BAD_CERTIFICATES[how] for how in dead if how in BAD_CERTIFICATES), "server")

    def end_darkness(self) -> None:
        """Take back what made it go dark."""
        self.all = [fault for fault in self.all if fault.kind != "dark"]


def _parse(text: str) -> Fault:
    found = _FAULT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not KIND[=ARGUMENT][%EVERY][+BURST][*TIMES][@HOST]")
    every, burst, times = (int(found[name] or 1) for name in ("every", "burst", "times"))
    return Fault(
        found["kind"], found["argument"] or "", every, burst, times if found["times"] else None, found["host"] or ""
    )


def _from_json(text: str) -> list[Fault]:
    names = {"kind": str, "argument": str, "every": int, "burst": int, "times": int, "host": str, "path": str}
    found: list[Any] = json.loads(text)
    for one in found:
        if not isinstance(one, dict) or "kind" not in one or not one.keys() <= names.keys():
            raise ValueError(f"a fault has a kind, and may have {', '.join(list(names)[1:])}")
        if not all(isinstance(value, names[name]) for name, value in one.items()):
            raise ValueError("every, burst and times are numbers, the rest is text")
    return [Fault(**one) for one in found]
