"""robots.txt: what it allows us, what its answers settle, and that no file can hurt."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness.robots import MAX_BYTES, MAX_CRAWL_DELAY, MAX_SITEMAPS, Rules, gate_from, robots_url

SITE = "https://site.example"


def allows(text: str, path: str) -> bool:
    return Rules(text).allowed(SITE + path)


def test_the_group_that_names_us_counts_and_else_the_one_for_all() -> None:
    text = "User-agent: *\nDisallow: /\n\nUser-agent: Outlast/2.0\nDisallow: /private\n"
    assert allows(text, "/page")
    assert not allows(text, "/private/x")
    assert not Rules(text, user_agent_token="othercrawler").allowed(SITE + "/page")


def test_rules_for_others_are_not_for_us() -> None:
    assert allows("User-agent: BadBot\nUser-agent: out\nUser-agent: outlaster\nDisallow: /\n", "/page")


def test_groups_of_several_names_and_groups_of_the_same_name_are_joined() -> None:
    text = "user-agent: a\nuser-agent: outlast\ndisallow: /one\n\nuser-agent: outlast\ndisallow: /two\n"
    assert not allows(text, "/one")
    assert not allows(text, "/two")
    assert allows(text, "/three")


@pytest.mark.parametrize(
    "line",
    ["User-agent: *", "user-agent:*", "  USER-AGENT :  *  # all", "Useragent: *", "User agent *", "User-agent *"],
)
def test_ways_to_write_a_name(line: str) -> None:
    assert not allows(f"{line}\nDisallow: /x\n", "/x")


def test_the_longest_match_wins_and_wildcards_work() -> None:
    text = "User-agent: *\nDisallow: /p\nAllow: /page\nDisallow: /*.pdf$\n"
    assert allows(text, "/page/1")
    assert not allows(text, "/p")
    assert not allows(text, "/a.pdf")
    assert allows(text, "/a.pdf?x")


def test_an_empty_rule_and_an_empty_file_allow_everything() -> None:
    assert allows("", "/")
    assert allows("User-agent: *\nDisallow:\n", "/x")
    assert allows("<html><body>Not found</body></html>", "/x")


def test_robots_txt_itself_is_always_allowed() -> None:
    assert allows("User-agent: *\nDisallow: /", "/robots.txt")


def test_a_byte_order_mark_hides_no_rule() -> None:
    gate = gate_from(SITE, 200, b"\xef\xbb\xbfUser-agent: *\nDisallow: /x")
    assert not allows(gate.rules, "/x")


def test_crawl_delay_and_sitemaps() -> None:
    rules = Rules("Sitemap: https://site.example/a.xml\nUser-agent: *\nCrawl-delay: 2.5\nSitemap: /b.xml\n")
    assert rules.crawl_delay == 2.5
    assert rules.sitemaps == ("https://site.example/a.xml", "/b.xml")
    assert Rules("User-agent: *\nCrawl-delay: 1e9").crawl_delay == MAX_CRAWL_DELAY
    assert Rules("User-agent: *\nDisallow: /").crawl_delay is None
    assert len(Rules("Sitemap: /s\n" * 5000).sitemaps) == MAX_SITEMAPS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_4xx_means_no_rules(status: int) -> None:
    gate = gate_from(SITE, status, b"User-agent: *\nDisallow: /")
    assert (gate.origin, gate.rules, gate.readable) == (SITE, "", True)


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 599])
def test_no_answer_settles_nothing(status: int) -> None:
    assert not gate_from(SITE, status, b"").readable


def test_a_redirect_that_leads_nowhere_means_no_rules() -> None:
    assert gate_from(SITE, 302, b"") == gate_from(SITE, 404, b"")


def test_a_file_beyond_the_bound_is_cut_between_lines() -> None:
    line = b"Disallow: /private\n"
    body = b"User-agent: *\n" + line * (MAX_BYTES // len(line) + 10)
    gate = gate_from(SITE, 200, body)
    assert len(gate.rules) <= MAX_BYTES
    assert gate.rules.endswith("/private\n")
    assert allows(gate.rules, "/")
    assert not allows(gate.rules, "/private")


def test_robots_url() -> None:
    assert robots_url("http://127.0.0.1:8000") == "http://127.0.0.1:8000/robots.txt"


@pytest.mark.parametrize(
    "spelling", ["User-agent: a{}\n", "User agent a{}\n", "useragent:a{}\n", "user-agent:\x1fa{}\n"]
)
def test_many_names_and_many_rules_do_not_multiply(spelling: str) -> None:
    text = "".join(spelling.format(n) for n in range(12_000)) + "".join(f"Allow: /{n}\n" for n in range(20_000))
    begun = time.process_time()
    tracemalloc.start()
    try:
        assert Rules(text).allowed(SITE + "/x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20
    assert time.process_time() - begun < 10


LINES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.builds("{}{}{}".format, st.sampled_from(["User-agent", "Disallow", "Allow", "Crawl-delay", "Sitemap", "Request-rate", "Visit-time"]),
                  st.sampled_from([":", " ", ": ", "::"]), st.text(max_size=30) | st.sampled_from(["*", "outlast", "/", "/*$", "1/0", "$", "%zz", "/a*b*c$"])),
    ),
    max_size=12,
)  # fmt: skip


@given(LINES, st.text(max_size=40))
def test_any_text_gives_rules_that_answer(lines: list[str], path: str) -> None:
    rules = Rules("\n".join(lines))
    assert rules.allowed(SITE + path) in {True, False}
    assert rules.allowed(path) in {True, False}
    assert rules.crawl_delay is None or 0 <= rules.crawl_delay <= MAX_CRAWL_DELAY
    assert all(isinstance(one, str) for one in rules.sitemaps)


@given(st.integers(0, 999), st.binary(max_size=200))
def test_any_answer_gives_a_gate(status: int, body: bytes) -> None:
    gate = gate_from(SITE, status, body)
    assert gate.readable or not gate.rules
