"""Which database, and what sets SQLite and PostgreSQL apart.

A read is one statement outside of any transaction. A write is a transaction whose statements no
other write comes between: on SQLite it takes the right to write at its start; on PostgreSQL it
locks the article or author first, and whatever has to do with tags locks their table before that.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
import sqlalchemy.exc
import sqlalchemy.pool

from labkit.newsroom.errors import DatabaseDown
from labkit.newsroom.schema import metadata
from labkit.newsroom.signals import InFile, InMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.newsroom.signals import Signal

_PATIENCE = 30  # seconds that a write to a file waits for those of others
_CONNECT = 5  # seconds that a PostgreSQL has to take a connection
_ALONE = 0x6C61626B  # names the lock of those who make and fill the tables
_NO_TABLE, _NO_COLUMN = "42P01", "42703"  # as PostgreSQL calls it

_ACCEPTED = (
    "expected sqlite:// (in memory), sqlite:///path/to/file.db or postgresql://user@host/database"
)


class Connecting:
    """Connections to a database.

    Args:
        url: Its address.
        schema: The PostgreSQL schema that the tables stand in.

    Raises:
        ValueError: The address is not one of the kinds that are known, or the database has no
            schemas.
    """

    def __init__(self, url: str, schema: str | None) -> None:
        self._schema = schema
        address = _address(url)
        self._kind = address.get_backend_name()
        self._in_memory = False
        # The database in memory lives in one connection, which threads use in turn.
        self._turn: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self._reading: sa.Engine
        if self._kind == "postgresql":
            self._engine = _postgresql(address, schema)
            self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            return
        if schema is not None:
            raise ValueError(f"schema is {schema!r}, but SQLite has none; leave it out")
        self._in_memory = address.database in (None, "", ":memory:")
        if self._in_memory:
            self._turn = threading.RLock()
        self._engine = self._reading = _sqlite(address, in_memory=self._in_memory)

    @property
    def address(self) -> str:
        """Where it is, without the password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for one SELECT.

        Raises:
            DatabaseDown: The database did not answer.
        """
        with self._turn, self.translated(), self._reading.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, lock: Literal["tags"] | None = None) -> Iterator[sa.Connection]:
        """A transaction that is undone where an error leaves the block.

        Args:
            lock: What has to stay as it is until the end, beside the rows that are locked one
                by one.

        Raises:
            DatabaseDown: The database did not answer.
        """
        with self._turn, self.translated(), self._engine.begin() as connection:
            if self._kind == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif lock:
                connection.exec_driver_sql("LOCK TABLE tags IN SHARE ROW EXCLUSIVE MODE")
            yield connection

    @contextlib.contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """A transaction for one who makes, fills or drops the tables, while others wait."""
        with self.writing() as connection:
            if self._kind == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ALONE)))
            yield connection

    def create(self, connection: sa.Connection) -> None:
        """Make the tables that are missing."""
        if self._schema is not None:
            connection.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
        metadata.create_all(connection)

    def drop(self, connection: sa.Connection) -> None:
        """Remove the tables, and a schema of their own."""
        metadata.drop_all(connection)
        if self._schema is not None:
            connection.execute(sa.schema.DropSchema(self._schema, if_exists=True))

    def settle(self, connection: sa.Connection) -> None:
        """After rows were written with numbers of their own: the next get higher ones."""
        if self._kind == "sqlite":
            return  # which knows
        for table in metadata.sorted_tables:
            if "id" in table.c:
                highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(table.name, "id")
                connection.execute(sa.select(sa.func.setval(sequence, highest)))
            connection.execute(sa.text(f"ANALYZE {table.name}"))

    def signal(self) -> Signal:
        """How one who waits hears of writes here."""
        if self._in_memory:
            return InMemory()
        if self._kind == "sqlite":
            return InFile(self._apart)
        from labkit.newsroom.listening import OnServer

        return OnServer(self._apart)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _apart(self) -> sa.Connection:
        """A connection for one who waits; it begins no transactions."""
        connection = self._reading.connect()
        connection.detach()
        return connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the errors of drivers as those of the newsroom."""
        try:
            yield
        except sa.exc.TimeoutError as error:
            raise DatabaseDown(f"{self.address} has no connection to spare: {error}") from error
        except sa.exc.DBAPIError as error:
            if _misses(error.orig, "column", _NO_COLUMN):
                raise RuntimeError(
                    f"{self.address} has the tables of an older newsroom, without columns that are "
                    "needed now; remove them with drop(), and make new ones with create()"
                ) from error
            if _misses(error.orig, "table", _NO_TABLE):
                raise RuntimeError(
                    f"{self.address} has no tables of a newsroom; make them with create(), "
                    "or open it with newsroom.open()"
                ) from error
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise ValueError(
                    f"{self.address} is not a database but some other file; give the path of a "
                    "new file, or of one that a newsroom made"
                ) from error
            if isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)):
                raise DatabaseDown(f"{self.address} did not answer: {error.orig}") from error
            raise


def _address(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError:
        # The error of SQLAlchemy would show the address, which may have a password in it.
        raise ValueError(f"the address of the database cannot be read; {_ACCEPTED}") from None
    if address.drivername == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(f"the database is a {address.drivername!r}; {_ACCEPTED}")
    return address


def _sqlite(address: sa.URL, *, in_memory: bool) -> sa.Engine:
    engine = sa.create_engine(
        address,
        poolclass=sa.pool.StaticPool if in_memory else sa.pool.QueuePool,
        # Without isolation level the driver begins no transactions of its own.
        connect_args={"isolation_level": None, "timeout": _PATIENCE, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """Let readers and a writer of a file work side by side."""
    # SQLite does not wait here for others; but they are about to do the same to the file.
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _postgresql(address: sa.URL, schema: str | None) -> sa.Engine:
    options: dict[str, Any] = {"connect_timeout": _CONNECT}
    if schema is not None:
        quoted = schema.replace('"', '""')
        escaped = f'"{quoted}"'.replace("\\", "\\\\").replace(" ", "\\ ")
        options["options"] = f"-c search_path={escaped}"
    return sa.create_engine(address, connect_args=options)


def _misses(error: BaseException | None, what: str, state: str) -> bool:
    """Whether it is a table or a column that is missing."""
    if isinstance(error, sqlite3.Error):
        return str(error).startswith(f"no such {what}")
    return getattr(error, "sqlstate", None) == state
