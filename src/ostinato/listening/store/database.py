"""Opens a store and checks its schema; SQLite commits reach the disk before they return."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

HEAD = "0003"
VERSION_TABLE = "listening_version"
BUSY_SECONDS = 30
SCHEMES = ("sqlite", "postgresql")


class OldStore(ValueError):
    """The schema of a store is older than this version of Ostinato."""


def open_engine(url: str) -> Engine:
    """The engine of a store, with its tables.

    Raises:
        OldStore: the schema is older; names the command that upgrades it.
        ValueError: a wrong URL, another program's tables, or a newer version's; no connection.
    """
    with _opening(url):
        engine = connect(url)
        version = _known_version(engine, url)
        if version is None:
            _migrate(engine)
        elif version < HEAD:
            raise OldStore(
                f"{shown(url)} has schema {version}, this version needs {HEAD}: run "
                "python pipelines/listen.py mode=upgrade with the same settings (SQLite is copied "
                "first)"
            )
    return engine


def upgrade(url: str) -> str:
    """Bring an old store to this version; returns what was done. SQLite is copied first.

    Raises:
        ValueError: as `open_engine`.
    """
    with _opening(url):
        engine = connect(url)
        version, copy = _known_version(engine, url), ""
        if version == HEAD:
            return f"{shown(url)} has schema {HEAD} already"
        path = make_url(url).database
        if version is not None and engine.dialect.name == "sqlite" and path:
            engine.dispose()
            copy = f"{path}.{version}"
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copy2(path, copy)
        _migrate(engine)
    return f"{shown(url)}: schema {version or 'none'} → {HEAD}" + (f", copy in {copy}" * bool(copy))


@contextmanager
def _opening(url: str) -> Iterator[None]:
    """Let a database that cannot be used be a ValueError with the remedy."""
    try:
        yield
    except DBAPIError as error:
        raise ValueError(
            f"{shown(url)} cannot be opened: {error.orig}; name another with store=…, or bring "
            "this one back from a copy"
        ) from error


def _known_version(engine: Engine, url: str) -> str | None:
    """As `version_of`; raises ValueError for a newer one than this."""
    version = version_of(engine)
    if version is not None and version > HEAD:
        raise ValueError(
            f"{shown(url)} has schema {version}, written by a newer Ostinato than this one, "
            f"which knows {HEAD}: update Ostinato"
        )
    return version


def connect(url: str) -> Engine:
    """An engine without any check of the schema."""
    try:
        parsed = make_url(url)
        scheme = parsed.get_backend_name()
        if scheme not in SCHEMES:
            raise ValueError(f"store={shown(url)} must begin with {' or '.join(SCHEMES)}")
        if scheme == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        if scheme == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"pool_size": 20, "max_overflow": 20, "pool_pre_ping": True}
        if scheme == "sqlite":
            options |= {"connect_args": {"timeout": BUSY_SECONDS}}
        engine = create_engine(parsed, **options)
    except ArgumentError as error:
        raise ValueError(f"store={shown(url)} is not a URL such as sqlite:///x.db") from error
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ValueError(
            f"store={shown(url)} needs a driver: pip install 'ostinato[postgresql]'"
        ) from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, so that writers queue
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def erase(engine: Engine) -> None:
    """Let what was deleted leave the files of SQLite: its write-ahead log still holds it."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def version_of(engine: Engine) -> str | None:
    """The schema's version; None for a database without our tables."""
    found = inspect(engine).get_table_names()
    if VERSION_TABLE not in found:
        if any(name.startswith("listening_") for name in found):
            raise ValueError(
                f"{shown(str(engine.url))} has tables of an unknown version; take another store"
            )
        return None
    with engine.connect() as connection:
        row = connection.exec_driver_sql(f"select version_num from {VERSION_TABLE}").first()  # noqa: S608
    return None if row is None else str(row[0])


def _migrate(engine: Engine, revision: str = "head") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url.split("@")[-1]
