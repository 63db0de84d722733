"""Record every change that a command and its children make below a directory, and read the record back.

By strace rather than a preloaded library: it sees what the kernel is asked, whoever asks, and needs no compiler. What
it cannot see are writes through a mapping (SQLite's ``-shm``, whose content nobody may rely on after a power cut).
A call that changes files in a way this module does not understand is refused, and ``Log.as_of`` at the end must give
exactly what is in the directory: see ``difference``.

Time is counted in moments: a call begins at an even one and ends at the odd one after it, or later, if other calls
came between. A call that never returned ends at ``NEVER``.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = 1 << 60
#: Bytes of one write that strace may print.
_LONGEST = 1 << 24
_OPENING = frozenset({"open", "openat", "creat"})
_BY_PATH = frozenset({
    "truncate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat",
})  # fmt: skip
_BY_DESCRIPTOR = frozenset({
    "close", "lseek", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fsync", "fdatasync", "mmap",
})  # fmt: skip
#: Nobody here uses these; a log with one of them on our files would be misread.
_REFUSED = frozenset({
    "link", "linkat", "symlink", "symlinkat", "sendfile", "copy_file_range", "splice", "fallocate", "syncfs", "msync",
})  # fmt: skip
_FORKS = frozenset({"clone", "clone3", "fork", "vfork"})


class Span(NamedTuple):
    """When a call was under way."""

    begun: int
    ended: int


@dataclass(slots=True)
class Change:
    """A write of ``data`` at ``offset``, or where ``data`` is None a truncation to ``offset``."""

    span: Span
    offset: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        """Do to ``content`` what the call did to the file."""
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        if self.data is None:
            del content[self.offset :]
        else:
            content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(slots=True, eq=False)
class File:
    """One file, whatever it was called over time."""

    changes: list[Change] = field(default_factory=list)
    syncs: list[Span] = field(default_factory=list)
    size: int = 0
    #: Written through a mapping as well.
    is_mapped: bool = False

    def change(self, span: Span, offset: int, data: bytes | None) -> None:
        self.changes.append(Change(span, offset, data))
        self.size = offset if data is None else max(self.size, offset + len(data))

    def as_of(self, moment: int) -> bytearray:
        """Return what a reader saw once all calls were done that had ended by then."""
        content = bytearray()
        for change in self.changes:
            if change.span.ended < moment:
                change.apply(content)
        return content


class Naming(NamedTuple):
    """A name is given to a node (taken from ``old`` if that is not empty), or to none: it is removed."""

    span: Span
    name: str
    node: File | Folder | None
    old: str = ""

    def apply(self, names: dict[str, File | Folder]) -> None:
        """Do to ``names`` what the call did to the directory."""
        if self.old and names.get(self.old) is self.node:
            del names[self.old]
        if self.node is None:
            names.pop(self.name, None)
        else:
            names[self.name] = self.node


@dataclass(slots=True, eq=False)
class Folder:
    """One directory: what happened to its names, in the order in which the calls ended."""

    namings: list[Naming] = field(default_factory=list)
    syncs: list[Span] = field(default_factory=list)
    now: dict[str, File | Folder] = field(default_factory=dict)

    def rename(self, span: Span, name: str, node: File | Folder | None, old: str = "") -> None:
        naming = Naming(span, name, node, old)
        naming.apply(self.now)
        self.namings.append(naming)

    def as_of(self, moment: int) -> dict[str, File | Folder]:
        """Return the names once all calls were done that had ended by then."""
        names: dict[str, File | Folder] = {}
        for naming in self.namings:
            if naming.span.ended < moment:
                naming.apply(names)
        return names


class Unreadable(Exception):
    """The record holds something that this module does not understand."""


@dataclass(slots=True)
class Log:
    """All changes below one directory, which was empty in the beginning."""

    root: Folder = field(default_factory=Folder)
    #: The moments at which something began or ended, in order.
    moments: list[int] = field(default_factory=list)
    #: One past the last moment.
    end: int = 0

    def files(self, moment: int) -> dict[str, File]:
        """Return path → file at a moment."""
        return dict(_walk(self.root, moment))

    def ever(self, path: str) -> Iterator[File]:
        """Yield all files that ever had a path."""
        *folders, name = path.split("/")
        place = self.root
        for part in folders:
            found = next((n.node for n in place.namings if n.name == part and isinstance(n.node, Folder)), None)
            if found is None:
                return
            place = found
        yield from dict.fromkeys(n.node for n in place.namings if n.name == name and isinstance(n.node, File))

    def syncs(self) -> Iterator[Span]:
        """Yield every fsync that returned, of files and directories."""
        for node in self.nodes():
            yield from (span for span in node.syncs if span.ended < NEVER)

    def nodes(self) -> Iterator[File | Folder]:
        """Yield every file and directory there ever was."""
        yield from _nodes(self.root)


def _walk(folder: Folder, moment: int) -> Iterator[tuple[str, File]]:
    for name, node in folder.as_of(moment).items():
        if isinstance(node, File):
            yield name, node
        else:
            yield from ((f"{name}/{below}", file) for below, file in _walk(node, moment))


def _nodes(folder: Folder) -> Iterator[File | Folder]:
    yield folder
    for node in dict.fromkeys(naming.node for naming in folder.namings):
        if isinstance(node, Folder):
            yield from _nodes(node)
        elif node is not None:
            yield node


def record(command: list[str], trace: Path, environment: dict[str, str], *, seconds: float) -> int:
    """Run a command under strace until it and all its children have ended; return its exit code.

    Run it where no relative path can lead into the directory that is watched.
    """
    calls = ",".join(sorted(_OPENING | _BY_PATH | _BY_DESCRIPTOR | _REFUSED | _FORKS))
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(_LONGEST), "-qq", "--signal=none"]
    done = subprocess.run(
        [*strace, "-e", f"trace={calls}", "-o", str(trace), *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd="/", timeout=seconds, check=False,
    )  # fmt: skip
    if b"strace:" in done.stderr:
        raise Unreadable(done.stderr.decode(errors="replace"))
    return done.returncode


def read(traces: list[Path], root: Path) -> Log:
    """Return the log of some runs, one after the other, of what they did below ``root``. Raises Unreadable."""
    log = Log()
    for trace in traces:
        _Reader(log, trace, root).read()
    log.moments = sorted(set(log.moments))
    return log


def difference(log: Log, root: Path) -> list[str]:
    """Return the paths where the end of a log is not what is on disk.

    Of what people read (``logs``) only the presence counts: several processes append to it at once.
    """
    told = log.files(log.end)
    here = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    differ = {
        path
        for path in told.keys() & here
        if "logs/" not in path and not told[path].is_mapped and told[path].as_of(log.end) != (root / path).read_bytes()
    }
    return sorted(differ | (told.keys() ^ here))


@dataclass(slots=True)
class _Handle:
    """An open file. Nobody here shares a position between processes, or reads where it writes."""

    node: File | Folder
    appends: bool
    position: int = 0

    @property
    def file(self) -> File:
        assert isinstance(self.node, File)
        return self.node


_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = re.compile(r" ?<unfinished \.\.\.>$")
_DESCRIPTOR = re.compile(r"(\d+)<([^>]*)>")
_STRING = re.compile(r'"([^"]*)"')
_PATH = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"([^"]*)"')
_CHILD = re.compile(r"(?:clone3?|v?fork)\(.*\) += (\d+)")


class _Reader:
    """Reads the record of one run. With ``-xx`` a string is all hexadecimal, so no text in it can mislead us."""

    def __init__(self, log: Log, trace: Path, root: Path) -> None:
        self._log = log
        self._trace = trace
        self._root = str(root)
        #: Thread → the thread whose descriptors it shares.
        self._shares: dict[str, str] = {}
        self._handles: dict[tuple[str, str], _Handle] = {}

    def read(self) -> None:
        """Add what happened to the log."""
        for pid, text, _ in self._calls():
            child = _CHILD.match(text)
            if child and "CLONE_FILES" in text:
                self._shares[child[1]] = pid
        ours = "".join(f"\\x{byte:02x}" for byte in self._root.encode())
        end = self._log.end
        for pid, text, span in self._calls():
            end = max(end, span.begun + 2)
            if ours in text:
                self._take(pid, text, span)
        self._log.end = end

    def _calls(self) -> Iterator[tuple[str, str, Span]]:
        """Yield (thread, call, span), in the order in which they ended; those that never did come last."""
        pending: dict[str, tuple[str, int]] = {}
        moment = self._log.end
        with self._trace.open(encoding="latin-1", newline="\n") as lines:
            for line in lines:
                moment += 2
                found = _LINE.fullmatch(line.rstrip("\n"))
                if found is None:
                    raise Unreadable(f"{self._trace}: {line[:200]!r}")
                pid, text = found.groups()
                if unfinished := _UNFINISHED.search(text):
                    pending[pid] = text[: unfinished.start()], moment
                elif resumed := _RESUMED.match(text):
                    before, begun = pending.pop(pid)
                    yield pid, before + text[resumed.end() :], Span(begun, moment + 1)
                else:
                    yield pid, text, Span(moment, moment + 1)
        for pid, (text, begun) in pending.items():
            yield pid, f"{text}) = ?", Span(begun, NEVER)

    def _take(self, pid: str, text: str, span: Span) -> None:
        """Enter one call that names something of ours."""
        found = _CALL.fullmatch(text)
        if found is None:
            raise Unreadable(f"{self._trace}: {text[:200]!r}")
        call, arguments, result, rest = found.groups()
        if result.startswith("-") or (result == "?" and call.startswith("open")):
            return
        paths = [_text(rest)] if call in _OPENING else _paths(call, arguments)
        if not any(path == self._root or path.startswith(f"{self._root}/") for path in paths):
            return
        if call in _REFUSED or '"...' in arguments:
            raise Unreadable(f"{self._trace}: nobody taught me {text[:200]!r}")
        if result == "?":
            span = Span(span.begun, NEVER)
        self._log.moments += [moment for moment in span if moment < NEVER]
        while pid in self._shares:
            pid = self._shares[pid]
        if call in _OPENING:
            self._open(pid, result, paths[0], f"O_CREAT|O_TRUNC {call}" if call == "creat" else arguments, span)
        elif call in _BY_PATH:
            self._rename(call, paths, arguments, span)
        else:
            self._use(call, pid, arguments, result, span)

    def _open(self, pid: str, descriptor: str, path: str, flags: str, span: Span) -> None:
        if re.search(r"O_D?SYNC|O_TMPFILE", flags):
            raise Unreadable(f"{self._trace}: nobody taught me {flags}")
        node = self._node(path)
        if node is None:
            if "O_CREAT" not in flags:
                raise Unreadable(f"{self._trace}: {path} was never made")
            folder, name = self._place(path)
            node = File()
            folder.rename(span, name, node)
        elif isinstance(node, File) and "O_TRUNC" in flags and node.size:
            node.change(span, 0, None)
        self._handles[pid, descriptor] = _Handle(node, "O_APPEND" in flags)

    def _rename(self, call: str, paths: list[str], arguments: str, span: Span) -> None:
        """Enter a call that works on paths."""
        folder, name = self._place(paths[-1])
        if call.startswith("mkdir"):
            folder.rename(span, name, Folder())
        elif call == "truncate":
            node = folder.now[name]
            assert isinstance(node, File)
            node.change(span, int(arguments.rpartition(", ")[2]), None)
        elif call.startswith("rename"):
            before, old = self._place(paths[0])
            if before is not folder or "RENAME_EXCHANGE" in arguments:
                raise Unreadable(f"{self._trace}: nobody taught me {call} of {paths}")
            folder.rename(span, name, folder.now[old], old)
        else:
            folder.rename(span, name, None)

    def _use(self, call: str, pid: str, arguments: str, result: str, span: Span) -> None:
        """Enter a call that works on a descriptor."""
        descriptor = _DESCRIPTOR.search(arguments)
        assert descriptor is not None, arguments[:200]
        key = (pid, descriptor[1])
        if call == "close":
            self._handles.pop(key, None)
            return
        handle = self._handles.get(key)
        if handle is None:
            raise Unreadable(f"{self._trace}: {call} on {_text(arguments)}, which {pid} never opened")
        if call in {"fsync", "fdatasync"}:
            handle.node.syncs.append(span)
        elif call == "lseek":
            handle.position = int(result)
        elif call == "ftruncate":
            handle.file.change(span, int(arguments.rpartition(", ")[2]), None)
        elif call == "mmap":
            _map(handle.file, arguments)
        else:
            _write(handle, call, arguments, result, span)

    def _place(self, path: str) -> tuple[Folder, str]:
        """Return the directory that holds a path, and the name in it."""
        if not path.startswith(f"{self._root}/"):
            raise Unreadable(f"{self._trace}: {path} is not below {self._root}")
        *folders, name = path[len(self._root) + 1 :].split("/")
        place = self._log.root
        for part in folders:
            below = place.now[part]
            assert isinstance(below, Folder)
            place = below
        return place, name

    def _node(self, path: str) -> File | Folder | None:
        """Return what has a path now."""
        if path == self._root:
            return self._log.root
        folder, name = self._place(path)
        return folder.now.get(name)


def _write(handle: _Handle, call: str, arguments: str, result: str, span: Span) -> None:
    data = b"".join(_bytes(text) for text in _STRING.findall(arguments))
    data = data[: len(data) if result == "?" else int(result)]
    if call.startswith("pwrite"):
        offset = int(arguments.split(", ")[-2 if call == "pwritev2" else -1])
    else:
        offset = handle.file.size if handle.appends else handle.position
        handle.position = offset + len(data)
    handle.file.change(span, offset, data)


def _map(file: File, arguments: str) -> None:
    if "MAP_SHARED" in arguments and "PROT_WRITE" in arguments:
        file.is_mapped = True


def _paths(call: str, arguments: str) -> list[str]:
    """Return the paths that a call is about: those it is given, or that of its descriptor."""
    if call not in _BY_PATH | _REFUSED:
        return [_text(arguments)]
    pairs = [(_bytes(folder).decode(), _bytes(name).decode()) for folder, name in _PATH.findall(arguments)]
    return [str(Path(folder, name)) for folder, name in pairs] or [_text(arguments)]


def _text(descriptor: str) -> str:
    """Return the path that strace gives beside a descriptor."""
    found = re.search(r"<([^>]*)>", descriptor)
    return _bytes(found[1]).decode() if found else ""


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
