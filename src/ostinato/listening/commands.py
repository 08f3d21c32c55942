"""What `pipelines/listen.py` does in each mode."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.files import write_json, write_text
from ostinato.listening.plan import FOLDER, Plan, prepare
from ostinato.listening.store import database
from ostinato.listening.store.store import Store
from ostinato.listening.study import Study, study_of
from ostinato.settings import checked

Config = Mapping[str, Any]
ANSWERS = ("real", "simulated")
LIVE = "live"
REPORTED = "listeners"  # results that the report of all systems shows


@dataclass(frozen=True)
class Results:
    """What was analysed, for MLflow: the folder of the page and the few numbers."""

    study: str
    answers: str
    folder: Path
    digest: str
    metrics: Mapping[str, float]


def url_of(config: Config, root: Path, *, simulated: bool = False) -> str:
    """The store of a study: given, or a file in its folder; simulated answers have their own."""
    if config["store"]:
        return str(config["store"])
    name = "simulated.db" if simulated else "answers.db"
    return f"sqlite:///{(root / FOLDER / str(config['listening']['id']) / name).resolve()}"


def live_url(root: Path) -> str:
    """The store of ratings of pieces made live, where no other is given."""
    return f"sqlite:///{(root / FOLDER / LIVE / 'answers.db').resolve()}"


def chosen(config: Config, root: Path) -> Study:
    """The study of the chosen file; raises ValueError that names the file."""
    with _named(config, root):
        return study_of(config["listening"])


@contextmanager
def _named(config: Config, root: Path) -> Iterator[None]:
    """Put the study's file before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        own = Path(FOLDER) / f"{config['choices']['listening']}.yaml"
        file = own if (root / own).exists() else "conf" / own
        raise ValueError(f"{file}: {error}") from error


def ready(config: Config, root: Path) -> Plan:
    """The study with its stimuli and trial lists; prints what was set aside."""
    study = chosen(config, root)
    with _named(config, root):
        plan = prepare(study, root)
    made = plan.stimuli
    print(f"{made.folder}: {len(made.files)} stimuli of {made.lufs:g} LUFS")  # noqa: T201
    for name, reason in made.aside.items():
        print(f"  set aside: {name}: {reason}")  # noqa: T201
    return plan


def plan(config: Config, root: Path) -> None:
    """Check a study, make its stimuli, show what its n can find."""
    from ostinato.listening.analysis import power

    print(power.table(ready(config, root).study))  # noqa: T201


def _powered(config: Config, root: Path) -> Plan:
    from ostinato.listening.analysis import power

    if not config["underpowered"]:
        study = chosen(config, root)
        with _named(config, root):
            power.check(study)
    return ready(config, root)


def serve(config: Config, root: Path) -> None:
    """Serve the pages until Ctrl-C."""
    from ostinato.listening.server.serve import check_address
    from ostinato.listening.server.serve import serve as run

    check_address(str(config["host"]), config["port"], public=config["public"])
    store = Store(database.open_engine(url_of(config, root)), _powered(config, root))
    store.register(simulated=False)
    run(store, config)


def simulate(config: Config, root: Path) -> None:
    """Let simulated listeners take the test, in a store of their own."""
    from ostinato.listening.simulate import Simulated
    from ostinato.listening.simulate import simulate as run

    settings = checked(Simulated, "simulated", {**config["simulated"], "taste": config["taste"]})
    url = url_of(config, root, simulated=True)
    store = Store(database.open_engine(url), _powered(config, root))
    store.register(simulated=True)
    count = run(store, settings)
    print(f"{count} simulated listeners in {database.shown(url)}")  # noqa: T201
    print("analyse them with: mode=analyse answers=simulated")  # noqa: T201


def analyse(config: Config, root: Path) -> Results:
    """Write results.json, index.html and the raw answers into listening/<id>/results.

    What the report of all systems shows goes to listeners/<id>.json.
    """
    from ostinato.listening.analysis import page
    from ostinato.listening.analysis.results import metrics, results
    from ostinato.listening.analysis.summary import summary
    from ostinato.listening.export import files, rows
    from ostinato.listening.store.registered import registered

    which = config["answers"]
    if which not in ANSWERS:
        raise ValueError(f"answers={which} must be one of {', '.join(ANSWERS)}")
    name, simulated = str(config["listening"]["id"]), which == "simulated"
    engine = database.open_engine(url_of(config, root, simulated=simulated))
    study, facts = registered(engine, name)
    found = results(rows(engine, name), study, resamples=config["resamples"], peek=config["peek"])
    folder = root / FOLDER / name / (f"results-{which}" if simulated else "results")
    write_json(folder / "results.json", found)
    write_text(folder / "index.html", page.build(found, study, facts))
    for file, text in files(engine, name).items():
        write_text(folder / file, text)
    mark = f"-{which}" if simulated else ""
    write_json(root / REPORTED / f"{name}{mark}.json", summary(found, study))
    print(f"open {folder / 'index.html'}")  # noqa: T201
    return Results(name, which, folder, facts["digest"], metrics(found))


def export(config: Config, root: Path) -> None:
    """Write answers.csv, codebook.csv and codes.csv into listening/<id>/export.

    answers=live: the ratings of pieces made live, with the pieces, into listening/live/export.
    """
    from ostinato.listening.export import files
    from ostinato.listening.store.registered import registered

    if config["answers"] == LIVE:
        from ostinato.listening.store.rated import write

        engine = database.open_engine(config["store"] or live_url(root))
        for path in write(engine, root / FOLDER / LIVE / "export"):
            print(path)  # noqa: T201
        return
    study, engine = chosen(config, root).id, database.open_engine(url_of(config, root))
    registered(engine, study)  # refuses a study that the store does not have
    folder = root / FOLDER / study / "export"
    for name, text in files(engine, study).items():
        write_text(folder / name, text)
        print(folder / name)  # noqa: T201


def upgrade(config: Config, root: Path) -> None:
    """Bring an old store to this version's schema."""
    print(database.upgrade(url_of(config, root)))  # noqa: T201
