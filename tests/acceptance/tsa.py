"""A time-stamping authority on loopback: openssl's, behind http."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {work}
serial = {work}/serial
crypto_device = builtin
signer_cert = {work}/tsa.pem
certs = {work}/root.pem
signer_key = {work}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ext]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


@dataclass
class Authority:
    url: str
    root: Path
    #: Set to answer with a refusal, or with nonsense.
    answer: bytes | None = None
    asked: int = 0


@contextmanager
def authority(work: Path) -> Iterator[Authority]:
    work.mkdir(parents=True, exist_ok=True)
    (work / "openssl.cnf").write_text(CONFIG.format(work=work))
    (work / "serial").write_text("01\n")
    _run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "root.key", "-out", work / "root.pem", "-days", "30",
         "-subj", "/CN=Test Root")  # fmt: skip
    _run(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        work / "tsa.key",
        "-out",
        work / "tsa.csr",
        "-subj",
        "/CN=Test TSA",
    )
    _run("x509", "-req", "-in", work / "tsa.csr", "-CA", work / "root.pem", "-CAkey", work / "root.key", "-CAcreateserial", "-days", "30",
         "-extfile", work / "openssl.cnf", "-extensions", "ext", "-out", work / "tsa.pem")  # fmt: skip
    one = Authority("", work / "root.pem")
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            with turn:
                one.asked += 1
                (work / "query").write_bytes(query)
                if (reply := one.answer) is None:
                    _run(
                        "ts",
                        "-reply",
                        "-config",
                        work / "openssl.cnf",
                        "-queryfile",
                        work / "query",
                        "-out",
                        work / "reply",
                    )
                    reply = (work / "reply").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}/tsr"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _run(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
