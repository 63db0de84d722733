"""robots.txt (RFC 9309): which URLs a site asks us to leave alone. Pure."""

from __future__ import annotations

from protego import Protego

from crawler.model import Gate

#: The name by which rules address us.
TOKEN = "outlast"
#: RFC 9309 section 2.5: at least 500 KiB must be read; what follows is ignored.
MAX_BYTES = 500 * 1024


class Rules:
    """The rules of one robots.txt. Whatever the text is, this never raises."""

    def __init__(self, text: str) -> None:
        self._rules = _parse(text)

    def allowed(self, url: str) -> bool:
        """Say whether a URL may be fetched."""
        try:
            return bool(self._rules.can_fetch(url, TOKEN))
        except (ValueError, IndexError, AttributeError):
            return True

    @property
    def crawl_delay(self) -> float | None:
        """Seconds the site asks to leave between requests, where it does (not part of the RFC, widely used)."""
        delay = self._rules.crawl_delay(TOKEN)
        return float(delay) if delay is not None else None


def robots_url(origin: str) -> str:
    """Return where an origin's robots.txt is."""
    return f"{origin}/robots.txt"


def gate_from(origin: str, status: int, body: bytes) -> Gate:
    """Return what an answer for robots.txt settles (RFC 9309 section 2.3.1).

    A 4xx means that there are no rules, a 401 or 403 included. No answer, or a 5xx that stayed one, settles nothing
    for good: the origin stays closed, because a dying site answers so too, and the user decides.
    """
    if 200 <= status < 300:
        return Gate(origin=origin, rules=body[:MAX_BYTES].decode("utf-8", "replace"))
    if 400 <= status < 500 and status != 429:
        return Gate(origin=origin)
    return Gate(origin=origin, readable=False)


def _parse(text: str) -> Protego:
    try:
        return Protego.parse(text)
    except (ValueError, IndexError, AttributeError, TypeError):
        return Protego.parse("")
