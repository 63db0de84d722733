"""Every dialect of rate-limit headers that platforms speak, and everything that none of them means."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.politeness.ratelimit import MAX_WAIT, NOTHING, Advice, advice

NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
EPOCH = str(int(NOW) + 300)
HTTP_DATE = format_datetime(datetime(2026, 1, 1, 0, 5, tzinfo=UTC), usegmt=True)

#: (server, status, headers, seconds to wait or None, remaining, limit)
DIALECTS = [
    ("mastodon", 429, {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-01-01T00:05:00.123456Z"}, 300.123456, 0, 300),
    ("mastodon, window spent by this answer", 200, {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-01-01T00:05:00Z"}, 300, 0, 300),
    ("mastodon, plenty left", 200, {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "250", "X-RateLimit-Reset": "2026-01-01T00:05:00Z"}, None, 250, 300),
    ("gotosocial, new", 429, {"X-Ratelimit-Limit": "300", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "2026-01-01T00:05:00Z"}, 300, 0, 300),
    ("gotosocial, old", 429, {"X-Ratelimit-Limit": "300", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": EPOCH}, 300, 0, 300),
    ("gotosocial, throttling", 503, {"Retry-After": "30"}, 30, None, None),
    ("sharkey, blocked", 429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Clear": "9", "Retry-After": "3", "X-RateLimit-Reset": "2500"}, 3, 0, None),
    ("sharkey, milliseconds that are no seconds", 429, {"X-RateLimit-Reset": "120000"}, 120, None, None),
    ("misskey", 429, {"Content-Type": "application/json"}, None, None, None),
    ("at pds", 429, {"RateLimit-Limit": "3000", "RateLimit-Remaining": "0", "RateLimit-Reset": EPOCH, "RateLimit-Policy": "3000;w=300"}, 300, 0, 3000),
    ("at pds, both", 429, {"RateLimit-Remaining": "0", "RateLimit-Reset": EPOCH, "Retry-After": "299"}, 299, 0, None),
    ("discourse", 429, {"Retry-After": "17", "Discourse-Rate-Limit-Error-Code": "ip_60_secs_limit"}, 17, None, None),
    ("reddit", 200, {"x-ratelimit-remaining": "0.0", "x-ratelimit-used": "100", "x-ratelimit-reset": "587"}, 587, 0, None),
    ("reddit, plenty left", 200, {"x-ratelimit-remaining": "96.5", "x-ratelimit-reset": "587"}, None, 96, None),
    ("tumblr, hour spent", 429, {"X-RateLimit-PerHour-Limit": "1000", "X-RateLimit-PerHour-Remaining": "0", "X-RateLimit-PerHour-Reset": "1800", "X-RateLimit-PerDay-Limit": "5000", "X-RateLimit-PerDay-Remaining": "4000", "X-RateLimit-PerDay-Reset": "70000"}, 1800, 0, 1000),
    ("tumblr, both spent", 429, {"X-RateLimit-PerHour-Remaining": "0", "X-RateLimit-PerHour-Reset": "1800", "X-RateLimit-PerDay-Remaining": "0", "X-RateLimit-PerDay-Reset": "70000"}, 70000, 0, None),
    ("peertube", 429, {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": EPOCH, "Retry-After": "10"}, 10, 0, 50),
    ("rack-attack", 429, {"RateLimit-Reset": EPOCH, "Retry-After": "300"}, 300, None, None),
    ("rack-attack without Retry-After", 429, {"RateLimit-Reset": EPOCH}, 300, None, None),
    ("github, primary limit", 403, {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": EPOCH}, 300, 0, 60),
    ("github, secondary limit", 403, {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "12", "x-ratelimit-reset": EPOCH, "retry-after": "60"}, 60, 12, 60),
    ("a window that is not spent is not why", 429, {"x-ratelimit-remaining": "12", "x-ratelimit-reset": EPOCH}, None, 12, None),
    ("twitter's spelling", 429, {"x-rate-limit-limit": "900", "x-rate-limit-remaining": "0", "x-rate-limit-reset": EPOCH}, 300, 0, 900),
    ("discord", 429, {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": EPOCH, "X-RateLimit-Reset-After": "1.25"}, 1.25, 0, 5),
    ("kong", 200, {"X-RateLimit-Limit-Minute": "20", "X-RateLimit-Remaining-Minute": "3", "X-RateLimit-Limit-Day": "500", "X-RateLimit-Remaining-Day": "400"}, None, 3, 20),
    ("ietf draft 3", 200, {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "0", "RateLimit-Reset": "50"}, 50, 0, 100),
    ("ietf draft 7", 429, {"RateLimit": "limit=100, remaining=0, reset=50"}, 50, 0, 100),
    ("ietf draft 8", 200, {"RateLimit": '"burst";r=0;t=3, "day";r=9;t=70000', "RateLimit-Policy": '"burst";q=5;w=3'}, 3, 0, None),
    ("an http date", 503, {"Retry-After": HTTP_DATE}, 300, None, None),
    ("an rfc 850 date", 503, {"Retry-After": "Thursday, 01-Jan-26 00:05:00 GMT"}, 300, None, None),
    ("an asctime date", 503, {"Retry-After": "Thu Jan  1 00:05:00 2026"}, 300, None, None),
    ("seconds with a unit", 429, {"Retry-After": "30s"}, 30, None, None),
    ("unix milliseconds", 429, {"X-RateLimit-Reset": str(int(NOW * 1000) + 5000)}, 5, None, None),
    ("4chan and forums", 429, {}, None, None, None),
    ("cloudflare 1015", 429, {"Retry-After": "86400", "Server": "cloudflare"}, 86400, None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "headers", "wait", "remaining", "limit"), [row[1:] for row in DIALECTS], ids=[row[0] for row in DIALECTS]
)
def test_dialect(
    status: int, headers: dict[str, str], wait: float | None, remaining: int | None, limit: int | None
) -> None:
    for told in (advice(status, headers, NOW), advice(status, list(headers.items()), NOW)):
        assert (told.remaining, told.limit) == (remaining, limit)
        assert (told.wait_until is None) == (wait is None)
        if wait is not None and told.wait_until is not None:
            assert told.wait_until - NOW == pytest.approx(wait)
            assert told.why


def test_what_is_absurd_is_bounded_to_a_day() -> None:
    for value in ("999999999999999", "2999-01-01T00:00:00Z", "Fri, 31 Dec 9999 23:59:59 GMT", "172800"):
        assert advice(429, {"Retry-After": value}, NOW).wait_until == NOW + MAX_WAIT, value


def test_what_is_past_asks_for_no_wait() -> None:
    assert advice(429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, NOW).wait_until == NOW
    assert advice(503, {"Retry-After": "0"}, NOW).wait_until == NOW


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "1e9",
        "NaN",
        "inf",
        "٣",
        "12 34",
        "0x10",
        "1,5",
        "Thu, 99 Jan 2026 00:00:00 GMT",
        "\x00",
        "9" * 400,
    ],
)
def test_garbage_is_ignored(value: str) -> None:
    assert advice(429, {"Retry-After": value}, NOW) == NOTHING
    assert advice(200, {"X-RateLimit-Reset": value}, NOW).wait_until is None


def test_retry_after_on_a_good_answer_or_a_redirect_stops_nobody() -> None:
    assert advice(200, {"Retry-After": "60"}, NOW).wait_until is None
    assert advice(301, {"Retry-After": "60"}, NOW).wait_until is None


def test_of_two_waits_the_longer_holds() -> None:
    assert advice(429, [("Retry-After", "5"), ("retry-after", "50"), ("Retry-After", "x")], NOW).wait_until == NOW + 50


def test_a_limit_of_zero_means_that_there_is_none() -> None:
    assert (
        advice(200, {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}, NOW).wait_until
        is None
    )


def test_the_reason_never_quotes_the_server() -> None:
    told = advice(429, {"Retry-After": "5", "Discourse-Rate-Limit-Error-Code": "x\nFAKE LOG LINE"}, NOW)
    assert told.why == "Retry-After"


NAMES = st.sampled_from([
    "Retry-After", "RateLimit", "RateLimit-Policy", "X-RateLimit-Reset", "x-ratelimit-remaining", "X-RateLimit-Limit",
    "RateLimit-Remaining", "X-Rate-Limit-Reset", "x-ratelimit-perday-remaining", "X-RateLimit-Clear", "X-RateLimit-Reset-After",
])  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=60), st.integers(-(10**20), 10**20).map(str), st.floats().map(str), st.datetimes().map(str),
    st.datetimes(min_value=datetime(1900, 1, 1)).map(format_datetime),
    st.from_regex(r'\A"?[a-z]{0,3}"?;r=[0-9]{1,4};t=[0-9]{1,6}(, [a-z]+=[0-9]+)*\Z'),
)  # fmt: skip


@given(
    status=st.integers(0, 999),
    headers=st.lists(st.tuples(NAMES | st.text(max_size=30), VALUES), max_size=8),
    now=st.floats(0, 4e9),
)
@example(status=429, headers=[("Retry-After", "0001-01-01T00:00:00+14:00")], now=0.0)
@example(status=429, headers=[("Retry-After", "Mon, 01 Jan 0001 00:00:00 +2359")], now=0.0)
def test_anything_gives_bounded_advice(status: int, headers: list[tuple[str, str]], now: float) -> None:
    told = advice(status, headers, now)
    assert isinstance(told, Advice)
    for when in (told.wait_until, told.reset):
        assert when is None or now <= when <= now + MAX_WAIT
    for count in (told.remaining, told.limit):
        assert count is None or count >= 0
    assert bool(told.why) == (told.wait_until is not None)
