import base64
import hashlib
import zlib

import pytest

from crawler.cold.canary import Profile, etag_of_parts
from crawler.cold.destination import Destination
from crawler.cold.objects import Object
from crawler.cold.proof import judged
from crawler.supervise import pressure

DATA = b"a segment" * 100
SHA256, MD5, CRC32 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest(), f"{zlib.crc32(DATA):08x}"
PARTS = tuple(hashlib.md5(half).hexdigest() for half in (DATA[:450], DATA[450:]))


def thing(*, parts: tuple[str, ...] = (MD5,), kind: str = "text", **more: object) -> Object:
    return Object(
        path="warcs/a", bytes=len(DATA), sha256=SHA256, md5=MD5, crc32=CRC32, part_bytes=450, part_md5=parts, key="k",
        segment_class=kind, **more,
    )  # fmt: skip


def told(**more: str) -> dict[str, object]:
    return {"ContentLength": len(DATA), **more}


def base64_of(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


ALL = Profile(
    is_intact=True, checks_md5=True, etag_is_md5=True, etag_of_parts=True, takes_parts=True, whole_crc32=True,
    checksums=("SHA256", "CRC32"),
)  # fmt: skip


def test_the_strongest_sum_is_the_proof() -> None:
    head = told(ETag=f'"{MD5}"', ChecksumSHA256=base64_of(SHA256), ChecksumType="FULL_OBJECT")
    assert judged(ALL, thing(), head) == ("SHA-256", "")
    parts = told(ETag=f'"{etag_of_parts(PARTS)}"', ChecksumCRC32=base64_of(CRC32), ChecksumType="FULL_OBJECT")
    assert judged(ALL, thing(parts=PARTS), parts) == ("CRC32", "")
    assert judged(ALL, thing(parts=PARTS), told(ETag=f'"{etag_of_parts(PARTS)}"')) == ("ETag", "")


def test_every_sum_that_is_told_must_be_right() -> None:
    head = told(ETag='"' + "0" * 32 + '"', ChecksumSHA256=base64_of(SHA256))
    assert "ETag" in judged(ALL, thing(), head)[1]
    assert "SHA-256" in judged(ALL, thing(), told(ETag=f'"{MD5}"', ChecksumSHA256=base64_of("00" * 32)))[1]
    assert "bytes" in judged(ALL, thing(), {**head, "ContentLength": 5})[1]


def test_what_was_not_seen_to_be_true_proves_nothing() -> None:
    head = told(ETag=f'"{MD5}"', ChecksumSHA256=base64_of(SHA256), ChecksumCRC32=base64_of(CRC32))
    assert judged(Profile(is_intact=True, etag_is_md5=True), thing(), head) == ("", "")
    # A sum of sums says nothing that we could compare.
    assert judged(
        Profile(is_intact=True, takes_parts=True, whole_crc32=True),
        thing(parts=PARTS),
        told(ChecksumCRC32=f"{base64_of(CRC32)}-2", ChecksumType="COMPOSITE"),
    ) == ("", "")


def test_an_object_that_came_whole_has_the_sum_of_the_whole() -> None:
    plain = Profile(is_intact=True, checks_md5=True, etag_is_md5=True, etag_of_parts=True, takes_parts=False)
    assert judged(plain, thing(parts=PARTS), told(ETag=f'"{MD5}"')) == ("ETag", "")


@pytest.mark.parametrize(
    ("kind", "says_all", "public", "originals", "may"),
    [
        ("restricted", False, True, True, False),
        ("restricted", False, False, False, True),
        ("originals", False, True, False, False),
        ("originals", False, True, True, True),
        ("text", False, True, False, True),
        ("", True, True, True, False),
        ("", True, False, False, True),
    ],
)
def test_strangers_get_nothing_that_is_restricted(
    kind: str, says_all: bool, public: bool, originals: bool, may: bool
) -> None:
    there = Destination(name="x", bucket="b", public=public)
    assert thing(kind=kind, tells_all=says_all).may_go_to(there, public_originals=originals) is may


def test_the_brake_comes_on_as_the_disk_fills() -> None:
    gib = 1 << 30
    assert pressure(3 * gib, gib, 2 * gib) == 0
    assert pressure(2 * gib, gib, 2 * gib) == 0.5
    assert pressure(gib, gib, 2 * gib) == 1
    assert pressure(9 * gib, gib, 2 * gib) == 0
