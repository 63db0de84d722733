"""Crawl every platform's replica with a kill -9 in the middle, and print what is held of what is public.

python benchmarks/platforms.py [NAME...] [--size 400] [--json]

A row a platform: held of public by kind, private things held (must be 0), requests against the least that could get
everything (N_min, from the replica's own tables; robots.txt, and the few that recognise the site, not counted).
A hundred requests a second and host, as a site bears: a kill loses what is under way, whatever the size of a site.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.acceptance.platforms import ROWS, Row, crawled

_HEADS = ("platform", "posts", "accounts", "replies", "media", "all", "private", "requests", "of least")
_POSTS, _REPLIES = {"post", "topic", "page", "video", "item", "thread"}, {"reply", "comment"}
_MEDIA = {"image", "video-file", "file", "audio", "blob", "media", "upload"}


#: Requests a second.
RATE = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--size", type=int, default=400, help="posts of each replica, about")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    print(" | ".join(_HEADS))
    rows = []
    for name in given.names or ROWS:
        with tempfile.TemporaryDirectory() as work:
            row = crawled(name, Path(work), size=given.size, rate=RATE)
        rows.append(row)
        print(_line(row) if not given.json else json.dumps(dataclasses.asdict(row)), flush=True)
        for problem in row.problems:
            print(f"  {problem}", file=sys.stderr)
    return 0 if all(row.is_good for row in rows) else 1


def _line(row: Row) -> str:
    def of(kinds: set[str]) -> str:
        found = [counts for kind, counts in row.kinds.items() if kind in kinds]
        return f"{sum(held for held, _ in found):,}/{sum(public for _, public in found):,}" if found else "-"

    facts = (
        row.name, of(_POSTS), of({"account"}), of(_REPLIES), of(_MEDIA), of(set(row.kinds)), row.private,
        f"{row.requests:,}", f"{row.ratio:.2f}",
    )  # fmt: skip
    return " | ".join(map(str, facts))


if __name__ == "__main__":
    sys.exit(main())
