"""Run a collection's spider over its WARCs in a process that can open no socket; print every item as a JSON line."""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any


def no_network(*_: Any) -> Any:
    raise AssertionError("a callback reached for the network")


socket.socket.connect = no_network  # type: ignore[method-assign]
socket.getaddrinfo = no_network

from crawler.capture import spool  # noqa: E402
from crawler.capture.decode import response_from  # noqa: E402
from crawler.collection import Collection  # noqa: E402
from crawler.commit import read_all  # noqa: E402
from crawler.model import Seed  # noqa: E402
from crawler.warc.groups import GroupReader  # noqa: E402
from crawler.warc.reader import Records  # noqa: E402
from spiders.registry import get  # noqa: E402


def main(directory: Path) -> None:
    collection = Collection.open(directory)
    marker = collection.marker
    spider = get(marker.platform)(seed=Seed(url=marker.seed, options=marker.options))
    places = {}
    for path in collection.sealed_segments():
        places.update((record.id, (path, record.offset)) for record in Records(path) if record.type == "response")
    for path in collection.sealed_segments():
        if "-attempts." in path.name:
            continue
        for group in GroupReader(path):
            if group.leased.fetch.callback in {None, "probe"} or not group.response_id:
                continue
            with tempfile.TemporaryDirectory() as folder:
                capture = group.capture(places.get, Path(folder))
                response = response_from(group.leased.fetch, capture)
                if response.status != 200 or spider.judge(response).value not in {"ok", "mixed"}:
                    continue
                found = read_all(spider, response)
                assert not found.error, found.error
                spool.discard(capture.body)
            for item in found.items:
                print(json.dumps({"item": type(item).__name__, **dataclasses.asdict(item)}))


main(Path(sys.argv[1]))
