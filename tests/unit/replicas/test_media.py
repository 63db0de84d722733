"""The replica's pictures and films are what they say, byte by byte."""

from __future__ import annotations

import pytest

from crawler.replicas.films import Film
from crawler.replicas.images import jpeg, png
from tests.unit.replicas import structure


@pytest.mark.parametrize(("width", "height"), [(320, 240), (256, 256), (8, 8), (480, 160)])
def test_a_jpeg_decodes_to_its_last_block(width: int, height: int) -> None:
    for key in "abcdef":
        assert structure.jpeg(jpeg(key, width, height)) == (width, height)


def test_a_png_inflates_and_its_checksums_hold() -> None:
    assert structure.png(png("a")) == (64, 64)
    assert structure.png(png("b", 16)) == (16, 16)


def test_another_key_is_another_picture() -> None:
    assert len({jpeg(str(n)) for n in range(50)} | {png(str(n)) for n in range(50)}) == 100


@pytest.mark.parametrize("quicktime", [False, True])
@pytest.mark.parametrize("filler", [0, 1, 70_000, 200_000])
def test_the_frames_of_a_film_are_where_it_says(filler: int, quicktime: bool) -> None:
    made = Film(key="k", frames=12, quicktime=quicktime, notes={b"\xa9xyz": "+10.0000-020.0000/"}, filler=filler)
    data = made.data()
    assert len(data) == made.size()
    assert data[8:12] == (b"qt  " if quicktime else b"isom")
    assert structure.film(data) == {b"\xa9xyz": "+10.0000-020.0000/"}
    assert [len(piece) for piece in made.pieces()][1:] == [65536] * (filler // 65536) + [filler % 65536] * (
        filler % 65536 > 0
    )


def test_a_film_may_say_nothing_of_itself() -> None:
    assert structure.film(Film(key="k", frames=4).data()) == {}
