"""What of a request's body belongs into an index key, so that a replay tool finds the answer to *this* POST.

The body becomes query parameters behind ``__wb_method=POST``, as pywb, wabac.js and cdxj-indexer do (Webrecorder,
"request body canonicalization"). A multipart body, which nothing here sends, is taken as opaque bytes.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote_plus, urlencode

METHODS = frozenset({"POST", "PUT"})
#: Characters of a body that a key may hold.
MAX_QUERY = 4096


def body_query(content_type: str, body: bytes) -> str:
    """Return the query that stands for a body; never raises."""
    kind = content_type.strip().lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        query = _form(body)
    elif kind.startswith("application/json"):
        query = _flat(body) or ""
    elif kind.startswith("text/plain"):
        query = _opaque(body) if (flat := _flat(body)) is None else flat
    else:
        query = _opaque(body)
    return query[:MAX_QUERY]


def with_body(url: str, method: str, query: str) -> str:
    """Return the URL whose key finds this method and body."""
    told = f"__wb_method={method}&{query}" if query else f"__wb_method={method}"
    return f"{url}{'&' if '?' in url else '?'}{told}"


def _form(body: bytes) -> str:
    try:
        return unquote_plus(body.decode())
    except UnicodeDecodeError:
        return _opaque(body)


def _opaque(body: bytes) -> str:
    return f"__wb_post_data={base64.b64encode(body).decode()}"


def _flat(body: bytes) -> str | None:
    """Return JSON's named values, however deep, as a query; None where it is no JSON."""
    named: dict[str, str] = {}
    again: dict[str, int] = {}
    try:
        for document in _documents(body):
            _collect(document, "", named, again)
        return urlencode(named)
    except (ValueError, RecursionError):
        return None


def _documents(body: bytes) -> list[Any]:
    try:
        return [json.loads(body)]
    except ValueError:
        if b"\n" not in body:
            raise
    return [json.loads(line) for line in body.split(b"\n")]


def _collect(value: Any, name: str, named: dict[str, str], again: dict[str, int]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _collect(inner, key, named, again)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, name, named, again)
    elif name:
        if name in named:
            again[name] = again.get(name, 1) + 1
            name = f"{name}.{again[name]}_"
        named[name] = str(value)
