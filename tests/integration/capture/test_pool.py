"""The pool against real sockets: time limits, reuse, cancellation, addresses, certificates, proxies, big bodies."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import resource
import socket
import subprocess
import sys
import warnings
from ipaddress import ip_network

import pproxy
import pytest
from cryptography import x509

from crawler.capture import spool
from crawler.errors import UsageError
from crawler.framing import parse_headers
from crawler.model import Outcome
from tests.integration.capture.certificates import NAMES, Authority
from tests.integration.capture.proxies import TestProxy
from tests.integration.capture.ugly import PAGE, UglyServer


def get(pool, url, **kwargs):
    return pool.fetch(method="GET", url=url, **kwargs)


def spooled(tmp_path):
    return list((tmp_path / "spool").glob("*"))


# The request


async def test_the_request_is_what_we_say_and_what_the_server_got(open_pool):
    async with UglyServer() as server, open_pool() as pool:
        url = f"http://127.0.0.1:{server.port}/echo?q=%C3%A4&a=1&a=2#part"
        capture = await get(pool, url)
    assert capture.request == server.log["/echo?q=%C3%A4&a=1&a=2"][0].request
    assert capture.request == (
        b"GET /echo?q=%%C3%%A4&a=1&a=2 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: outlast-test\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n" % server.port
    )
    assert capture.url == url
    assert capture.started.tzinfo is not None
    assert capture.started <= capture.ended


async def test_a_post_sends_its_body_and_its_headers_replace_ours(open_pool):
    headers = (("content-type", "application/json"), ("ACCEPT", "application/json"), ("X", "a\r\nInjected: b"))
    async with UglyServer() as server, open_pool() as pool:
        capture = await pool.fetch(method="POST", url=server.url("/echo"), headers=headers, body=b'{"i":1}')
    assert capture.request == server.log["/echo"][0].request
    sent = parse_headers(capture.request.partition(b"\r\n\r\n")[0])
    assert [v for n, v in sent if n.lower() == b"accept"] == [b"application/json"]
    assert (b"Content-Length", b"7") in sent
    assert b"Injected" not in {n for n, _ in sent}
    assert capture.request.endswith(b'\r\n\r\n{"i":1}')


async def test_a_head_request_takes_no_body(open_pool):
    async with UglyServer() as server, open_pool() as pool:
        server.answers = {**server.answers, "/plain": server.answers["/not-modified"]}
        capture = await pool.fetch(method="HEAD", url=server.url("/plain"))
        assert (capture.body.size, capture.outcome) == (0, Outcome.OK)
        assert (await get(pool, server.url("/missing"))).status == 404
    assert server.connections == 1


# Time


async def test_a_silent_server_times_out(open_pool):
    async with UglyServer() as server, open_pool(first_byte_timeout=0.2) as pool:
        capture = await get(pool, server.url("/silent"))
    assert (capture.outcome, capture.truncated, capture.status) == (Outcome.TIMEOUT, "time", 0)
    assert "no answer came for 0.2 s" in capture.error
    assert capture.request == server.log["/silent"][0].request
    assert capture.digests is None


async def test_a_stalling_body_is_kept_as_far_as_it_came(open_pool):
    async with UglyServer() as server, open_pool(idle_timeout=0.2) as pool:
        capture = await get(pool, server.url("/stall"))
    assert (capture.outcome, capture.truncated, capture.status) == (Outcome.TIMEOUT, "time", 200)
    assert capture.head + capture.body.data == server.log["/stall"][0].response
    assert capture.digests.payload_length == len(PAGE)


@pytest.mark.parametrize(
    ("limit", "why"),
    [({"total_timeout": 0.3}, "not finished after 0.3 s"), ({"idle_timeout": 0.25}, "it merely dripped for 0.25 s")],
)
async def test_a_dribbling_server_is_given_up(open_pool, limit, why):
    async with UglyServer() as server, open_pool(**limit) as pool:
        slow = server.answers["/slow-head"]
        server.answers = {"/slow": type(slow)(pieces=slow.pieces, pause=0.02)}
        capture = await get(pool, server.url("/slow"))
    assert (capture.outcome, capture.truncated) == (Outcome.TIMEOUT, "time")
    assert why in capture.error
    assert capture.head == b"".join(slow.pieces)[: len(capture.head)]


async def test_a_host_that_takes_no_connection_times_out(open_pool):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with open_pool(connect_timeout=0.3) as pool:
            capture = await get(pool, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        for filler in fillers:
            filler.close()
    assert (capture.outcome, capture.request) == (Outcome.TIMEOUT, b"")
    assert "within 0.3 s" in capture.error


async def test_a_tls_handshake_that_never_ends_times_out(open_pool):
    async with UglyServer() as server, open_pool(connect_timeout=0.3) as pool:
        capture = await get(pool, f"https://127.0.0.1:{server.port}/")
    assert (capture.outcome, capture.request) == (Outcome.TIMEOUT, b"")


# Reuse


async def test_connections_are_reused_last_in_first_out(open_pool):
    async with UglyServer() as server, open_pool() as pool:
        await asyncio.gather(*(get(pool, server.url(f"/plain?{n}")) for n in range(3)))
        for n in range(3, 8):
            await get(pool, server.url(f"/plain?{n}"))
    assert server.connections == 3
    assert len({server.log[f"/plain?{n}"][0].connection for n in range(3, 8)}) == 1


async def test_a_connection_that_died_while_idle_is_not_used(open_pool):
    async with UglyServer(linger=0.02) as server, open_pool() as pool:
        for n in range(3):
            assert (await get(pool, server.url(f"/plain?{n}"))).outcome is Outcome.OK
            await asyncio.sleep(0.05)
    assert server.connections == 3


async def test_a_connection_that_dies_under_a_request_is_replaced_once(open_pool):
    """The first answer keeps the connection; the next request on it meets a close."""
    async with UglyServer() as server, open_pool() as pool:
        await get(pool, server.url("/plain"))
        server.answers = {"/plain": server.answers["/nothing"]}
        capture = await get(pool, server.url("/plain"))
    assert [e.connection for e in server.log["/plain"]] == [1, 1, 2]
    assert (capture.outcome, capture.truncated) == (Outcome.CUT, "disconnect")


async def test_so_many_connections_per_host_and_no_more(open_pool):
    async with UglyServer() as server, open_pool(max_per_host=2) as pool:
        captures = await asyncio.gather(*(get(pool, server.url(f"/plain?{n}")) for n in range(12)))
    assert {c.outcome for c in captures} == {Outcome.OK}
    assert server.connections == 2


# Cancellation


@pytest.mark.parametrize("path", ["/silent", "/stall", "/big?90000000"])
async def test_cancelling_closes_the_connection_and_leaves_no_file(path, open_pool, tmp_path):
    async with UglyServer() as server, open_pool(spool_threshold=1024, max_per_host=1) as pool:
        fetching = asyncio.create_task(get(pool, server.url(path)))
        for _ in range(500):
            if server.log[path] and (spooled(tmp_path) or not path.startswith("/big")):
                break
            await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert spooled(tmp_path) == []
        # The turn is free again, and the connection is not used again.
        assert (await get(pool, server.url("/plain"))).outcome is Outcome.OK
        assert server.log["/plain"][0].connection == 2
        # A thread that was still writing has nothing left to write to.
        await asyncio.sleep(0.05)
        assert spooled(tmp_path) == []
        assert len(pool._open) == 1


async def test_cancelling_while_connecting_leaves_nothing_open(open_pool):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with UglyServer() as server, open_pool() as pool:
            fetching = asyncio.create_task(get(pool, f"https://127.0.0.1:{server.port}/"))
            await asyncio.sleep(0.05)
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching
            await asyncio.sleep(0.05)
        gc.collect()


# Big bodies


async def test_a_big_body_is_spooled_and_hashed(open_pool, tmp_path):
    size = 3_000_000
    async with UglyServer() as server, open_pool() as pool:
        capture = await get(pool, server.url(f"/big?{size}"))
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert (capture.body.size, capture.body.data) == (size, b"")
    assert capture.body.path.read_bytes() == body
    assert capture.digests.block_sha256 == hashlib.sha256(capture.head + body).hexdigest()
    assert capture.digests.payload_sha256 == hashlib.sha256(body).hexdigest()
    spool.discard(capture.body)
    spool.discard(capture.body)
    assert spooled(tmp_path) == []


async def test_a_body_at_the_threshold_stays_in_memory(open_pool, tmp_path):
    async with UglyServer() as server, open_pool(spool_threshold=300_000) as pool:
        capture = await get(pool, server.url("/big?300000"))
        assert (len(capture.body.data), capture.body.path) == (300_000, None)
    assert spooled(tmp_path) == []


async def test_a_body_beyond_the_limit_is_cut(open_pool):
    async with UglyServer() as server, open_pool(max_body=500_000) as pool:
        capture = await get(pool, server.url("/big?90000000"))
    assert (capture.outcome, capture.truncated) == (Outcome.CUT, "length")
    assert 500_000 < capture.body.size < 2_000_000
    assert capture.body.size == capture.digests.payload_length


async def test_a_disk_that_takes_no_more_raises_and_leaves_no_file(open_pool, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with UglyServer() as server, open_pool() as pool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                await get(pool, server.url("/big?9000000"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (await get(pool, server.url("/plain"))).outcome is Outcome.OK
        assert len(pool._open) == 1
    assert spooled(tmp_path) == []


_CLIENT = """
import asyncio, pathlib, re, sys
import uvloop
from crawler.capture.pool import Pool, PoolOptions

def peak():
    # Not ru_maxrss: that one is inherited from the parent.
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

async def main(url, spool):
    pool = Pool(PoolOptions(user_agent="t", spool_dir=pathlib.Path(spool), trusted_hosts=frozenset({"127.0.0.1"})))
    await pool.fetch(method="GET", url=url + "/plain")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    capture = await pool.fetch(method="GET", url=url + "/big?200000000")
    assert capture.body.path.stat().st_size == capture.body.size == 200_000_000, capture
    await pool.close()
    print((peak() - before) // 1024)

uvloop.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_stays_flat_whatever_the_size(tmp_path):
    async with UglyServer() as server:
        url = f"http://{server.authority}"
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CLIENT, url, str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await client.communicate()
    assert client.returncode == 0, err.decode()
    assert int(out) < 40


# Names and addresses


async def test_resolve_pins_a_name_and_the_certificate_must_still_fit(authority, open_pool):
    async with UglyServer(tls=authority.server_context()) as server:
        pinned = tuple(f"{name}:{server.port}:127.0.0.1" for name in ("ugly.test", "wrong.test"))
        looked_up = []
        async with open_pool(resolve=pinned, trusted_hosts=frozenset(), on_lookup=looked_up.append) as pool:
            good = await get(pool, server.url("/plain", "ugly.test"))
            wrong = await get(pool, server.url("/plain", "wrong.test"))
    assert (good.outcome, good.ip) == (Outcome.OK, "127.0.0.1")
    assert b"Host: ugly.test:%d\r\n" % server.port in good.request
    assert (wrong.outcome, wrong.request) == (Outcome.TLS, b"")
    assert "not to be trusted" in wrong.error
    assert looked_up == []


async def test_resolve_for_any_host_and_connect_to(open_pool):
    async with UglyServer() as server:
        async with open_pool(resolve=(f"*:{server.port}:127.0.0.1",)) as pool:
            assert (await get(pool, f"http://anything.test:{server.port}/plain")).outcome is Outcome.OK
        async with open_pool(connect_to=(f"ugly.test::127.0.0.1:{server.port}",), trusted_hosts=frozenset()) as pool:
            capture = await get(pool, "http://ugly.test/plain")
            other = await get(pool, f"http://127.0.0.1:{server.port}/plain")
    assert (capture.outcome, capture.ip) == (Outcome.OK, "127.0.0.1")
    assert b"Host: ugly.test\r\n" in capture.request
    assert other.outcome is Outcome.FORBIDDEN_ADDRESS


async def test_connect_to_changes_where_but_not_who(authority, open_pool):
    async with (
        UglyServer(tls=authority.server_context(("ugly.test",))) as server,
        open_pool(connect_to=(f":443:localhost:{server.port}",)) as pool,
    ):
        good, bad = await get(pool, "https://ugly.test/plain"), await get(pool, "https://localhost/plain")
    assert (good.outcome, bad.outcome) == (Outcome.OK, Outcome.TLS)


@pytest.mark.parametrize("option", [{"resolve": ("a:b",)}, {"resolve": ("a:80:x",)}, {"connect_to": ("a:1",)}])
async def test_nonsense_for_resolve_and_connect_to_is_the_users_error(option, open_pool):
    with pytest.raises(UsageError):
        async with open_pool(**option):
            pass


async def test_private_addresses_are_refused_unless_somebody_vouches(open_pool):
    async with UglyServer() as server:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            async with open_pool(trusted_hosts=frozenset({"elsewhere.test"})) as pool:
                capture = await get(pool, server.url("/plain", host))
            assert (capture.outcome, capture.request) == (Outcome.FORBIDDEN_ADDRESS, b"")
            assert "--allow-private" in capture.error
        async with open_pool(trusted_hosts=frozenset(), private_allowed=(ip_network("127.0.0.0/8"),)) as pool:
            assert (await get(pool, server.url("/plain", "localhost"))).outcome is Outcome.OK
        async with open_pool(trusted_hosts=frozenset({"localhost"})) as pool:
            assert (await get(pool, server.url("/plain", "localhost"))).outcome is Outcome.OK
    assert len(server.log["/plain"]) == 2


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_private_addresses_are_refused_through_a_proxy_too(scheme, open_pool):
    async with (
        UglyServer() as server,
        TestProxy() as proxy,
        open_pool(proxy=proxy.url(scheme), trusted_hosts=frozenset()) as pool,
    ):
        for host in ("127.0.0.1", "localhost"):
            assert (await get(pool, server.url("/plain", host))).outcome is Outcome.FORBIDDEN_ADDRESS
    assert proxy.asked == []


async def test_a_name_is_looked_up_once_and_every_lookup_is_reported(open_pool):
    looked_up = []
    async with UglyServer() as server, open_pool(on_lookup=looked_up.append) as pool:
        await asyncio.gather(*(get(pool, server.url("/plain", "localhost")) for _ in range(5)))
        await get(pool, server.url("/plain", "localhost"))
        await get(pool, server.url("/plain"))
    assert [(lookup.host, "127.0.0.1" in lookup.addresses) for lookup in looked_up] == [("localhost", True)]


async def test_names_that_do_not_exist_or_cannot(open_pool):
    async with open_pool() as pool:
        for host in ("no-such-host.invalid", "a..b", "x" * 64 + ".test"):
            capture = await get(pool, f"http://{host}/")
            assert (capture.outcome, capture.status, capture.request) == (Outcome.DNS, 0, b"")
            assert capture.error
        for url in (
            "ftp://ugly.test/",
            "http://[::1/",
            "http://a:99999/",
            "http://exa mple.test/",
            "http://%00.test/",
            "nonsense",
        ):
            assert (await get(pool, url)).outcome is Outcome.PROTOCOL


async def test_a_refused_connection_says_so(open_pool):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with open_pool() as pool:
        capture = await get(pool, f"http://127.0.0.1:{port}/")
    assert (capture.outcome, capture.error) == (Outcome.REFUSED, f"127.0.0.1:{port}: connection refused")


async def test_ipv6_and_idn(open_pool):
    async with UglyServer(host="::1") as server, open_pool() as pool:
        capture = await get(pool, server.url("/plain"))
        assert (capture.outcome, capture.ip) == (Outcome.OK, "::1")
        assert b"Host: [::1]:%d\r\n" % server.port in capture.request
    async with UglyServer() as server, open_pool(resolve=(f"xn--bcher-kva.test:{server.port}:127.0.0.1",)) as pool:
        capture = await get(pool, f"http://Bücher.test:{server.port}/plain")
    assert capture.outcome is Outcome.OK
    assert b"Host: xn--bcher-kva.test:" in capture.request


async def test_the_next_address_is_tried_and_remembered(open_pool):
    async with UglyServer() as server:
        pinned = (f"ugly.test:{server.port}:127.0.0.2,127.0.0.1",)
        async with open_pool(resolve=pinned) as pool:
            capture = await get(pool, server.url("/plain", "ugly.test"))
    assert (capture.outcome, capture.ip) == (Outcome.OK, "127.0.0.1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only 127.0.0.1 is a loopback address")
async def test_bind_address_is_where_requests_come_from(open_pool):
    seen = []

    async def note(reader, writer):
        seen.append(writer.get_extra_info("peername")[0])
        writer.write(b"HTTP/1.0 204 x\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    async with server, open_pool(bind_address="127.0.0.9") as pool:
        await get(pool, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert seen == ["127.0.0.9"]


# TLS


@pytest.mark.parametrize(
    ("names", "expired", "word"),
    [(NAMES, True, "expired"), (("other.test",), False, "mismatch"), (("127.0.0.2",), False, "mismatch")],
)
async def test_a_bad_certificate_is_an_outcome(names, expired, word, authority, open_pool):
    async with UglyServer(tls=authority.server_context(names, expired=expired)) as server:
        async with open_pool() as pool:
            capture = await get(pool, server.url("/plain"))
        async with open_pool(verify=False) as pool:
            unverified = await get(pool, server.url("/plain"))
    assert (capture.outcome, capture.request, capture.status) == (Outcome.TLS, b"", 0)
    assert word in capture.error
    assert unverified.outcome is Outcome.OK


async def test_an_unknown_authority_is_not_trusted(open_pool, tmp_path):
    async with UglyServer(tls=Authority(tmp_path).server_context()) as server, open_pool() as pool:
        capture = await get(pool, server.url("/plain"))
    assert capture.outcome is Outcome.TLS
    assert "not to be trusted" in capture.error


async def test_the_chain_is_reported_once_per_handshake(authority, open_pool):
    seen = []
    async with (
        UglyServer(tls=authority.server_context()) as server,
        open_pool(on_chain=lambda host, tls: seen.append((host, tls))) as pool,
    ):
        first, second = [await get(pool, server.url(path, "localhost")) for path in ("/plain", "/gzip")]
    assert first.tls == second.tls
    assert seen == [("localhost", first.tls)]
    assert first.tls.version == "TLSv1.3"
    assert first.tls.cipher.startswith("TLS_")
    leaf, root = map(x509.load_der_x509_certificate, first.tls.chain)
    assert leaf.issuer == root.subject
    assert root == authority.certificate


async def test_a_host_that_speaks_only_http2_is_reported_as_such(authority, open_pool):
    async with UglyServer(tls=authority.server_context(alpn=["h2"])) as server, open_pool() as pool:
        capture = await get(pool, server.url("/http2"))
    # OpenSSL's own server goes on without ALPN, so the frames it sends are what tells.
    assert capture.outcome in {Outcome.TLS, Outcome.PROTOCOL}
    assert "HTTP/2" in capture.error


async def test_tls_spoken_to_a_plain_port_is_an_outcome(open_pool):
    async def plain(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, open_pool() as pool:
        capture = await get(pool, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (capture.outcome, capture.request) == (Outcome.TLS, b"")


# Proxies


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_credentials_open_the_proxy_and_never_reach_the_record(scheme, open_pool):
    async with UglyServer() as server, TestProxy(user="me", password="pass word") as proxy:
        async with open_pool(proxy=proxy.url(scheme, "me:pass%20word")) as pool:
            good = await get(pool, server.url("/plain"))
        async with open_pool(proxy=proxy.url(scheme, "me:wrong")) as pool:
            bad = await get(pool, server.url("/plain"))
        async with open_pool(proxy=proxy.url(scheme)) as pool:
            none = await get(pool, server.url("/plain"))
    assert good.outcome is Outcome.OK
    assert good.request == server.log["/plain"][0].request
    assert b"roxy" not in good.request
    assert bad.outcome is Outcome.PROXY
    if scheme == "http":  # in absolute form, the proxy's 407 is the answer
        assert (none.status, none.outcome) == (407, Outcome.OK)
    else:
        assert none.outcome is Outcome.PROXY
    assert "wrong" not in bad.error


async def test_what_the_proxy_is_asked_for(authority, open_pool):
    async with UglyServer(tls=authority.server_context()) as server, TestProxy() as proxy:
        for scheme in ("http", "socks5", "socks5h"):
            async with open_pool(proxy=proxy.url(scheme)) as pool:
                capture = await get(pool, server.url("/plain", "localhost"))
                assert capture.ip == ("127.0.0.1" if scheme == "socks5" else None)
        async with open_pool(proxy=proxy.url("http"), resolve=(f"ugly.test:{server.port}:127.0.0.1",)) as pool:
            assert (await get(pool, server.url("/plain", "ugly.test"))).ip == "127.0.0.1"
    assert [asked[:2] for asked in proxy.asked] == [
        ("CONNECT", "localhost"), ("SOCKS address", "127.0.0.1"), ("SOCKS name", "localhost"), ("CONNECT", "127.0.0.1"),
    ]  # fmt: skip


async def test_absolute_form_is_recorded_as_it_was_sent(open_pool):
    async with UglyServer() as server, TestProxy() as proxy, open_pool(proxy=proxy.url("http")) as pool:
        capture = await get(pool, server.url("/plain?a=b"))
    assert capture.request.startswith(b"GET http://127.0.0.1:%d/plain?a=b HTTP/1.1\r\n" % server.port)
    assert capture.ip is None


async def test_a_proxy_that_fails_is_not_the_sites_fault(authority, open_pool):
    async with UglyServer(tls=authority.server_context()) as server, TestProxy(refuse="502 Bad Gateway") as proxy:
        async with open_pool(proxy=proxy.url("http")) as pool:
            refused = await get(pool, server.url("/plain"))
        async with open_pool(proxy=server.url("").replace("https", "http")) as pool:
            mute = await get(pool, server.url("/plain"))
        async with open_pool(proxy=f"socks5://127.0.0.1:{proxy.port + 1 if proxy.port < 65535 else 1}") as pool:
            absent = await get(pool, server.url("/plain"))
    assert {refused.outcome, mute.outcome, absent.outcome} == {Outcome.PROXY}
    assert "502 Bad Gateway" in refused.error
    assert "cannot be reached" in absent.error


async def test_a_site_that_socks_cannot_reach_is_refused(open_pool):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with TestProxy() as proxy, open_pool(proxy=proxy.url("socks5")) as pool:
        capture = await get(pool, f"http://127.0.0.1:{port}/")
    assert capture.outcome is Outcome.REFUSED
    assert "the proxy says" in capture.error


@pytest.mark.parametrize("proxy", ["ftp://a", "nonsense", "http://", "http://a:x", "socks4://secret:word@a"])
async def test_a_proxy_that_is_none_is_the_users_error(proxy, open_pool):
    with pytest.raises(UsageError) as raised:
        async with open_pool(proxy=proxy):
            pass
    assert "word" not in str(raised.value)


@pytest.mark.filterwarnings("ignore")  # pproxy's own
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_somebody_elses_proxy(scheme, authority, open_pool):
    async with UglyServer(tls=authority.server_context()) as server:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        handler = await pproxy.Server(f"http+socks5://127.0.0.1:{port}").start_server({"rserver": []})
        async with open_pool(proxy=f"{scheme}://127.0.0.1:{port}") as pool:
            capture = await get(pool, server.url("/chunked-gzip-trailer"))
        handler.close()
        await handler.wait_closed()
    assert capture.outcome is Outcome.OK
    assert capture.head + capture.body.data == server.log["/chunked-gzip-trailer"][0].response
