"""Only what is wanted comes back: by segment, URL, post or date; a revisit brings what it repeats; proofs come along."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
import pytest

from crawler.cold.copies import Copies
from crawler.cold.destination import from_url
from crawler.cold.directory import DirectoryStore
from crawler.cold.pull import Wish
from crawler.cold.pull import pull as fetch
from crawler.cold.store import Archived
from crawler.collection import Collection
from crawler.commands.pull import pull
from crawler.errors import OutlastError
from crawler.model import Original, Seed
from crawler.warc import manifest
from crawler.warc.lookup import captures
from crawler.warc.seal import seal
from tests.acceptance.support import archive
from tests.unit.warc.making import WHEN, Segment, capture, plain

HELD = {
    "A": [("https://a.example/post/111", b"one " * 500)],
    "B": [("https://a.example/post/222", b"two " * 500), ("https://a.example/post/2223", b"three " * 500)],
    "C": [("https://a.example/media/x.png?post=111", b"four " * 500)],
}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed collection of four segments in a directory: three of a day each, and one that repeats what the second has."""
    work = tmp_path_factory.mktemp("pull")
    collection = Collection.create(work / "c", Seed(url="https://a.example/"), "generic")
    first: Any = None
    for day, (name, pages) in enumerate(HELD.items(), 6):
        segment = Segment(collection.warcs, f"{name}-text.warc.gz")
        for url, body in pages:
            made = segment.add(capture(url, plain(body), started=WHEN.replace(day=day), ended=WHEN.replace(day=day)))
            first = first or (made if name == "B" else None)
        finish(collection, segment, f"{name}-text.warc.gz")
    segment = Segment(collection.warcs, "D-text.warc.gz")
    again = capture(
        "https://a.example/again", plain(b"two " * 500), started=WHEN.replace(day=9), ended=WHEN.replace(day=9)
    )
    segment.add(
        again,
        Original(
            record_id=first.response.id,
            url=HELD["B"][0][0],
            date="2021-01-07T20:00:00.123456Z",
            segment="B-text.warc.gz",
        ),
    )
    finish(collection, segment, "D-text.warc.gz")
    data = str(work / "data")
    assert archive("keys", "new", XDG_DATA_HOME=data).code == 0
    (work / "key").write_text(archive("sign", collection.root, "--json", XDG_DATA_HOME=data).summary["public_key"])
    (work / "disk").mkdir()
    ran = archive("push", collection.root, "--to", f"file://{work / 'disk'}", "--copies", "1", timeout=90)
    assert ran.code == 0, ran.err
    return work


def finish(collection: Collection, segment: Segment, name: str) -> None:
    segment.close()
    seal(
        collection.warcs / f"{name}.open", index_dir=collection.indexes, manifest_path=collection.manifest,
        segment_class="text",
    )  # fmt: skip


def pulled(pushed: Path, into: Path, options: list[str]) -> list[str]:
    place = f"file://{pushed / 'disk'}"
    code = pull.main([place, "--into", str(into), *options, "-q"], "pull", standalone_mode=False)
    came = [path.name[0] for path in sorted((into / "warcs").iterdir())]
    assert code == (0 if came else 3)
    return came


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], "ABCD"),
        (["--segment", "B-*"], "B"),
        (["--url", "https://a.example/post/111"], "A"),
        (["--url", "https://a.example/post/111", "--url", "https://a.example/post/2223"], "AB"),
        (["--url", "https://a.example/nothing"], ""),
        (["--url", "https://a.example/again"], "BD"),
        (["--post", "111"], "AC"),
        (["--post", "222"], "B"),
        (["--post", "22"], ""),
        (["--post", "2.2"], ""),
        (["--since", "2021-01-07", "--until", "2021-01-08"], "BC"),
        (["--until", "2021-01-06"], "A"),
        (["--since", "2021-01-09T00:00:00Z"], "BD"),
        (["--post", "111", "--until", "2021-01-06"], "A"),
        (["--segment", "A-*", "--url", "https://a.example/post/222"], "AB"),
    ],
)
def test_only_what_is_wanted_comes(pushed: Path, tmp_path: Path, options: list[str], wanted: str) -> None:
    assert "".join(pulled(pushed, tmp_path / "new", options)) == wanted
    for index in (tmp_path / "new" / "indexes").glob("*.cdxj"):
        assert index.read_bytes() == (pushed / "c" / "indexes" / index.name).read_bytes()


@pytest.mark.parametrize(("options", "wanted"), [([], "ABCD"), (["--url", "https://a.example/post/111"], "AB")])
def test_a_spoilt_index_is_made_anew_and_stops_nothing(
    pushed: Path, tmp_path: Path, options: list[str], wanted: str
) -> None:
    shutil.copytree(pushed / "disk", tmp_path / "disk")
    (index,) = tmp_path.glob("disk/**/indexes/B-*.cdxj")
    whole = index.read_bytes()
    index.write_bytes(whole[:20] + b"?" + whole[21:])
    ran = archive("pull", f"file://{tmp_path / 'disk'}", "--into", tmp_path / "new", *options, "--json")
    assert (ran.code, len(ran.summary["spoilt"])) == (6, 1), ran.err
    assert "".join(path.name[0] for path in sorted((tmp_path / "new" / "warcs").iterdir())) == wanted
    for made in (tmp_path / "new" / "indexes").glob("*.cdxj"):
        assert made.read_bytes() == (pushed / "c" / "indexes" / made.name).read_bytes()
    assert archive("verify", tmp_path / "new").code == 0


def test_what_is_pulled_later_joins_what_is_here(pushed: Path, tmp_path: Path) -> None:
    ran = archive("pull", f"file://{pushed / 'disk'}", "--into", tmp_path / "new", "--post", "222", "--json")
    assert (ran.summary["segments"], ran.summary["not_asked_for"]) == (1, 3), ran.err
    key = (pushed / "key").read_text()
    ran = archive("verify", tmp_path / "new", "--public-key", key, "--json")
    assert (ran.code, ran.summary["segments_read"], ran.summary["segments_elsewhere"]) == (0, 1, 3), ran.out
    assert archive("audit", tmp_path / "new").code == 2
    ran = archive("pull", f"file://{pushed / 'disk'}", "--into", tmp_path / "new", "--json")
    assert (ran.summary["segments"], ran.summary["here_already"]) == (3, 1), ran.err
    ran = archive("verify", tmp_path / "new", "--public-key", key)
    assert ran.code == 0, ran.out
    assert "S012-holds" in ran.out
    assert "elsewhere" not in ran.out
    line = next(captures(tmp_path / "new" / "indexes" / "B-text.cdxj", "https://a.example/post/222"))
    proof = ["prove", tmp_path / "new", f"{line.segment}:{line.offset}", "-o", tmp_path / "p.zip"]
    assert archive(*proof).code == 0
    assert archive("verify", tmp_path / "p.zip", "--public-key", key).code == 0


def test_nobody_takes_for_whole_what_nobody_read(pushed: Path, tmp_path: Path) -> None:
    shutil.copytree(pushed / "c", tmp_path / "c")
    entries = manifest.read(tmp_path / "c" / "manifest.jsonl")
    with closing(Copies(tmp_path / "c" / "copies.sqlite")) as copies:
        for one in entries:
            copies.drop(f"warcs/{one.segment}", one.sha256, ["somebody"], now=0.0)
            (tmp_path / "c" / "warcs" / one.segment).unlink()
    ran = archive("verify", tmp_path / "c", "--public-key", (pushed / "key").read_text())
    assert ran.code == 0, ran.out
    assert "as far as it is here (0 errors, 0 warnings): 0 of 4 segments were read" in ran.out.splitlines()[-1]


class Cold(DirectoryStore):
    """A directory whose segments are in an archive class until they were asked for, and looked after twice."""

    asked: list[str]
    looks: dict[str, int]

    def is_awake(self, key: str) -> bool:
        if "/warcs/" not in key or self.looks.get(key, 0) > 2:
            return True
        if key in self.asked:
            self.looks[key] = self.looks.get(key, 0) + 1
        return False

    def restore(self, key: str, *, days: int, tier: str) -> None:
        assert (days, tier) == (7, "Bulk")
        self.asked.append(key)


def test_what_is_archived_is_asked_for_at_once_and_waited_for(
    pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Cold(from_url(f"file://{pushed / 'disk'}"))
    store.asked, store.looks = [], {}
    with pytest.raises(OutlastError, match="--tier"):
        fetch(store, "", tmp_path / "new", Wish())
    assert not store.asked
    monkeypatch.setattr("crawler.cold.pull.LOOK", 0.01)
    with pytest.raises(Archived, match="goes on"):
        fetch(store, "", tmp_path / "new", Wish(tier="Bulk", patience=0))
    # All were asked for before the first was waited for.
    assert len(set(store.asked)) == 4
    found = fetch(store, "", tmp_path / "new", Wish(tier="Bulk"))
    assert (found.segments, found.missing) == (4, {})
    store.close()


def test_what_is_encrypted_is_read_by_its_owner_alone(pushed: Path, tmp_path: Path) -> None:
    shutil.copytree(pushed / "c", tmp_path / "c")
    (tmp_path / "disk").mkdir()
    (tmp_path / "c" / "copies.sqlite").unlink()
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for name, one in zip(("mine", "other"), identities, strict=True):
        (tmp_path / name).write_text(f"# created: now\n# public key: {one.to_public()}\n{one}\n")
    place = f"file://{tmp_path / 'disk'}"
    push = ["push", tmp_path / "c", "--to", place, "--copies", "1", "--json"]
    assert archive(*push, "--encrypt-to", "age1rubbish").code == 2
    assert archive(*push, "--encrypt-to", str(identities[0].to_public())).code == 0
    stored = sorted(path.name for path in (tmp_path / "disk").rglob("*.warc.gz*"))
    assert len(stored) == 4
    assert all(name.endswith(".warc.gz.age") for name in stored)
    plain = {path.read_bytes() for path in (tmp_path / "c" / "warcs").iterdir()}
    assert not plain & {path.read_bytes() for path in (tmp_path / "disk").rglob("*") if path.is_file()}
    # A later push remembers; nothing is encrypted or sent anew.
    assert archive(*push).code == 0
    assert sorted(path.name for path in (tmp_path / "disk").rglob("*.warc.gz*")) == stored
    assert archive("audit", tmp_path / "c", "--read-back", "full").code == 0
    pull = ["pull", place, "--into", tmp_path / "new"]
    closed = archive(*pull)
    assert closed.code == 3
    assert "--identity" in closed.err
    wrong = archive(*pull, "--identity", tmp_path / "other")
    assert wrong.code == 3
    assert "cannot be decrypted" in wrong.err
    assert archive(*pull, "--identity", tmp_path / "c" / "collection.json").code == 2
    assert archive(*pull, "--identity", tmp_path / "mine").code == 0
    assert {path.read_bytes() for path in (tmp_path / "new" / "warcs").iterdir()} == plain
    ran = archive("verify", tmp_path / "new", "--public-key", (pushed / "key").read_text())
    assert ran.code == 0, ran.out


def test_of_several_markers_the_one_that_knows_most_counts(pushed: Path, tmp_path: Path) -> None:
    shutil.copytree(pushed / "c", tmp_path / "c")
    collection = Collection.open(tmp_path / "c")
    place = f"file://{tmp_path / 'disk'}"
    (tmp_path / "disk").mkdir()
    for number in range(2):
        assert archive("push", collection.root, "--to", place, "--copies", "1").code == 0
        collection.add_seed(Seed(url=f"https://a.example/{number}"))
    assert archive("push", collection.root, "--to", place, "--copies", "1").code == 0
    assert archive("pull", place, "--into", tmp_path / "new").code == 0
    assert json.loads((tmp_path / "new" / "collection.json").read_text())["seeds"] == collection.marker.seeds


def test_nonsense_is_said_to_be_so(pushed: Path, tmp_path: Path) -> None:
    place = f"file://{pushed / 'disk'}"
    assert archive("pull", place, "--into", tmp_path / "a", "--since", "yesterday").code == 2
    assert archive("pull", "nowhere", "--into", tmp_path / "b").code == 2
    assert not (tmp_path / "a").exists()
