"""A server that knows nothing but a collection's CDXJ and WARCs, and sends each recorded block as it stands.

If a browser could read the answer then, it can now.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from crawler.warc.surt import surt


class Replay:
    """Answers from a collection's index, on a loopback port."""

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        self.directory = directory
        self.lines: dict[str, dict[str, Any]] = {}
        for index in sorted((directory / "indexes").glob("*.cdxj")):
            if "-attempts." not in index.name:
                for line in index.read_text().splitlines():
                    key, _, facts = line.split(" ", 2)
                    self.lines[key] = json.loads(facts)
        self.missed: list[str] = []
        self.tls = tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(10)
            with self.tls.wrap_socket(client, server_side=True) if self.tls else client as stream:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = stream.recv(4096)
                    if not piece:
                        return
                    head += piece
                host = re.search(rb"\r\n[Hh]ost: ([^\r]+)", head)
                assert host is not None
                stream.sendall(self.block(f"https://{host[1].decode()}{head.split(b' ')[1].decode()}"))

    def block(self, url: str) -> bytes:
        facts = self.lines.get(surt(url))
        if facts is None:
            self.missed.append(url)
            return b"HTTP/1.1 404 Not Archived\r\nContent-Length: 0\r\n\r\n"
        headers, block = self.record(facts)
        if headers["WARC-Type"] == "revisit":
            original = self.lines[surt(headers["WARC-Refers-To-Target-URI"])]
            head, _, _ = block.partition(b"\r\n\r\n")
            body = self.record(original)[1].partition(b"\r\n\r\n")[2]
            return head + b"\r\n\r\n" + body
        return block

    def record(self, facts: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        with (self.directory / "warcs" / facts["filename"]).open("rb") as stream:
            stream.seek(int(facts["offset"]))
            data = gzip.decompress(stream.read(int(facts["length"])))
        head, _, block = data.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        return headers, block[: int(headers["Content-Length"])]
