"""A signed collection, and what must hold of every one: one changed byte anywhere is named."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from crawler.collection import Collection
from crawler.errors import NotACollection
from crawler.evidence import check
from crawler.evidence.timestamp import roots_in
from crawler.replicas.run import running
from crawler.warc.verify.collection import verify_collection
from tests.acceptance.support import archive
from tests.acceptance.tsa import Authority


@dataclass
class Signed:
    root: Path
    key: str
    #: Where the keys are.
    data: str
    #: The authority's root certificate, where there was one.
    ca: Path | None = None


def made(work: Path, tsa: Authority | None = None) -> Signed:
    """Return a small crawl, signed; with an authority the manifest was time-stamped as segments were sealed."""
    root, data = work / "c", str(work / "data")
    crawl = ["--tsa", tsa.url] if tsa else []
    sign = ["--tsa", tsa.url, "--tsa-ca", tsa.root] if tsa else []
    with running("mastodon", size=40) as replica:
        ran = archive("crawl", f"127.0.0.1:{replica.port}", "--into", root, *crawl)
        assert ran.code == 0, ran.err
    assert archive("keys", "new", XDG_DATA_HOME=data).code == 0
    ran = archive("sign", root, *sign, "--json", XDG_DATA_HOME=data)
    assert ran.code == 0, ran.err
    assert ran.summary["is_stamped"] is bool(tsa)
    return Signed(root, ran.summary["public_key"], data, tsa.root if tsa else None)


def rules(root: Path, signed: Signed) -> dict[str, set[str]]:
    """Return file → rules of the errors that verify finds."""
    collection = Collection.open(root)
    found: dict[str, set[str]] = {}
    keys, roots = [bytes.fromhex(signed.key)], roots_in(signed.ca) if signed.ca else []
    for one in (
        *verify_collection(collection.warcs, collection.indexes, collection.manifest),
        *check.findings(collection, keys, roots),
    ):
        if one.severity == "error":
            found.setdefault(one.file.rpartition("/")[2], set()).add(one.rule)
    return found


def flip_and_look(signed: Signed, root: Path) -> None:
    """Change single bytes of every file of a copy, and see each named."""
    shutil.copytree(signed.root, root)
    assert rules(root, signed) == {}
    chance = random.Random(5)
    locks = {"lock", "sealing.lock"}
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name not in locks]
    kinds = {path.relative_to(root).parts[0] for path in files}
    assert kinds >= {"warcs", "indexes", "evidence", "logs", "manifest.jsonl", "collection.json", "frontier.sqlite"}
    for path in files:
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(2))}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :])
            assert path.name in _named(root, signed), (path, at)
        path.write_bytes(whole)
    assert rules(root, signed) == {}


def _named(root: Path, signed: Signed) -> set[str]:
    """Return the files that verify names; a marker that is none is named as it is opened."""
    try:
        return set(rules(root, signed))
    except NotACollection as e:
        return {"collection.json"} if "collection.json" in str(e) else set()
