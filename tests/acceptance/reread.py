"""Run a collection's spider over its WARCs in a process that can open no socket; print every item as a JSON line."""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
from pathlib import Path
from typing import Any


def no_network(*_: Any) -> Any:
    raise AssertionError("a callback reached for the network")


socket.socket.connect = no_network  # type: ignore[method-assign]
socket.getaddrinfo = no_network

from crawler.captures import read_captures  # noqa: E402
from crawler.collection import Collection  # noqa: E402
from crawler.commit import read_all  # noqa: E402
from crawler.model import Seed  # noqa: E402
from spiders.registry import get  # noqa: E402


def main(directory: Path) -> None:
    collection = Collection.open(directory)
    marker = collection.marker
    spider = get(marker.platform, collection.spider_file)(seed=Seed(url=marker.seed, options=marker.options))
    for response, named in read_captures(collection):
        if response.status != 200 or spider.judge(response).value not in {"ok", "mixed"}:
            continue
        found = read_all(spider, response)
        assert not found.error, found.error
        # What came off the wire named this work, all of it that is in scope.
        now = {(link.fingerprint, link.callback, link.lane) for link in found.outlinks}
        gone = [link.url for link in named or () if (link.fingerprint, link.callback, link.lane) not in now]
        gone = [url for url in gone if not url.endswith("/robots.txt")]
        assert not gone, f"{response.url} no longer names {gone[:3]}"
        for item in found.items:
            print(json.dumps({"item": type(item).__name__, **dataclasses.asdict(item)}))


main(Path(sys.argv[1]))
