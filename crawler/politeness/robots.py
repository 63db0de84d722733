"""robots.txt (RFC 9309): which URLs a site asks us to leave alone. Pure, and total over hostile files.

Protego matches the rules; before it sees a file, the groups of other crawlers are folded into one. It keeps a rule
set for each name and adds every rule to each name of its group, which turns 500 KiB of names and rules into billions
of entries.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from protego import Protego

from crawler.model import Gate

#: The product token by which rules address us.
TOKEN = "outlast"  # noqa: S105 - a product token, RFC 9309 section 2.2.1
#: RFC 9309 section 2.5: at least 500 KiB must be read; what follows is ignored.
MAX_BYTES = 500 * 1024
#: Seconds between requests that a site may ask for, and sitemaps that it may name.
MAX_CRAWL_DELAY = 60.0
MAX_SITEMAPS = 1000

_AGENT = re.compile(r"\s*user(?:-|\s*)agent(?:\s*:|\s)\s*(\*|[a-z_-]*)", re.IGNORECASE)
_OTHERS = "other-crawlers"


class Rules:
    """The rules of one robots.txt for one crawler, known by its product token. Whatever the text is, nothing raises."""

    def __init__(self, text: str, user_agent_token: str = TOKEN) -> None:
        self._token = user_agent_token.lower()
        self._rules = _parse(text[:MAX_BYTES], self._token)

    def allowed(self, url: str) -> bool:
        """Say whether a URL may be fetched. The robots.txt itself always may (RFC 9309 section 2.2.2)."""
        try:
            return urlsplit(url).path == "/robots.txt" or bool(self._rules.can_fetch(url, self._token))
        except Exception:  # noqa: BLE001 - a URL nobody can read is refused elsewhere; a rule cannot name it
            return True

    @property
    def crawl_delay(self) -> float | None:
        """Seconds the site asks to leave between requests, at most a minute (not in the RFC, but widely used)."""
        delay = self._rules.crawl_delay(self._token)
        return None if delay is None else min(float(delay), MAX_CRAWL_DELAY)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """The sitemaps that the file names, as written."""
        return tuple(self._rules.sitemaps)[:MAX_SITEMAPS]


def robots_url(origin: str) -> str:
    """Return where an origin's robots.txt is."""
    return f"{origin}/robots.txt"


def gate_from(origin: str, status: int, body: bytes) -> Gate:
    """Return what the final answer for an origin's robots.txt settles (RFC 9309 section 2.3.1).

    2xx: the rules in the decoded body. 4xx: there are none and everything is allowed, a 401 or 403 included; so too
    for a redirect that leads nowhere. No answer (status 0), 429 or 5xx: nothing is known, and ``readable`` is False;
    the caller has tried again before, and asks the user now, because a dying site answers so too.
    """
    if 200 <= status < 300:
        return Gate(origin=origin, rules=_whole_lines(body).decode("utf-8", "replace"))
    if 300 <= status < 500 and status != 429:
        return Gate(origin=origin)
    return Gate(origin=origin, readable=False)


def _whole_lines(body: bytes) -> bytes:
    """Cut at the bound, but never inside a line: half of ``Disallow: /a`` is ``Disallow: /``."""
    if len(body) <= MAX_BYTES:
        return body
    return body[: max(body.rfind(b"\n", 0, MAX_BYTES), body.rfind(b"\r", 0, MAX_BYTES)) + 1]


@lru_cache(maxsize=64)
def _parse(text: str, token: str) -> Protego:
    lines = (_folded(line, token) for line in text.removeprefix("\ufeff").splitlines())
    try:
        return Protego.parse("\n".join(lines))
    except Exception:  # noqa: BLE001 - rules nobody can read are no rules (RFC 9309 section 2.3.1.5)
        return Protego.parse("")


def _folded(line: str, token: str) -> str:
    """Return a line with the name of any crawler but us and ``*`` replaced by one name for all."""
    found = _AGENT.match(line)
    if found is None:
        return line
    name = found[1].lower()
    return f"User-agent: {name if name in {token, '*'} else _OTHERS}"
