"""What signed URLs say of their end, and how that stands in a value class."""

from __future__ import annotations

import json
from base64 import b64encode
from math import inf
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.plan.expiry import EXPIRING, end_of, ends, is_signed, lasts, until, valued

NOW, END = 1_610_236_800, 1_610_240_400  # 2021-01-10, and an hour later
SITE = "https://cdn.example/a/b.jpg"


def policy(facts: object) -> str:
    return b64encode(json.dumps(facts).encode()).decode().translate(str.maketrans("+=/", "-_~"))


POLICY = {"Statement": [{"Resource": f"{SITE}?>>>???", "Condition": {"DateLessThan": {"AWS:EpochTime": END}}}]}


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20210110T000000Z&X-Amz-Expires=3600&X-Amz-Signature=ab",
        "x-goog-date=20210109T230000Z&x-goog-expires=7200&x-goog-signature=ab",
        f"AWSAccessKeyId=a&Expires={END}&Signature=b", f"Expires={END}&Signature=b&Key-Pair-Id=K",
        f"Policy={policy(POLICY)}&Signature=b&Key-Pair-Id=K", f"token=ab&expires={END}", f"md5=x&expires={END}",
        f"st=ab&e={END}", "sv=2020-08-04&se=2021-01-10T01%3A00%3A00Z&sr=b&sp=r&sig=ab",
        "se=" + quote("2021-01-10T02:00+01:00") + "&sig=ab", f"hdnts=st={NOW}~exp={END}~acl=/*~hmac=ab",
        f"__token__=exp={END}~hmac=ab", f"_nc_ht=x&oh=00_ab&oe={END:X}", f"ex={END:x}&is={NOW:x}&hm=ab",
        f"x-expires={END}&x-signature=ab", f"expire={END}&sig=ab&itag=18",
    ],
)  # fmt: skip
def test_an_end_is_read(query: str) -> None:
    assert ends(f"{SITE}?{query}") == END
    assert is_signed(f"{SITE}?{query}")
    assert NOW < (end_of(valued(3, f"{SITE}?{query}", NOW)) or 0) <= END


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        ("", False), (f"expires={END}", False), ("width=300&e=12", False), (f"e={END}&h=200", False),
        ("X-Amz-Date=yesterday&X-Amz-Expires=3600&X-Amz-Signature=ab", True), ("X-Amz-Date=20210110T000000Z", False),
        ("X-Amz-Date=20210110T000000Z&X-Amz-Expires=" + "9" * 4000 + "&X-Amz-Signature=ab", True),
        ("Expires=soon&Signature=b", True), ("Policy=%%%&Key-Pair-Id=K&Signature=b", True),
        (f"Policy={policy({'Statement': []})}&Key-Pair-Id=K&Signature=b", True),
        (f"Policy={policy([[[]]])}&Key-Pair-Id=K&Signature=b", True),
        ("Policy=" + b64encode(b'{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":NaN}}}]}').decode()
         + "&Key-Pair-Id=K&Signature=b", True),
        ("se=never&sig=ab", True), ("oe=ZZZZZZZZ&oh=1", True), ("hdnts=exp=1~hmac=ab", True),
    ],
)  # fmt: skip
def test_where_none_is_said_there_is_none(query: str, signed: bool) -> None:
    url = f"{SITE}?{query}"
    assert (ends(url), is_signed(url)) == (None, signed)
    assert valued(2, url, NOW) == 2 + EXPIRING * signed


@given(st.text(alphabet="X-AmzDateExpiresPolicy=&%~0123456789abcdefT", max_size=300))
def test_nothing_that_a_page_says_is_a_fault(query: str) -> None:
    end = ends(f"{SITE}?{query}")
    assert end is None or 0 < end < 2**32


@given(st.integers(0, 999), st.floats(1, 1e9), st.floats(1, 1e9))
def test_a_class_tells_an_end_a_little_early_and_the_first_goes_first(value: int, one: float, other: float) -> None:
    sooner, later = sorted((NOW + one, NOW + other))
    early, late = until(value, sooner, NOW), until(value, later, NOW)
    assert early % EXPIRING == late % EXPIRING == value
    assert early >= late > value + EXPIRING or late == value + EXPIRING
    if (told := end_of(early)) is not None:
        assert sooner - max((sooner - NOW) / 4, 64) <= told <= sooner


def test_how_long_it_lasts() -> None:
    known = until(0, END, NOW)
    assert lasts(0, NOW, 1e9) == inf
    assert lasts(EXPIRING, NOW, 1e9) == 0
    assert 2048 <= lasts(known, NOW, 1e9) <= 3600
    assert lasts(known, NOW, 1000) == inf, "the crawl ends before"
    assert lasts(known, END + 1, 1e9) < 0
    assert until(5, NOW - 1, NOW) == 5
