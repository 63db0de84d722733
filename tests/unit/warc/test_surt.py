"""SURT keys: a table, and agreement with the package that other indexers use (run as an outside program)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.warc.surt import surt

TABLE = {
    "https://parler.com/": "com,parler)/",
    "https://www.Example.org:443/A/b/../C/?b=2&a=1": "org,example)/a/c?a=1&b=2",
    "http://example.org:8080/x": "org,example:8080)/x",
    "http://user:pw@example.org/": "org,example)/",
    "https://api.parler.com/l/xXtqI": "com,parler,api)/l/xxtqi",
    "http://127.0.0.1:8000/page/3": "1,0,0,127:8000)/page/3",
    "https://example.org/a%20b%2520c": "org,example)/a%20b%20c",
    "https://example.org/?PHPSESSID=0123456789abcdefghijklemopqrstuv&x=1": "org,example)/?x=1",
    "dns:parler.com": "dns:parler.com",
}


@pytest.mark.parametrize(("url", "key"), TABLE.items())
def test_table(url: str, key: str) -> None:
    assert surt(url) == key


URLS = [
    *TABLE, "http://www2.example.org/a//b///c", "http://example.org", "http://example.org?", "http://example.org/?", "https://EXAMPLE.org/%7Euser/",
    "http://example.org/a;jsessionid=0123456789ABCDEF0123456789ABCDEF", "http://example.org/x?b&a&&c=", "http://example.org/%E2%82%AC",
    "http://example.org/a/./b/../../c", "http://example.org/a?x=%41%2541", "https://example.org:80/", "http://example.org:443/",
    "http://example.org/../../x", "http://example.org/(a(4hqa0555fwsecu455xqckv45)S(4hqa0555fwsecu455xqckv45)f(x))/mileg.aspx?page=sessionschedules",
    "http://[2001:db8::1]/x", "https://example.org/path?q=a+b&Q=C#frag", "http://example.org/;x", "http://example.org/a=b?c=d?e",
]  # fmt: skip


def test_agreement_with_the_usual_package() -> None:
    program = "import sys, json, surt; print(json.dumps([surt.surt(u) for u in json.load(sys.stdin)]))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(URLS), capture_output=True, text=True, check=True
    )
    theirs = dict(zip(URLS, json.loads(done.stdout), strict=True))
    different = {url: (surt(url), key) for url, key in theirs.items() if surt(url) != key}
    assert not different


@given(st.text(max_size=80))
def test_it_never_raises(text: str) -> None:
    assert isinstance(surt(text), str)
    assert isinstance(surt(f"https://{text}"), str)
    assert isinstance(surt(f"https://example.org/{text}"), str)
