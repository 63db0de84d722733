"""One connection to PostgreSQL that takes the statements of the embedded engine: ``?`` and ``:name`` for parameters.

A password is never part of an address here: libpq finds it in PGPASSWORD or ~/.pgpass, where no list of processes, no
log and no WARC shows it.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache, wraps
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.types.numeric import IntLoader
from psycopg.types.string import StrBinaryDumper, StrDumper

from crawler.errors import DatabaseLost, Locked, UsageError
from crawler.frontier.postgres.outage import PATIENCE, Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crawler.errors import OutlastError

P = ParamSpec("P")
T = TypeVar("T")

SCHEMES = ("postgresql", "postgres")
#: Seconds until a verb is tried again where two nodes waited for each other.
_AGAIN = (0.05, 0.2, 1.0, 2.0, 4.0, 8.0, 15.0)
#: The longest of these pauses after the connection was lost.
_LONGEST_PAUSE = 2.0
#: Seconds that a statement may take.
_STATEMENT = 120.0
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
                "A password in the address of a database can be read by everyone on this machine; "
                "put it into PGPASSWORD or ~/.pgpass, and leave it out there."
            )
        if parts.scheme not in SCHEMES or not parts.path.strip("/"):
            raise UsageError(f"{address!r} is no address of a fleet's database: postgresql://user@host/database.")
    except ValueError as e:
        raise UsageError(f"The address of the database cannot be read: {e}.") from e
    return address


def _told_apart(address: str) -> tuple[str, str, float]:
    """Return an address as libpq takes it, the schema that it names, and the seconds that the database may be away."""
    parts = urlsplit(checked(address))
    options = dict(parse_qsl(parts.query))
    schema, patience = options.pop("schema", "outlast"), options.pop("patience", f"{PATIENCE:.0f}")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", schema):
        raise UsageError(f"schema={schema!r} is no name of a schema (a-z, 0-9 and _).")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", patience):
        raise UsageError(f"patience={patience!r} is no number of seconds.")
    return urlunsplit(parts._replace(query=urlencode(options))), schema, float(patience)


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
    """A connection, made again where it was lost. ``before`` is called before each statement.

    ``outage`` is what it shares with the other connections of a run.
    """

    def __init__(self, address: str, idle: float = 10.0, outage: Outage | None = None) -> None:
        self.address = address
        self._address, self.schema, patience = _told_apart(address)
        self.outage = outage or Outage(patience)
        #: Seconds that a statement may take.
        self._statement = min(_STATEMENT, patience)
        #: Times in a row that another had what this connection is to lock.
        self.locked = 0
        self.before: Callable[[], None] = lambda: None
        #: Called once connected anew.
        self.connected: Callable[[], None] = lambda: None
        #: When what is waited for was asked (monotonic).
        self.asked: float | None = None
        #: Seconds after which the server ends a transaction of a machine that has fallen silent.
        self._idle = idle
        self._connect()
        self.outage.enter(self)

    def _connect(self) -> None:
        asked = time.monotonic()
        try:
            self._connection = psycopg.connect(
                self._address, autocommit=True, application_name="outlast", **_ALIVE  # type: ignore[arg-type]
            )  # fmt: skip
            self._prefer()
        except psycopg.Error as e:
            self.outage.failed(asked, _first_line(e))
            raise DatabaseLost(f"The frontier's database cannot be used: {_first_line(e)}") from e
        self.outage.answered()

    def _prefer(self) -> None:
        """Say how this connection is to be kept."""
        self._connection.adapters.register_loader("numeric", IntLoader)
        self._connection.adapters.register_dumper(str, _BinaryText)
        self._connection.adapters.register_dumper(str, _Text)
        self._connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self.schema)))
        self._connection.execute(f"SET statement_timeout = {int(self._statement * 1000)}")
        self._connection.execute(f"SET idle_in_transaction_session_timeout = {int(self._idle * 1000)}")
        # The server lets go of what a machine held that is gone.
        for name in ("idle", "interval", "count"):
            self._connection.execute(f"SET tcp_keepalives_{name} = {_ALIVE[f'keepalives_{name}']}")

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status not in {
            psycopg.pq.TransactionStatus.IDLE, psycopg.pq.TransactionStatus.UNKNOWN,
        }  # fmt: skip

    @property
    def is_lost(self) -> bool:
        """Whether the connection is no more."""
        return self._connection.closed or self._connection.broken

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Wait for an answer. Raises DatabaseLost where there is none, or one that nobody wants."""
        if self.asked is not None:  # as part of something that is waited for
            yield
            return
        self.asked = asked = time.monotonic()
        try:
            yield
        except psycopg.Error as e:
            if self.is_lost:
                self.outage.failed(asked, _first_line(e))
            raise DatabaseLost(f"The frontier's database failed: {_first_line(e)}") from e
        finally:
            self.asked = None
        self.outage.answered()

    def execute(self, statement: str, facts: Sequence[Any] | Mapping[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run a statement and return what it finds, as rows."""
        self.before()
        with self._waiting():
            return self._connection.execute(translated(statement), facts or None)

    def executemany(self, statement: str, facts: Iterable[Any]) -> None:
        """Run a statement for each of these."""
        facts = list(facts)
        if not facts:
            return
        self.before()
        with self._waiting():
            self._connection.cursor().executemany(translated(statement), facts)

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
        with self._waiting(), self._connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
            yield

    def again(self) -> None:
        """Connect anew where the connection is broken. Raises Locked where what it had locked is another's now."""
        if self.outage.is_given_up:
            raise DatabaseLost(f"The frontier's database is given up: {self.outage.why}")
        if self.is_lost:
            self._connect()
            try:
                self.connected()
            except BaseException as e:
                self.locked += isinstance(e, Locked)
                self._connection.close()
                raise
            self.locked = 0

    def cut(self) -> None:
        """End what is waited for, from another thread: the server stands still and will not."""
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.outage.forget(self)
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

    Raises DatabaseLost where the database stays away for longer than is borne (``Outage``), or they stay in each
    other's way for half a minute; Locked where another has what this connection had locked.
    """

    @wraps(verb)
    def tried(*args: P.args, **named: P.kwargs) -> T:
        database: Database = args[0]._db  # type: ignore[attr-defined]  # noqa: SLF001 - it wraps their methods
        if database.in_transaction:
            return verb(*args, **named)
        began = None
        for tries in count():
            try:
                database.again()
                return verb(*args, **named)
            except (DatabaseLost, Locked) as e:
                began = began or time.monotonic()
                _wait(database, e, tries, time.monotonic() - began)
        raise AssertionError

    return tried


def _wait(database: Database, error: OutlastError, tries: int, seconds: float) -> None:
    """Return when a verb is to be tried again that has failed for so long. Raises its error where it is not."""
    outage, pause = database.outage, _AGAIN[min(tries, len(_AGAIN) - 1)]
    if database.is_lost:
        # Where the server has not let go of what the old connection had locked, it will.
        is_over = seconds >= outage.patience or database.locked >= len(_AGAIN)
        if not is_over and outage.bears(min(pause, _LONGEST_PAUSE)):
            return
        if isinstance(error, Locked):
            raise error
        raise DatabaseLost(
            f"The database was away for {max(seconds, outage.seconds):.0f} s ({outage.why}); what is captured is saved "
            "and the same command goes on from here."
        ) from error
    if tries >= len(_AGAIN) or not _is_passing(error.__cause__) or not outage.bears(pause):
        raise error
