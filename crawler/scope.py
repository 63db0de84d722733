"""Which URLs belong to a crawl. Pure; no I/O, no platform names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from crawler.errors import UsageError
from crawler.model import Fetch, Seed
from crawler.url import DEFAULT_PORTS, canonical

#: A path segment repeated this often, or a path this deep, is a trap (a calendar, a relative-link loop).
MAX_REPEATS = 5
MAX_SEGMENTS = 40
MAX_URL_LENGTH = 4096
#: Redirect hops one piece of work may take.
MAX_HOPS = 20


def seed_from(text: str) -> Seed:
    """Turn what the user typed (a host, host:port, address or URL) into a Seed.

    Raises UsageError where it is none of these.
    """
    text = text.strip()
    try:
        url = text if "://" in text else f"{'http' if _is_local(text) else 'https'}://{text}"
        parts = urlsplit(url)
        usable = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        usable = usable and not re.search(r"[\s\x00-\x1f]", text)
        known = canonical(url) if usable else ""
    except (ValueError, UnicodeError):
        usable = False
    if not usable:
        raise UsageError(f"{text!r} is neither a host nor an http(s) URL; try something like example.org")
    return Seed(url=known)


def _is_local(text: str) -> bool:
    host = urlsplit(f"//{text}").hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which fetches a crawl admits; what it refuses it refuses with a reason.

    ``hosts`` are exact names, ``suffixes`` begin with a dot; ``paths``, where given, limit the first host.
    ``open_lanes`` may leave the hosts: page requisites live on other people's CDNs.
    """

    hosts: frozenset[str]
    suffixes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    home: str = ""
    open_lanes: frozenset[str] = frozenset()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    _include: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _exclude: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", tuple(_pattern(p) for p in self.include))
        object.__setattr__(self, "_exclude", tuple(_pattern(p) for p in self.exclude))

    def refuses(self, fetch: Fetch) -> str:
        """Return why a fetch does not belong, or the empty string."""
        try:
            url = canonical(fetch.url)
            parts = urlsplit(url)
        except ValueError:
            return "not a URL"
        if parts.scheme not in DEFAULT_PORTS:
            return "not http"
        if fetch.hops > MAX_HOPS:
            return "redirect loop"
        return (
            self._refuses_user(url, fetch) or self._refuses_place(parts.hostname or "", parts.path, fetch) or trap(url)
        )

    def is_home(self, host: str) -> bool:
        """Say whether a host is the platform's own."""
        return host in self.hosts or host.endswith(self.suffixes or ("\0",))

    def _refuses_user(self, url: str, fetch: Fetch) -> str:
        for pattern in self._exclude:
            if pattern.search(url):
                return f"--exclude {pattern.pattern}"
        if self._include and fetch.depth and not any(p.search(url) for p in self._include):
            return "not in --include"
        return ""

    def _refuses_place(self, host: str, path: str, fetch: Fetch) -> str:
        if fetch.lane in self.open_lanes:
            return ""
        if not self.is_home(host):
            return "other site"
        if self.paths and host == self.home and fetch.depth and not path.startswith(self.paths):
            return "outside the seed's path"
        return ""


def trap(url: str) -> str:
    """Return why a URL looks like a crawler trap, or the empty string."""
    if len(url) > MAX_URL_LENGTH:
        return "trap: URL too long"
    segments = [s for s in urlsplit(url).path.split("/") if s]
    if len(segments) > MAX_SEGMENTS:
        return "trap: path too deep"
    if len(segments) > MAX_REPEATS and any(segments.count(s) > MAX_REPEATS for s in set(segments)):
        return "trap: repeating path"
    return ""


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as e:
        raise UsageError(f"{text!r} is not a regular expression: {e}") from e
