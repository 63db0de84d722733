"""Real S3-compatible servers from PyPI on loopback: SeaweedFS, moto, and rclone as one that cannot be trusted."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import boto3
from botocore.config import Config

KEY, SECRET, BUCKET = "outlast-test", "not-a-secret-at-all", "cold"


@dataclass
class Server:
    name: str
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}

    def client(self):
        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1",
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


@contextmanager
def seaweedfs(work: Path) -> Iterator[Server]:
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
    command = [
        _program("weed"), "-logtostderr=false", f"-logdir={work}", "server", f"-dir={work}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-master.port.grpc={grpc[0]}", f"-volume.port={volume}", f"-volume.port.grpc={grpc[1]}",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={grpc[2]}", "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc[3]}",
        f"-s3.config={work}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=200",
        "-master.volumePreallocate=false", "-master.telemetry=false",
    ]  # fmt: skip
    yield from _served(command, Server("seaweedfs", f"http://127.0.0.1:{s3}"), work)


@contextmanager
def moto(work: Path) -> Iterator[Server]:
    """moto, which knows what an archived object is."""
    work.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    yield from _served(command, Server("moto", f"http://127.0.0.1:{port}"), work)


@contextmanager
def rclone(work: Path) -> Iterator[Server]:
    """rclone, which takes wrong sums and overwrites in spite of conditions."""
    (work / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [
        _program("rclone"), "serve", "s3", str(work / "data"), "--addr", f"127.0.0.1:{port}", "--auth-key",
        f"{KEY},{SECRET}", "--config", "/dev/null",
    ]  # fmt: skip
    yield from _served(command, Server("rclone", f"http://127.0.0.1:{port}"), work)


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
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()


def _await(server: Server, child: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert child.poll() is None, log.read_text()[-2000:]
        try:
            urlopen(server.url, timeout=5).close()
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
