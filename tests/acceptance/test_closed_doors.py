"""Sites that let no stranger in: one honest line, exit 9, nothing asked that is in vain, and what was seen is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from crawler.replicas.run import running
from tests.acceptance.support import archive, segments
from tests.acceptance.test_bad_input import one_line

CLOSED = {"x.com": "X", "www.facebook.com": "Facebook", "instagram.com": "Instagram", "m.tiktok.com": "TikTok"}


@pytest.mark.parametrize("host", CLOSED)
def test_a_platform_that_shows_strangers_nothing_is_not_asked(host: str, tmp_path: Path) -> None:
    with running("plain") as replica:
        there = ["--connect-to", f"::127.0.0.1:{replica.port}"]
        ran = archive("crawl", f"http://{host}/somebody", "--into", tmp_path / "c", *there)
        told = archive("detect", f"http://{host}/", *there)
        assert replica.ledger() == []
    for one in (ran, told):
        assert one.code == 9, one.err
        line = one_line(one.err)
        assert CLOSED[host] in line
        assert "owner" in line
        assert "-i FILE" in line
    assert not (tmp_path / "c").exists()


def test_pages_of_it_that_the_user_lists_are_taken_and_no_more(tmp_path: Path) -> None:
    listing = tmp_path / "urls.txt"
    listing.write_text("http://x.com/page/5\n")
    with running("plain") as replica:
        command = ("crawl", "-i", listing, "--into", tmp_path / "c", "--connect-to", f"::127.0.0.1:{replica.port}")
        ran = archive(*command)
        assert ran.code == 0, ran.err
        asked = {one["target"] for one in replica.ledger()}
        assert "/page/5" in asked
        assert not {target for target in asked if target.startswith("/page/")} - {"/page/5"}
        assert archive(*command).code == 0
    assert archive("verify", tmp_path / "c").code == 0


@pytest.mark.parametrize("trap", ["", "silent"])
def test_a_page_that_tests_browsers_is_kept_and_ends_the_crawl(trap: str, tmp_path: Path) -> None:
    with running("guarded", trap=trap) as replica:
        for _ in range(2):
            ran = archive("crawl", replica.url, "--into", tmp_path / "c")
            assert ran.code == 9, ran.err
            assert "only browsers" in one_line(ran.err)
        assert archive("detect", replica.url).code == 9
        assert len(replica.ledger()) == 3
    assert archive("verify", tmp_path / "c").code == 0
    kept = segments(tmp_path / "c")
    assert [path for path in kept if "-probe-" in path.name]
    with kept[0].open("rb") as stream:
        assert any(b"Just a moment" in record.reader.read() for record in ArchiveIterator(stream))
