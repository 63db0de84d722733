"""The directory of a collection: what is accepted, what is refused, and the lock."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crawler.collection import Collection, default_root
from crawler.errors import Locked, NoCollection, NotACollection, UsageError
from crawler.model import Seed, SegmentClass


def made(root: Path) -> Collection:
    return Collection.create(root, Seed(url="https://example.org/blog"), "generic")


def test_a_collection_can_be_moved(tmp_path: Path) -> None:
    made(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = Collection.open(tmp_path / "b")
    assert moved.marker.seed == "https://example.org/blog"
    assert str(tmp_path / "a") not in (tmp_path / "b" / "collection.json").read_text()


def test_what_is_no_collection_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(NoCollection):
        Collection.open(tmp_path / "nowhere")
    (tmp_path / "mine").write_text("dear diary")
    with pytest.raises(NotACollection):
        Collection.open(tmp_path)
    with pytest.raises(NotACollection):
        made(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "x"}', "\0"])
def test_a_damaged_marker_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    made(tmp_path / "c")
    (tmp_path / "c" / "collection.json").write_text(text)
    with pytest.raises(NotACollection) as e:
        Collection.open(tmp_path / "c")
    assert "\n" not in str(e.value)


def test_a_newer_format_is_refused_not_guessed_at(tmp_path: Path) -> None:
    made(tmp_path / "c")
    marker = tmp_path / "c" / "collection.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "format": 99}))
    with pytest.raises(UsageError, match="99"):
        Collection.open(tmp_path / "c")


def test_only_one_run_holds_the_lock(tmp_path: Path) -> None:
    collection = made(tmp_path / "c")
    assert not collection.is_locked()
    with collection.lock():
        assert collection.is_locked()
        with pytest.raises(Locked), Collection.open(tmp_path / "c").lock():
            pass
    assert not collection.is_locked()


def test_names_never_leave_the_directory() -> None:
    assert default_root(Seed(url="https://example.org/a/../../etc")).parts == ("example.org-a-..-..-etc",)
    assert default_root(Seed(url="http://127.0.0.1:8000/")) == Path("127.0.0.1-8000")


def test_a_segment_name_says_what_it_holds(tmp_path: Path) -> None:
    name = made(tmp_path / "c").segment_name(7, "w1", SegmentClass.ORIGINALS)
    assert name.startswith("OUTLAST-example.org-")
    assert name.endswith("-00007-w1-originals.warc.gz")
