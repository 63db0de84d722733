"""Ask a proxy for every URL of a list, over kept connections: the client in front of warcprox.

python -P benchmarks/fetcher.py PROXY_PORT URLS.txt [CONNECTIONS]

It knows the URLs beforehand and throws the answers away; what it costs is not the proxy's, and is not counted.
"""

from __future__ import annotations

import http.client
import queue
import sys
import threading
from pathlib import Path


def fetch(port: int, urls: queue.SimpleQueue[str]) -> None:
    """Ask for URLs until there are none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        try:
            url = urls.get_nowait()
        except queue.Empty:
            return
        try:
            connection.request("GET", url)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as e:
            print(f"{url}: {e!r}", file=sys.stderr)
            connection.close()  # the next request connects again


def main(port: int, listing: Path, connections: int) -> None:
    urls: queue.SimpleQueue[str] = queue.SimpleQueue()
    for line in listing.read_text().split():
        urls.put(line)
    threads = [threading.Thread(target=fetch, args=(port, urls)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 16)
