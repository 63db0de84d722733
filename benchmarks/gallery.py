"""The rogue gallery beside the checkers there are: which file each of them refuses, by its exit status.

python benchmarks/gallery.py [--json] [--only WORD]

F: refused. W: passed with a warning that names the rule (``archive verify`` only). A dot: passed without a word.
A dash: it does not read such files. ``warcio check``, ``fastwarc check -p`` and ``wacz validate`` come with the
``test`` extra.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from crawler.warc.verify import RULES
from tests.standard.rogues import ROWS, Row

TOOLS = {
    "archive verify": ((".warc", ".warc.gz", ".warc.zst", ".wacz"), ["-m", "cli", "verify", "--json"]),
    "warcio check": ((".warc", ".warc.gz"), ["-m", "warcio.cli", "check"]),
    "fastwarc check -p": ((".warc", ".warc.gz", ".warc.zst"), ["-m", "fastwarc.cli", "check", "-p"]),
    "wacz validate": ((".wacz",), ["-c", "import sys, wacz.main; sys.exit(wacz.main.main())", "validate", "-f"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds this word")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only in row.name]
    if not options.json:
        print(f"| file | rule | {' | '.join(TOOLS)} |\n| --- | --- |{' --- |' * len(TOOLS)}")
    wrong = 0
    for row in rows:
        told = look(row)
        wrong += not is_right(row, told["archive verify"])
        if options.json:
            print(json.dumps({"file": row.name + row.suffix, "rule": row.rule, **told}))
        else:
            print(f"| {row.name} ({row.suffix}) | {row.rule or 'good'} | {' | '.join(told.values())} |")
    print(f"{len(rows)} files, {wrong} of them judged wrongly by archive verify", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def look(row: Row) -> dict[str, str]:
    """Return what each tool makes of a file."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"data{row.suffix}"
        path.write_bytes(row.make())
        return {
            tool: asked(command, path, row) if row.suffix in suffixes else "-"
            for tool, (suffixes, command) in TOOLS.items()
        }


def asked(command: list[str], path: Path, row: Row) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command, path],
        capture_output=True,
        cwd=Path(__file__).parent.parent,
        check=False,
    )
    if done.returncode:
        return "F"
    return "W" if row.rule and f'"{row.rule}"'.encode() in done.stdout else "·"


def is_right(row: Row, verdict: str) -> bool:
    due = (
        "·" if not row.rule else "F" if RULES[row.rule].severity == "error" and "another file" not in row.name else "W"
    )
    return verdict == due


if __name__ == "__main__":
    main()
