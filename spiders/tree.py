"""Pages as trees, for spiders that read HTML: never monstrous, whatever the page is. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

#: Characters of a page to be made into a tree, and the steps that may take.
MAX_PAGE, MAX_STEPS = 8 << 20, 2_000_000_000
#: Elements that a parser opens again wherever they were left open, and of which nothing here is read.
_FORMATTING = re.compile(r"<(/?)(?=[bisu][\s>/]|(?:big|code|em|font|nobr|small|strike|strong|tt)[\s>/])", re.IGNORECASE)
#: How one may begin; most pages have none. An end without a beginning does nothing.
_MAY_FORMAT = re.compile(r"<(?:[bisu][\s>/]|big|code|em|font|nobr|small|strike|strong|tt)", re.IGNORECASE)
_BLANKS, _SPACES = re.compile(r"[ \t\r\n\f]+"), re.compile(r" {2,}")


def tree(html: str) -> LexborHTMLParser:
    """Return the tree of a page; an empty one where it would be monstrous.

    A parser opens every formatting element that was left open again in every block (HTML standard, "adoption agency
    algorithm"): a few KiB of them make a tree of a GiB. So they are renamed to what nobody knows, and only nest. Deep
    nesting costs the square of its depth, here and in the parser: each tag but a bare span may look up through all
    that are open.
    """
    tags = html.count("<")
    if len(html) > MAX_PAGE or (
        tags * tags > MAX_STEPS and (tags - html.count("</")) * (tags - html.count("<span>")) > MAX_STEPS
    ):
        return LexborHTMLParser("")
    if _MAY_FORMAT.search(html):
        html = _FORMATTING.sub(r"<\1x-", html)
    return LexborHTMLParser(html)


def outermost(selector: str) -> str:
    """Return a selector for what is not inside another of its kind: what is nested a thousandfold is read once."""
    return f"{selector}:not({selector} *)"


def attribute(node: LexborNode | None, name: str) -> str:
    """Return an attribute of an element; empty where there is none."""
    return (node.attributes.get(name) or "").strip() if node is not None and node.is_element_node else ""


def text(node: LexborNode | None) -> str:
    """Return what a reader sees: white space collapsed as a browser does, one line per ``<br>``."""
    if node is None or (first := node.child) is None:
        return ""
    if first.next is None and first.tag == "-text":
        return _collapsed(first.text_content or "").strip()
    parts = []
    for part in node.traverse(include_text=True):
        if part.tag == "br":
            parts.append("\n")
        elif part.tag == "-text":
            parts.append(_collapsed(part.text_content or ""))
    return "\n".join(_SPACES.sub(" ", line).strip() for line in "".join(parts).split("\n"))


def _collapsed(said: str) -> str:
    """Return text with each run of white space as one blank, as a browser shows it."""
    return said if said.isprintable() and "  " not in said else _BLANKS.sub(" ", said)
