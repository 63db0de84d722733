"""Figures: whatever is counted is drawn, in a bounded number of columns."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.reading.figures import HEIGHT, LEAST, MOST, WIDTH, Timeline, second, shares, strip
from crawler.reading.sniff import media_type
from crawler.reading.templating import between, harmless, oneline, size

MOMENTS = st.integers(-(10**11), 2 * 10**11)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy
@given(st.lists(st.tuples(MOMENTS, st.sampled_from("ab"), st.integers(1, 9)), min_size=1, max_size=60))
def test_all_that_is_counted_is_drawn(points: list[tuple[int, str, int]]) -> None:
    timeline = Timeline()
    for point in points:
        timeline.add(*point)
    assert sum(sum(found.values()) for found in timeline.counts.values()) == sum(count for _, _, count in points)
    figure = timeline.columns(["a", "b"])
    assert figure is not None
    assert len(figure.rows) <= MOST
    assert sum(sum(counts) for _, counts in figure.rows) == sum(count for _, _, count in points)
    for box in figure.boxes:
        assert 0 <= box.x <= box.x + box.width <= WIDTH
        assert 0 <= round(box.y, 1) <= round(box.y + box.height, 1) <= HEIGHT


def test_columns_are_as_wide_as_the_span_needs() -> None:
    timeline = Timeline()
    timeline.add(0, "a")
    assert timeline.columns(["a"]).step == "a minute"
    timeline.add(3600 * 24, "a")
    assert timeline.columns(["a"]).step == "15 minutes"
    timeline.add(86400 * 365 * 10, "a")
    assert timeline.columns(["a"]).step == "84 days"
    assert Timeline().columns(["a"]) is None


def test_a_window_is_marked_as_far_as_it_is_drawn() -> None:
    timeline = Timeline(finest=86400)
    for day in range(20):
        timeline.add(day * 86400, "a")
    figure = timeline.columns(["a"], (5 * 86400, 10 * 86400))
    wide = figure.boxes[1].x - figure.boxes[0].x
    assert figure.window.x == pytest.approx(figure.boxes[5].x, abs=0.1)
    assert figure.window.width == pytest.approx(5 * wide, abs=0.1)
    assert timeline.columns(["a"], (None, 3 * 86400)).window.width == pytest.approx(3 * wide, abs=0.1)
    assert timeline.columns(["a"], (100 * 86400, 200 * 86400)).window is None
    assert LEAST < 20


def test_silences_are_the_long_ones() -> None:
    timeline = Timeline()
    for minute in (0, 1, 3, 13, 14, 60):
        timeline.add(minute * 60, "a")
    assert timeline.silences() == [
        ("1970-01-01 00:15", "1970-01-01 01:00"),
        ("1970-01-01 00:04", "1970-01-01 00:13"),
    ]


def test_holes_and_shares_are_to_scale() -> None:
    (box,) = strip(1, 100, [(51, 75)])
    assert (box.x, box.width) == (WIDTH / 2, WIDTH / 4)
    assert strip(1, 10**9, [(5, 5)])[0].width > 0.5
    assert [(one.name, one.x, one.width) for one in shares({"a": 1, "b": 3}, ("a", "b"))] == [
        ("a", 0, 25),
        ("b", 25, 75),
    ]
    assert shares({}, ("a",)) == []


@pytest.mark.parametrize("text", ["", None, "yesterday", "0000-00-00", "9" * 30])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert second(text) is None


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\xff\xd8\xff\xe0", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\0\0\0\x18ftypisom", "video/mp4"),
     (b"\0\0\0\x18ftypavif", "image/avif"), (b"\0\0\0\x18ftypheic", None), (b"<svg xmlns=", None), (b"<html><script>", None), (b"%PDF-1.7", None),
     (b"", None), (b"GIF89a", "image/gif"), (b"\x1aE\xdf\xa3", "video/webm")],
)  # fmt: skip
def test_only_what_can_be_shown_has_a_type(start: bytes, kind: str | None) -> None:
    assert media_type(start) == kind


def test_texts_of_strangers() -> None:
    assert harmless("a\u202eb\x1bc\nd\té\u200dא\ud800") == "ab\ufffdc\nd\té\u200dא\ufffd"
    assert harmless(7) == 7
    assert oneline(" a \n b " + "x" * 300, 10) == "a b xxxxx…"
    assert between("2021-01-06T10:00:00+00:00", "2021-01-06T10:00:30+00:00") == "2021-01-06 10:00 UTC"
    assert between("2021-01-06T10:00", "2021-01-07T10:00") == "2021-01-06 10:00 to 2021-01-07 10:00 UTC"
    assert between(None, None) == "no date"
    assert (size(None), size(1536), size(5 << 40)) == ("0 B", "1.5 KiB", "5.0 TiB")
