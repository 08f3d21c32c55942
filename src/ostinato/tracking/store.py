"""The store of runs: SQLite at the top of the repository, or the server of MLFLOW_TRACKING_URI.

Opening takes a file lock: processes that open a new database at once leave its schema half migrated
(mlflow 3.17). No global state of mlflow is used: every call names its store.
"""

import os
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

EXPERIMENT = "ostinato"
PARENT_RUN = "OSTINATO_PARENT_RUN"
SWITCH = "OSTINATO_TRACKING"
SERVERS = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
LOCK_SECONDS = 120
OWN_PLACE = re.compile("file:.*/mlartifacts")
PLACES = (  # where mlflow's tables hold places of artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # mlflow's own 7 retries of 120 s would hold a training up for a quarter of an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
Result = TypeVar("Result")
_warned: set[str] = set()


@dataclass(frozen=True)
class Store:
    """An open store: URI, id of the experiment, lock file of a database (None for a server)."""

    uri: str
    experiment: str
    lock_file: Path | None

    @cached_property
    def client(self) -> Any:
        """An mlflow client of this store."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def lock(self) -> AbstractContextManager[object]:
        """Lock for "find a run, else create one"; no lock on a server."""
        if self.lock_file is None:
            return nullcontext()
        from filelock import FileLock

        return FileLock(self.lock_file, timeout=LOCK_SECONDS)


def switched_off() -> bool:
    """Whether OSTINATO_TRACKING=off."""
    return os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no")


def project_root() -> Path:
    """$DVC_ROOT, else the git top level, else the nearest folder with dvc.yaml, else this one.

    DVC runs queued experiments in temporary clones; DVC_ROOT is the repository even there.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root).resolve()
    here = Path.cwd()
    for landmark in (".git", "dvc.yaml"):
        for folder in (here, *here.parents):
            if (folder / landmark).exists():
                return folder
    return here


def tracking_uri() -> str:
    """The store's URI; a relative SQLite path is relative to the project's root.

    Raises:
        ValueError: MLflow cannot write to MLFLOW_TRACKING_URI; says what to use.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    scheme = uri.split(":", 1)[0].split("+", 1)[0] if ":" in uri else ""
    if uri != "databricks" and scheme not in SERVERS + DATABASES:
        raise ValueError(
            f"MLFLOW_TRACKING_URI={public(uri)} is not a store that MLflow can write: use "
            "sqlite:////absolute/mlflow.db, postgresql://… or http(s)://host:port, "
            f"or unset it, or set {SWITCH}=off"
        )
    path = uri.removeprefix("sqlite:///")
    if path == uri or not path or path.startswith((":memory:", "file:")):
        return uri
    return f"sqlite:///{project_root() / path}"


def open_store() -> Store | None:
    """Open the store and create the experiment if needed; None if OSTINATO_TRACKING=off.

    Safe to call from several processes at once. A database keeps artifacts in `mlartifacts` next to
    it, also after it was moved or copied; a server decides for itself.

    Raises:
        ValueError: see `tracking_uri`.
        Exception: mlflow or its database failed to open.
    """
    if switched_off():
        return None
    uri = tracking_uri()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if uri.split(":", 1)[0] in SERVERS:
        return Store(uri, _experiment(Store(uri, "", None).client, None), None)
    path = uri.removeprefix("sqlite:///").split("?", 1)[0]
    database = Path(path) if path.startswith("/") else project_root() / "mlflow.db"
    artifacts = (database.parent / "mlartifacts").as_uri()
    database.parent.mkdir(parents=True, exist_ok=True)
    store = Store(uri, "", database.with_name(f"{database.name}.lock"))
    with store.lock():
        if path.startswith("/") and database.exists():
            _follow(database, artifacts)
        return replace(store, experiment=_experiment(store.client, artifacts))


def on_store(action: "Callable[[Store], Result]") -> Result | None:
    """The action's result on the open store; None if tracking is off, or with one line on stderr
    if the store fails.

    Raises:
        ValueError: see `tracking_uri`; a wrong setting is an error, a failing store is not.
    """
    if switched_off():
        return None
    uri = tracking_uri()
    try:
        store = open_store()
        return action(store) if store else None
    except Exception as error:
        warn_once(uri, error)
        return None


def warn_once(uri: str, error: Exception) -> None:
    """Report on stderr that a store failed, the first time only."""
    if uri in _warned:
        return
    _warned.add(uri)
    lines = str(error).splitlines() or [""]
    reason = f"{type(error).__name__}: {lines[0]}".replace(uri, public(uri))
    sys.stderr.write(f"tracking: {public(uri)} failed ({reason}); continuing without tracking\n")


def public(uri: str) -> str:
    """The URI without its password."""
    return re.sub(r"//([^/:@]*):[^@/]*@", r"//\1:***@", uri)


def _follow(database: Path, artifacts: str) -> None:
    """Make a moved or copied database name the artifacts next to it; mlflow stores absolute paths.

    Other places that the user has chosen for the experiment stay.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        if not connection.execute(
            "select 1 from sqlite_master where name='experiments'"
        ).fetchone():
            return
        found = connection.execute(
            "select artifact_location from experiments where name=?", [EXPERIMENT]
        ).fetchone()
        if not found or found[0] == artifacts or not OWN_PLACE.fullmatch(found[0]):
            return
        for table, column in PLACES:
            connection.execute(
                f"update {table} set {column} = :new || substr({column}, length(:old) + 1) "  # noqa: S608
                f"where substr({column} || '/', 1, length(:old) + 1) = :old || '/'",
                {"old": found[0], "new": artifacts},
            )


def _experiment(client: Any, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    try:
        return str(
            found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts)
        )
    except MlflowException:  # another process may have created it meanwhile
        if found := client.get_experiment_by_name(EXPERIMENT):
            return str(found.experiment_id)
        raise
