"""A server of ugly responses, crawled over every route: each record is byte for byte what went over the wire."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from tests.acceptance.support import archive, command, environment, segments
from tests.integration.capture.certificates import Authority
from tests.integration.capture.proxies import TestProxy
from tests.integration.capture.ugly import ANSWERS, ENDING, UglyServer

#: name: (TLS at the site, scheme of the proxy)
ROUTES = {
    "plain": (False, ""),
    "tls": (True, ""),
    "http proxy": (False, "http"),
    "connect": (True, "http"),
    "socks5": (False, "socks5"),
}


class Anything(dict[str, object]):
    """The table of ugly answers, and a plain page for whatever else a crawl asks."""

    def __missing__(self, path: str) -> object:
        return next(
            answer
            for answer in ANSWERS.values()
            if answer.status == 200 and answer.then == "keep" and not answer.truncated
        )


@pytest.mark.parametrize("route", ROUTES)
async def test_every_record_equals_the_wire(route: str, tmp_path: Path) -> None:
    tls, scheme = ROUTES[route]
    authority = Authority(tmp_path)
    async with (
        UglyServer(tls=authority.server_context() if tls else None, answers=Anything(ANSWERS)) as server,
        TestProxy() as proxy,
    ):
        arguments = [
            "crawl",
            server.url("/"),
            "-i",
            "-",
            "--platform",
            "generic",
            "--robots",
            "ignore",
            "--into",
            str(tmp_path / "c"),
        ]
        arguments += ["--ca-cert", str(authority.path)] if tls else []
        arguments += ["--proxy", proxy.url(scheme)] if scheme else []
        urls = "\n".join(server.url(path) for path in ENDING)
        crawl = await asyncio.create_subprocess_exec(
            *command(*arguments), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment()
        )
        said = await asyncio.wait_for(until_asked(crawl, server, urls), 90)
        assert crawl.returncode in {0, 3, 130}, said
        sent = {path: [bytes(one.response) for one in server.log[path]] for path in ENDING}
        asked = {path: [bytes(one.request) for one in server.log[path]] for path in ENDING}
    kept, requests = blocks(tmp_path / "c")
    for path in ENDING:
        answer, url = ANSWERS[path], server.url(path)
        for request in requests.get(url, []):
            assert request in asked[path], path
        if answer.status and not answer.lossy:
            assert kept.get(url), path
        for block, truncated in kept.get(url, []):
            assert (block == answer.wire) or (answer.lossy and answer.wire.startswith(block)), path
            assert bool(truncated) == bool(answer.truncated), path
        assert sent[path], path
    assert sum(len(found) for found in kept.values()) >= 30
    assert archive("verify", tmp_path / "c").code == 0


async def until_asked(crawl: asyncio.subprocess.Process, server: UglyServer, urls: str) -> str:
    """Let a crawl run until every path was asked, then interrupt it: what never answers would be retried for hours."""
    assert crawl.stdin is not None
    assert crawl.stderr is not None
    crawl.stdin.write(urls.encode())
    crawl.stdin.close()
    while crawl.returncode is None and not all(server.log[path] for path in ENDING):  # noqa: ASYNC110 - it ends
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    if crawl.returncode is None:
        crawl.send_signal(signal.SIGINT)
    said = await crawl.stderr.read()
    await crawl.wait()
    return said.decode()


def blocks(directory: Path) -> tuple[dict[str, list[tuple[bytes, str]]], dict[str, list[bytes]]]:
    """Return URL → (block, WARC-Truncated) of the responses, and URL → block of the requests."""
    kept: dict[str, list[tuple[bytes, str]]] = {}
    requests: dict[str, list[bytes]] = {}
    for path in segments(directory):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                kind, url = record.headers["WARC-Type"], record.headers.get("WARC-Target-URI", "")
                if kind == "response":
                    kept.setdefault(url, []).append((record.reader.read(), record.headers.get("WARC-Truncated", "")))
                elif kind == "request":
                    requests.setdefault(url, []).append(record.reader.read())
    return kept, requests
