"""Every ugly answer, over every route, under both event loops: byte for byte what the server logged."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b32encode
from contextlib import AsyncExitStack

import pytest
import uvloop

from crawler.capture import decode
from tests.integration.capture.proxies import TestProxy
from tests.integration.capture.ugly import ANSWERS, ENDING, UglyServer

#: name: (TLS at the site, scheme of the proxy)
ROUTES = {
    "plain": (False, None),
    "tls": (True, None),
    "http proxy": (False, "http"),
    "connect": (True, "http"),
    "https proxy": (False, "https"),
    "tls in tls": (True, "https"),
    "socks5": (False, "socks5"),
    "socks5h": (False, "socks5h"),
    "tls in socks5": (True, "socks5"),
}


def differences(path, capture, exchange):
    """Everything in which a capture differs from what the server logged and the table says."""
    answer = ANSWERS[path]
    received = capture.head + capture.body.data
    expected = {
        "request": exchange.request, "sent": b"".join(answer.pieces), "wire": answer.wire, "status": answer.status,
        "outcome": answer.outcome, "truncated": answer.truncated, "interim": answer.interim,
        "entity": answer.entity, "error": True,
    }  # fmt: skip
    found = {
        "request": capture.request, "sent": exchange.response, "wire": received, "status": capture.status,
        "outcome": capture.outcome, "truncated": capture.truncated, "interim": capture.interim,
        "entity": decode.entity(capture).read(), "error": answer.error in capture.error,
    }  # fmt: skip
    if answer.lossy:
        assert answer.wire.startswith(received)
        found["wire"] = answer.wire
        found["sent"] = expected["sent"]
    if answer.entity is None:
        del expected["entity"]
    return {key: (found[key], value) for key, value in expected.items() if found[key] != value} | digests_wrong(capture)


def digests_wrong(capture):
    if not capture.head:
        return {} if capture.digests is None else {"digests": capture.digests}
    block, payload = capture.head + capture.body.data, decode.entity(capture).read()
    right = (
        hashlib.sha256(block).hexdigest(),
        hashlib.sha256(payload).hexdigest(), b32encode(hashlib.sha1(payload).digest()).decode(), len(payload),
    )  # fmt: skip
    d = capture.digests
    found = (d.block_sha256, d.payload_sha256, d.payload_sha1, d.payload_length)
    return {} if found == right else {"digests": (found, right)}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_every_ugly_answer_is_byte_equal_to_the_wire(run, route, authority, open_pool):
    secure, scheme = ROUTES[route]

    async def crawl():
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(UglyServer(tls=authority.server_context() if secure else None))
            proxy = TestProxy(tls=authority.server_context() if scheme == "https" else None)
            await stack.enter_async_context(proxy)
            options = {"proxy": proxy.url(scheme)} if scheme else {}
            pool = await stack.enter_async_context(open_pool(**options))
            captures = await asyncio.gather(*(pool.fetch(method="GET", url=server.url(p)) for p in ENDING))
            wrong = {}
            for path, capture in zip(ENDING, captures, strict=True):
                assert len(server.log[path]) == 1
                if different := differences(path, capture, server.log[path][0]):
                    wrong[path] = different
            assert wrong == {}
            assert bool(proxy.asked) == bool(scheme)
            return captures

    for capture in run(crawl()):
        assert (capture.tls is not None) == secure
        assert capture.ip == (None if scheme in {"http", "https"} and not secure else "127.0.0.1")


async def test_a_connection_serves_again_exactly_when_that_is_safe(open_pool):
    """The whole table in a row, twice. An answerless close on a reused connection is asked again on a fresh one."""
    expected, alive = 0, False
    async with UglyServer() as server, open_pool() as pool:
        for path in ENDING * 2:
            answer = ANSWERS[path]
            capture = await pool.fetch(method="GET", url=server.url(path))
            assert differences(path, capture, server.log[path][-1]) == {}
            expected += (not alive) + (alive and not answer.pieces)
            alive = answer.then == "keep" and not answer.error and not answer.surplus
            assert server.connections == expected, path
        assert all(len(server.log[path]) >= 2 for path in ENDING)
