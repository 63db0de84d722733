"""From a URL to request bytes: nothing in a URL or header can make a second line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.capture.request import request_bytes, target_of
from crawler.capture.resolve import Unreachable
from crawler.model import Outcome
from crawler.url import canonical


def request(url, **kwargs):
    return request_bytes(target_of(url), **({"method": "GET", "user_agent": "t"} | kwargs))


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://a.test", b"GET / HTTP/1.1", b"a.test"),
        ("HTTP://A.Test:80/x#y", b"GET /x HTTP/1.1", b"a.test"),
        ("https://a.test:443/?", b"GET / HTTP/1.1", b"a.test"),
        ('https://a.test:444/a b?c d="e"', b"GET /a%20b?c%20d=%22e%22 HTTP/1.1", b"a.test:444"),
        ("http://a.test/%7Euser/%zz", b"GET /%7Euser/%zz HTTP/1.1", b"a.test"),
        ("http://Bücher.test/ü?ö", b"GET /%C3%BC?%C3%B6 HTTP/1.1", b"xn--bcher-kva.test"),
        ("http://[::1]:8080/", b"GET / HTTP/1.1", b"[::1]:8080"),
        ("http://user:secret@a.test/", b"GET / HTTP/1.1", b"a.test"),
    ],
)
def test_target(url, line, host):
    lines = request(url).split(b"\r\n")
    assert lines[:2] == [line, b"Host: " + host]


def test_absolute_form():
    assert request("http://a.test:81/b?c", absolute=True).startswith(
        b"GET http://a.test:81/b?c HTTP/1.1\r\nHost: a.test:81"
    )


@pytest.mark.parametrize(
    "url", ["http:///x", "http://a..b/", "http://" + "a" * 64 + ".test/", "http://a\x7fb/", "http://a;b/"]
)
def test_hosts_that_cannot_be(url):
    with pytest.raises(Unreachable) as raised:
        target_of(url)
    assert raised.value.outcome in {Outcome.DNS, Outcome.PROTOCOL}


@given(st.text(max_size=60))
def test_any_url_is_one_clean_request_line_or_unreachable(text):
    try:
        made = request("http://a.test/" + text)
    except Unreachable:
        return
    line, _, rest = made.partition(b"\r\n")
    assert rest.startswith(b"Host: a.test\r\n")
    assert line.count(b" ") == 2
    assert all(0x20 <= byte < 0x7F for byte in line)
    assert line == b"GET " + canonical("http://a.test/" + text).removeprefix("http://a.test").encode() + b" HTTP/1.1"


@given(name=st.text(min_size=1, max_size=20), value=st.text(max_size=40))
def test_no_header_makes_a_second_line(name, value):
    made = request("http://a.test/", headers=((name, value),))
    assert made.count(b"\r\n") == request("http://a.test/", headers=(("X", ""),)).count(b"\r\n") - (
        name.lower() in {"host", "user-agent", "accept", "accept-encoding", "connection"}
    )
    assert made.count(b"\n") == made.count(b"\r\n") == made.count(b"\r")
    assert made.endswith(b"\r\n\r\n")


def test_a_body_has_its_length_and_so_has_an_empty_post():
    assert b"\r\nContent-Length: 3\r\n" in request("http://a.test/", method="POST", body=b"abc")
    assert b"\r\nContent-Length: 0\r\n" in request("http://a.test/", method="POST")
    assert b"Content-Length" not in request("http://a.test/")
