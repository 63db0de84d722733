"""What a volunteer's token does not let it do, and what becomes of what it makes up."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import urllib3

from crawler import deaths
from crawler.collection import Collection
from crawler.evidence import bringers, keys
from crawler.frontier.postgres.register import Register
from crawler.model import Fetch, Original
from crawler.volunteers import token as tokens
from crawler.volunteers import wire
from crawler.volunteers.client import Client, Dismissed
from crawler.withheld import Withheld
from tests.acceptance.limited import LimitedSite
from tests.acceptance.stranger import Stranger, refused
from tests.acceptance.support import archive
from tests.acceptance.test_volunteers import Rescue, until
from tests.conformance.frontier import database

PAGES = 40


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with database.server() as made:
        yield made


def begun(root: Path, address: str, site: LimitedSite) -> Rescue:
    """Return a rescue of which a machine of the fleet has fetched a little."""
    (root / "cold").mkdir()
    made = Rescue(root, database.schema(address), f"http://127.0.0.1:{site.port}/", ["--to", f"file://{root}/cold"], {})
    ran = archive(
        "crawl", made.site, "--into", made.collection, "--frontier", made.address, "--lease", "60s", "--limit", 8,
        "--workers", 1, "--rate", 5,
    )  # fmt: skip
    assert ran.code == 7, ran.err
    return made


@pytest.fixture(scope="module")
def rescue(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[Rescue]:
    """A coordinator that goes on running, and takes everybody's word for what the site says."""
    with LimitedSite(PAGES, rate=500, wait=1) as site:
        made = begun(tmp_path_factory.mktemp("hostile"), address, site)
        with made.coordinator("--term", "1h", "--sample", 0):
            yield made


def token(rescue: Rescue, label: str, *, quota: int = 0, leases: int = 100) -> str:
    """As ``archive coordinate --invite``, which takes its time to start."""
    secret = tokens.new_secret()
    with closing(Register(rescue.address)) as register:
        register.invite(secret, label=label, trust=0, quota_bytes=quota, quota_leases=leases, seconds=600)
    return str(tokens.Token(url=f"http://127.0.0.1:{rescue.port}", secret=secret))


@pytest.fixture
def good(rescue: Rescue, tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(token(rescue, "good"), tmp_path, "good")
    yield made
    made.client.ask("leave", None, wire.Held)
    made.client.close()


@pytest.fixture
def bad(rescue: Rescue, tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(token(rescue, "bad", quota=20_000_000, leases=30), tmp_path, "bad")
    yield made
    made.client.ask("leave", None, wire.Held)
    made.client.close()


def raw(one: Stranger, path: str, body: bytes, *, method: str = "POST", shown: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {one.secret if shown is None else shown}"}
    return urllib3.request(method, one.token.url + path, body=body, headers=headers, retries=False).status


def states_of(rescue: Rescue, errands: tuple[wire.Errand, ...]) -> set[str]:
    found = rescue.fetches()
    return {found[one.fetch.url][0] for one in errands}


def test_a_token_is_good_once(good: Stranger) -> None:
    assert good.enrol().node == good.node  # its answer may have been lost
    with pytest.raises(Dismissed):
        good.enrol(os.urandom(32).hex())
    with pytest.raises(Dismissed):
        Client(good.token.url, "", os.urandom(32).hex()).ask("attend", wire.Attend(), wire.Attended)


def test_nothing_is_answered_to_who_shows_nothing(good: Stranger) -> None:
    calls = ("attend", "lease", "hold", "give-back", "bring", "brought", "leave")
    for shown in ("", "x", "00" * 32, good.token.secret.hex(), "\u00e9" * 3):
        assert {raw(good, f"/v1/{call}", b"{}", shown=shown.encode("latin-1").decode("latin-1")) for call in calls} == {
            401
        }
        assert raw(good, f"/v1/part/{good.name()}/1", b"x", method="PUT", shown=shown) == 401
    assert raw(good, "/v1/nothing", b"{}") == 404
    assert raw(good, "/v1/lease", b"", method="GET") == 405


def test_what_makes_no_sense_is_refused_in_one_way(bad: Stranger) -> None:
    deep = b'{"ids": ' + b"[" * 100_000 + b"]" * 100_000 + b', "segment": ""}'
    for body in (b"", b"[]", b"null", b"\xff", b'{"n": "1"}', b'{"n": 1, "more": 2}', b'{"n": 1e999}', deep):
        assert raw(bad, "/v1/lease", body) == 400, body[:40]
    assert raw(bad, "/v1/hold", deep) == 400
    assert raw(bad, "/v1/lease", b" " * (wire.MOST + 1)) == 413
    many = tuple((n, 1) for n in range(wire.MOST_FETCHES + 1))
    assert refused(bad.client.ask, "hold", wire.Hold(bad.name(), many), wire.Held) == 413
    assert refused(bad.client.ask, "give-back", wire.GiveBack(many), wire.Held) == 413
    for name in (
        "../../etc/passwd",
        "..",
        "",
        "x" * 5000,
        bad.name() + "\n",
        bad.name().replace("text", "te/xt"),
        bad.name(kind="spam"),
    ):
        assert refused(bad.client.ask, "hold", wire.Hold(name, ()), wire.Held) == 400, name
        assert refused(bad.client.ask, "brought", wire.Brought(name), wire.Standing) == 400, name
    for path in (
        "/v1/part/..%2f..%2fx/1",
        "/v1/part/../../x/1",
        f"/v1/part/{bad.name()}/0",
        f"/v1/part/{bad.name()}/99999999",
    ):
        assert raw(bad, path, b"x", method="PUT") in {400, 404, 405, 409}, path


def test_it_neither_takes_nor_returns_nor_settles_what_is_anothers(
    rescue: Rescue, good: Stranger, bad: Stranger
) -> None:
    mine = good.lease()
    assert mine
    assert bad.hold(bad.name(), mine) == ()
    bad.client.ask("give-back", wire.GiveBack(tuple((one.id, one.token) for one in mine), "gone"), wire.Held)
    bad.client.ask("leave", None, wire.Held)
    assert states_of(rescue, mine) == {"leased"}
    name = good.name()
    assert refused(bad.hold, name, mine) == 403
    assert set(good.hold(name, mine)) == {one.id for one in mine}
    forger = good.forger(name)
    for one in mine:
        forger.capture(one.fetch, b"what was there")
    path = forger.sealed()
    assert refused(bad.client.ask, "bring", bad.told(path), wire.Ways) == 403
    assert refused(bad.client.ask, "brought", wire.Brought(name), wire.Standing) == 403
    ways = good.client.ask("bring", good.told(path), wire.Ways).ways
    assert [bad.put(way, path.read_bytes()) for way in ways.values()] == [403]
    # Under its own name, what another was lent is nobody's.
    theirs = bad.forger(bad.name())
    for one in mine:
        theirs.capture(one.fetch, b"made up")
    stolen = theirs.sealed()
    assert bad.bring(stolen) == "sent"
    until(lambda: stolen.name in bad.attend(stolen.name).standing)
    assert states_of(rescue, mine) == {"held"}
    collection = Collection.open(rescue.collection)
    struck = [
        one for event in deaths.events(collection.root) if event["event"] == "disowned" for one in event["records"]
    ]
    assert {one["url"] for one in struck if one["segment"] == stolen.name} == {one.fetch.url for one in mine}
    assert {one["record_id"] for one in struck} <= Withheld.load(collection).struck.records
    assert good.bring(path) == "sent"
    until(lambda: good.attend(name).standing.get(name) == ("proven", ""))
    found = rescue.fetches()
    assert {found[one.fetch.url] for one in mine} == {("done", name)}
    assert refused(good.bring, path) == 0  # again: it is known, and nothing changes
    assert good.hold(name, mine) == ()


def test_parts_are_what_was_announced(bad: Stranger) -> None:
    forger = bad.forger(bad.name())
    forger.capture(Fetch(url="http://a.example/", lane="page"), b"x")
    path = forger.sealed()
    told = bad.told(path)
    assert refused(bad.client.ask, "bring", bad.told(path, sha256="0" * 64, signature=told.signature), wire.Ways) == 403
    for wrong in (
        {"bytes": 0},
        {"bytes": -5},
        {"bytes": 1 << 60},
        {"sha256": "x" * 64},
        {"parts": ()},
        {"parts": ("0" * 31,)},
    ):
        assert refused(bad.client.ask, "bring", bad.told(path, **wrong), wire.Ways) == 400, wrong
    assert refused(bad.client.ask, "brought", wire.Brought(path.name), wire.Standing) == 409
    (way,) = bad.client.ask("bring", told, wire.Ways).ways.values()
    data = path.read_bytes()
    assert bad.put(way, data + b"more") == 413
    assert bad.put(way, data[:-1]) == 413
    assert bad.put(way, data[:-1] + b"x") == 400
    assert refused(bad.client.ask, "brought", wire.Brought(path.name), wire.Standing) == 409
    other = bad.told(path, sha256="1" * 64)
    assert refused(bad.client.ask, "bring", other, wire.Ways) == 409
    huge = bad.forger(bad.name())
    huge.capture(Fetch(url="http://a.example/", lane="page"), os.urandom(21 << 20))
    assert refused(bad.bring, huge.sealed()) == 429


def brought(one: Stranger, path: Path) -> tuple[str, str]:
    assert one.bring(path) == "sent"
    until(lambda: path.name in one.attend(path.name).standing)
    return one.attend(path.name).standing[path.name]


def test_what_outlast_does_not_write_is_refused_whole(rescue: Rescue, bad: Stranger) -> None:
    (errand, *_) = bad.lease(1)
    place = errand.fetch

    def forged(**how: object) -> Path:
        forger = bad.forger(bad.name())
        forger.capture(place, b"made up", **how)  # type: ignore[arg-type]
        return forger.sealed()

    tomorrow = brought(bad, forged(ahead=86400))
    assert tomorrow[0] == "refused"
    assert "date" in tomorrow[1]
    whole = forged()
    plain = gzip.decompress(whole.read_bytes())
    cases = {
        "other bytes": plain.replace(b"made up", b"MADE UP"),
        "another target": plain.replace(b"WARC-Type: response\r\n", b"WARC-Type: response\r\n", 1).replace(
            f"WARC-Target-URI: {place.url}".encode(), f"WARC-Target-URI: {place.url}?".encode()
        ),
        "a conversion": plain.replace(b"WARC-Type: response", b"WARC-Type: conversion"),
        "a resource": plain.replace(b"WARC-Type: response", b"WARC-Type: resource"),
        "torn": plain[:-40],
        "rubbish": os.urandom(2000),
    }
    for what, data in cases.items():
        path = bad.root / bad.name()
        members = (
            data
            if what == "rubbish"
            else b"".join(gzip.compress(b"WARC/1.1" + one) for one in data.split(b"WARC/1.1")[1:])
        )
        path.write_bytes(members)
        state, why = brought(bad, path)
        assert (state, bool(why)) == ("refused", True), what
    assert rescue.fetches()[place.url][0] in {"leased", "queued"}
    assert not list(rescue.collection.glob("warcs/*.bringing"))
    assert not list(rescue.collection.glob(f"warcs/*-n{bad.node}-*"))


def test_a_revisit_of_what_is_elsewhere_settles_nothing(rescue: Rescue, bad: Stranger) -> None:
    (errand, *_) = bad.lease(1)
    forger = bad.forger(bad.name())
    elsewhere = Original(record_id="<urn:uuid:0>", url="http://a.example/", date="2026-01-01T00:00:00Z", segment="s")
    forger.capture(errand.fetch, b"x" * 2000, original=elsewhere)
    path = forger.sealed()
    bad.hold(path.name, (errand,))
    assert brought(bad, path)[0] == "proven"
    assert rescue.fetches()[errand.fetch.url][0] == "queued"


def test_work_is_the_frontiers_whatever_a_record_says_of_it(rescue: Rescue, bad: Stranger) -> None:
    (errand, *_) = bad.lease(1)
    lying = Fetch(url=errand.fetch.url, lane="image", callback="parse_robots_txt", covers=("post", "1"), depth=9)
    forger = bad.forger(bad.name())
    forger.capture(lying, b"<a href=/39>")
    assert brought(bad, forger.sealed())[0] == "proven"
    found = rescue.fetches()
    assert found[errand.fetch.url][0] == "done"
    assert any(url.endswith("/39") for url in found), "it is read as the page that it was lent as"


def test_who_is_revoked_is_a_stranger(rescue: Rescue, tmp_path: Path) -> None:
    gone = Stranger(token(rescue, "gone"), tmp_path, "gone")
    mine = gone.lease(2)
    gone.hold(gone.name(), mine)
    assert archive("coordinate", rescue.collection, "--revoke", gone.node).code == 0
    with pytest.raises(Dismissed):
        gone.lease()
    until(lambda: states_of(rescue, mine) == {"queued"})
    assert archive("coordinate", rescue.collection, "--revoke", 1).code == 2


def test_what_is_no_token_is_said_in_one_line(tmp_path: Path) -> None:
    good = str(tokens.Token(url="https://127.0.0.1:1", pin="0" * 64, secret=b"x" * 32))
    ran = archive("join", good[:-5], tmp_path / "v")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert not (tmp_path / "v").exists()
    ran = archive("join", good, tmp_path / "v", "--json")
    assert (ran.code, ran.err.count("\n")) == (11, 1)
    assert "x" * 32 not in ran.err + json.dumps(ran.out)


def test_a_forged_capture_is_found_while_the_site_is_there(tmp_path: Path, address: str) -> None:
    with ExitStack() as there:
        rescue = begun(tmp_path, address, there.enter_context(LimitedSite(PAGES, rate=500, wait=1)))
        with rescue.coordinator("--term", "1h", "--sample", 100):
            liar = Stranger(token(rescue, "liar"), tmp_path, "liar")
            told, made_up, *others = liar.lease(5)
            forger = liar.forger(liar.name())
            forger.capture(told.fetch, urllib3.request("GET", told.fetch.url).data)
            forger.capture(made_up.fetch, b"what nobody ever wrote")
            path = forger.sealed()
            assert brought(liar, path)[0] == "proven"
            until(lambda: rescue.members()["liar"].agrees and rescue.members()["liar"].differs)
            there.close()
            late = liar.forger(liar.name())
            late.capture(others[0].fetch, b"nobody can tell any more")
            assert brought(liar, late.sealed())[0] == "proven"
            until(lambda: rescue.members()["liar"].unchecked)
            liar.client.close()
        member = rescue.members()["liar"]
        assert (member.asked, member.agrees, member.differs, member.unchecked) == (0, 1, 1, 1)
        found = rescue.fetches()
        assert found[told.fetch.url] == ("done", path.name)
        assert "-n1-w0-" in found[made_up.fetch.url][1], "what we were answered stands for it"
        collection = Collection.open(rescue.collection)
        (event,) = [event for event in deaths.events(collection.root) if event["event"] == "forged"]
        assert [one["url"] for one in event["records"]] == [made_up.fetch.url]
        assert event["records"][0]["record_id"] in Withheld.load(collection).struck.records
        said = archive("status", rescue.collection)
        assert "for 1 a volunteer is the single witness" in said.out
        who = bringers.brought(rescue.collection)[path.name]
        assert (who["node"], who["label"], who["public_key"]) == (
            liar.node,
            "liar",
            keys.raw(liar.key.public_key()).hex(),
        )
        assert archive("verify", rescue.collection).code == 0


@pytest.mark.timeout(300)
def test_a_coordinator_that_is_killed_at_each_step_settles_all_once(tmp_path: Path, address: str) -> None:
    with LimitedSite(PAGES, rate=500, wait=1) as site:
        rescue = begun(tmp_path, address, site)
        with rescue.coordinator("--sample", 0, OUTLAST_FAILPOINT="volunteers.examined") as first:
            one = Stranger(token(rescue, "one"), tmp_path, "one")
            mine = one.lease(3)
            forger = one.forger(one.name())
            for errand in mine:
                forger.capture(errand.fetch, b"<a href=/39>")
            path = forger.sealed()
            one.hold(path.name, mine)
            assert one.bring(path) == "sent"
            assert first.wait(60) == -9
        for step in ("sealed", "settled", "proven"):
            with rescue.coordinator("--sample", 0, OUTLAST_FAILPOINT=f"volunteers.{step}") as again:
                assert again.wait(60) == -9, step
        with rescue.coordinator("--sample", 0):
            until(lambda: path.name in one.attend(path.name).standing)
            one.client.close()
        member = rescue.members()["one"]
        assert (member.captures, member.held, member.leased, member.proven) == (3, 0, 0, 1)
        found = rescue.fetches()
        assert {found[errand.fetch.url] for errand in mine} == {("done", path.name)}
        assert not list(rescue.collection.glob("incoming/*"))
        assert not [event for event in deaths.events(rescue.collection) if event["event"] == "disowned"]
        assert archive("verify", rescue.collection).code == 0


def test_a_join_that_is_refused_leaves_nothing(rescue: Rescue, tmp_path: Path) -> None:
    false = str(tokens.Token(url=f"http://127.0.0.1:{rescue.port}", secret=os.urandom(32)))
    mine, taken = tmp_path / "mine", tmp_path / "taken"
    mine.mkdir()
    taken.mkdir()
    (taken / "letter.txt").write_text("mine")
    for place in (tmp_path / "new", mine):
        ran = archive("join", false, place)
        assert (ran.code, ran.err.count("\n")) == (4, 1), ran.err
    true = token(rescue, "late")
    for place in (taken, rescue.collection):
        ran = archive("join", true, place)
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["letter.txt", "mine", "taken"]
    assert not (rescue.collection / "volunteer.json").exists()
    Stranger(true, tmp_path, "late")  # it was not used up


def test_what_was_lent_and_never_heard_of_is_lent_again(rescue: Rescue, good: Stranger) -> None:
    heard, lost = (good.client.ask("lease", wire.Want(2), wire.Given).errands for _ in range(2))
    has = tuple(one.id for one in heard)
    assert good.client.ask("lease", wire.Want(0, has), wire.Given).errands == ()
    assert (states_of(rescue, heard), states_of(rescue, lost)) == ({"leased"}, {"queued"})
    again = good.client.ask("lease", wire.Want(4, has), wire.Given).errands
    assert {one.id for one in lost} <= {one.id for one in again}
