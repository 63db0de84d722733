"""The MD5 of each part and of the whole are those that hashlib gives, however the bytes come."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.warc import seal


@given(st.lists(st.binary(max_size=50), max_size=12))
def test_they_are_those_of_hashlib(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seal, "PART_BYTES", 16)
        parts = seal._Parts()
        for piece in pieces:
            parts.update(piece)
        data = b"".join(pieces)
        cut = [data[at : at + 16] for at in range(0, len(data), 16)] or [b""]
        assert parts.hexdigests() == tuple(hashlib.md5(part).hexdigest() for part in cut)
        assert parts.whole == hashlib.md5(data).hexdigest()
