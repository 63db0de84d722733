"""What every page of ours must keep, whatever strangers wrote; and strangers who write the worst."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from lxml import html

#: A text that each kind of attention to text should trip over.
EVIL = (
    'tea <script>steal()</script><img src=x onerror=steal()> " onmouseover="steal()" \' onfocus=\'steal() '
    "</title></style></textarea><iframe src=//evil.example> \u202egpj.exe\u2066 \x1b]0;x\x07 \x00 {{ 7 * 7 }} {% raw %} &lt;b&gt;"
)
_ELEMENTS = frozenset({
    "html", "head", "meta", "title", "link", "style", "body", "main", "header", "footer", "nav", "article", "section", "h1", "h2",
    "h3", "p", "a", "b", "i", "ul", "li", "dl", "dt", "dd", "br", "bdi", "code", "pre", "span", "mark", "table", "caption", "thead",
    "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary", "svg", "g", "rect", "line", "path", "text", "desc",
    "circle", "form", "input", "button", "img", "video", "audio", "div",
})  # fmt: skip
_ATTRIBUTES = re.compile(r"on.*|style|srcdoc|formaction|action|xlink:href", re.IGNORECASE)


def check(page: str) -> Any:
    """Return the document, having found nothing in it that is not ours to say."""
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    document = html.document_fromstring(page)
    for element in document.iter():
        if not isinstance(element.tag, str):
            continue
        assert element.tag in _ELEMENTS, element.tag
        for name, value in element.attrib.items():
            if (element.tag, name) != ("form", "action"):
                assert not _ATTRIBUTES.fullmatch(name), (element.tag, name)
            if name in {"href", "src", "action"} and value != "#main":
                parts = urlsplit(value)
                assert not parts.scheme + parts.netloc, value
                assert value.startswith("/"), value
    assert len(document.findall(".//title")) >= 1
    return document


def hostile(**more: Any) -> dict[str, Any]:
    """Return a post all of whose texts are hostile."""
    return {
        "id": f"7/../?x=1&id=2#{EVIL}", "text": EVIL, "author": f"javascript:steal()//{EVIL}", "author_name": EVIL,
        "url": f"javascript:steal()//{EVIL}", "kind": EVIL[:60], "counters": {EVIL: EVIL}, "links": [f"javascript:steal()//{EVIL}"],
        "hashtags": [EVIL], "created_at": ["2021-01-06T10:00:00+00:00", "2021-01-06T10:00:00+00:00"], **more,
    }  # fmt: skip
