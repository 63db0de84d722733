"""Addresses: which are private, what --resolve and --connect-to say, how lookups are remembered."""

from __future__ import annotations

import asyncio
import socket
from contextlib import nullcontext, suppress
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.capture import resolve
from crawler.capture.dial import Dialer
from crawler.capture.request import target_of
from crawler.capture.resolve import Redirections, Resolver, Unreachable, is_private, permitted
from crawler.errors import UsageError
from crawler.model import Outcome


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_private(address):
    assert is_private(address)
    with pytest.raises(Unreachable) as raised:
        permitted([address], (), "a.test")
    assert raised.value.outcome is Outcome.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]
)
def test_public(address):
    assert not is_private(address)


def test_allowed_networks():
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert not is_private("10.1.2.3", allowed)
    assert not is_private("::ffff:10.1.2.3", allowed)
    assert not is_private("fd00::5", allowed)
    assert is_private("10.2.0.1", allowed)


def test_of_several_addresses_the_public_ones_stay():
    assert permitted(["10.0.0.1", "1.1.1.1", "::1"], (), "a.test") == ["1.1.1.1"]


def test_resolve():
    pins = Redirections.parse([], ["A.test:80:1.2.3.4,[2001:db8::1]", "+*:443:127.0.0.1", "[::1]:81:1.1.1.1"])
    assert pins.addresses("a.test", 80) == ("1.2.3.4", "2001:db8::1")
    assert pins.addresses("b.test", 443) == ("127.0.0.1",)
    assert pins.addresses("a.test", 81) == ()
    assert pins.addresses("::1", 81) == ("1.1.1.1",)


def test_connect_to():
    to = Redirections.parse(
        ["a.test:443:b.test:8443", "a.test:80::8080", ":9::10", "[::1]:1:[::2]:", "c.test::d.test:"], []
    )
    assert to.destination("a.test", 443) == ("b.test", 8443)
    assert to.destination("a.test", 80) == ("a.test", 8080)
    assert to.destination("any.test", 9) == ("any.test", 10)
    assert to.destination("::1", 1) == ("::2", 1)
    assert to.destination("c.test", 5) == ("d.test", 5)
    assert to.destination("a.test", 81) == ("a.test", 81)


@pytest.mark.parametrize(
    "text", ["", "a", "a:80", "a:80:", "a:0:1.1.1.1", "a:99999:1.1.1.1", "a:x:1.1.1.1", "a:80:b.test"]
)
def test_bad_resolve(text):
    with pytest.raises(UsageError):
        Redirections.parse([], [text])


@pytest.mark.parametrize("text", ["", "a", "a:1:b", "a:1:b:c", "a:99999:b:1", "a:1:b:1:2"])
def test_bad_connect_to(text):
    with pytest.raises(UsageError):
        Redirections.parse([text], [])


@given(st.text(max_size=30))
def test_anything_else_typed_there_is_a_usage_error_or_fine(text):
    for parse in (lambda: Redirections.parse([text], []), lambda: Redirections.parse([], [text])):
        with suppress(UsageError):
            parse()


# The resolver: the system's lookup is replaced, because no test may ask the network.


@pytest.fixture
def answers(monkeypatch):
    told = {"a.test": ("1.1.1.1", "2.2.2.2")}
    asked = []

    def lookup(host):
        asked.append(host)
        if isinstance(told[host], Exception):
            raise told[host]
        return told[host]

    monkeypatch.setattr(resolve, "_getaddrinfo", lookup)
    return told, asked


async def test_answers_are_kept_for_a_while_and_reported_once(answers):
    heard = []
    resolver = Resolver(heard.append)
    found = await asyncio.gather(*(resolver.addresses("a.test") for _ in range(5)))
    assert set(found) == {("1.1.1.1", "2.2.2.2")}
    assert answers[1] == ["a.test"]
    assert [(lookup.host, lookup.addresses) for lookup in heard] == [("a.test", ("1.1.1.1", "2.2.2.2"))]
    resolver.close()


async def test_a_name_server_that_dies_does_not_take_its_last_answer_with_it(answers, monkeypatch):
    monkeypatch.setattr(resolve, "TTL", 0.0)
    heard = []
    resolver = Resolver(heard.append)
    await resolver.addresses("a.test")
    answers[0]["a.test"] = socket.gaierror(socket.EAI_AGAIN, "try again")
    assert await resolver.addresses("a.test") == ("1.1.1.1", "2.2.2.2")
    assert len(answers[1]) == 2
    assert len(heard) == 1
    resolver.close()


GONE = socket.gaierror(socket.EAI_NONAME, "unknown")


async def test_a_name_that_is_gone_takes_its_addresses_with_it_without_consent(answers, monkeypatch):
    monkeypatch.setattr(resolve, "TTL", 0.0)
    resolver = Resolver(kept=lambda host: ["3.3.3.3"])
    await resolver.addresses("a.test")
    answers[0]["a.test"] = GONE
    with pytest.raises(Unreachable, match="no host named"):
        await resolver.addresses("a.test")
    assert not resolver.is_stale("a.test")
    resolver.close()


async def test_with_consent_it_is_asked_where_it_was_until_it_has_a_name_again(answers, monkeypatch):
    monkeypatch.setattr(resolve, "TTL", 0.0)
    resolver = Resolver(kept=lambda host: ["3.3.3.3"] if host == "b.test" else [])
    found = await resolver.addresses("a.test", keeps=True)
    assert not resolver.is_stale("a.test")
    answers[0].update(dict.fromkeys(("a.test", "b.test", "c.test"), GONE))
    assert await resolver.addresses("a.test", keeps=True) == found, "what this process found"
    assert await resolver.addresses("b.test", keeps=True) == ("3.3.3.3",), "what an earlier one found"
    assert resolver.is_stale("a.test")
    assert resolver.is_stale("b.test")
    for name, keeps in (("c.test", True), ("a.test", False)):
        with pytest.raises(Unreachable):
            await resolver.addresses(name, keeps=keeps)
    answers[0]["a.test"] = ("4.4.4.4",)
    assert await resolver.addresses("a.test", keeps=True) == ("4.4.4.4",)
    assert not resolver.is_stale("a.test")
    resolver.close()


@pytest.mark.parametrize(
    ("url", "verify", "goes_on"),
    [("https://a.test/", True, True), ("https://a.test/", False, False), ("http://a.test/", True, False)],
)
async def test_last_addresses_are_for_who_can_show_a_certificate(answers, url, verify, goes_on):
    answers[0]["a.test"] = GONE
    dialer = Dialer(
        proxy=None, redirections=Redirections(), private_allowed=(), bind_address=None, timeout=5, verify=verify,
        trusted_hosts=frozenset(), ca_cert=None, on_lookup=None, on_chain=None, kept=lambda host: ["1.1.1.1"],
    )  # fmt: skip
    with nullcontext() if goes_on else pytest.raises(Unreachable, match="no host named"):
        assert await dialer._addresses(target_of(url)) == ["1.1.1.1"]
    dialer.close()


async def test_a_private_address_is_none_to_go_on_with(answers):
    answers[0]["a.test"] = GONE
    dialer = Dialer(
        proxy=None, redirections=Redirections(), private_allowed=(), bind_address=None, timeout=5, verify=True,
        trusted_hosts=frozenset(), ca_cert=None, on_lookup=None, on_chain=None, kept=lambda host: ["10.0.0.1"],
    )  # fmt: skip
    with pytest.raises(Unreachable, match="private address"):
        await dialer._addresses(target_of("https://a.test/"))
    dialer.close()


async def test_what_worked_comes_first(answers):
    resolver = Resolver()
    await resolver.addresses("a.test")
    resolver.worked("a.test", "2.2.2.2")
    resolver.worked("unknown.test", "2.2.2.2")
    assert await resolver.addresses("a.test") == ("2.2.2.2", "1.1.1.1")
    resolver.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "no host named"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "could not be looked up"),
        (UnicodeError("label too long"), "not a host name"),
    ],
)
async def test_failures_have_words(error, words, answers):
    answers[0]["b.test"] = error
    resolver = Resolver()
    with pytest.raises(Unreachable, match=words) as raised:
        await resolver.addresses("b.test")
    assert raised.value.outcome is Outcome.DNS
    resolver.close()


async def test_memory_of_names_is_bounded(answers, monkeypatch):
    monkeypatch.setattr(resolve, "_MAX_NAMES", 3)
    resolver = Resolver()
    for n in range(6):
        answers[0][f"{n}.test"] = (f"1.1.1.{n}",)
        await resolver.addresses(f"{n}.test")
    assert list(resolver._known) == ["3.test", "4.test", "5.test"]
    resolver.close()
