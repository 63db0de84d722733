"""A snapshot as Prometheus reads it: text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Sample = tuple[dict[str, str], float]

STATES = ("done", "queued", "leased", "parked", "failed", "excluded")
#: Hosts and reasons that get series of their own: strangers name any number of them.
MOST_SERIES = 20

#: name → (type, help)
METRICS = {
    "outlast_running": ("gauge", "1 while a crawl holds the collection."),
    "outlast_paused": ("gauge", "1 while an order keeps the crawl from asking anything."),
    "outlast_fetches": ("gauge", "Fetches by state."),
    "outlast_lane_fetches": ("gauge", "Fetches by lane and state."),
    "outlast_host_fetches": ("gauge", "Fetches by origin and state, of the busiest origins."),
    "outlast_host_wait_seconds": ("gauge", "For how long an origin is still left alone."),
    "outlast_captures_total": ("counter", "Captures that settled a fetch."),
    "outlast_attempts_total": ("counter", "Captures that settled nothing."),
    "outlast_wire_bytes_total": ("counter", "Bytes of responses on the wire."),
    "outlast_things": ("gauge", "Things of the platform by kind and standing."),
    "outlast_claimed": ("gauge", "How many things of a kind the platform says it has."),
    "outlast_reason_fetches": ("gauge", "Fetches that failed, are parked or were refused, by reason."),
    "outlast_fetches_per_second": ("gauge", "Fetches done a second, over the last minute."),
    "outlast_wire_bytes_per_second": ("gauge", "Bytes a second, over the last minute."),
    "outlast_saved_ratio": ("gauge", "Share of the fetches known so far that are done."),
    "outlast_remaining_seconds": ("gauge", "When the rest is done at this rate."),
    "outlast_deadline_timestamp_seconds": ("gauge", "The deadline."),
    "outlast_saved_ratio_by_deadline": ("gauge", "The share that is done by then at this rate."),
    "outlast_fetches_per_second_needed": ("gauge", "The rate that does all of it by then."),
    "outlast_workers": ("gauge", "Worker processes."),
    "outlast_segments": ("gauge", "Segments, open and sealed."),
    "outlast_segment_bytes": ("gauge", "Bytes of segments, open and sealed."),
    "outlast_copies": ("gauge", "Copies of objects by destination and state."),
    "outlast_copy_bytes": ("gauge", "Bytes of copies by destination and state."),
    "outlast_disk_free_bytes": ("gauge", "Bytes that are free where it is tightest."),
    "outlast_snapshot_timestamp_seconds": ("gauge", "When these figures were read."),
}


def text(shot: dict[str, Any]) -> str:
    """Return a snapshot in the text format; a metric of which nothing is known is not there."""
    samples: dict[str, list[Sample]] = {}
    for name, labels, value in _samples(shot):
        if value is not None:
            samples.setdefault(name, []).append((labels, float(value)))
    return "".join(_family(name, samples[name]) for name in METRICS if name in samples)


def _family(name: str, samples: list[Sample]) -> str:
    kind, told = METRICS[name]
    lines = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    told = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")[:200]


def _samples(shot: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], Any]]:
    yield "outlast_running", {}, shot["running"]
    yield "outlast_paused", {}, shot["orders"]["paused"]
    for state in STATES:
        yield "outlast_fetches", {"state": state}, shot[state]
    for lane, states in shot["lanes"].items():
        for state, n in states.items():
            yield "outlast_lane_fetches", {"lane": lane, "state": state}, n
    for host in shot["hosts"][:MOST_SERIES]:
        for state in ("queued", "leased", "done", "failed", "parked"):
            yield "outlast_host_fetches", {"origin": host["origin"], "state": state}, host[state]
        yield "outlast_host_wait_seconds", {"origin": host["origin"]}, host["wait"]
    for name in ("captures", "attempts"):
        yield f"outlast_{name}_total", {}, shot[name]
    yield "outlast_wire_bytes_total", {}, shot["bytes"]
    yield from _of_things(shot)
    yield from _of_time(shot["time"], shot["byte_rate"])
    yield from _of_keeping(shot)


def _of_things(shot: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], Any]]:
    for kind, counts in shot["coverage"].items():
        for standing, n in counts.items():
            yield "outlast_things", {"kind": kind, "standing": standing}, n
    for claim in shot["claims"]:
        yield "outlast_claimed", {"kind": claim["kind"], "counter": claim["counter"]}, claim["count"]
    for reason, n in list(shot["reasons"].items())[:MOST_SERIES]:
        yield "outlast_reason_fetches", {"reason": reason}, n


def _of_time(time: dict[str, Any], byte_rate: float) -> Iterator[tuple[str, dict[str, str], Any]]:
    yield "outlast_fetches_per_second", {}, time["rate"]
    yield "outlast_wire_bytes_per_second", {}, byte_rate
    yield "outlast_saved_ratio", {}, time["share"]
    yield "outlast_remaining_seconds", {}, time["eta"]
    yield "outlast_deadline_timestamp_seconds", {}, time["deadline"]
    yield "outlast_saved_ratio_by_deadline", {}, time.get("share_by_deadline")
    yield "outlast_fetches_per_second_needed", {}, time.get("rate_needed")


def _of_keeping(shot: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], Any]]:
    yield "outlast_workers", {}, len(shot["workers"])
    open_now = shot["open_segments"]
    for state, n, size in (
        ("open", len(open_now), sum(one["bytes"] for one in open_now)),
        ("sealed", shot["segments"], shot["segment_bytes"]),
    ):
        yield "outlast_segments", {"state": state}, n
        yield "outlast_segment_bytes", {"state": state}, size
    for one in shot["copies"]:
        labels = {"destination": one["destination"], "state": one["state"]}
        yield "outlast_copies", labels, one["objects"]
        yield "outlast_copy_bytes", labels, one["bytes"]
    yield "outlast_disk_free_bytes", {}, shot["disk"]["free"]
    yield "outlast_snapshot_timestamp_seconds", {}, shot["at"]
