"""Processes that begin as copies of one that has imported all they need: what is imported is paid for once.

A nursery is forked while there is one thread, no event loop, no lock and no database; it does nothing but import a
module when the first process is wanted, and fork. Where that cannot be, or it is gone, the same module is started as a
program of its own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import struct
import sys
import threading
import traceback
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What a nursery is told: to start a process (which gets the file that comes along), or to say how one ended.
_START, _ENDED = 0, 1
_WORD = struct.Struct("=Bi")
_ANSWER = struct.Struct("=i")
#: The exit code of a process whose nursery is gone, too.
UNKNOWN = 255


class Child(Protocol):
    """A process that was started, as asyncio has them."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


class Nursery:
    """Starts ``run(fd)`` of a module in processes of their own, each with one file descriptor."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._control: socket.socket | None = None
        self._pid = 0

    def open(self) -> None:
        """Fork the process that is to be forked."""
        self._control, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            self._control.close()
            _alone(lambda: _nurse(self._module, theirs))
        theirs.close()

    def close(self) -> None:
        """End it; what it started goes on."""
        if self._control is not None:
            self._control.close()
            os.waitpid(self._pid, 0)

    async def start(self, given: socket.socket) -> Child:
        """Start a process that has this socket; the caller closes it here."""
        pid = self._ask(_START, given=given)
        if pid is not None:
            return _Forked(pid, lambda: self._ask(_ENDED, pid))
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", self._module, str(given.fileno()), pass_fds=[given.fileno()],
            stdin=asyncio.subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": module_path()},
        )  # fmt: skip

    def _ask(self, word: int, pid: int = 0, given: socket.socket | None = None) -> int | None:
        """Return what the nursery answers; None where there is none."""
        if self._control is None:
            return None
        with suppress(OSError):
            socket.send_fds(self._control, [_WORD.pack(word, pid)], [given.fileno()] if given else [])
            if answer := self._control.recv(_ANSWER.size, socket.MSG_WAITALL):
                return int(_ANSWER.unpack(answer)[0])
        return None


@contextmanager
def nursery(module: str) -> Iterator[Nursery]:
    """Keep a nursery, forked where the system tells of a grandchild's end, and no thread here forbids it."""
    made = Nursery(module)
    if _has_files_of_processes() and threading.active_count() == 1:
        made.open()
    try:
        yield made
    finally:
        made.close()


def _has_files_of_processes() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # macOS; Linux before 5.3, and some containers
        return False
    return True


class _Forked:
    """A process that a nursery forked; it is no child of ours, so its end is seen by its file."""

    def __init__(self, pid: int, ask: Callable[[], int | None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ask = ask
        self._file = os.pidfd_open(pid)
        self._over = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._file, self._ended)

    def kill(self) -> None:
        """End it at once."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._file, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        await self._over.wait()
        assert self.returncode is not None
        return self.returncode

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
        code = self._ask()
        self.returncode = UNKNOWN if code is None else code
        self._over.set()


def _nurse(module: str, control: socket.socket) -> None:
    """Import, and fork when asked to, until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who asked decides
    if control.fileno():  # else there is no stdin
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
    _called(__name__)
    while True:
        told, files, _, _ = socket.recv_fds(control, _WORD.size, 1)
        if not told:
            return
        word, pid = _WORD.unpack(told)
        if word == _ENDED:
            control.sendall(_ANSWER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
            continue
        run = import_module(module).run  # not sooner: who made this has more urgent things to do
        gc.freeze()
        if pid := os.fork():
            os.close(files[0])
            control.sendall(_ANSWER.pack(pid))
        else:
            control.close()
            _called(module)
            run(files[0])


def _alone(work: Callable[[], None]) -> NoReturn:
    """Do this and end, without what the process that was copied would still do."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - there is nobody above
        traceback.print_exc()
    finally:
        os._exit(code)


def _called(name: str) -> None:
    """Let ``ps`` and ``top`` show what this process is."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def module_path() -> str:
    """Return where children look for modules first: the checkout's root when Outlast runs from one, as ``-P`` keeps it
    off their path; then what the user names, plug-ins among it.
    """
    root = Path(__file__).parent.parent
    places = [
        str(root) if (root / "pyproject.toml").is_file() else "",
        *os.environ.get("PYTHONPATH", "").split(os.pathsep),
    ]
    return os.pathsep.join(place for place in places if place)
