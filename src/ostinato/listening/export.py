"""Anonymised raw answers as CSV, with a codebook; completion codes are a file of their own."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ostinato.listening.design import MAIN
from ostinato.listening.plan import trial_of
from ostinato.listening.store.store import Store
from ostinato.listening.store.tables import AnswerRow, ListenerRow, StudyRow, TrialRow

CODEBOOK = {
    "study": "id of the study",
    "simulated": "1: the listener is simulated, 0: a person",
    "listener": "number of the listener in the order of finishing; unfinished ones come last",
    "finished": "1: the listener answered every trial",
    "slot": "number of the trial list",
    "language": "language of the pages",
    "position": "place of the trial in the listener's list, from 0",
    "kind": "training (not counted), catch (a clear answer), main",
    "cell": "systems compared, joined by |",
    "item": "piece or prompt",
    "order": "order of presentation: ABX 0 ABA, 1 ABB, 2 BAA, 3 BAB; pairs 0 AB, 1 BA, where A is "
    "the first system of the cell",
    "sounds": "role=system/piece/version on the page, joined by |; of samples the system that made "
    "them and the sample",
    "question": "id of the question; for MUSHRA the role that was rated",
    "system": "rated system, or the chosen one; empty for a tie and for ABX",
    "answer": "what was chosen: a, b, tie, or a number",
    "expected": "the right answer, where there is one",
    "correct": "1 or 0, where there is a right answer",
    "first_played": "role of the sound that was played first",
    "plays": "number of starts by role, as JSON",
    "heard_ms": "milliseconds played by role, as JSON",
    "response_ms": "milliseconds from the page to the answer, as the browser measured",
    "server_ms": "milliseconds from the first view of the page to the answer, on the server",
    "repeats": "how often the answer was sent again (double click, second tab, lost connection)",
    "views": "how often the page was opened (more than 1: reloaded, or left and resumed)",
}
Row = dict[str, Any]
PREFERRED = ("ab", "ratings", "mushra")  # designs that ask what is liked more
RATED = "rating"  # question of every rating in preferences.csv of MUSHRA pages


def rows(engine: Engine, study: str) -> list[Row]:
    """One row for every answer to every question; keys as in CODEBOOK."""
    with Session(engine) as session:
        listeners = list(session.scalars(select(ListenerRow).where(ListenerRow.study == study)))
        plan = json.loads(row.plan) if (row := session.get(StudyRow, study)) else {}
        listeners.sort(key=lambda row: (row.finished_at is None, row.finished_at or 0, row.id))
        found: list[Row] = []
        for number, listener in enumerate(listeners, 1):
            answered = session.execute(
                select(TrialRow, AnswerRow)
                .join(AnswerRow, AnswerRow.trial == TrialRow.id)
                .where(TrialRow.listener == listener.id)
                .order_by(TrialRow.number)
            )
            about = {
                "study": study,
                "simulated": int(listener.simulated),
                "listener": number,
                "finished": int(listener.finished_at is not None),
                "slot": listener.slot,
                "language": listener.language,
            }
            for trial, answer in answered:
                found += [about | row for row in _answers(trial, answer, plan)]
    return found


def preferences(found: Sequence[Row], plan: Mapping[str, Any]) -> list[Row]:
    """Of all rows, those that a model can learn from: main answers of listeners who finished, about
    samples alone. A choice has two sounds, a and b; a rating has one, a.
    """
    study, kept = plan["study"], []
    folders = {source["samples"] for source in study["systems"].values() if source["samples"]}
    for row in found:
        if row["kind"] != MAIN or not row["finished"] or study["design"] not in PREFERRED:
            continue
        sounds, rated = dict(part.split("=", 1) for part in row["sounds"].split("|")), {}
        if not isinstance(row["answer"], int):
            heard = {role: sounds[role] for role in ("a", "b")}
        elif row["question"] in sounds:  # MUSHRA names the sound that was rated
            heard, rated = {"a": sounds[row["question"]]}, {"question": RATED}
        else:
            heard = {"a": sounds["a"]}
        if all(name.partition("/")[0] in folders for name in heard.values()):
            kept.append(row | rated | {"sounds": _joined(heard.items())})
    return kept


def _joined(sounds: Iterable[tuple[str, str]]) -> str:
    return "|".join(f"{role}={name}" for role, name in sounds)


def _name(key: str, plan: Mapping[str, Any]) -> str:
    """Of a sound, system/item/version, with the piece in place of the item; others stay."""
    system, _, rest = key.partition("/")
    item, _, version = rest.rpartition("/")
    piece = plan.get("origin", {}).get(f"{system}/{item}")
    if piece is None:
        return key
    return f"{plan['study']['systems'][system]['samples'] or system}/{piece}/{version}"


def _answers(trial: TrialRow, answer: AnswerRow, plan: Mapping[str, Any]) -> list[Row]:
    spec, given = trial_of(json.loads(trial.spec)), json.loads(answer.answer)
    log = json.loads(answer.log)
    system = {role: key.split("/")[0] for role, key in spec.sounds}
    shared = {
        "position": trial.number,
        "kind": spec.kind,
        "cell": "|".join(spec.cell),
        "item": spec.item,
        "order": spec.order,
        "sounds": _joined((role, _name(key, plan)) for role, key in spec.sounds),
        "expected": spec.expected,
        "response_ms": answer.response_ms,
        "server_ms": round(1000 * (answer.received_at - (trial.shown_at or answer.received_at))),
        "repeats": answer.repeats,
        "views": trial.views,
        **_played(log),
    }
    found = []
    for question, value in given.items():
        is_rating = isinstance(value, int)
        rated = system.get(question) if question in system else system.get("a")
        about = rated if is_rating else system.get(value, "")
        right = {"a", "b"} & {spec.expected}
        found.append(
            shared
            | {
                "question": question,
                "system": "" if "x" in system else about,
                "answer": value,
                "correct": int(value == spec.expected) if right else "",
            }
        )
    return found


def _played(log: Sequence[Sequence[Any]]) -> Row:
    """First sound, starts and milliseconds by sound, from what the browser noted."""
    plays: dict[str, int] = {}
    heard: dict[str, int] = {}
    first, since, playing = "", 0, ""
    for at, action, role, _ in log:
        if playing:
            heard[playing] = heard.get(playing, 0) + at - since
        since = at
        if action in ("play", "switch") and (action == "play" or playing):
            first = first or role
            plays[role] = plays.get(role, 0) + 1
            playing = role
        elif action in ("pause", "end"):
            playing = ""
    return {"first_played": first, "plays": json.dumps(plays), "heard_ms": json.dumps(heard)}


def table(found: Sequence[Row], columns: Sequence[str] = tuple(CODEBOOK)) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def codes(engine: Engine, study: str) -> str:
    """Completion codes of those who finished, sorted, so that they lead to no listener."""
    with Session(engine) as session:
        query = select(ListenerRow.code).where(
            ListenerRow.study == study, ListenerRow.finished_at.is_not(None)
        )
        found = sorted(session.scalars(query))
    return table([{"code": code} for code in found], ["code"])


def codebook(meanings: Mapping[str, str] = CODEBOOK) -> str:
    """What every column means, as CSV."""
    listed = [{"column": name, "meaning": text} for name, text in meanings.items()]
    return table(listed, ["column", "meaning"])


def files(engine: Engine, study: str) -> dict[str, str]:
    """All files of an export by name; preferences.csv where there is something to learn from."""
    found = rows(engine, study)
    with Session(engine) as session:
        row = session.get(StudyRow, study)
        learned = preferences(found, json.loads(row.plan)) if row else []
    named = {"answers.csv": found} | ({"preferences.csv": learned} if learned else {})
    texts = {name: table(some) for name, some in named.items()}
    return texts | {"codebook.csv": codebook(), "codes.csv": codes(engine, study)}


def archive(store: Store) -> bytes:
    """The export as one ZIP file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files(store.engine, store.plan.study.id).items():
            packed.writestr(name, text)
    return content.getvalue()
