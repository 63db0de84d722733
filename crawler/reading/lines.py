"""Exports of one line a row: JSON lines and CSV, streamed, and resumed after the last line that is surely whole."""

from __future__ import annotations

import csv as csv_module
import io
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from crawler.errors import UsageError
from crawler.failpoint import failpoint
from crawler.reading.export import Written
from crawler.reading.tables import Kind, brought_up, lacks, rows_of, stamp, tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.reading.dataset import Dataset
    from crawler.reading.export import Order
    from crawler.reading.tables import Table

    #: Makes the bytes of a row, or of the first line where there is none.
    Line = Callable[[Table, sqlite3.Row | None], bytes]

#: Lines after which what is written is made durable and may be resumed from.
EVERY = 20_000
#: Where an export that is not whole yet says how far it is.
STATE = ".export.json"
#: What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_PARSED = frozenset({Kind.LIST, Kind.MAP, Kind.JSON})
_TOLD = _PARSED | {Kind.FLAG}


class _Reached(NamedTuple):
    """How far a file is: the number of its last row, its bytes and rows so far, and whether it is whole."""

    number: int = 0
    bytes: int = 0
    rows: int = 0
    whole: bool = False


def jsonl(order: Order) -> Iterator[Written]:
    """Write a directory with a file of JSON lines for each table."""
    return write(order, ".jsonl", json_line)


def csv(order: Order) -> Iterator[Written]:
    """Write a directory with a CSV file (RFC 4180, UTF-8) for each table; lists and objects are JSON in a cell."""
    return write(order, ".csv", csv_line)


def write(order: Order, suffix: str, line: Line) -> Iterator[Written]:
    """Write each table into the directory ``order.output``."""
    directory = order.output
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file; this format writes a directory.")
    directory.mkdir(parents=True, exist_ok=True)
    with brought_up(order) as (dataset, updated):
        state = _State(directory, f"{suffix} {stamp(dataset, order)}")
        for table in tables(with_gps=order.with_gps, with_deleted=order.with_deleted):
            path = directory / f"{table.name}{suffix}"
            order.say(f"writing {path.name}")
            rows = _fill(path, dataset, table, line, state)
            yield Written(path=path, rows=rows, lacks=lacks(updated))
        state.forget()


def _fill(path: Path, dataset: Dataset, table: Table, line: Line, state: _State) -> int:
    reached = state.reached.get(table.name, _Reached())
    if reached.whole and path.is_file():
        return reached.rows
    part = path.with_name(f"{path.name}.part")
    number, count = reached.number, reached.rows
    with part.open("ab") as out:
        if not reached.bytes or out.tell() < reached.bytes:
            number = count = 0
            out.truncate(0)
            out.write(line(table, None))
        else:
            out.truncate(reached.bytes)
        for row in rows_of(dataset, table, number):
            out.write(line(table, row))
            number, count = row[0], count + 1
            if count % EVERY == 0:
                state.set(table.name, out, number, count)
        state.set(table.name, out, number, count)
    part.replace(path)
    state.whole(table.name)
    return count


class _State:
    """What is written of an export that may be killed; of another export, nothing is."""

    def __init__(self, directory: Path, told: str) -> None:
        self._path = directory / STATE
        self._told = told
        self.reached: dict[str, _Reached] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._path.read_text("utf-8"))
            if known["of"] == told:
                self.reached = {name: _Reached(*told) for name, told in known["files"].items()}

    def set(self, name: str, out: io.BufferedWriter, number: int, rows: int) -> None:
        """Make durable what is written, then say so."""
        out.flush()
        os.fsync(out.fileno())
        self.reached[name] = _Reached(number, out.tell(), rows)
        self._write()
        failpoint("export.lines")

    def whole(self, name: str) -> None:
        self.reached[name] = self.reached[name]._replace(whole=True)
        self._write()

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        part = self._path.with_name(f"{STATE}.part")
        part.write_text(json.dumps({"of": self._told, "files": self.reached}), "utf-8")
        part.replace(self._path)


def json_line(table: Table, row: sqlite3.Row | None) -> bytes:
    """Return a row as a line of JSON; what is a list or an object is one, empty where there is nothing."""
    if row is None:
        return b""
    values = dict(zip(table.columns, tuple(row)[1:], strict=True))
    for name, kind in table.columns.items():
        if kind in _TOLD:
            values[name] = _value(kind, values[name])
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def _value(kind: Kind, value: Any) -> Any:
    if kind in _PARSED:
        return orjson.Fragment(value or ("[]" if kind is Kind.LIST else "{}"))
    return bool(value) if kind is Kind.FLAG else value


def csv_line(table: Table, row: sqlite3.Row | None) -> bytes:
    """Return a row as CSV; a cell that a spreadsheet might run as a formula begins with an apostrophe."""
    out = io.StringIO()
    cells = list(table.columns) if row is None else [_cell(value) for value in tuple(row)[1:]]
    csv_module.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value
