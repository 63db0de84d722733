"""A volunteer may send anything, and harms nothing."""

import hashlib
import json
from pathlib import Path

import pytest

from crawler.cold.canary import Profile
from crawler.cold.collect import collect
from crawler.cold.destination import Destination
from crawler.cold.directory import DirectoryStore
from crawler.cold.grant import Grant, Slot, issue
from crawler.cold.store import Absent, Refused
from crawler.collection import Collection
from crawler.errors import Damaged, NotACollection, UsageError
from crawler.scope import seed_from

LIST = "inventory-1"


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """What a volunteer sent, as a directory: the objects by their keys."""
    there = tmp_path / "there"
    there.mkdir()
    (there / "file-1").write_bytes(b"a segment")
    Collection.create(tmp_path / "theirs", seed_from("example.org"), "generic")
    (there / "file-2").write_bytes((tmp_path / "theirs" / "collection.json").read_bytes())
    listing(there, entry(there, "warcs/A.warc.gz", "file-1"), entry(there, "collection.json", "file-2"))
    return there


def entry(there: Path, path: object, key: str) -> dict[str, object]:
    return {"path": path, "sha256": hashlib.sha256((there / key).read_bytes()).hexdigest(), "key": key}


def listing(there: Path, *files: object) -> None:
    (there / LIST).write_text(json.dumps({"files": files}))


def granted(there: Path) -> tuple[DirectoryStore, Grant]:
    slots = [
        Slot(kind="inventory" if key == LIST else "file", key=key, upload="", parts=(), end="")
        for key in ("file-1", "file-2", "file-3", LIST)
    ]
    grant = Grant(
        name="v", destination="d", expires="2999-01-01T00:00:00+00:00", etag_of_parts=True, slots=tuple(slots)
    )
    return DirectoryStore(Destination(name="d", path=str(there))), grant


def test_what_came_is_a_collection(sent: Path, tmp_path: Path) -> None:
    told = collect(*granted(sent), tmp_path / "new")
    assert (told.files, told.refused) == (2, {})
    assert (tmp_path / "new" / "warcs" / "A.warc.gz").read_bytes() == b"a segment"
    again = collect(*granted(sent), tmp_path / "new")
    assert (again.files, again.here_already) == (0, 2)


@pytest.mark.parametrize(
    "path",
    [
        "../evil", "/etc/passwd", "warcs/../../evil.warc.gz", "warcs/.hidden.warc.gz", "frontier.sqlite", 7, None,
        "warcs/a\n.warc.gz", "indexes/../x.cdxj", "warcs/" + "a" * 300 + ".warc.gz", "copies.sqlite", "spiders/../x.py",
        "spiders/x.py", "checkpoint.jsonl.gz",
    ],
)  # fmt: skip
def test_names_lead_nowhere_else(sent: Path, tmp_path: Path, path: object) -> None:
    listing(sent, entry(sent, "collection.json", "file-2"), entry(sent, path, "file-1"))
    before = {one for one in tmp_path.rglob("*") if tmp_path / "new" not in one.parents}
    assert collect(*granted(sent), tmp_path / "new").files == 1
    assert {one for one in tmp_path.rglob("*") if tmp_path / "new" not in one.parents} == before | {tmp_path / "new"}
    assert {one.name for one in (tmp_path / "new").rglob("*") if one.is_file()} == {"collection.json", "collecting"}


def test_keys_of_others_are_not_read(sent: Path, tmp_path: Path) -> None:
    (sent / "secret").write_bytes(b"of others")
    listing(sent, entry(sent, "collection.json", "file-2"), entry(sent, "warcs/A.warc.gz", "secret"))
    assert collect(*granted(sent), tmp_path / "new").files == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 1}', '{"files": [1]}', '{"files": [{"path": "x"}]}'])
def test_a_list_that_is_none(sent: Path, tmp_path: Path, text: str) -> None:
    (sent / LIST).write_text(text)
    with pytest.raises(Damaged):
        collect(*granted(sent), tmp_path / "new")


def test_other_bytes_than_were_said(sent: Path, tmp_path: Path) -> None:
    (sent / "file-1").write_bytes(b"another  ")
    told = collect(*granted(sent), tmp_path / "new")
    assert "not what was said" in told.refused["warcs/A.warc.gz"]
    assert not list((tmp_path / "new" / "warcs").iterdir())


def test_nothing_came_and_what_is_in_the_way(sent: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("mine")
    with pytest.raises(NotACollection):
        collect(*granted(sent), tmp_path / "mine")
    (sent / LIST).unlink()
    with pytest.raises(Absent):
        collect(*granted(sent), tmp_path / "new")


def test_a_grant_that_would_be_worth_nothing_is_not_made(tmp_path: Path) -> None:
    store = DirectoryStore(Destination(name="d", path=str(tmp_path)))
    with pytest.raises(Refused, match="signed links"):
        issue(store, Profile(), "v", segments=1, segment_bytes=1, seconds=60)
    with pytest.raises(UsageError, match="7 days"):
        issue(store, Profile(signs_links=True), "v", segments=1, segment_bytes=1, seconds=8 * 86400)
    with pytest.raises(UsageError, match="no name"):
        issue(store, Profile(signs_links=True), "../v", segments=1, segment_bytes=1, seconds=60)
