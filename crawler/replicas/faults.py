"""How a replica misbehaves: which faults, how often, how many times.

    429=2%10   every tenth answer is a 429 with Retry-After: 2
    reset%50*3 every fiftieth connection is reset, three times in all
    dark%1*…   see KINDS

A transient fault strikes a URL only once, so that trying again succeeds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: 429 and 502 answers, a stall of so many seconds, a body cut short, a reset before the answer, a missing object told
#: with status 200, a redirect to the login page.
KINDS = frozenset({"429", "502", "stall", "cut", "reset", "s3xml", "login"})
_FAULT = re.compile(
    r"(?P<kind>\w+)(?:=(?P<argument>[^%*@]*))?(?:%(?P<every>\d+))?(?:\*(?P<times>\d+))?(?:@(?P<host>\S+))?"
)


@dataclass(slots=True)
class _Fault:
    kind: str
    argument: str
    every: int
    left: int
    host: str
    count: int = 0


class Faults:
    """The faults in force. Raises ValueError for a description it does not know."""

    def __init__(self, text: str = "") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        """Replace all faults."""
        self._faults = [_parse(part) for part in text.split(",") if part]
        self._struck: set[tuple[str, str]] = set()

    def draw(self, host: str, target: str) -> tuple[str, str] | None:
        """Return (kind, argument) of what goes wrong with this request, or None."""
        for fault in self._faults:
            if fault.host not in {"", host} or (host, target) in self._struck or not fault.left:
                continue
            fault.count += 1
            if fault.count % fault.every == 0:
                fault.left -= 1
                self._struck.add((host, target))
                return fault.kind, fault.argument
        return None


def _parse(text: str) -> _Fault:
    found = _FAULT.fullmatch(text)
    if found is None or found["kind"] not in KINDS:
        raise ValueError(f"no such fault: {text!r}; there are {', '.join(sorted(KINDS))}")
    return _Fault(
        found["kind"],
        found["argument"] or "",
        int(found["every"] or 1),
        int(found["times"] or 1 << 30),
        found["host"] or "",
    )
