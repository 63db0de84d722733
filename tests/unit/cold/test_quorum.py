import hashlib
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from crawler.cold import quorum
from crawler.cold.canary import probe
from crawler.cold.copies import Copies, Copy, CopyState
from crawler.cold.destination import Destination
from crawler.cold.directory import DirectoryStore
from crawler.cold.objects import Object
from crawler.cold.quorum import Release, check_enough, holders, owner
from crawler.cold.store import Exists, Refused, Slice, Unavailable
from crawler.errors import UsageError

DATA = b"bytes of a segment"
SHA256, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
THING = Object(path="warcs/a", bytes=len(DATA), sha256=SHA256, md5=MD5, part_bytes=64 << 20, part_md5=(MD5,), key="a")


class Here:
    """A catalogue of one file."""

    def __init__(self, root: Path) -> None:
        self.file = root / "a.warc.gz"
        self.file.write_bytes(DATA)

    def path(self, thing: Object) -> Path:
        return self.file


@pytest.fixture
def copies(tmp_path: Path):
    ledger = Copies(tmp_path / "copies.sqlite")
    yield ledger
    ledger.close()


def place(copies: Copies, tmp_path: Path, name: str, *, owner: str = "", proven: bool = True, **more: object):
    """Make a destination that has a copy, and an owner of its own if none is told; return it, open."""
    (tmp_path / name).mkdir()
    one = Destination(name=name, path=str(tmp_path / name), owner=owner or name, **more)
    store = DirectoryStore(one)
    copies.add(name, asdict(one))
    copies.set_profile(name, probe(store, "").facts())
    copy = Copy(object=THING.path, sha256=SHA256, destination=name, key="a", state=CopyState.PENDING, bytes=len(DATA))
    copies.want([copy], now=time.time())
    if proven:
        (tmp_path / name / "a").write_bytes(DATA)
        copies.set(copy, CopyState.PROVEN, now=time.time(), proof="read back")
    return store


def release(copies: Copies, here: Here, stores: list[DirectoryStore], needed: int = 2) -> Release:
    found = Release(here, copies, needed)  # type: ignore[arg-type]
    found.stores = {one.destination.name: one for one in stores}
    found.consider(THING)
    return found


def test_copies_count_by_owner(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    two = [place(copies, tmp_path, "a", owner="acme"), place(copies, tmp_path, "b", owner="acme")]
    release(copies, here, two)
    assert here.file.exists()
    release(copies, here, [*two, place(copies, tmp_path, "c", owner="another")])
    assert not here.file.exists()
    assert copies.dropped() == {"warcs/a": ["acme", "another"]}


def test_who_refuses_us_does_not_count(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    two = [place(copies, tmp_path, "a"), place(copies, tmp_path, "b")]
    copies.set_trouble("b", "403 to everything")
    assert holders(copies, tmp_path)[THING.path, SHA256] == {"a"}
    release(copies, here, two)
    assert here.file.exists()
    copies.set_trouble("b", "")
    release(copies, here, two)
    assert not here.file.exists()


def test_who_is_no_member_does_not_count(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    release(copies, here, [place(copies, tmp_path, "a"), place(copies, tmp_path, "b", quorum=False)])
    assert here.file.exists()


def test_a_copy_is_looked_at_again_before_anything_goes(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    two = [place(copies, tmp_path, "a"), place(copies, tmp_path, "b")]
    (tmp_path / "a" / "a").unlink()
    (tmp_path / "b" / "a").write_bytes(b"cut")
    assert release(copies, here, two).lost == 2
    assert here.file.exists()


def test_a_copy_more_than_enough_that_is_lost_is_made_again_first(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    three = [place(copies, tmp_path, name) for name in "abc"]
    (tmp_path / "c" / "a").unlink()
    assert release(copies, here, three).lost == 1
    assert here.file.exists()


def test_one_that_still_wants_it_is_waited_for(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    two = [place(copies, tmp_path, "a"), place(copies, tmp_path, "b")]
    slow = place(copies, tmp_path, "slow", proven=False)
    release(copies, here, [*two, slow])
    assert here.file.exists()


def test_too_few_owners_are_said_before_anything_is_sent(tmp_path: Path) -> None:
    one, other = Destination(name="a", bucket="b", owner="x"), Destination(name="c", bucket="d", owner="x")
    with pytest.raises(UsageError, match="--copies 1"):
        check_enough([one, other], 2, tmp_path)
    check_enough([one, other], 1, tmp_path)


def test_directories_are_owned_by_their_disk_and_the_collections_own_counts_only_if_somebody_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = {"usb": "8:17", "usb/other": "8:17", "nas": "0:51"}
    monkeypatch.setattr(quorum, "_device", lambda path: disks.get(str(Path(path).relative_to(tmp_path)), "8:1"))
    near, usb, other, nas = (
        Destination(name=name, path=str(tmp_path / name)) for name in ("near", "usb", "usb/other", "nas")
    )
    assert [owner(one, tmp_path) for one in (near, usb, other, nas)] == [
        "",
        "device 8:17",
        "device 8:17",
        "device 0:51",
    ]
    assert owner(replace(near, owner="me"), tmp_path) == "me"
    with pytest.raises(UsageError, match="near: that is no other disk"):
        check_enough([near], 1, tmp_path)
    with pytest.raises(UsageError, match="have 1"):
        check_enough([usb, other], 2, tmp_path)
    check_enough([usb, nas], 2, tmp_path)


def test_a_directory_that_is_not_mounted_owns_nothing(tmp_path: Path) -> None:
    assert owner(Destination(name="d", path=str(tmp_path / "unmounted")), tmp_path) == ""


def test_a_flipped_byte_is_seen_before_the_last_good_copy_goes(copies: Copies, tmp_path: Path) -> None:
    here = Here(tmp_path)
    two = [place(copies, tmp_path, "a"), place(copies, tmp_path, "b")]
    (tmp_path / "b" / "a").write_bytes(DATA[:-1] + b"?")
    found = release(copies, here, two)
    assert here.file.exists()
    assert (found.count, found.lost) == (0, 1)
    (lost,) = copies.lost("b")
    assert (lost.key, lost.what, lost.why) == ("a", "changed", "other bytes than were sent")
    row = next(one for one in copies.of(THING.path, SHA256) if one.destination == "b")
    assert row.state is CopyState.PENDING
    assert row.key != "a", "what is wrong stays as evidence"


def test_a_directory_keeps_what_is_there_and_must_be_there(tmp_path: Path) -> None:
    store = DirectoryStore(Destination(name="d", path=str(tmp_path)))
    source = tmp_path / "source"
    source.write_bytes(DATA)
    with source.open("rb") as file:
        with pytest.raises(Refused):
            store.put("x/y", Slice(file, 0, len(DATA)), length=len(DATA), md5="0" * 32)
        assert store.head("x/y") is None
        store.put("x/y", Slice(file, 0, len(DATA)), length=len(DATA), md5=MD5)
        with pytest.raises(Exists):
            store.put("x/y", Slice(file, 0, len(DATA)), length=len(DATA), md5=MD5)
    assert store.sha256("x/y") == (SHA256, len(DATA))
    assert store.get("x/y", first=2, last=4) == DATA[2:5]
    assert list(store.objects("x/")) == [("x/y", len(DATA))]
    assert not store.uploads("")
    with pytest.raises(Refused):
        store.head("../y")
    with pytest.raises(Unavailable):
        DirectoryStore(Destination(name="d", path=str(tmp_path / "unmounted")))
