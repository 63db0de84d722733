"""A deterministic website on disk, for crawlers to be compared on, and the truth of what a crawl of it must hold.

Pages of about 12 KB of word-like text with some ten links each, so that every one is reached from the front page;
JPEGs of noise, which nothing can compress; redirects, dead links and a robots.txt that allows all. Everything is a
function of the sizes asked for and the seed, so that two machines crawl the same site.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import struct
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Counts up when what is made changes, so that no old site is taken for a new one.
VERSION = 1
LINKS = 10
#: Pages that only this page is sure to lead to: with four, 4,000 pages are at most six clicks from the front.
CHILDREN = 4
#: One page in so many links to a redirect and to a page that is not there.
ODD_EVERY = 40
ROBOTS = b"User-agent: *\nDisallow:\n"
IMAGE_SIZES = (50_000, 300_000)
PAGE_SIZE = 12_000
_SYLLABLES = ("ba", "co", "del", "er", "fin", "gor", "hul", "is", "jan", "kel", "lo", "mir", "nas", "op", "ter", "vu")
#: Start of image, and JFIF 1.1 with square pixels (ITU T.81 annex B, JFIF section 2).
_JPEG_BEGIN = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Truth:
    """What the answer to one path must be."""

    kind: str
    status: int
    #: Hex; empty until the origin was asked, where it words the answer itself (redirects and 404s).
    sha256: str = ""
    #: Hex.
    sha1: str = ""
    size: int = 0

    @property
    def digests(self) -> set[str]:
        """Return what WARC-Payload-Digest may say of the body, in small letters."""
        both = {"sha256": self.sha256, "sha1": self.sha1}
        base32 = {name: base64.b32encode(bytes.fromhex(digest)).decode().lower() for name, digest in both.items()}
        return {f"{name}:{digest}" for table in (both, base32) for name, digest in table.items()}

    def with_body(self, body: bytes) -> Truth:
        return Truth(self.kind, self.status, *_digests(body), len(body))


@dataclass(slots=True)
class Site:
    """A site as it lies on disk."""

    root: Path
    pages: int
    images: int
    #: Path → what a crawl must hold for it. robots.txt is no part of it: not every peer asks for it.
    truth: dict[str, Truth] = field(default_factory=dict)
    #: Path → where it redirects to.
    moved: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(truth.size for truth in self.truth.values())


def make(root: Path, *, pages: int, images: int, seed: int = 1) -> Site:
    """Return the site below ``root``, made now or by an earlier run."""
    site = Site(root, pages, images, moved=_moved(pages))
    asked = {"version": VERSION, "pages": pages, "images": images, "seed": seed}
    book = root.with_suffix(".json")
    if book.is_file() and (kept := json.loads(book.read_text()))["asked"] == asked:
        site.truth = {path: Truth(**facts) for path, facts in kept["truth"].items()}
        return site
    rng = random.Random(seed)
    _write_images(site, rng)
    _write_pages(site, rng)
    site.truth |= {path: Truth("redirect", 301) for path in site.moved}
    site.truth |= {_gone(number): Truth("missing", 404) for number in _odd(pages)}
    (root / "robots.txt").write_bytes(ROBOTS)
    book.write_text(json.dumps({"asked": asked, "truth": {path: asdict(t) for path, t in site.truth.items()}}))
    return site


def file_of(site: Site, path: str) -> Path:
    """Return the file behind a path."""
    return site.root / (path[1:] or "index.html")


def _write_images(site: Site, rng: random.Random) -> None:
    for number in range(site.images):
        noise = rng.randbytes(rng.randint(*IMAGE_SIZES))
        _keep(site, _image(number), "image", _JPEG_BEGIN + _frame(rng) + noise + _JPEG_END)


def _frame(rng: random.Random) -> bytes:
    """Return the frame and scan headers of a grey picture; what follows them is noise."""
    frame = struct.pack(">HBHHB3B", 11, 8, rng.randint(200, 999), rng.randint(200, 999), 1, 1, 0x11, 0)
    scan = struct.pack(">HB2B3B", 8, 1, 1, 0, 0, 63, 0)
    return b"\xff\xc0" + frame + b"\xff\xda" + scan


def _write_pages(site: Site, rng: random.Random) -> None:
    words = sorted({"".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(3000)})
    rng.shuffle(words)
    # Few words make up most of a text (Zipf), and so it compresses as text does.
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    for number in range(site.pages):
        text = " ".join(rng.choices(words, weights, k=PAGE_SIZE // 4))[:PAGE_SIZE]
        _keep(site, _page(number), "page", _html(site, number, text, rng).encode())


def _html(site: Site, number: int, text: str, rng: random.Random) -> str:
    links = _links(site.pages, number, rng)
    # Each image belongs to one page; its neighbours show it as well.
    first = number * site.images // site.pages
    shown = {image % site.images for image in (first, first + 1)} if site.images else ()
    parts = _cut(text, len(links) + 1)
    body = "".join(
        f'<p>{part} <a href="{link}">more of {link}</a></p>\n' for part, link in zip(parts, links, strict=False)
    )
    pictures = "".join(f'<p><img src="{_image(image)}" alt="picture {image}"></p>\n' for image in sorted(shown))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Page {number}</title></head>\n'
        f"<body><h1>Page {number}</h1>\n{pictures}{body}<p>{parts[-1]}</p></body></html>\n"
    )


def _links(pages: int, number: int, rng: random.Random) -> list[str]:
    """Return where a page leads: to its children in the tree, to anywhere, and now and then nowhere."""
    children = range(CHILDREN * number + 1, min(CHILDREN * number + CHILDREN + 1, pages))
    links = [_page(child) for child in children]
    if number % ODD_EVERY == 0:
        links += [_moved_path(number), _gone(number)]
    links += [_page(rng.randrange(pages)) for _ in range(LINKS - len(links))]
    return links


def _cut(text: str, parts: int) -> list[str]:
    words = text.split(" ")
    size = -(-len(words) // parts)
    return [" ".join(words[at : at + size]) for at in range(0, len(words), size)]


def _keep(site: Site, path: str, kind: str, body: bytes) -> None:
    file = file_of(site, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    site.truth[path] = Truth(kind, 200).with_body(body)


def _digests(body: bytes) -> tuple[str, str]:
    return hashlib.sha256(body).hexdigest(), hashlib.sha1(body).hexdigest()


def _moved(pages: int) -> dict[str, str]:
    return {_moved_path(number): _page((number * 7 + 3) % pages) for number in _odd(pages)}


def _odd(pages: int) -> range:
    return range(0, pages, ODD_EVERY)


def _page(number: int) -> str:
    return f"/page/{number}.html" if number else "/"


def _image(number: int) -> str:
    return f"/image/{number}.jpg"


def _moved_path(number: int) -> str:
    return f"/moved/{number}"


def _gone(number: int) -> str:
    return f"/gone/{number}.html"
