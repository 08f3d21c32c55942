"""What `pipelines/listen.py` does in each mode."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.files import write_text
from ostinato.listening.plan import FOLDER, Plan, prepare
from ostinato.listening.store import database
from ostinato.listening.store.store import Store
from ostinato.listening.study import study_of

Config = Mapping[str, Any]


def url_of(config: Config, root: Path, *, simulated: bool = False) -> str:
    """The store of a study: given, or a file in its folder; simulated answers have their own."""
    if config["store"]:
        return str(config["store"])
    name = "simulated.db" if simulated else "answers.db"
    return f"sqlite:///{(root / FOLDER / str(config['listening']['id']) / name).resolve()}"


def ready(config: Config, root: Path) -> Plan:
    """The study with its stimuli and trial lists; prints what was set aside."""
    plan = prepare(study_of(config["listening"]), root)
    made = plan.stimuli
    print(f"{made.folder}: {len(made.files)} stimuli of {made.lufs:g} LUFS")  # noqa: T201
    for name, reason in made.aside.items():
        print(f"  set aside: {name}: {reason}")  # noqa: T201
    return plan


def plan(config: Config, root: Path) -> None:
    """Check a study, make its stimuli, show what its n can find."""
    ready(config, root)


def serve(config: Config, root: Path) -> None:
    """Serve the pages until Ctrl-C."""
    from ostinato.listening.server.serve import serve as run

    store = Store(database.open_engine(url_of(config, root)), ready(config, root))
    store.register(simulated=False)
    run(store, config)


def export(config: Config, root: Path) -> None:
    """Write answers.csv, codebook.csv and codes.csv into listening/<id>/export."""
    from ostinato.listening.export import files

    study = study_of(config["listening"]).id
    folder = root / FOLDER / study / "export"
    for name, text in files(database.open_engine(url_of(config, root)), study).items():
        write_text(folder / name, text)
        print(folder / name)  # noqa: T201


def upgrade(config: Config, root: Path) -> None:
    """Bring an old store to this version's schema."""
    print(database.upgrade(url_of(config, root)))  # noqa: T201
