"""Crawl the replica of a platform, kill the crawl in its middle, resume it, and hold what is held against the truth.

Used by ``test_platforms.py`` and by ``benchmarks/platforms.py``. What a spider says is read from the WARCs in a process
that can open no socket; files and pages are those that the WARCs hold with the digest that the replica names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator

from crawler.model import PROBE_LANE
from crawler.replicas.kit import PRIVATE
from crawler.replicas.run import running
from tests.acceptance.support import ROOT, archive, doubles, environment, start, to_replica
from tests.acceptance.support import held as exchanges

#: Row → (replica, its options beside the size, more of the command line). A row's replica must be recognised from its
#: bare address as ``platform``, the name of the replica where nothing else is said.
ROWS: dict[str, dict[str, Any]] = {
    "atproto": {},
    "atproto-norepo": {"replica": "atproto", "options": {"trap": "norepo"}},
    "atproto-old": {"replica": "atproto", "options": {"trap": "old"}},
    "bluesky": {
        "replica": "bluesky",
        "seed": "bsky.app/profile/heron0.test",
        "arguments": ("--rate", "60"),
    },
    "bluesky-web": {
        "replica": "bluesky",
        "options": {"trap": "web"},
        "seed": "bsky.app/profile/heron0.test",
        "arguments": ("--rate", "60"),
    },
    "bluesky-norepo": {
        "replica": "bluesky",
        "options": {"trap": "norepo"},
        "seed": "bsky.app/profile/heron0.test",
        "arguments": ("--rate", "60"),
    },
    "bluesky-nodata": {
        "replica": "bluesky",
        "options": {"trap": "nodata"},
        "seed": "bsky.app/profile/heron0.test",
        "arguments": ("--rate", "60"),
    },
    "bluesky-closed": {
        "replica": "bluesky",
        "options": {"trap": "closed"},
        "seed": "bsky.app/profile/heron0.test",
        "arguments": ("--rate", "60"),
    },
    "blog": {"platform": "generic"},
    "blog-nofeed": {"replica": "blog", "platform": "generic", "options": {"trap": "nofeed"}},
    "blog-nomap": {"replica": "blog", "platform": "generic", "options": {"trap": "nomap"}},
    "discourse": {},
    "discourse-closed": {"replica": "discourse", "options": {"trap": "closed"}, "codes": (3, 9)},
    "discourse-leak": {"replica": "discourse", "options": {"trap": "leak"}},
    "discourse-limited": {"replica": "discourse", "options": {"trap": "limited"}},
    "discourse-noposts": {"replica": "discourse", "options": {"trap": "noposts"}},
    "discourse-nodirectory": {"replica": "discourse", "options": {"trap": "nodirectory"}},
    "discourse-old": {"replica": "discourse", "options": {"trap": "old"}},
    "flaskbb": {"replica": "forums", "options": {"trap": "flaskbb"}, "platform": "flaskbb"},
    "hackernews": {"seed": "news.ycombinator.com", "arguments": ("--rate", "80")},
    "hackernews-sparse": {
        "replica": "hackernews",
        "options": {"trap": "sparse"},
        "seed": "news.ycombinator.com",
        "arguments": ("--rate", "80"),
    },
    "hackernews-quick": {
        "replica": "hackernews",
        "options": {"trap": "quick"},
        "seed": "news.ycombinator.com",
        "arguments": ("--rate", "80"),
    },
    "imageboard": {},
    "imageboard-4chan": {
        "replica": "imageboard",
        "options": {"trap": "4chan"},
        "seed": "boards.4chan.org",
        "arguments": ("--rate", "40"),
    },
    "imageboard-lynxchan": {"replica": "imageboard", "options": {"trap": "lynxchan"}},
    "imageboard-jschan": {"replica": "imageboard", "options": {"trap": "jschan"}},
    "imageboard-2ch": {"replica": "imageboard", "options": {"trap": "2ch"}, "seed": "2ch.su"},
    "imageboard-foolfuuka": {"replica": "imageboard", "options": {"trap": "foolfuuka"}},
    "imageboard-wall": {"replica": "imageboard", "options": {"trap": "wall"}},
    "invision": {"replica": "forums", "options": {"trap": "invision"}, "platform": "invision"},
    "lemmy": {},
    "lemmy-old": {"replica": "lemmy", "options": {"trap": "old"}},
    "lemmy-new": {"replica": "lemmy", "options": {"trap": "new"}},
    "lemmy-leak": {"replica": "lemmy", "options": {"trap": "leak"}},
    "lemmy-limited": {"replica": "lemmy", "options": {"trap": "limited"}},
    "lemmy-private": {"replica": "lemmy", "options": {"trap": "private"}},
    "mastodon": {},
    "mastodon-closed": {"replica": "mastodon", "options": {"trap": "closed"}},
    "mastodon-disabled": {"replica": "mastodon", "options": {"trap": "disabled"}},
    "mastodon-leak": {"replica": "mastodon", "options": {"trap": "leak"}},
    "mastodon-old": {"replica": "mastodon", "options": {"trap": "old"}},
    "mastodon-pleroma": {"replica": "mastodon", "options": {"trap": "pleroma"}, "platform": "pleroma"},
    "mastodon-gotosocial": {
        "replica": "mastodon",
        "options": {"trap": "gotosocial"},
        "platform": "gotosocial",
        "arguments": ("--robots", "ignore"),
    },
    "mastodon-gab": {"replica": "mastodon", "options": {"trap": "gab"}, "platform": "gab"},
    "odysee": {
        "replica": "videos",
        "options": {"trap": "odysee"},
        "platform": "odysee",
        "seed": "odysee.com/@heron0:0",
        "arguments": ("--rate", "60"),
    },
    "odysee-leak": {
        "replica": "videos",
        "options": {"trap": "odysee,leak"},
        "platform": "odysee",
        "seed": "odysee.com/@heron0:0",
        "arguments": ("--rate", "60"),
    },
    "bitchute": {
        "replica": "videos",
        "options": {"trap": "bitchute"},
        "platform": "bitchute",
        "seed": "www.bitchute.com/channel/heron0/",
        "arguments": ("--rate", "60"),
    },
    "bitchute-leak": {
        "replica": "videos",
        "options": {"trap": "bitchute,leak"},
        "platform": "bitchute",
        "seed": "www.bitchute.com/channel/heron0/",
        "arguments": ("--rate", "60"),
    },
    "rumble": {"replica": "videos", "platform": "rumble", "seed": "rumble.com", "arguments": ("--rate", "60")},
    "rumble-json": {
        "replica": "videos",
        "options": {"trap": "json"},
        "platform": "rumble",
        "seed": "rumble.com",
        "arguments": ("--rate", "60"),
    },
    "peertube": {},
    "peertube-closed": {"replica": "peertube", "options": {"trap": "closed"}},
    "peertube-leak": {"replica": "peertube", "options": {"trap": "leak"}},
    "peertube-limited": {"replica": "peertube", "options": {"trap": "limited"}},
    "peertube-old": {"replica": "peertube", "options": {"trap": "old"}},
    "pixelfed": {},
    "pixelfed-leak": {"replica": "pixelfed", "options": {"trap": "leak"}},
    "ghost": {},
    "ghost-nokey": {"replica": "ghost", "options": {"trap": "nokey"}},
    "ghost-closed": {"replica": "ghost", "options": {"trap": "closed"}},
    "ghost-leak": {"replica": "ghost", "options": {"trap": "leak"}},
    "mediawiki": {},
    "mediawiki-private": {"replica": "mediawiki", "options": {"trap": "private"}},
    "mediawiki-lag": {"replica": "mediawiki", "options": {"trap": "lag"}},
    "mediawiki-leak": {"replica": "mediawiki", "options": {"trap": "leak"}},
    "mediawiki-root": {"replica": "mediawiki", "options": {"trap": "root"}},
    "misskey": {},
    "misskey-closed": {"replica": "misskey", "options": {"trap": "closed"}},
    "misskey-nodirectory": {"replica": "misskey", "options": {"trap": "nodirectory"}},
    "misskey-leak": {"replica": "misskey", "options": {"trap": "leak"}},
    "misskey-unnamed": {"replica": "misskey", "options": {"trap": "unnamed"}},
    "misskey-sharkey": {"replica": "misskey", "options": {"trap": "sharkey,limited"}, "platform": "sharkey"},
    "misskey-firefish": {"replica": "misskey", "options": {"trap": "firefish"}, "platform": "firefish"},
    # Many hosts are asked at once: a kill loses what is under way to each of them.
    "reddit": {"seed": "www.reddit.com/r/tea", "arguments": ("--rate", "60")},
    "reddit-leak": {
        "replica": "reddit",
        "options": {"trap": "leak"},
        "seed": "www.reddit.com/r/tea",
        "arguments": ("--rate", "60"),
    },
    "reddit-blocked": {
        "replica": "reddit",
        "options": {"trap": "blocked"},
        "seed": "www.reddit.com/r/tea",
        "arguments": ("--rate", "60"),
    },
    "reddit-feeds": {
        "replica": "reddit",
        "options": {"trap": "feeds"},
        "seed": "www.reddit.com/r/tea",
        "codes": (3,),
    },
    "reddit-private": {
        "replica": "reddit",
        "options": {"trap": "private"},
        "seed": "www.reddit.com/r/tea",
        "codes": (3, 9),
    },
    "phpbb": {"replica": "forums", "platform": "phpbb"},
    "phpbb-leak": {"replica": "forums", "options": {"trap": "phpbb,leak"}, "platform": "phpbb"},
    "phpbb-nomembers": {"replica": "forums", "options": {"trap": "phpbb,nomembers"}, "platform": "phpbb"},
    "phpbb-repeat": {"replica": "forums", "options": {"trap": "phpbb,repeat"}, "platform": "phpbb"},
    "proboards": {"replica": "forums", "options": {"trap": "proboards"}, "platform": "proboards"},
    "smf": {"replica": "forums", "options": {"trap": "smf"}, "platform": "smf"},
    "telegram": {"seed": "t.me/herontea", "arguments": ("--rate", "60")},
    "telegram-nopreview": {
        "replica": "telegram",
        "options": {"trap": "nopreview"},
        "seed": "t.me/herontea",
        "arguments": ("--rate", "60"),
    },
    "telegram-holes": {
        "replica": "telegram",
        "options": {"trap": "holes,repeat"},
        "seed": "t.me/herontea",
        "arguments": ("--rate", "60"),
    },
    "telegram-albums": {
        "replica": "telegram",
        "options": {"trap": "albums"},
        "seed": "t.me/s/herontea",
        "arguments": ("--rate", "60"),
    },
    "telegram-expiring": {
        "replica": "telegram",
        "options": {"trap": "expiring"},
        "seed": "t.me/herontea",
        "arguments": ("--rate", "60"),
    },
    "vbulletin": {"replica": "forums", "options": {"trap": "vbulletin"}, "platform": "vbulletin"},
    "vbulletin-5": {"replica": "forums", "options": {"trap": "vbulletin5"}, "platform": "vbulletin"},
    "wordpress": {},
    "wordpress-query": {"replica": "wordpress", "options": {"trap": "query"}},
    "wordpress-closed": {"replica": "wordpress", "options": {"trap": "closed"}},
    "wordpress-feed": {"replica": "wordpress", "options": {"trap": "nositemap"}},
    "wordpress-bare": {"replica": "wordpress", "options": {"trap": "bare"}},
    "wordpress-nousers": {"replica": "wordpress", "options": {"trap": "nousers"}},
    "wordpress-leak": {"replica": "wordpress", "options": {"trap": "leak"}},
    "xenforo": {"replica": "forums", "options": {"trap": "xenforo"}, "platform": "xenforo"},
    "xenforo-nofiles": {"replica": "forums", "options": {"trap": "xenforo,nofiles"}, "platform": "xenforo"},
}

#: Requests whose answers a kill may have lost: of no weight but in a small replica.
IN_FLIGHT = 32


@dataclass
class Row:
    """What came of one platform."""

    name: str
    platform: str = ""
    #: kind → (held, public truth).
    kinds: dict[str, tuple[int, int]] = field(default_factory=dict)
    private: int = 0
    #: Requests of the crawl itself, and those that recognised the site and asked, on resuming, whether it is there.
    requests: int = 0
    probes: int = 0
    least: int = 0
    doubled: int = 0
    codes: tuple[int, ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.requests / self.least if self.least else 0.0

    @property
    def is_whole(self) -> bool:
        return all(held == public for held, public in self.kinds.values()) and not (self.private or self.problems)

    @property
    def is_good(self) -> bool:
        return self.is_whole and self.requests <= 1.2 * self.least + IN_FLIGHT and not self.doubled

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {held}/{public}" for kind, (held, public) in self.kinds.items())
        return (
            f"{self.name} ({self.platform}): {kinds}; private {self.private}; {self.probes} + {self.requests} requests, "
            f"{self.ratio:.2f} of the least ({self.least}); exits {self.codes}; {'; '.join(self.problems)}"
        )


def crawled(name: str, work: Path, *, size: int = 100, killed: bool = True, rate: int = 0) -> Row:
    """Crawl the replica of a row into ``work/c``, at most ``rate`` requests a second if it is not 0."""
    facts = ROWS[name]
    replica_name = facts.get("replica", name)
    wanted = facts.get("platform", replica_name)
    row, directory = Row(name), work / "c"
    with running(replica_name, size=size, **facts.get("options", {})) as replica:
        seed = facts.get("seed", f"127.0.0.1:{replica.port}")
        command = ["crawl", seed, "--into", str(directory), *(("--rate", str(rate)) if rate else ())]
        command += facts.get("arguments", ())
        command += to_replica(replica) if replica.ca else []
        row.least = replica.nmin()["total"]
        was_killed = killed and _kill_halfway(command, replica, row.least, directory)
        ran = archive(*command, timeout=facts.get("timeout", 280))
        row.codes = (ran.code,)
        if ran.code not in facts.get("codes", (0,)):
            row.problems.append(ran.err[-800:])
        row.requests = sum(1 for one in replica.ledger() if not one["target"].startswith("/robots.txt"))
        row.probes = sum(1 for one in exchanges(directory) if one.work.get("lane") == PROBE_LANE) + was_killed
        row.requests -= row.probes
        truth = list(replica.things())
    if not (directory / "warcs").is_dir():
        row.problems.append("there is no collection")
        return row
    row.platform = json.loads((directory / "collection.json").read_text())["platform"]
    if row.platform != wanted:
        row.problems.append(f"recognised as {row.platform}, not {wanted}")
    row.doubled = sum(doubles(directory).values())
    if archive("verify", directory).code:
        row.problems.append("verify finds damage")
    compare(row, truth, directory)
    return row


def _kill_halfway(command: list[str], replica: Any, least: int, directory: Path) -> bool:
    """Start a crawl and end all of its processes at once when the site is recognised and half of the work is done.

    Return whether there was anything left to end.
    """
    crawl = start(*command)
    until = time.monotonic() + 60
    while crawl.poll() is None and time.monotonic() < until:
        if replica.stats()["exchanges"] >= least / 2 and any(directory.glob("warcs/*-probe-*")):
            break
        time.sleep(0.02)
    is_running = crawl.poll() is None
    if is_running:
        os.killpg(crawl.pid, signal.SIGKILL)
    crawl.wait()
    return is_running


def compare(row: Row, truth: list[dict[str, Any]], directory: Path) -> None:
    """Hold a collection against what a replica has."""
    said = items(directory, row)
    files, row.private = held(directory)
    counts: dict[str, Counter[str]] = {}
    for thing in truth:
        if not thing["public"]:
            row.private += bool(thing["item"]) and (thing["item"], thing["id"]) in said
            continue
        count = counts.setdefault(thing["kind"], Counter())
        count["public"] += 1
        digests = files.get(_path(thing["url"])) if thing["url"] else set()
        has_file = digests is not None and thing.get("sha256", "") in {"", *digests}
        has_item = not thing["item"] or (thing["item"], thing["id"]) in said
        if has_file and has_item:
            count["held"] += 1
        elif count["shown"] < 3:
            count["shown"] += 1
            lacks = "an item" if has_file else "a file"
            row.problems.append(f"{thing['kind']} {thing['id']} ({thing['url']}) lacks {lacks}")
    row.kinds = {kind: (count["held"], count["public"]) for kind, count in counts.items()}


def items(directory: Path, row: Row | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (Account | Post | Media, id) → what the spider says of it, from the WARCs alone."""
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests/acceptance/reread.py"), str(directory)],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if done.returncode:
        if row is None:
            raise AssertionError(done.stderr)
        row.problems.append(f"rereading: {done.stderr[-500:]}")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return {(one["item"], one["id"]): one for one in said}


def held(directory: Path) -> tuple[dict[str, set[str]], int]:
    """Return path with query → SHA-256 of the payloads held with 200, and how many records hold what is private.

    What stands in segments of the restricted class is meant for nobody.
    """
    found: dict[str, set[str]] = {}
    private = 0
    for path in sorted((directory / "warcs").glob("*.warc.gz")):
        if "-restricted." in path.name:
            continue
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                url = record.rec_headers.get("WARC-Target-URI") or ""
                body = record.content_stream().read()
                # The metadata record of what was refused keeps its URL: that it was there, and why it is not kept.
                private += PRIVATE.encode() in body or (record.rec_type != "metadata" and PRIVATE in url)
                answer = record.http_headers
                if record.rec_type in {"response", "revisit"} and answer and answer.get_statuscode() == "200":
                    digest = record.rec_headers.get("WARC-Payload-Digest") or ""
                    found.setdefault(_path(url), set()).add(digest.removeprefix("sha256:"))
    return found, private


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
