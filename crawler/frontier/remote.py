"""The frontier as a worker sees it: calls over a socket to the supervisor, which alone writes.

The socket is one end of a pair made by the supervisor and inherited by the worker, so there is no path to clean up,
and end of file on it means that the supervisor is gone. Frames are a 4-byte big-endian length and msgpack.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.config import Config  # noqa: TC001 - msgspec reads the annotations
from crawler.errors import OutlastError
from crawler.model import Commit, Lease, Seed, SegmentClass  # noqa: TC001 - as above

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterable

#: A frame bigger than this is a fault, not a message.
MAX_FRAME = 64 << 20


class Ask(msgspec.Struct, tag=True, frozen=True):
    """Worker: give me up to ``n`` fetches; ``busy`` says how many more each origin may have."""

    n: int
    busy: dict[str, int]
    default_room: int


class Settle(msgspec.Struct, tag=True, frozen=True):
    """Worker: these are durable; make them so in the frontier."""

    commit: Commit


class NewSegment(msgspec.Struct, tag=True, frozen=True):
    """Worker: name me a segment of this class."""

    kind: SegmentClass


class SegmentClosed(msgspec.Struct, tag=True, frozen=True):
    """Worker: this segment is complete and settled."""

    name: str


class Remember(msgspec.Struct, tag=True, frozen=True):
    """Worker: what was learned of the pace of these origins."""

    pace: dict[str, Any]


class Resolved(msgspec.Struct, tag=True, frozen=True):
    """Worker: a host was found at these addresses."""

    host: str
    addresses: tuple[str, ...]


class Alive(msgspec.Struct, tag=True, frozen=True):
    """Worker, every few seconds: my event loop turns."""


class Limited(msgspec.Struct, tag=True, frozen=True):
    """Worker: this origin is to be left alone until then, by all of us."""

    origin: str
    until: float
    why: str


class Failed(msgspec.Struct, tag=True, frozen=True):
    """Worker: I must stop, for this reason (an exit code and a sentence)."""

    exit_code: int
    message: str


class GiveBack(msgspec.Struct, tag=True, frozen=True):
    """Worker: I shall not start these (ids of fetches) and hold them no more."""

    ids: tuple[int, ...]


Call = Ask | Settle | NewSegment | SegmentClosed | Remember | Resolved | Alive | Limited | Failed | GiveBack


class Welcome(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, once: who you are and what to do."""

    worker: str
    root: str
    config: Config
    seed: Seed
    platform: str
    warcinfo: dict[str, str]
    pace: dict[str, Any]
    #: ``clock.offset`` of the supervisor.
    clock: float


class Granted(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: a lease, empty where nothing is due now; then ``due`` is when something may be."""

    lease: Lease
    due: float | None


class Done(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: it is so. ``text`` answers where there is something to say."""

    text: str = ""


class Freeze(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked: another worker was told to leave this origin alone until then."""

    origin: str
    until: float
    why: str


class Look(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked, to a worker that asked in vain: there may be work now."""


class Steer(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked: your ceilings, by host or host:port, from now on; start nothing while ``paused``."""

    paused: bool
    rates: dict[str, float]
    concurrency: dict[str, int]
    #: Those of all other hosts: rate (None for no ceiling), requests at once, delay; None leaves them as they are.
    common: tuple[float | None, int, float] | None = None
    #: Nothing is started after this (``time.monotonic``, which the processes of a machine share); 0 for no such bound.
    until: float = 0.0
    #: What is held and not started is others' by now.
    anew: bool = False


class Drop(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked: give back what you hold for this origin, or for this lane of it: it may be dead."""

    origin: str
    lane: str


class Flush(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked: close your segments, though they are neither full nor old: somebody waits for them."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Supervisor, unasked: finish what is in flight and end."""

    reason: str


Reply = Welcome | Granted | Done | Freeze | Look | Steer | Drop | Flush | Stop


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """One message; ``id`` joins a reply to its call and is 0 for what nobody asked."""

    id: int
    call: Call | None = None
    reply: Reply | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class Wire:
    """Frames over a stream socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Wire:
        """Take over a connected socket."""
        return cls(*await asyncio.open_connection(sock=sock, limit=1 << 20))

    async def receive(self) -> Frame | None:
        """Return the next frame, or None at the end of the stream."""
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            if size > MAX_FRAME:
                raise OutlastError(f"a frame of {size} bytes on the worker's socket")
            return _decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def send(self, frame: Frame) -> None:
        """Send one frame."""
        self.push(frame)
        await self._writer.drain()

    def push(self, frame: Frame) -> None:
        """Send one small frame without waiting for anything."""
        data = _encode(frame)
        self._writer.write(len(data).to_bytes(4, "big") + data)

    def close(self) -> None:
        """Close the socket."""
        self._writer.close()


class RemoteFrontier:
    """The worker's side. Calls raise ConnectionError once the supervisor is gone."""

    def __init__(self, wire: Wire, *, pushed: Callable[[Reply], None], lost: Callable[[], None]) -> None:
        self._wire = wire
        self._pushed = pushed
        self._lost = lost
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._closing = False
        self._listener = asyncio.create_task(self._listen())

    async def lease(self, n: int, busy: dict[str, int], default_room: int) -> Granted:
        """Ask for work."""
        reply = await self._call(Ask(n, busy, default_room))
        assert isinstance(reply, Granted)
        return reply

    async def commit(self, commit: Commit) -> None:
        """Settle fetches; on return the frontier has them durably."""
        await self._call(Settle(commit))

    async def new_segment(self, kind: SegmentClass) -> str:
        """Register a new segment and return its name."""
        reply = await self._call(NewSegment(kind))
        assert isinstance(reply, Done)
        return reply.text

    async def segment_closed(self, name: str) -> None:
        """Say that a segment may be sealed."""
        await self._call(SegmentClosed(name))

    async def remember(self, pace: dict[str, Any]) -> None:
        """Keep what was learned of the pace."""
        await self._call(Remember(pace))

    async def alive(self) -> None:
        """Give a sign of life."""
        await self._call(Alive())

    def give_back(self, ids: Iterable[int]) -> None:
        """Say, without waiting, that these fetches are not held any more."""
        self._wire.push(Frame(0, call=GiveBack(tuple(ids))))

    def limited(self, origin: str, until: float, why: str) -> None:
        """Tell all workers, without waiting, to leave an origin alone until then (seconds since the epoch)."""
        self._wire.push(Frame(0, call=Limited(origin, until, why)))

    def resolved(self, host: str, addresses: tuple[str, ...]) -> None:
        """Say, without waiting, where a host was found."""
        self._wire.push(Frame(0, call=Resolved(host, addresses)))

    async def failed(self, error: OutlastError) -> None:
        """Tell the supervisor why this worker stops."""
        await self._call(Failed(error.exit_code, str(error)))

    async def close(self) -> None:
        """Close the socket and wait for the listener."""
        self._closing = True
        self._wire.close()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener

    async def _call(self, call: Call) -> Reply:
        if self._listener.done():
            raise ConnectionError("the supervisor is gone")
        number = next(self._ids)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        await self._wire.send(Frame(number, call=call))
        return await future

    async def _listen(self) -> None:
        try:
            while (frame := await self._wire.receive()) is not None:
                if frame.reply is None:
                    continue
                if frame.id == 0:
                    self._pushed(frame.reply)
                elif (future := self._waiting.pop(frame.id, None)) is not None and not future.done():
                    future.set_result(frame.reply)
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionError("the supervisor is gone"))
            if not self._closing:
                self._lost()


async def serve(wire: Wire, answer: Callable[[Call], Awaitable[Reply]]) -> None:
    """Answer a worker's calls, side by side, until its end of the socket closes.

    A slow commit must not hold up the word that a host is to be left alone. Raises the first error of an answer.
    """
    try:
        async with asyncio.TaskGroup() as answers:
            while (frame := await wire.receive()) is not None:
                if frame.call is not None:
                    answers.create_task(_reply(wire, frame.id, answer(frame.call)))
    except* Exception as group:  # noqa: BLE001 - handed on
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _reply(wire: Wire, number: int, answer: Awaitable[Reply]) -> None:
    reply = await answer
    if number:
        await wire.send(Frame(number, reply=reply))
