"""How hypothesis makes inputs for the targets: kept ones with pieces changed, and messages made by a grammar."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
#: What breaks parsers, whatever they parse.
TOKENS = [
    b"", b"\n", b"\r\n", b"\r\n\r\n", b"\r", b"\0", b" ", b"\t", b":", b"/", b"//", b"?", b"#", b"%", b"%25", b"%00", b"[", b"]", b"@",
    b"<", b">", b"</", b"<!--", b'"', b"'", b"&#0;", b"\\", b"{", b"}", b",", b";", b"=", b"-1", b"0", b"9" * 20, b"1e9", b"\xff",
    b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xf0\x9f\x92\xa9", b"http://[", b"WARC/1.1\r\n", b"HTTP/1.1 ", b"Content-Length: ",
]  # fmt: skip

#: The normal test run: few examples, the same ones each time.
few = settings(max_examples=50, deadline=None, derandomize=True)
some = settings(max_examples=150, deadline=None, derandomize=True)


@cache
def kept(name: str) -> dict[str, bytes]:
    """Return the corpus of a target: name of the file → input."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """A kept input of a target with a few pieces replaced, repeated or cut out."""
    data = bytearray(draw(st.sampled_from(list(kept(name).values()))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 30))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(bytes(data[at : at + length] * 2)))
        data[at : at + length] = piece
    return bytes(data)


def anything(name: str) -> st.SearchStrategy[bytes]:
    """Any bytes, and what is nearly right."""
    return st.binary(max_size=300) | changed(name)
