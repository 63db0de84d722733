"""What keeps platforms where they belong: spiders are small, and nothing below them knows a platform by name."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from importlib.util import find_spec
from pathlib import Path

import pytest

from spiders.registry import BUILT_IN, FALLBACK

ROOT = Path(__file__).parent.parent.parent
#: Names of platforms that are also words.
WORDS = {FALLBACK, "threads", "x"}
NAMES = re.compile("|".join(sorted(BUILT_IN.keys() - WORDS)), re.IGNORECASE)
CODE = [
    *(path for path in (ROOT / "crawler").rglob("*.py") if "replicas" not in path.parts), ROOT / "cli.py",
    ROOT / "settings.py",
]  # fmt: skip
_SPACE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_of(path: Path) -> dict[int, str]:
    """Return the lines of a file that are code: neither blank, nor comment, nor docstring."""
    text = path.read_text()
    numbers: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SPACE:
            numbers.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                numbers -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = text.splitlines()
    return {number: lines[number - 1].partition("  # ")[0] for number in sorted(numbers)}


def test_the_median_spider_has_under_200_lines() -> None:
    specs = [find_spec(place.partition(":")[0]) for place in BUILT_IN.values()]
    sizes = [len(code_of(Path(spec.origin))) for spec in specs if spec and spec.origin]
    assert len(sizes) == len(BUILT_IN)
    assert statistics.median(sizes) < 200


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_platform_is_known_by_name(path: Path) -> None:
    assert [(number, line) for number, line in code_of(path).items() if NAMES.search(line)] == []
