"""The pages we make of what strangers wrote: one set of templates, everything escaped, nothing that moves or turns."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from jinja2 import Template

#: Control characters and halves of surrogate pairs; and what turns the direction of all that follows.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TURN = re.compile("[\u202a-\u202e\u2066-\u2069]")


def harmless(value: Any) -> Any:
    """Return a text without what moves, hides or turns the text around it; anything else as it is."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return type(value)(_TURN.sub("", _CONTROL.sub("\ufffd", value)))


def template(name: str) -> Template:
    """Return a template of ours."""
    return _environment().get_template(name)


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, "style.css")[0]


@cache
def style_hash() -> str:
    """Return the style sheet's name in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()


@cache
def land() -> str:
    """Return the outline of the world's land as an SVG path, a unit a degree, north up.

    From Natural Earth's 1:110m land (public domain), to half a degree.
    """
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, "land.txt")[0]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("crawler.reading"), autoescape=True, undefined=StrictUndefined, finalize=harmless,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"size": size, "n": number, "of": counted, "when": when, "oneline": oneline, "between": between}
    return made


def size(count: float | None) -> str:
    """Return bytes as people read them."""
    left = float(count or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if left < 1024:
            return f"{left:.0f} {unit}" if unit == "B" else f"{left:.1f} {unit}"
        left /= 1024
    return f"{left:.1f} TiB"


def number(count: int) -> str:
    """Return a number with its thousands apart, at which no line breaks."""
    return f"{count:,}"


def counted(count: int, one: str) -> str:
    """Return a number and what it counts."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def when(text: str | None) -> str:
    """Return an instant (ISO 8601, UTC) to the second as people read it."""
    return f"{text[:19].replace('T', ' ')} UTC" if text else ""


def between(first: str | None, last: str | None) -> str:
    """Return an interval (ISO 8601, UTC) to the minute, as one time where it is no longer."""
    ends = [text[:16].replace("T", " ") for text in (first, last or first) if text]
    return f"{' to '.join(dict.fromkeys(ends))} UTC" if ends else "no date"


def oneline(text: str | None, most: int = 200) -> str:
    """Return the beginning of a text on one line."""
    words = " ".join((text or "")[: most * 4].split())
    return words if len(words) <= most else words[: most - 1] + "…"
