"""Real S3-compatible servers on loopback: SeaweedFS and moto, rclone and s3rver (npm) as ones not to be trusted."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import boto3
from botocore.config import Config

from crawler.replicas.authority import context_for

KEY, SECRET, BUCKET = "outlast-test", "not-a-secret-at-all", "cold"


@dataclass
class Server:
    name: str
    url: str
    #: What a client must trust, where it speaks https.
    ca: Path | None = None
    key: str = KEY
    secret: str = SECRET

    @property
    def environment(self) -> dict[str, str]:
        trust = {"AWS_CA_BUNDLE": str(self.ca)} if self.ca else {}
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            **trust,
        }

    def client(self):
        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=self.key, aws_secret_access_key=self.secret,
            region_name="us-east-1", verify=str(self.ca) if self.ca else None,
            config=Config(
                signature_version="s3v4", request_checksum_calculation="when_required",
                response_checksum_validation="when_required", s3={"addressing_style": "path"},
            ),
        )  # fmt: skip

    def to(self, prefix: str = "p") -> list[str]:
        return ["--to", f"s3://{BUCKET}/{prefix}", "--endpoint-url", self.url]


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _identity(work: Path) -> Path:
    """Make a certificate for localhost; return the folder of ca.pem, server.pem and server.key."""
    work.mkdir(parents=True, exist_ok=True)
    context_for(["localhost"], work)
    return work


def _place(name: str, port: int, folder: Path | None) -> Server:
    scheme, host = ("https", "localhost") if folder else ("http", "127.0.0.1")
    return Server(name, f"{scheme}://{host}:{port}", folder / "ca.pem" if folder else None)


@contextmanager
def seaweedfs(work: Path, *, tls: bool = False) -> Iterator[Server]:
    """SeaweedFS with authentication: everything real."""
    work.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "test",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (work / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (work / "data").mkdir(exist_ok=True)
    s3, master, volume, filer, *grpc = free_ports(8)
    folder = _identity(work / "tls") if tls else None
    command = [
        _program("weed"), "-logtostderr=false", f"-logdir={work}", "server", f"-dir={work}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-master.port.grpc={grpc[0]}", f"-volume.port={volume}", f"-volume.port.grpc={grpc[1]}",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={grpc[2]}", "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc[3]}",
        f"-s3.config={work}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=500",
        "-master.volumePreallocate=false", "-master.telemetry=false",
    ]  # fmt: skip
    if folder:
        command += [f"-s3.cert.file={folder}/server.pem", f"-s3.key.file={folder}/server.key"]
    yield from _served(command, _place("seaweedfs", s3, folder), work)


@contextmanager
def moto(work: Path, *, tls: bool = False) -> Iterator[Server]:
    """moto, which knows what an archived object is."""
    work.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    folder = _identity(work / "tls") if tls else None
    command = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    if folder:
        command += ["--ssl-cert", f"{folder}/server.pem", "--ssl-key", f"{folder}/server.key"]
    yield from _served(command, _place("moto", port, folder), work)


@contextmanager
def rclone(work: Path, *, tls: bool = False) -> Iterator[Server]:
    """rclone, which takes wrong sums and overwrites in spite of conditions."""
    (work / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [
        _program("rclone"), "serve", "s3", str(work / "data"), "--addr", f"127.0.0.1:{port}", "--auth-key",
        f"{KEY},{SECRET}", "--config", "/dev/null",
    ]  # fmt: skip
    folder = _identity(work / "tls") if tls else None
    if folder:
        command += ["--cert", f"{folder}/server.pem", "--key", f"{folder}/server.key"]
    yield from _served(command, _place("rclone", port, folder), work)


@contextmanager
def s3rver(work: Path, *, tls: bool = True) -> Iterator[Server]:
    """s3rver, which stores what a checksum trailer looks like, checks nothing, and overwrites; needs npm."""
    (work / "data").mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    folder = _identity(work / "tls") if tls else None
    command = [str(_from_npm("s3rver@3.7.1")), "--directory", str(work / "data"), "--port", str(port), "--silent"]
    command += ["--address", "localhost", "--configure-bucket", BUCKET]
    if folder:
        command += ["--cert", f"{folder}/server.pem", "--key", f"{folder}/server.key"]
    server = _place("s3rver", port, folder)
    server.key, server.secret = "S3RVER", "S3RVER"  # the only ones it knows
    yield from _served(command, server, work)


def _from_npm(package: str) -> Path:
    """Install a package into a folder that the next run finds again; return its program."""
    name = package.partition("@")[0]
    folder = Path(tempfile.gettempdir()) / f"outlast-npm-{package.replace('@', '-')}-{os.getuid()}"
    program = folder / "node_modules" / ".bin" / name
    if not program.exists():
        folder.mkdir(exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, package], check=True
        )
    return program


SERVERS = {"seaweedfs": seaweedfs, "moto": moto, "rclone": rclone}


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name


def _served(command: list[str], server: Server, work: Path) -> Iterator[Server]:
    with (
        (work / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=work) as child,
    ):
        try:
            _await(server, child, work / "log")
            yield server
        finally:
            child.terminate()
            try:
                child.wait(3)  # one of them takes its time; what it has is thrown away
            except subprocess.TimeoutExpired:
                child.kill()


def _await(server: Server, child: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    trust = ssl.create_default_context(cafile=server.ca) if server.ca else None
    while time.monotonic() < until:
        assert child.poll() is None, log.read_text()[-2000:]
        try:
            urlopen(server.url, timeout=5, context=trust).close()
        except HTTPError:
            pass
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
            continue
        try:
            client = server.client()
            if BUCKET not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
            client.delete_object(Bucket=BUCKET, Key="ready")
        except Exception:  # noqa: BLE001 - it is still starting
            time.sleep(0.2)
            continue
        return
    raise AssertionError(log.read_text()[-2000:])
