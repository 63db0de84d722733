"""Processes that begin as copies, and those that begin as programs: who starts them sees no difference."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crawler.nursery import Nursery, nursery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.nursery import Child

HATCHED = "tests.unit.hatched"
#: Of pytest's own threads, which these processes have no use for.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(params=["forked", "program"])
def made(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    made = Nursery(HATCHED)
    if request.param == "forked":
        made.open()
    yield made
    made.close()


async def begun(made: Nursery) -> tuple[Child, socket.socket, list[int]]:
    """Start one; return it, our end of its socket, and what it says: its pid, its parent's."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = await made.start(theirs)
    ours.setblocking(False)
    told = await asyncio.get_running_loop().sock_recv(ours, 100)
    return child, ours, [int(word) for word in told.split()]


async def test_a_process_has_its_socket_and_its_end_is_known(made: Nursery) -> None:
    child, ours, (pid, *_) = await begun(made)
    with ours:
        assert (child.pid, child.returncode) == (pid, None)
        ours.send(b"\0")
        assert await child.wait() == 7
    assert child.returncode == 7
    with suppress(ProcessLookupError):
        child.kill()


async def test_several_live_beside_each_other_and_one_can_be_killed(made: Nursery) -> None:
    (first, one, _), (second, two, _) = await begun(made), await begun(made)
    with one, two:
        first.kill()
        assert await first.wait() == -signal.SIGKILL
        assert one.recv(1) == b"", "nobody else has its socket"
        assert second.returncode is None
        two.send(b"\0")
        assert await second.wait() == 7


async def test_where_the_nursery_is_gone_they_go_on_and_more_are_programs() -> None:
    made = Nursery(HATCHED)
    made.open()
    child, ours, (_, parent, arguments) = await begun(made)
    os.kill(parent, signal.SIGKILL)
    other, theirs, (_, its_parent, its_arguments) = await begun(made)
    assert (parent == its_parent, arguments == its_arguments) == (False, False)
    with ours, theirs:
        ours.send(b"\0")
        theirs.send(b"\0")
        assert (await child.wait(), await other.wait()) == (255, 7)
    made.close()


def test_it_is_not_forked_beside_a_thread() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with nursery(HATCHED) as made:
        assert made._control is None
    over.set()
    thread.join()


def test_it_ends_with_who_made_it() -> None:
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        made = Nursery(HATCHED)
        made.open()
        os.write(writer, made._pid.to_bytes(4))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    its = int.from_bytes(os.read(reader, 4))
    os.close(reader)
    os.close(writer)
    until = time.monotonic() + 10
    while Path(f"/proc/{its}").exists() and "Z" not in Path(f"/proc/{its}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.05)
