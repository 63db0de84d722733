"""Where copies go: a bucket and a prefix at an S3-compatible provider, or a directory. Pure; holds no credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from crawler.errors import UsageError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.IGNORECASE)
_LOCKS = ("", "governance", "compliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One place for copies. ``name`` is what people call it and what the ledger of copies goes by."""

    name: str
    bucket: str = ""
    #: Without slashes at its ends; may be empty.
    prefix: str = ""
    #: Of a directory: its absolute path; there is no bucket then.
    path: str = ""
    #: None is Amazon's own, found by the region.
    endpoint: str | None = None
    region: str | None = None
    #: The AWS profile whose credentials are used here; empty for those of the environment.
    profile: str = ""
    #: Who owns it: two accounts of one vendor are one owner, and one copy.
    owner: str = ""
    #: Storage class of segments, and of what finds them again: that must be at hand at once.
    storage_class: str = ""
    hot_class: str = ""
    #: Object Lock of segments: none, governance, compliance; and for how many days.
    lock: str = ""
    lock_days: int = 0
    #: Whether its copies count where copies are counted.
    quorum: bool = True
    #: Whether strangers may read there: what is restricted never goes there.
    public: bool = False
    #: Bytes a second; 0 = no limit.
    bandwidth: int = 0
    #: Server-side encryption (AES256, aws:kms) and the id of its key.
    sse: str = ""
    sse_key: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def counted_as(self) -> str:
        """Return the owner by whom copies are counted; of a directory that names none, its device is one."""
        return self.owner or self.path or self.endpoint or "aws"

    @property
    def url(self) -> str:
        """Return it as people write it for ``--to``."""
        return f"{f'file://{self.path}' if self.path else f's3://{self.bucket}'}/{self.prefix}".rstrip("/")

    @property
    def where(self) -> str:
        """Return it as a URL, for people."""
        return f"{self.url} at {self.endpoint}" if self.endpoint else self.url

    def key(self, *parts: str) -> str:
        """Return the key of an object below the prefix."""
        return "/".join(part for part in (self.prefix, *parts) if part)


def from_url(
    url: str, *, endpoint: str | None = None, region: str | None = None, storage_class: str = "", name: str = ""
) -> Destination:
    """Return the destination that ``s3://BUCKET/PREFIX`` or ``file:///PATH`` names. Raises UsageError."""
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no destination: it has a query or a fragment.")
    if parts.scheme == "file":
        path = unquote(parts.path).rstrip("/")
        if parts.netloc not in {"", "localhost"} or not path or ".." in path.split("/"):
            raise UsageError(f"{url!r} is no directory; write file:///absolute/path.")
        return Destination(name=name or path, path=path)
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
        raise UsageError(f"{url!r} is no destination; write s3://BUCKET/PREFIX or file:///PATH.")
    if endpoint is not None and urlsplit(endpoint).scheme not in {"http", "https"}:
        raise UsageError(f"{endpoint!r} is no endpoint; write https://s3.example.net.")
    prefix = parts.path.strip("/")
    where = f"{urlsplit(endpoint).netloc}/" if endpoint else ""
    return Destination(
        name=name or f"{where}{parts.netloc}/{prefix}".rstrip("/"), bucket=parts.netloc, prefix=prefix,
        endpoint=endpoint, region=region, storage_class=storage_class,
    )  # fmt: skip


def from_tables(tables: object) -> dict[str, Destination]:
    """Return name → destination of the ``[[destination]]`` tables of a configuration.

    Raises UsageError where one lacks its name or place, or has a setting that is unknown or of the wrong kind.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError("Destinations are written as [[destination]] tables.")
    found: dict[str, Destination] = {}
    for table in tables:
        one = from_table(table)
        if one.name in found:
            raise UsageError(f"There are two destinations {one.name!r}.")
        found[one.name] = one
    return found


def from_table(table: dict[str, Any]) -> Destination:
    """Return the destination of one table; its place is a ``url``, a ``bucket`` with a ``prefix``, or a ``path``."""
    facts = dict(table)
    name = facts.get("name", "")
    if not isinstance(name, str) or not name or "://" in name:
        raise UsageError("A [[destination]] needs a name.")
    url = facts.pop("url", "")
    defaults = {one.name: _default(one) for one in fields(Destination)}
    if unknown := facts.keys() - defaults.keys():
        raise UsageError(f"[[destination]] {name!r} has no setting {', '.join(sorted(unknown))}.")
    for key, value in facts.items():
        kind = type(defaults[key]) if defaults[key] is not None else str
        if type(value) is not kind:
            raise UsageError(f"[[destination]] {name!r}: {key} must be a {kind.__name__}, not {value!r}.")
    if not url and facts.get("path"):
        url = f"file://{facts['path']}"
    elif not url:
        url = f"s3://{facts.get('bucket', '')}/{facts.get('prefix', '')}"
    placed = from_url(url, endpoint=facts.get("endpoint"), region=facts.get("region"), name=name)
    rest = {key: value for key, value in facts.items() if key not in {"bucket", "prefix", "path"}}
    return _checked(replace(placed, **rest, prefix=placed.prefix or facts.get("prefix", "").strip("/")))


def _default(one: Any) -> Any:
    return {} if one.name in {"tags", "metadata"} else "" if one.name == "name" else one.default


def _checked(one: Destination) -> Destination:
    if one.lock not in _LOCKS:
        raise UsageError(f"[[destination]] {one.name!r}: lock is governance or compliance, not {one.lock!r}.")
    if bool(one.lock) != (one.lock_days > 0):
        raise UsageError(f"[[destination]] {one.name!r}: lock and lock_days (more than 0) belong together.")
    if not all(isinstance(value, str) for value in (*one.tags.values(), *one.metadata.values())):
        raise UsageError(f"[[destination]] {one.name!r}: tags and metadata are strings.")
    return one
