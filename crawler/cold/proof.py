"""What proves a copy: sums that the server computed itself, where its probe showed that it does; else reading back.

Pure. A sum of the whole says most, then those of the parts; where several are told, all must be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.cold.canary import bare, etag_of_parts, whole_sum

if TYPE_CHECKING:
    from crawler.cold.canary import Profile
    from crawler.cold.objects import Object


def judged(profile: Profile, thing: Object, head: dict[str, Any]) -> tuple[str, str]:
    """Return (what proves it, what is wrong with it), both empty where what is told of a copy says nothing."""
    length = head.get("ContentLength")
    if length != thing.bytes:
        return "", f"it has {length} bytes, not {thing.bytes}"
    proof = ""
    for name, told, right in _sums(profile, thing, head):
        if told != right:
            return "", f"its {name} is {told}, not {right}"
        proof = proof or name
    return proof, ""


def _sums(profile: Profile, thing: Object, head: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, what is told, what is right) of the sums that can be believed."""
    found = []
    if "SHA256" in profile.checksums and (told := whole_sum(head, "SHA256")):
        found.append(("SHA-256", told, thing.sha256))
    crc32 = profile.whole_crc32 or "CRC32" in profile.checksums
    if crc32 and thing.crc32 and (told := whole_sum(head, "CRC32")):
        found.append(("CRC32", told, thing.crc32))
    # What came whole has the MD5 of the whole, whatever its length.
    came_in_parts = len(thing.part_md5) > 1 and profile.takes_parts
    is_its_own = profile.etag_of_parts if came_in_parts else profile.etag_is_md5
    if profile.is_intact and profile.checks_md5 and is_its_own:
        right = etag_of_parts(thing.part_md5) if came_in_parts else thing.md5
        found.append(("ETag", bare(str(head.get("ETag", ""))), right))
    return found
