"""A client of bare sockets that keeps exactly what it sent and received."""

from __future__ import annotations

import gzip
import socket
import ssl
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from urllib.parse import urlsplit

from crawler.replicas.run import Running


@dataclass
class Reply:
    sent: bytes
    received: bytes
    #: Whether the connection was closed or reset before the answer was whole.
    cut: bool = False

    @property
    def status(self) -> int:
        return int(self.received.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        body = self.received.partition(b"\r\n\r\n")[2]
        if self.headers.get("transfer-encoding") == "chunked":
            body = unchunk(body)[0]
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def digests(self) -> tuple[str, str]:
        return sha256(self.sent).hexdigest(), sha256(self.received).hexdigest()


def unchunk(data: bytes) -> tuple[bytes, int]:
    """Return the body and how many bytes it took. Raises ValueError while it is not whole."""
    body, at = b"", 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end].split(b";")[0], 16)
        if size == 0:
            trailer_end = end if data[end : end + 4] == b"\r\n\r\n" else data.index(b"\r\n\r\n", end)
            return body, trailer_end + 4
        if len(data) < end + 4 + size:
            raise ValueError("more to come")
        body += data[end + 2 : end + 2 + size]
        at = end + 4 + size


def is_whole(method: str, data: bytearray) -> bool:
    end = data.find(b"\r\n\r\n") + 4
    if end < 4 or method == "HEAD":
        return end >= 4
    headers = Reply(b"", bytes(data[:end])).headers
    if headers.get("transfer-encoding") != "chunked":
        return len(data) >= end + int(headers["content-length"])
    try:
        return unchunk(bytes(data[end:]))[1] == len(data) - end
    except ValueError:
        return False


class Client:
    """One connection to one host of a replica; a replica without TLS is spoken to in plain."""

    def __init__(self, replica: Running, host: str = "", *, plain: bool = False) -> None:
        self.host = host or f"127.0.0.1:{replica.port}"
        self.socket = socket.create_connection(("127.0.0.1", replica.http_port if plain else replica.port), timeout=20)
        if replica.ca and not plain:
            context = ssl.create_default_context(cafile=str(replica.ca))
            context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 and later want
            self.socket = context.wrap_socket(self.socket, server_hostname=host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, target: str, method: str = "GET", version: str = "HTTP/1.1", **headers: str) -> Reply:
        lines = [
            f"{method} {target} {version}",
            f"Host: {self.host}",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        return self.send("\r\n".join([*lines, "", ""]).encode(), method)

    def send(self, data: bytes, method: str = "GET") -> Reply:
        received, cut = bytearray(), False
        try:
            self.socket.sendall(data)
            while not cut and not is_whole(method, received):
                piece = self.socket.recv(1 << 16)
                received += piece
                cut = not piece
        except (ConnectionError, ssl.SSLError):
            cut = True
        return Reply(data, bytes(received), cut)


def get(replica: Running, url: str, **headers: str) -> Reply:
    parts = urlsplit(url)
    with Client(replica, parts.hostname or "") as client:
        return client.ask(parts.path + (f"?{parts.query}" if parts.query else ""), **headers)


class Clients:
    """One kept connection a host."""

    def __init__(self, replica: Running) -> None:
        self._replica = replica
        self._open: dict[str, Client] = {}

    def get(self, url: str, **headers: str) -> Reply:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host not in self._open:
            self._open[host] = Client(self._replica, host)
        return self._open[host].ask(parts.path + (f"?{parts.query}" if parts.query else ""), **headers)

    def close(self) -> None:
        for client in self._open.values():
            client.socket.close()
