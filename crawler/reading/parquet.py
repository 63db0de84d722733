"""The dataset as Parquet, by DuckDB (extra ``outlast[parquet]``), from JSON lines that are written first."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from crawler.collection import sync_directory
from crawler.errors import DiskFull, UsageError
from crawler.reading.lines import jsonl
from crawler.reading.tables import Kind, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.reading.export import Order, Written
    from crawler.reading.tables import Table

_TYPES = {
    Kind.WHOLE: "BIGINT", Kind.NUMBER: "DOUBLE", Kind.FLAG: "BOOLEAN", Kind.LIST: "VARCHAR[]",
    Kind.MAP: "MAP(VARCHAR, VARCHAR)", Kind.JSON: "JSON",
}  # fmt: skip
#: What DuckDB may hold in memory.
_MEMORY = "512MB"
#: Bytes of one line: a text, its markup, and what else a post may carry.
_LONGEST = 64 << 20


def parquet(order: Order) -> Iterator[Written]:
    """Write a directory with a Parquet file (zstd) for each table: lists are lists, times are times."""
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError as e:
        raise UsageError("Parquet needs DuckDB: pip install 'outlast[parquet]'.") from e
    staging = order.output / ".jsonl"
    wanted = {table.name: table for table in tables(with_gps=order.with_gps, with_deleted=order.with_deleted)}
    written = list(jsonl(replace(order, output=staging)))
    with duckdb.connect(config={"memory_limit": _MEMORY, "threads": 2, "temp_directory": str(staging / "tmp")}) as db:
        for one in written:
            path = order.output / f"{one.path.stem}.parquet"
            part = path.with_name(f"{path.name}.part")
            order.say(f"writing {path.name}")
            try:
                db.execute(_copy(wanted[one.path.stem], one.path, part))
            except duckdb.Error as e:
                raise DiskFull(f"{part} cannot be written: {str(e).splitlines()[0]}") from e
            part.replace(path)
            yield replace(one, path=path)
    shutil.rmtree(staging)
    sync_directory(order.output)


def _copy(table: Table, source: Path, target: Path) -> str:
    types = ", ".join(f"'{name}': '{_TYPES.get(kind, 'VARCHAR')}'" for name, kind in table.columns.items())
    columns = ", ".join(_column(name, kind) for name, kind in table.columns.items())
    options = f"format = 'newline_delimited', columns = {{{types}}}, maximum_object_size = {_LONGEST}"
    lines = f"SELECT {columns} FROM read_json({_quoted(source)}, {options})"  # noqa: S608 - names and paths of ours
    return f"COPY ({lines}) TO {_quoted(target)} (FORMAT parquet, COMPRESSION zstd)"


def _column(name: str, kind: Kind) -> str:
    if kind is Kind.TIME:
        return f"TRY_CAST({name} AS TIMESTAMPTZ) AS {name}"
    return f"CAST({name} AS VARCHAR) AS {name}" if kind is Kind.JSON else name


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
