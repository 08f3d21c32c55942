"""The study that a store holds: its settings as they were when listeners answered."""

import json

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ostinato.listening.store.database import shown
from ostinato.listening.store.tables import StudyRow
from ostinato.listening.study import Study, study_of

SHOWN_DIGITS = 12


def registered(engine: Engine, study: str) -> tuple[Study, dict[str, str]]:
    """The study, and facts about its stimuli for the page of results.

    Raises:
        ValueError: the store does not have it; names those that it has.
    """
    with Session(engine) as session:
        row = session.get(StudyRow, study)
        if row is None:
            others = ", ".join(session.scalars(select(StudyRow.id))) or "none"
            raise ValueError(
                f"{shown(str(engine.url))} has no study {study}; it has: {others}. Serve it "
                "first, or simulate it: mode=simulate, then mode=analyse answers=simulated"
            )
        plan = json.loads(row.plan)
        facts = {
            "study": study,
            "digest": row.digest,
            "withdrew, data deleted": str(row.withdrawn),
            "systems": ", ".join(plan["study"]["systems"]),
            "items": str(len(plan["items"])),
            "loudness": f"{plan['lufs']:g} LUFS",
            "length": f"{plan['study']['sound']['seconds']:g} s",
            "stimuli": plan["stimuli"][:SHOWN_DIGITS],
            "set aside": "; ".join(f"{k}: {v}" for k, v in plan["aside"].items()) or "nothing",
            "seed": str(plan["study"]["seed"]),
        }
    return study_of(plan["study"]), facts
