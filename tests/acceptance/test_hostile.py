"""One crawl of a hostile origin: each case recorded or refused with its reason, none hangs, none stops the crawl."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from fastwarc.warc import ArchiveIterator

from crawler.capture import resolve
from crawler.capture.dial import Dialer
from crawler.capture.pool import Pool, PoolOptions
from crawler.capture.request import target_of
from crawler.model import Capture, Outcome
from tests.acceptance.hostile import HOST, Case, Exchange, Expected, Hostile
from tests.acceptance.support import archive, command, doubles, environment, segments

#: Seconds in which everything must have come to what it must come to.
PATIENCE = 240
#: KiB of memory that all processes of the crawl may take together, and each by itself.
MOST_TOGETHER, MOST_ALONE = 500 << 10, 300 << 10
#: All that a request may look like.
REQUEST = re.compile(
    rb"GET /[\x21-\x7e]* HTTP/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nUser-Agent: [^\r\n]*\r\nAccept: \*/\*\r\n"
    rb"Accept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"
)
#: Pages that a trap may cost.
BOUNDS = {"redirects-for-ever": 21, "repeats-itself": 7, "calendar": 4, "index-of-itself": 7, "redirects-in-a-ring": 2}


@dataclass
class Row:
    """A fetch in the frontier."""

    state: str
    reason: str
    status: int


@dataclass
class Told:
    """What the WARCs say of a URL."""

    requests: list[bytes] = field(default_factory=list)
    #: (block, WARC-Truncated) of its responses, and of what came that is no HTTP.
    responses: list[tuple[bytes, str]] = field(default_factory=list)
    odd: list[tuple[bytes, str]] = field(default_factory=list)
    story: str = ""


@pytest.mark.timeout(600)
def test_each_case_is_recorded_or_refused_and_none_stops_the_crawl(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    with Hostile(tmp_path) as hostile:
        crawl = subprocess.Popen(
            command(
                "crawl", hostile.front, "--into", directory, "--platform", "generic", "--workers", 2,
                "--ca-cert", hostile.authority.path, "--exclude", "/endless/", "--exclude", "page=[4-9]",
                "--connect-timeout", 5, "--first-byte-timeout", 6, "--idle-timeout", 4, "--total-timeout", 12,
                "--max-body", "36MB", "--max-time", 2 * PATIENCE,
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(),
        )  # fmt: skip
        memory = Memory(crawl.pid)
        problems = until_settled(crawl, directory / "frontier.sqlite", hostile, memory)
        crawl.send_signal(signal.SIGINT)
        said = crawl.communicate(timeout=90)[1].decode()
    print(said, f"KiB together {memory.together}, alone {sorted(memory.alone.values())}")
    if crawl.returncode != 130:
        problems.append(f"exit code {crawl.returncode}")
    frontier, warcs = rows(directory / "frontier.sqlite"), told(directory)
    for case in hostile.cases:
        for url in hostile.about(case):
            problems += [f"{case.name}: {why}" for why in judged(case, frontier[url], warcs[url], hostile.log[url])]
    problems += [
        f"{url} is not as it was sent" for url in hostile.ordinary() if not is_kept(warcs[url], hostile.log[url])
    ]
    problems += outside(hostile, frontier, warcs)
    problems += [f"{pages} pages of {name}" for name, pages in trapped(hostile) if pages > BOUNDS[name]]
    problems += [f"settled twice: {what}" for what in doubles(directory)]
    problems += logged(directory)
    problems += memory.problems()
    if archive("verify", directory).code != 0:
        problems.append("verify finds damage")
    shown = archive("status", directory, "--json").summary
    if shown["failed"] or not {"protocol", "tls", "dns"} <= shown["reasons"].keys():
        problems.append(f"status says {shown}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("trusted", [True, False], ids=["the seed", "another host"])
async def test_a_name_that_moves_inward_is_not_followed(trusted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rebound.test": ["93.184.215.14", "10.0.0.1", "127.0.0.1"], "inner.test": ["10.0.0.1", "10.0.0.2"]}
    monkeypatch.setattr(resolve, "_getaddrinfo", lambda host: (answers[host].pop(0),))
    monkeypatch.setattr(resolve, "TTL", 0)
    dialer = Dialer(
        proxy=None, redirections=resolve.Redirections(), private_allowed=(), bind_address=None, timeout=5, verify=True,
        trusted_hosts=frozenset(answers) if trusted else frozenset(), ca_cert=None, on_lookup=None, on_chain=None,
    )  # fmt: skip
    rebound, inner = target_of("http://rebound.test/"), target_of("http://inner.test/")
    assert await dialer._addresses(rebound) == ["93.184.215.14"]
    for _ in range(2):
        with pytest.raises(resolve.Unreachable, match="private address"):
            await dialer._addresses(rebound)
    if trusted:  # who crawls the machines next door means them
        assert await dialer._addresses(inner) == ("10.0.0.1",)
        assert await dialer._addresses(inner) == ("10.0.0.2",)
    else:
        with pytest.raises(resolve.Unreachable, match="private address"):
            await dialer._addresses(inner)
    dialer.close()


def test_what_came_while_we_were_busy_is_no_silence(tmp_path: Path) -> None:
    async def ask_and_be_busy(url: str) -> Capture:
        pool = Pool(
            PoolOptions(user_agent="test", spool_dir=tmp_path, trusted_hosts=frozenset({HOST}), first_byte_timeout=1)
        )
        asking = asyncio.create_task(pool.fetch(method="GET", url=url))
        while not hostile.log[url]:  # noqa: ASYNC110 - it is on another thread
            await asyncio.sleep(0.01)
        time.sleep(2)  # noqa: ASYNC251 - what it takes to read a very long page
        capture = await asking
        await pool.close()
        return capture

    with Hostile(tmp_path) as hostile, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        slowly = next(case for case in hostile.cases if case.name == "answers-slowly")
        capture = runner.run(ask_and_be_busy(*hostile.about(slowly)))
    assert (capture.outcome, capture.status) == (Outcome.OK, 200)


def until_settled(crawl: subprocess.Popen[bytes], frontier: Path, hostile: Hostile, memory: Memory) -> list[str]:
    """Wait until all has come to what it must come to; return what has not."""
    wanted = hostile.ends()
    least = {url: case.expected.asked[0] for case in hostile.cases for url in hostile.about(case)}
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        memory.look()
        known = rows(frontier)
        open_ = [
            f"{url} is {known[url]} after {len(hostile.log[url])} requests"
            for url, ends in wanted.items()
            if (known[url].state, known[url].reason) not in ends or len(hostile.log[url]) < least.get(url, 0)
        ]
        if not open_ or crawl.poll() is not None:
            break
        time.sleep(0.25)
    return open_ if crawl.returncode is None else ["the crawl ended by itself", *open_]


def rows(frontier: Path) -> dict[str, Row]:
    """Return URL → where it stands, read beside the running crawl."""
    found: dict[str, Row] = defaultdict(lambda: Row("unknown", "", 0))
    with suppress(sqlite3.OperationalError):  # not made yet
        db = sqlite3.connect(f"file:{frontier}?mode=ro", uri=True)
        try:
            for url, *facts in db.execute("SELECT url, state, reason, status FROM fetch").fetchall():
                found[url] = Row(*facts)
        finally:
            db.close()
    return found


def told(directory: Path) -> dict[str, Told]:
    found: dict[str, Told] = defaultdict(Told)
    for path in segments(directory):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, parse_http=False):
                headers = {name.lower(): value for name, value in record.headers.items()}
                one, block = found[headers.get("warc-target-uri", "")], record.reader.read()
                match headers["warc-type"], headers["content-type"]:
                    case "request", _:
                        one.requests.append(block)
                    case "response", _:
                        one.responses.append((block, headers.get("warc-truncated", "")))
                    case "metadata", "application/octet-stream":
                        one.odd.append((block, headers.get("warc-truncated", "")))
                    case "metadata", _:
                        one.story += block.decode("utf-8", "replace")
    return found


def judged(case: Case, row: Row, warcs: Told, log: list[Exchange]) -> Iterator[str]:
    """Yield what is not as it must be."""
    expected = case.expected
    if (row.state, row.reason) not in expected.ends or row.status not in expected.status:
        yield f"{row}"
    if not expected.asked[0] <= len(log) <= expected.asked[1]:
        yield f"asked {len(log)} times"
    if expected.says not in warcs.story:
        yield f"nothing says {expected.says!r}: {re.findall('error: .*', warcs.story)}"
    if set(warcs.requests) - {one.request for one in log}:
        yield "a request that never came"
    is_answer = expected.kept in {"whole", "cut"}
    if 0 not in expected.status and not warcs.responses:
        yield "no response is recorded"
    if not is_answer and warcs.responses:
        yield f"{len(warcs.responses)} responses recorded"
    if expected.kept == "odd" and not warcs.odd:
        yield "what came is not kept"
    for block, truncated in warcs.responses if is_answer else warcs.odd:
        if expected.kept == "cut" and truncated not in expected.truncated:
            yield f"truncated {truncated!r}"
        if not any(was_sent(block, one, expected, is_cut=bool(truncated)) for one in log):
            yield f"a record of {len(block)} bytes that were not sent: {block[:80]!r}"


def was_sent(block: bytes, exchange: Exchange, expected: Expected, *, is_cut: bool) -> bool:
    """Say whether a record is what was sent, without interim heads before it and what is nobody's after it."""
    sent = b"".join(exchange.pieces)
    starts = [0, *(found.end() for found in re.finditer(rb"HTTP/1\.1 10[02] [^\n]*\n\r\n", sent[: 1 << 19]))]
    if is_cut:
        return any(sent.startswith(block, at) for at in starts)
    return any(block == sent[at : len(sent) - surplus] for at in starts for surplus in (0, expected.surplus))


def is_kept(warcs: Told, log: list[Exchange]) -> bool:
    """Say whether an ordinary page is held whole, as it was sent."""
    sent = {b"".join(one.pieces) for one in log}
    return any(block in sent and not truncated for block, truncated in warcs.responses)


def outside(hostile: Hostile, frontier: dict[str, Row], warcs: dict[str, Told]) -> Iterator[str]:
    """Yield what left the machine's one address that is crawled, or left it in a shape it should not have."""
    yield from (f"lured into the trap: {who}" for who in hostile.lured)
    for url, one in warcs.items():
        if one.requests and not re.match(r"https?://127\.0\.0\.1:", url):
            yield f"asked for {url}"
    for url, row in frontier.items():
        if "127.0.0.1:" not in url and row.state not in {"excluded", "queued", "parked"}:
            yield f"{url} is {row}"
    inward = [url for url, row in frontier.items() if (row.state, row.reason) == ("excluded", "private address")]
    if len(inward) < 15:
        yield f"only {inward} excluded as private"
    for one in (exchange for log in hostile.log.values() for exchange in log):
        if not REQUEST.fullmatch(one.request):
            yield f"asked {one.request!r}"


def trapped(hostile: Hostile) -> Iterator[tuple[str, int]]:
    """Yield how many pages of each trap were asked for."""
    for case in (case for case in hostile.cases if case.name in BOUNDS):
        urls = {url for url in hostile.log if f":{case.port}/" in url and "/ordinary/" not in url}
        yield case.name, len(urls - {f"http://127.0.0.1:{case.port}/robots.txt"})


def logged(directory: Path) -> Iterator[str]:
    """Yield what the logs say that they must not."""
    for path in (directory / "logs").glob("*.log*"):
        for line in path.read_text().splitlines():
            if re.search(r"Traceback|must stop|died|sign of life|\bERROR\b|CRITICAL", line):
                yield f"{path.name}: {line}"


class Memory:
    """The most that the processes of a crawl took: together, what they share counted once, and each by itself."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.together = 0
        self.alone: dict[int, int] = defaultdict(int)

    def look(self) -> None:
        together = 0
        for pid in _family(self._pid):
            with suppress(OSError):
                together += _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss")
                self.alone[pid] = max(self.alone[pid], _kilobytes(f"/proc/{pid}/status", "VmHWM"))
        self.together = max(self.together, together)

    def problems(self) -> Iterator[str]:
        if self.together > MOST_TOGETHER:
            yield f"all processes together took {self.together} KiB"
        yield from (f"process {pid} took {most} KiB" for pid, most in self.alone.items() if most > MOST_ALONE)


def _kilobytes(path: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _family(int(child))
