"""Ratings of pieces made live, in the listeners' store, and their export."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ostinato.files import atomic_file, write_json, write_text
from ostinato.listening.design import MAIN
from ostinato.listening.export import CODEBOOK, Row, codebook, table
from ostinato.listening.store.tables import RatingRow
from ostinato.samples import FORMAT

STUDY, QUESTION, ONE = "live", "rating", 0
COLUMNS = ["study", "simulated", "listener", "finished", "kind", "item", "sounds", "question"]
COLUMNS += ["system", "answer"]
MADE = ("piece", "system", "weights", "task", "seed", "index", "prompt", "prompt_bars", "comment")


def add(
    engine: Engine,
    listener: str,
    piece: str,
    made: Mapping[str, Any],
    midi: bytes,
    rating: int,
    comment: str = "",
) -> None:
    """Store a rating; it is on disk when this returns. A later one of the same piece replaces it.

    listener: who rates. made: what made the piece: system, weights, task, seed, index, prompt.
    """
    values = {"made": json.dumps(dict(made), sort_keys=True), "midi": midi, "rating": rating}
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        row = session.scalar(select(RatingRow).filter_by(listener=listener, piece=piece))
        if row is None:
            row = RatingRow(listener=listener, piece=piece)
            session.add(row)
        for name, value in (values | {"comment": comment, "received_at": time.time()}).items():
            setattr(row, name, value)


def rows(engine: Engine) -> list[Row]:
    """One row for every rating, with the columns of a listening test's export.

    Listeners are numbered in the order of their first rating; an item is a prompt.
    """
    with Session(engine) as session:
        found = list(session.scalars(select(RatingRow).order_by(RatingRow.id)))
    numbers = {name: n for n, name in enumerate(dict.fromkeys(r.listener for r in found), 1)}
    return [
        {
            "study": STUDY,
            "simulated": 0,
            "listener": numbers[row.listener],
            "finished": 1,
            "kind": MAIN,
            "item": json.loads(row.made)["prompt"],
            "sounds": f"a={_system(row)}/{row.piece}/{ONE}",
            "question": QUESTION,
            "system": json.loads(row.made)["system"],
            "answer": row.rating,
        }
        for row in found
    ]


def write(engine: Engine, folder: Path) -> list[Path]:
    """Write answers.csv, codebook.csv, pieces.csv (what made each), and the pieces as samples of
    their systems.

    Raises:
        ValueError: there are no ratings.
    """
    found = rows(engine)
    if not found:
        raise ValueError("the store has no ratings of live pieces; they come from /ostinato/rate")
    with Session(engine) as session:
        rated = list(session.scalars(select(RatingRow).order_by(RatingRow.id)))
    about = [
        {"prompt_bars": 0, **json.loads(r.made), "piece": r.piece, "comment": r.comment}
        for r in rated
    ]
    texts = {
        "answers.csv": table(found, COLUMNS),
        "codebook.csv": codebook({name: CODEBOOK[name] for name in COLUMNS}),
        "pieces.csv": table(about, MADE),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    samples: dict[str, list[Row]] = {}
    for row, made in zip(rated, about, strict=True):
        own = samples.setdefault(_system(row), [])
        with atomic_file(folder / "samples" / _system(row) / f"{row.piece}.mid") as partial:
            partial.write_bytes(row.midi)
        own.append({"file": f"{row.piece}.mid", "failed": None, **made})
    for system, listed in samples.items():
        unique = list({row["file"]: row for row in listed}.values())  # several may rate one piece
        listing = {"format": FORMAT, "samples": unique}
        write_json(folder / "samples" / system / "samples.json", listing)
    return [folder / name for name in (*texts, "samples")]


def _system(row: RatingRow) -> str:
    return str(json.loads(row.made)["system"])
