"""Where copies go: a bucket and a prefix at an S3-compatible provider. Pure; credentials are never part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from crawler.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One place for copies. ``name`` is what people call it and what the ledger of copies goes by."""

    name: str
    bucket: str
    #: Without slashes at its ends; may be empty.
    prefix: str = ""
    #: None is Amazon's own, found by the region.
    endpoint: str | None = None
    region: str | None = None
    #: Storage class of segments; what finds them again (manifest, indexes) always goes to the ordinary one.
    storage_class: str = ""
    #: Who owns it: two accounts of one vendor are one owner, and one copy.
    owner: str = ""

    @property
    def counted_as(self) -> str:
        """Return the owner by whom copies are counted."""
        return self.owner or self.endpoint or "aws"

    def key(self, *parts: str) -> str:
        """Return the key of an object below the prefix."""
        return "/".join(part for part in (self.prefix, *parts) if part)


def from_url(
    url: str, *, endpoint: str | None = None, region: str | None = None, storage_class: str = "", name: str = ""
) -> Destination:
    """Return the destination that ``s3://BUCKET/PREFIX`` names. Raises UsageError where it names none."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not _NAME.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is no destination; write s3://BUCKET/PREFIX.")
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

    Raises UsageError where one lacks its name or bucket, or has a setting that is not known.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError("Destinations are written as [[destination]] tables.")
    found: dict[str, Destination] = {}
    known = set(Destination.__dataclass_fields__)
    for table in tables:
        name = str(table.get("name", ""))
        if not name or "://" in name or not table.get("bucket"):
            raise UsageError("A [[destination]] needs a name and a bucket.")
        if unknown := table.keys() - known:
            raise UsageError(f"[[destination]] {name!r} has no setting {', '.join(sorted(unknown))}.")
        if name in found:
            raise UsageError(f"There are two destinations {name!r}.")
        facts = {key: str(value) for key, value in table.items()}
        url = f"s3://{facts['bucket']}/{facts.get('prefix', '')}"
        checked = from_url(url, endpoint=facts.get("endpoint"), region=facts.get("region"), name=name)
        found[name] = replace(checked, storage_class=facts.get("storage_class", ""), owner=facts.get("owner", ""))
    return found
