"""How a spider reads answers: alone, the same every time, to an end, and nothing that is not public.

Each answer is one that a site gave, with the work that the spider itself made for it. What is served instead, to see
what a callback makes of it, is made out of such answers: nothing here knows a platform.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from scrapy import Request

from crawler.model import Account, Claim, Covered, Fetch, Media, Note, Outcome, Post, Standing, Verdict
from spiders.base import ROBOTS
from spiders.testing import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crawler.model import Seed
    from crawler.response import CaptureResponse
    from spiders.base import PlatformSpider

#: Things that one answer may make a callback yield, and bytes of one fetch with its cursor.
MOST, MAX_WORK = 20_000, 128 * 1024
#: Bytes of a body that is read here.
MAX_BODY = 16 << 20
#: Answers of one callback that are tried with other bodies, and pages that may follow upon pages that say nothing new.
SAMPLES, PAGES = 3, 25
#: What an object says of itself where strangers may see it → what it would say where not.
_PRIVATE: dict[str, dict[Any, Any]] = {
    "visibility": {"public": "private", "unlisted": "private"},
    "status": {"publish": "draft", "published": "draft"},
    "private": {False: True},
    "is_private": {False: True},
    "protected": {False: True},
    "members_only": {False: True},
}
_NONSENSE = (b"", b"\x00" * 99, b"<", b"<!--", b"{", b"[" * 5000, b"null", b"[null,[],{}]", b"<div>" * 500, b'{"a":1}')


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and the work it led to when it came; None where nobody wrote that down."""

    response: CaptureResponse
    outlinks: tuple[Fetch, ...] | None = None


_reached: ContextVar[list[str] | None] = ContextVar("reached", default=None)
_EVENTS = {
    "socket.connect": "the network", "socket.getaddrinfo": "the network", "socket.gethostbyname": "the network",
    "subprocess.Popen": "a process", "os.system": "a process",
}  # fmt: skip


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    reached = _reached.get()
    if reached is None:
        return
    if event in _EVENTS:
        reached.append(_EVENTS[event])
        raise PermissionError(f"a spider reached for {_EVENTS[event]}")
    if event == "open" and isinstance(path := arguments[0], str) and not _is_code(path):
        reached.append(f"the file {path}")


def _is_code(path: str) -> bool:
    """Say whether a file is one that Python itself reads when it imports, or tells of an error."""
    return path.endswith((".py", ".pyc", ".so", ".pyd", ".zip")) or path.startswith("<") or "__pycache__" in path


@contextmanager
def alone() -> Iterator[None]:
    """Raise AssertionError where what runs within reaches for a socket, a process or a file (PEP 578)."""
    if not getattr(_hear, "is_on", False):
        sys.addaudithook(_hear)
        _hear.is_on = True  # type: ignore[attr-defined]
    reached: list[str] = []
    token = _reached.set(reached)
    try:
        yield
    finally:
        _reached.reset(token)
        if reached:
            raise AssertionError(f"reached for {', '.join(sorted(set(reached))[:3])}")


@dataclass(slots=True)
class Readings:
    """A spider, and the answers it is tried with."""

    spider: type[PlatformSpider]
    seed: Seed
    _samples: dict[str, list[CaptureResponse]] = field(default_factory=dict)

    def look(self, answers: Iterable[Answered]) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield what is looked at, and what is found."""
        yield "answers read twice", self._twice(answers)
        if not self._samples:
            return
        for what, look in (
            ("pages that repeat", self._repeating), ("pages that are empty", self._empty),
            ("private things", self._private), ("nonsense", self._nonsense),
        ):  # fmt: skip
            yield what, self._tried(look)

    def _twice(self, answers: Iterable[Answered]) -> Iterator[str]:
        count, different = 0, 0
        for one in answers:
            if not self._is_read(one.response):
                continue
            count += 1
            found: list[Any] = []
            yield from self._read(one.response, found)
            if one.outlinks is not None and (gone := _missing(one, found)):
                different += 1
                yield f"{_where(one.response)} no longer names {gone}"
            samples = self._samples.setdefault(one.response.fetch.callback or "", [])
            if len(samples) < SAMPLES:
                samples.append(one.response)
        yield f"# {count:,} answers" if count else "# none; name a replica or a collection to have some"

    def _is_read(self, response: CaptureResponse) -> bool:
        fetch, spider = response.fetch, self.spider
        if fetch.callback in {None, "recognise"} or response.status != 200 or response.payload_length > MAX_BODY:
            return False
        if not callable(getattr(spider, str(fetch.callback), None)):
            return False
        return spider(seed=self.seed).judge(response) in {Verdict.OK, Verdict.MIXED}

    def _read(self, response: CaptureResponse, found: list[Any] | None = None) -> Iterator[str]:
        """Read an answer twice, with two spiders, and look at what comes; ``found`` takes it."""
        both: list[list[Any]] = []
        for _ in range(2):
            made = self.spider(seed=self.seed)
            before = _state(made)
            fresh = again(response)
            try:
                with alone():
                    both.append(list(islice(made.read(fresh), MOST + 1)))
            except Exception as e:  # noqa: BLE001 - that it raises is what is looked for
                yield f"{_where(response)} raises {type(e).__name__}: {e}, on {bytes(response.head_bytes[:40])!r}"
                return
            if changed := sorted(name for name, value in _state(made).items() if before.get(name) != value):
                yield f"{_where(response)} keeps state on the spider: {', '.join(changed)}"
        if len(both[0]) > MOST:
            yield f"{_where(response)} yields without end"
        if _comparable(both[0]) != _comparable(both[1]):
            yield f"{_where(response)} yields other things the second time"
        for thing in both[0]:
            yield from thing_faults(self.spider, thing)
        if found is not None:
            found += both[0]

    def _tried(self, look: Callable[[CaptureResponse], Iterator[str]]) -> Iterator[str]:
        count = 0
        for samples in self._samples.values():
            for response in samples:
                count += 1
                yield from look(response)
        yield f"# {count:,} answers of {len(self._samples)} callbacks"

    def _repeating(self, response: CaptureResponse) -> Iterator[str]:
        """Serve the same answer for every page that follows: a clamped last page, a cursor in a circle."""
        if not self._ends(response, response.body):
            yield f"{_where(response)} asks for page after page of the same; see spiders.api.turn"

    def _empty(self, response: CaptureResponse) -> Iterator[str]:
        """Serve the answer without what it lists."""
        said = response.data()
        if isinstance(said, list | dict) and not self._ends(response, json.dumps(_emptied(said)).encode()):
            yield f"{_where(response)} asks for page after page that lists nothing; an empty page is the last"

    def _ends(self, response: CaptureResponse, body: bytes) -> bool:
        """Say whether a listing ends that shows the same for ever."""
        known = {response.fetch.fingerprint}
        current = again(response, body=body)
        for _ in range(PAGES):
            named = [one for one in self._yielded(current) if isinstance(one, Fetch)]
            following = [f for f in named if f.callback == response.fetch.callback and f.fingerprint not in known]
            following = [f for f in following if f.lane == response.fetch.lane]
            if not following:
                return True
            known.update(f.fingerprint for f in following)
            current = again(response, fetch=following[-1], body=body)
        return False

    def _private(self, response: CaptureResponse) -> Iterator[str]:
        """Serve the answer as it would be if nothing in it were public."""
        hidden: set[str] = set()
        changed = again(response, body=json.dumps(_hidden(response.data(), hidden)).encode())
        if not hidden or self.spider(seed=self.seed).judge(changed) is Verdict.PRIVATE:
            return
        for thing in self._yielded(changed):
            if isinstance(thing, Post) and thing.text and thing.id in hidden:
                yield f"{_where(response)} yields the text of {thing.kind} {thing.id}, which says that it is not public"

    def _nonsense(self, response: CaptureResponse) -> Iterator[str]:
        for body in _NONSENSE:
            yield from self._read(again(response, body=body))

    def _yielded(self, response: CaptureResponse) -> list[Any]:
        try:
            return list(islice(self.spider(seed=self.seed).read(response), MOST))
        except Exception:  # noqa: BLE001 - told where answers are read twice
            return []


def thing_faults(spider: type[PlatformSpider], thing: Any) -> Iterator[str]:
    """Yield what is wrong with a thing that a callback yielded."""
    if isinstance(thing, Request):
        if thing.callback is None:
            yield f"yields a request for {thing.url} without a callback"
    elif isinstance(thing, Fetch):
        yield from fetch_faults(spider, thing)
    elif isinstance(thing, Covered) and not isinstance(thing.standing, Standing):
        yield f"yields Covered with the standing {thing.standing!r}"
    elif not isinstance(thing, Account | Post | Media | Claim | Note | Covered):
        yield f"yields {type(thing).__name__}; see spiders/base.py for what it may yield"
    else:
        try:
            msgspec.msgpack.encode(thing)
        except (TypeError, ValueError, OverflowError) as e:
            yield f"yields {type(thing).__name__} that cannot be kept: {e}"


def fetch_faults(spider: type[PlatformSpider], fetch: Fetch) -> Iterator[str]:
    """Yield what is wrong with work."""
    if fetch.lane not in {ROBOTS.name, *(lane.name for lane in spider.lanes)}:
        yield f"a fetch is in the lane {fetch.lane!r}, which lanes does not have"
    if fetch.callback is not None and not callable(getattr(spider, fetch.callback, None)):
        yield f"a fetch names the callback {fetch.callback}, which is no method"
    try:
        if len(msgspec.msgpack.encode(fetch)) > MAX_WORK:
            yield f"the work for {fetch.url[:80]} is over {MAX_WORK} bytes"
        if msgspec.json.decode(msgspec.json.encode(fetch.cursor)) != fetch.cursor:
            yield f"the cursor for {fetch.url[:80]} does not come back from JSON as it was"
    except (TypeError, ValueError, OverflowError) as e:
        yield f"the work for {fetch.url[:80]} cannot be kept: {e}"


def again(response: CaptureResponse, *, fetch: Fetch | None = None, body: bytes | None = None) -> CaptureResponse:
    """Return an answer anew, as nobody has read it yet; with another body, or to another fetch."""
    if body is None:
        body = response.body
        if not body and response.payload_length:
            with response.open() as stream:
                body = stream.read(MAX_BODY)
    told = fetch or response.fetch
    headers = {name.decode("latin-1"): response.header(name.decode("latin-1")) for name in response.headers}
    return answer(
        told.url if fetch else response.url, body, status=response.status, headers=headers,
        captured_at=response.captured_at, fetch=told, outcome=Outcome.OK,
    )  # fmt: skip


def _missing(one: Answered, found: list[Any]) -> str:
    """Return a URL that was named when the answer came and is not any more."""
    now = {(thing.fingerprint, thing.callback) for thing in found if isinstance(thing, Fetch)}
    then = one.outlinks or ()
    return next(
        (link.url for link in then if link.lane != ROBOTS.name and (link.fingerprint, link.callback) not in now), ""
    )


def _where(response: CaptureResponse) -> str:
    return f"{response.fetch.callback}({response.url[:120]})"


def _state(spider: PlatformSpider) -> dict[str, str]:
    """Return what a spider and its class hold, for comparison."""
    held = {**vars(type(spider)), **vars(spider)}
    return {name: repr(value) for name, value in held.items() if not callable(value) and not name.startswith("__")}


def _comparable(things: list[Any]) -> list[Any]:
    return [(one.url, one.method, one.body, repr(one.meta)) if isinstance(one, Request) else one for one in things]


def _emptied(value: Any) -> Any:
    """Return JSON with every list empty."""
    if isinstance(value, list):
        return []
    return {name: _emptied(one) for name, one in value.items()} if isinstance(value, dict) else value


def _hidden(value: Any, changed: set[str]) -> Any:
    """Return JSON in which whatever says that it is public says the opposite; ``changed`` takes what it says."""
    if isinstance(value, list):
        return [_hidden(one, changed) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {name: one for name, one in value.items() if isinstance(one, str | int)}
    turned = {name: _PRIVATE[name][one] for name, one in plain.items() if one in _PRIVATE.get(name, ())}
    if turned:
        changed.update(str(one) for one in plain.values())
    return {name: _hidden(one, changed) for name, one in value.items()} | turned
