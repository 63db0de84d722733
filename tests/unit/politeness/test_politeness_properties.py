"""Headers and robots.txt as hostile servers write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.strategies import anything, some

_NAMES = st.sampled_from(
    ["Retry-After", "RateLimit", "X-RateLimit-Reset", "X-RateLimit-Remaining", "X-RateLimit-Limit", "X-RateLimit-PerDay-Reset",
     "RateLimit-Reset-After", "X-Rate-Limit-Clear", "RateLimit-Limit-Minute", "retry-after "]
)  # fmt: skip
_VALUES = st.one_of(
    st.integers(-(10**16), 10**16).map(str), st.floats().map(str), st.datetimes().map(str), st.text(max_size=20),
    st.from_regex(r"\A[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\Z"),
    st.from_regex(r'\A("[a-z]";)?(r|remaining|t|reset|q)=[0-9]{1,13}([;,] ?[a-z]=[0-9]{1,3}){0,3}\Z'),
)  # fmt: skip


@st.composite
def limits(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=5))
    status = draw(st.sampled_from([200, 403, 429, 503]))
    return "\n".join([str(status), *(f"{name}: {value}" for name, value in lines)]).encode("utf-8", "surrogatepass")


@some
@given(limits() | anything("ratelimit"))
def test_rate_limits(data: bytes) -> None:
    targets.ratelimit(data)


_RULES = st.sampled_from(
    ["User-agent: *", "User-agent: outlast", "user agent bot", "Disallow: /*a*b$", "Allow: /a", "Disallow: /%ff", "Disallow: \udfff",
     "Crawl-delay: 1e9", "Crawl-delay: nan", "Crawl-delay: -3", "Sitemap: http://[", "\ufeff", "#", "Visit-time: 9999-0000",
     "Request-rate: 1/0", "Request-rate: 1/5x 0800-", "Disallow: /" + "*a" * 40, "\x85Disallow: /", "\0"]
)  # fmt: skip


@some
@given(
    st.lists(_RULES, max_size=8).map(lambda lines: "\n".join(["/a*b?é", *lines]).encode("utf-8", "surrogatepass"))
    | anything("robots")
)
def test_robots(data: bytes) -> None:
    targets.robots(data)
