"""Fuzz one target with libFuzzer, guided by coverage: ``python -m tests.fuzz.run TARGET [--seconds 60]``.

New inputs gather in ``--work`` (a folder outside of the checkout), beginning with what ``corpus/TARGET`` holds. What
breaks a property is written there as ``crash-…`` and ends the run with exit code 77; ``--shrink FILE`` makes such an
input as small as it gets, ``--once FILE`` runs it alone. Keep it under a speaking name in ``corpus/TARGET``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
#: Bytes of an input; and seconds that one may take before it counts as a hang.
MAX_LENGTH, MAX_SECONDS = 8192, 10


def main() -> int:
    """Run the fuzzer; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("target", help="name of a function in targets.py, or `list`")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "outlast-fuzz")
    parser.add_argument("--once", type=Path, metavar="FILE")
    parser.add_argument("--shrink", type=Path, metavar="FILE")
    parser.add_argument("--length", type=int, default=MAX_LENGTH)
    options = parser.parse_args()
    try:
        import atheris  # noqa: PLC0415 - a tool of its own, no dependency of the tests
    except ImportError:
        print("atheris is not installed here; python -m pip install atheris (Linux, CPython 3.11 to 3.13)")
        return 2
    atheris.enabled_hooks.add("str")  # what a text is compared with is worth trying
    with atheris.instrument_imports(include=["crawler", "spiders"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - only code imported in here is instrumented
    if options.target not in TARGETS:
        print("\n".join(f"{name:12} {(function.__doc__ or '').splitlines()[0]}" for name, function in TARGETS.items()))
        return 0 if options.target == "list" else 2
    run = TARGETS[options.target]
    if options.once:
        run(options.once.read_bytes())
        return 0
    work = options.work / options.target
    work.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], f"-max_total_time={options.seconds}", f"-max_len={options.length}", f"-timeout={MAX_SECONDS}",
        "-rss_limit_mb=1500", f"-artifact_prefix={work}/", "-print_final_stats=1", "-len_control=20",
    ]  # fmt: skip
    if options.shrink:
        arguments += ["-minimize_crash=1", str(options.shrink)]
    else:
        found = work / "found"
        found.mkdir(exist_ok=True)
        arguments += [str(found), str(CORPUS / options.target)]
    atheris.Setup(arguments, run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
