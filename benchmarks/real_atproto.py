"""Bring up a network of AT Protocol on loopback (a real data server and app view), fill it, crawl it, and compare.

python benchmarks/real_atproto.py [--size 160] [--modules DIRECTORY] [--keep]

Needs root on a Debian with npm: installs PostgreSQL and Redis where they are not there, Node 22 and @atproto/dev-env
into a directory of its own, and runs its own copies of all of them on loopback, ended and removed at the end.
``--modules`` keeps what npm installs for the next time. Exits 0 when all that is public is held, each upload with the
bytes that were uploaded, nothing that is private, and as many posts as the app view counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.replicas.images import jpeg, noise
from crawler.replicas.kit import PRIVATE
from tests.acceptance.platforms import held, items
from tests.acceptance.support import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

DEV_ENV, NODE = "@atproto/dev-env@0.6.7", "22"
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
#: What PostgreSQL runs as: it refuses to be root.
NOBODY = "postgres"
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=160, help="posts and replies")
    parser.add_argument("--modules", type=Path, help="where npm installs; kept")
    parser.add_argument("--keep", action="store_true", help="leave the directory")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="outlast-atproto-"))
    work.chmod(0o755)
    try:
        install()
        modules = (given.modules or work / "modules").absolute()
        node = modules_in(modules)
        pictures(work / "files", given.size)
        with ExitStack() as stack:
            environment = {
                **os.environ, "TMPDIR": str(work / "tmp"), "LOG_ENABLED": "0", "NODE_ENV": "test",
                "DB_POSTGRES_URL": stack.enter_context(database(work)), "DB_POSTGRES_SCHEMA": "outlast",
                "REDIS_HOST": stack.enter_context(cache(work)),
            }  # fmt: skip
            truth = stack.enter_context(network(work, modules, node, given.size, environment))
            started = time.monotonic()
            ran = archive("crawl", truth["pds"], "--into", work / "c", timeout=1800)
            print(f"crawled in {time.monotonic() - started:.1f} s, exit {ran.code}")
        print(ran.err if ran.code else "", end="")
        return 0 if compare(work / "c", truth) and ran.code == 0 else 1
    finally:
        if given.keep:
            print(f"left in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def install() -> None:
    """Install what is missing of Debian's, and keep the packages from starting anything."""
    wanted = {"postgresql": bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))}
    wanted["redis-server"] = shutil.which("redis-server") is not None
    missing = [name for name, is_there in wanted.items() if not is_there]
    if not missing:
        return
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=quiet, stdout=subprocess.DEVNULL)
        command = [
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            *missing,
        ]
        subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)
    finally:
        if is_ours:
            POLICY.unlink()


def modules_in(directory: Path) -> Path:
    """Install Node and the network into a directory, where they are not there; return the program."""
    directory.mkdir(parents=True, exist_ok=True)
    package = f"node-linux-{MACHINES[platform.machine()]}"
    home = directory / "node_modules" / package
    node = home / "bin/node"
    if not (directory / "package.json").exists():
        (directory / "package.json").write_text('{"private": true, "type": "module"}\n')
    npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
    if not node.exists():
        subprocess.run([*npm, f"{package}@{NODE}"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    if not (directory / "node_modules/@atproto/dev-env").exists():
        # What it compiles is for this Node, and not for the machine's own.
        ours = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}", "npm_config_nodedir": str(home)}
        subprocess.run([*npm, DEV_ENV], cwd=directory, check=True, env=ours, stdout=subprocess.DEVNULL)
    return node


def pictures(directory: Path, size: int) -> None:
    """Make what is uploaded: pictures, films, and pictures that nobody shall have."""
    directory.mkdir()
    for number in range(2 * size):
        (directory / f"public-{number:05}.jpg").write_bytes(jpeg(f"public {number}"))
        (directory / f"{PRIVATE}-{number:05}.jpg").write_bytes(jpeg(f"private {number}") + PRIVATE.encode())
    for number in range(size // 7 + 1):
        head = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
        (directory / f"film-{number:05}.mp4").write_bytes(head + noise(f"film {number}", 300_000))


@contextmanager
def database(work: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own; yield its URL."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    data, port = work / "db", free_port()
    data.mkdir()
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(data, NOBODY, NOBODY)
    who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
    made = [programs / "initdb", "-A", "trust", "-U", "pg", "-D", data, "--no-sync"]
    subprocess.run(made, check=True, cwd="/", stdout=subprocess.DEVNULL, **who)
    command = [
        programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-c", "fsync=off",
        "-c", f"unix_socket_directories={data}",
    ]  # fmt: skip
    with running(command, port, cwd="/", **who):
        yield f"postgresql://pg@127.0.0.1:{port}/postgres"


@contextmanager
def cache(work: Path) -> Iterator[str]:
    """Run a Redis of our own; yield where."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(work)]
    with running(command, port):
        yield f"127.0.0.1:{port}"


@contextmanager
def running(command: list[Any], port: int, patience: float = 60, **how: Any) -> Iterator[None]:
    """Run a server until the block ends, from when its port answers."""
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how
    )
    try:
        until = time.monotonic() + patience
        while not answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not run")
            time.sleep(0.2)
        yield
    finally:
        end(process)


@contextmanager
def network(work: Path, modules: Path, node: Path, size: int, environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run the network and fill it; yield what was put in."""
    (work / "tmp").mkdir()
    # Modules are found from where a script stands.
    script = modules / "real_atproto.mjs"
    shutil.copy(Path(__file__).with_suffix(".mjs"), script)
    command = [str(node), "--dns-result-order=ipv4first", str(script), str(size), str(work)]
    with (work / "network.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=modules, env=environment
        )
    try:
        for line in process.stdout or ():
            if line.startswith(b"TRUTH "):
                truth: dict[str, Any] = json.loads(line.removeprefix(b"TRUTH "))
                yield truth
                return
        raise RuntimeError(f"the network does not run: {(work / 'network.log').read_text()[-3000:]}")
    finally:
        if process.stdin:
            process.stdin.close()
        end(process, patience=30)


def end(process: subprocess.Popen[bytes], patience: float = 0) -> None:
    """End a process that we started."""
    try:
        process.wait(patience or 0.01)
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


class Table:
    """What is held of what was put in, by kind."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.missed: list[str] = []
        self.private = 0

    def count(self, kind: str, is_held: bool, what: str, *, public: bool = True) -> None:
        """Count a thing; one that is not public must not be held."""
        if not public:
            self.private += is_held
            return
        self.counts.setdefault(kind, Counter()).update(["public", "held"] if is_held else ["public"])
        if not is_held:
            self.missed.append(f"{kind}: {what}")

    def __str__(self) -> str:
        lines = [f"{kind:30} {found['held']:5} of {found['public']}" for kind, found in self.counts.items()]
        lines += [f"{'private':30} {self.private:5} of 0", *(f"  missing {one}" for one in self.missed[:20])]
        return "\n".join(lines)


def compare(directory: Path, truth: dict[str, Any]) -> bool:
    """Print a table of what is held of what was put in; say whether it is all there is, and nothing private."""
    said, table = items(directory), Table()
    files, table.private = held(directory)
    for account in truth["accounts"]:
        whose, public = account["did"], account["public"]
        table.count("account", ("Account", whose) in said, whose, public=public)
        table.count("repository", place("sync.getRepo", did=whose) in files, whose, public=public)
        ours = [one for (kind, _), one in said.items() if kind == "Post" and one["author"] == whose]
        posts, counted = sum(one["kind"] != "repost" for one in ours), account.get("count", 0)
        is_held = posts == counted if public else posts > 0
        told = f"{whose}: {posts}, the app view says {counted}"
        table.count("account with all its posts", is_held, told, public=public)
    for record in truth["records"]:
        name = record["collection"].rpartition(".")[2]
        if name in {"post", "repost"}:
            table.count(name, ("Post", record["uri"]) in said, record["uri"], public=record["public"])
    for blob in {(one["did"], one["cid"]): one for one in truth["blobs"]}.values():
        url = place("sync.getBlob", did=blob["did"], cid=blob["cid"])
        digests = files.get(url, set())
        is_held = blob["sha256"] in digests if blob["public"] else bool(digests)
        table.count("upload, byte for byte", is_held, url, public=blob["public"])
    verified = archive("verify", directory).code == 0
    print(table)
    print(f"verify: {'whole' if verified else 'damaged'}")
    return not table.missed and not table.private and verified


def place(method: str, **parameters: str) -> str:
    """Return path and query of a method."""
    return f"/xrpc/com.atproto.{method}?{urlencode(parameters)}"


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Say whether somebody listens at a port of loopback."""
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
