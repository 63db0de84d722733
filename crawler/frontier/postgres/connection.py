"""One connection to PostgreSQL that takes the statements of the embedded engine: ``?`` and ``:name`` for parameters.

A password is never part of an address here: libpq finds it in PGPASSWORD or ~/.pgpass, where no list of processes, no
log and no WARC shows it.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, nullcontext
from functools import lru_cache, wraps
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.types.numeric import IntLoader
from psycopg.types.string import StrBinaryDumper, StrDumper

from crawler.errors import DatabaseLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")

SCHEMES = ("postgresql", "postgres")
#: Seconds until a verb is tried again after the connection was lost, or two nodes waited for each other.
_AGAIN = (0.05, 0.2, 1.0, 2.0, 4.0, 8.0, 15.0)
#: A server that is gone is noticed after half a minute, and so is, there, a machine that is.
_ALIVE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
#: Columns whose values may all be NULL, and so of no type.
_NULLABLE = frozenset({"days", "marks", "segments", "offsets", "response_offsets", "response_lengths"})


class _Text(StrDumper):
    """Text as PostgreSQL takes it: it has no NUL, and what pages say may."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _BinaryText(StrBinaryDumper):
    """The same, within a column."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


def checked(address: str) -> str:
    """Return the address of a database. Raises UsageError where it is none, or holds a password."""
    try:
        parts = urlsplit(address)
        if parts.password is not None or "password" in dict(parse_qsl(parts.query)):
            raise UsageError(
                "--frontier: a password in an address can be read by everyone on this machine; "
                "put it into PGPASSWORD or ~/.pgpass, and leave it out there."
            )
        if parts.scheme not in SCHEMES or not parts.path.strip("/"):
            raise UsageError("--frontier wants postgresql://user@host/database.")
    except ValueError as e:
        raise UsageError(f"--frontier: {e}") from e
    return address


def _told_apart(address: str) -> tuple[str, str]:
    """Return an address as libpq takes it, and the schema that it names."""
    parts = urlsplit(checked(address))
    options = dict(parse_qsl(parts.query))
    schema = options.pop("schema", "outlast")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", schema):
        raise UsageError(f"--frontier: schema={schema!r} is no name (a-z, 0-9 and _).")
    return urlunsplit(parts._replace(query=urlencode(options))), schema


def _column(found: re.Match[str]) -> str:
    """Return the place of a column of values: in binary, which spares much quoting, where none of them is NULL."""
    return f"%({found[1]}){'s' if found[1] in _NULLABLE else 'b'}"


@lru_cache(maxsize=512)
def translated(statement: str) -> bytes:
    """Return a statement in PostgreSQL's words."""
    text = statement.replace("%", "%%").replace("FROM bucket b ", "FROM bucket_counted b ")
    text = re.sub(r"(?<![:\w\"])(offset|fetch)\b(?!\")", r'"\1"', text)  # words of its own
    if "INSERT OR IGNORE" in text:
        text = text.replace("INSERT OR IGNORE", "INSERT").rstrip("; \n") + " ON CONFLICT DO NOTHING"
    text = re.sub(r"(?<!:):([a-z_]\w*)(?=::[\w ]+\[\])", _column, text)
    text = re.sub(r"(?<!:):([a-z_]\w*)", r"%(\1)s", text)
    return re.sub(r"\?", "%s", text).encode()


class Database:
    """A connection, made again where it was lost. ``before`` is called before each statement."""

    def __init__(self, address: str, idle: float = 10.0) -> None:
        self.address = address
        self._address, self.schema = _told_apart(address)
        self.before: Callable[[], None] = lambda: None
        #: Called once connected anew.
        self.connected: Callable[[], None] = lambda: None
        #: Seconds after which the server ends a transaction of a machine that has fallen silent.
        self._idle = idle
        self._connect()

    def _connect(self) -> None:
        try:
            self._connection = psycopg.connect(
                self._address, autocommit=True, application_name="outlast", **_ALIVE  # type: ignore[arg-type]
            )  # fmt: skip
        except psycopg.Error as e:
            raise DatabaseLost(f"The frontier's database cannot be used: {_first_line(e)}") from e
        self._connection.adapters.register_loader("numeric", IntLoader)
        self._connection.adapters.register_dumper(str, _BinaryText)
        self._connection.adapters.register_dumper(str, _Text)
        self._connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self.schema)))
        self._connection.execute("SET statement_timeout = '120s'")
        self._connection.execute(f"SET idle_in_transaction_session_timeout = {int(self._idle * 1000)}")
        # The server lets go of what a machine held that is gone.
        for name in ("idle", "interval", "count"):
            self._connection.execute(f"SET tcp_keepalives_{name} = {_ALIVE[f'keepalives_{name}']}")

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status not in {
            psycopg.pq.TransactionStatus.IDLE, psycopg.pq.TransactionStatus.UNKNOWN,
        }  # fmt: skip

    def execute(self, statement: str, facts: Sequence[Any] | Mapping[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run a statement and return what it finds, as rows."""
        self.before()
        try:
            return self._connection.execute(translated(statement), facts or None)
        except psycopg.Error as e:
            raise DatabaseLost(f"The frontier's database failed: {_first_line(e)}") from e

    def executemany(self, statement: str, facts: Iterable[Any]) -> None:
        """Run a statement for each of these."""
        facts = list(facts)
        if not facts:
            return
        self.before()
        try:
            self._connection.cursor().executemany(translated(statement), facts)
        except psycopg.Error as e:
            raise DatabaseLost(f"The frontier's database failed: {_first_line(e)}") from e

    def stream(self, statement: str, facts: Mapping[str, Any]) -> Iterator[Any]:
        """Yield what a statement finds, row by row as it comes, on a connection of its own and however long that takes.

        It sees what was committed when it began.
        """
        other = Database(self.address)
        try:
            other._connection.execute("SET statement_timeout = 0")
            yield from other._connection.cursor().stream(translated(statement), facts or None)
        except psycopg.Error as e:
            raise DatabaseLost(f"The frontier's database failed: {_first_line(e)}") from e
        finally:
            other.close()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Send the statements of a block one after the other, and wait once; nobody reads what they return."""
        try:
            with self._connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
                yield
        except psycopg.Error as e:
            raise DatabaseLost(f"The frontier's database failed: {_first_line(e)}") from e

    def again(self) -> None:
        """Connect anew where the connection is broken."""
        if self._connection.closed or self._connection.broken:
            self._connect()
            self.connected()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def prepare(self) -> None:
        """Bring the tables up to date. Raises UsageError where a newer Outlast made them."""
        steps = sorted(p.name for p in files("crawler.frontier.postgres").iterdir() if re.match(r"\d{4}\.sql", p.name))
        with self._connection.transaction():
            self.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (f"outlast {self.schema}",))
            if not self.execute("SELECT to_regnamespace(?)", (self.schema,)).fetchall()[0][0]:
                self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
            self.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY)")
            done = {row[0] for row in self.execute("SELECT number FROM migration")}
            if done and max(done) > len(steps):
                raise UsageError(f"This frontier is at step {max(done)}; this Outlast knows {len(steps)}: update it.")
            for number, name in enumerate(steps, 1):
                if number not in done:
                    text = files("crawler.frontier.postgres").joinpath(name).read_text("utf-8")
                    self._connection.execute(text.encode())
                    self.execute("INSERT INTO migration VALUES (?)", (number,))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_passing(error: BaseException | None) -> bool:
    """Say whether what failed may be tried again: the verb had no effect, or one that a second time does not add to."""
    passing = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation)
    return isinstance(error, (*passing, psycopg.OperationalError, psycopg.InterfaceError))


def steadily(verb: Callable[P, T]) -> Callable[P, T]:
    """Let a verb be tried again where the connection was lost or two nodes were in each other's way.

    Raises DatabaseLost where that did not help within half a minute.
    """

    @wraps(verb)
    def tried(*args: P.args, **named: P.kwargs) -> T:
        database: Database = args[0]._db  # type: ignore[attr-defined]  # noqa: SLF001 - it wraps their methods
        if database.in_transaction:
            return verb(*args, **named)
        for wait in (*_AGAIN, None):
            try:
                database.again()
                return verb(*args, **named)
            except DatabaseLost as e:
                if wait is None or not _is_passing(e.__cause__):
                    raise
                time.sleep(wait)
        raise AssertionError

    return tried
