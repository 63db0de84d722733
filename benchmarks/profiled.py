"""Where the CPU time of a crawl goes: py-spy over all of its processes, as shares by file and by function.

python benchmarks/profiled.py [--pages 4000] [--images 1200] [--workers 1] [--top 15] [--work DIR]

The site is that of ``peers.py``. Samples are of threads that hold the interpreter's lock (``py-spy --gil``), so they
add up to what Python does; hashing, compression and the kernel work without it and are not in them. py-spy comes from
pip, into an environment below the work directory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.origin import warm
from benchmarks.peers import serving
from benchmarks.site import make
from tests.acceptance.support import command, environment

#: Samples a second.
RATE = 400
_PARTS = (("crawler.worker", "worker"), ("multiprocessing", "sealer"), ("cli", "supervisor"))


@dataclass
class Profile:
    """Samples of one sort of process."""

    samples: int = 0
    files: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=4000)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--top", type=int, default=15)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "outlast-peers")
    given = parser.parse_args()
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    site = make(work / f"site-{given.pages}-{given.images}", pages=given.pages, images=given.images)
    with serving(site, work) as origin, tempfile.TemporaryDirectory() as place:
        warm(site, origin)
        crawl = command("crawl", origin.url(), "--into", f"{place}/c", "--workers", given.workers, "--quiet")
        raw = Path(place) / "raw"
        spy = [str(_spy(work)), "record", "--gil", "--subprocesses", "--rate", str(RATE), "--format", "raw"]
        subprocess.run([*spy, "--output", str(raw), "--", *crawl], check=True, env=environment(), capture_output=True)
        _tell(read(raw.read_text()), given.top)
    return 0


def _spy(work: Path) -> Path:
    """Return py-spy, installed where it is missing."""
    place = work / "venvs" / "py-spy"
    program = place / "bin" / "py-spy"
    if not program.exists():
        venv.create(place, with_pip=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "-q", "py-spy"], check=True)
    return program


def read(raw: str) -> dict[str, Profile]:
    """Return process → profile from py-spy's raw form: frames with ``;`` between, outermost first, and a count."""
    found: dict[str, Profile] = {}
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        last = max((at for at, frame in enumerate(frames) if frame.startswith("process ")), default=-1)
        name = next((name for mark, name in _PARTS if last >= 0 and mark in frames[last]), "supervisor")
        own = [frame.rpartition(":")[0] + ")" for frame in frames[last + 1 :]]
        if not own:
            continue
        if any("crawler/worker.py" in frame for frame in own):  # forked, with the command line of who forked it
            name = "worker"
        profile, times = found.setdefault(name, Profile()), int(count)
        profile.samples += times
        profile.files[own[-1].rpartition("(")[2].rstrip(")")] += times
        profile.functions.update(dict.fromkeys(set(own), times))
    return found


def _tell(profiles: dict[str, Profile], top: int) -> None:
    whole = sum(profile.samples for profile in profiles.values()) or 1
    for name, profile in sorted(profiles.items(), key=lambda one: -one[1].samples):
        print(f"{name}: {profile.samples / whole:.0%} of all samples, {profile.samples / RATE:.1f} s")
        tables = (("by file, itself", profile.files), ("by function, with what it calls", profile.functions))
        for title, counts in tables:
            print(f"  {title}")
            for what, count in counts.most_common(top):
                print(f"    {count / profile.samples:6.1%}  {what}")


if __name__ == "__main__":
    sys.exit(main())
