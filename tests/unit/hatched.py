"""A module for a nursery: it says who it is, and then that for each byte it gets; a byte of 0 ends it."""

from __future__ import annotations

import os
import socket
import sys


def run(fd: int) -> None:
    with socket.socket(fileno=fd) as given:
        told = True
        while told:
            given.sendall(f"{os.getpid()} {os.getppid()} {len(sys.argv)}\n".encode())
            told = given.recv(1) not in {b"", b"\0"}
    os._exit(7)


if __name__ == "__main__":
    run(int(sys.argv[1]))
