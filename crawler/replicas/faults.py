"""How a replica misbehaves: which faults, how often, how many times, on which host.

As text, faults are separated by commas, each ``KIND[=ARGUMENT][%EVERY][+BURST][*TIMES][@HOST]``:

    429=2%100+10          the last 10 of every 100 requests are answered 429 with Retry-After: 2
    429=date5             every URL is first answered 429, Retry-After being the replica's date plus 5 seconds
    502%50*3              every fiftieth request is answered 502, three times in all (500, 503 and 504 likewise)
    stall=30%200          every two hundredth answer comes 30 seconds late
    slow=2000%20          every twentieth answer trickles at 2000 bytes a second
    cut=0.5%40            every fortieth answer ends after half of its bytes, and the connection is closed
    reset%50 / reset=0.5  the connection is reset before the answer, or in its middle
    s3xml%10              a tenth of all stored media is gone: status 200, an XML error. For good, by URL
    login@api.parler.com  a host sends everybody to the login page. For good
    dark=500 / dark=30s   from the 500th request, or 30 seconds on, nothing answers: connections are refused;
                          with @HOST that host alone, and its connections are reset

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
TRANSIENT = STATUSES | {"stall", "slow", "cut", "reset"}
LASTING = frozenset({"s3xml", "login", "dark"})
_FAULT = re.compile(
    r"(?P<kind>\w+)(?:=(?P<argument>[^%+*@]*))?(?:%(?P<every>\d+))?(?:\+(?P<burst>\d+))?(?:\*(?P<times>\d+))?"
    r"(?:@(?P<host>\S+))?"
)


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
        if self.kind not in TRANSIENT | LASTING:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(sorted(TRANSIENT | LASTING))}")
        if not 1 <= self.burst <= self.every and (self.every, self.burst) != (1, 1):
            raise ValueError("a burst is at least 1 and at most as long as its period")
        if self.kind in LASTING and (self.times is not None or self.burst > 1):
            raise ValueError(f"{self.kind} is for good; it takes no times and no burst")
        if self.kind in STATUSES and not re.fullmatch(r"(?:date)?\d*", self.argument):
            raise ValueError(f"{self.kind} takes seconds, or date and seconds, not {self.argument!r}")
        if self.kind in {"stall", "slow", "cut", "reset", "dark"}:
            float(self.argument.removesuffix("s") or 0)
        try:
            re.compile(self.path)
        except re.error as e:
            raise ValueError(f"{self.path!r} is not a regular expression: {e}") from e

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

    def has_begun(self) -> bool:
        """Count one request, and say whether darkness has fallen."""
        self.seen += 1
        if self.argument.endswith("s"):
            return time.monotonic() - self.since >= float(self.argument[:-1])
        return self.seen >= float(self.argument or 0)


class Faults:
    """The faults in force. Raises ValueError for a description it does not know."""

    def __init__(self, text: str = "") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        """Replace all faults by those described, as text or as JSON."""
        found = (
            _from_json(text) if text.lstrip().startswith("[") else [_parse(part) for part in text.split(",") if part]
        )
        self.all = found
        self._struck: set[tuple[str, str]] = set()

    def draw(self, host: str, target: str) -> Fault | None:
        """Return what goes wrong with this request; stored media apart, of which only its answer tells."""
        for fault in self.all:
            if fault.kind == "s3xml" or not fault.concerns(host, target):
                continue
            if fault.kind in LASTING:
                if fault.has_begun() if fault.kind == "dark" else fault.picks(host, target):
                    return fault
            elif (host, target) not in self._struck and fault.strikes():
                self._struck.add((host, target))
                return fault
        return None

    def is_gone(self, host: str, target: str) -> bool:
        """Say whether a stored object is lost."""
        return any(fault.kind == "s3xml" and fault.picks(host, target) for fault in self.all)


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
