"""Renders the pages; every text comes from the language files or the study."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ostinato.listening.design import TRAINING
from ostinato.listening.store.answers import MUSHRA_SCALE, SCALE, choices
from ostinato.listening.store.store import Current
from ostinato.listening.study import Study
from ostinato.listening.texts import languages, texts

FOLDER = Path(__file__).parent
STATIC = {  # the only files that a request can name
    "listen.css": "text/css; charset=utf-8",
    "listen.js": "text/javascript; charset=utf-8",
}


def page(template: str, language: str, **values: Any) -> str:
    """One page as HTML."""
    names = {code: texts(code)["language"] for code in languages()}
    found = {"text": texts(language), "language": language, "names": names, **values}
    return _environment().get_template(template).render(**found)


def static(name: str) -> bytes | None:
    """A script or style sheet; None for any other name."""
    return (FOLDER / "static" / name).read_bytes() if name in STATIC else None


def message(kind: str, language: str, study: Study) -> str:
    """A page of a title and a sentence, such as `closed`."""
    found = texts(language)
    return page(
        "message.html",
        language,
        title=found[f"{kind}_title"],
        body=found[f"{kind}_text"],
        study=study,
    )


def trial_page(study: Study, current: Current, language: str, csrf: str, *, simulated: bool) -> str:
    """The page of one trial. It depends on the design and the opaque names alone."""
    found = texts(language)
    count = sum(1 for role, _ in current.sounds if role.startswith("s"))
    sounds = [
        {"role": role, "key": key, "label": label(role, found, count)}
        for role, key in current.sounds
    ]
    return page(
        "trial.html",
        language,
        study=study,
        current=current,
        sounds=sounds,
        settings=json.dumps(
            {
                "trial": current.key,
                "csrf": csrf,
                "sounds": [[s["key"], s["role"]] for s in sounds],
                "hear": study.hear_seconds,
            }
        ),
        questions=questions(study, current, language),
        keys=keys([s["role"] for s in sounds], found, count),
        is_training=current.trial.kind == TRAINING,
        simulated=simulated,
        csrf=csrf,
    )


def label(role: str, found: Mapping[str, str], count: int) -> str:
    """The name of a sound on the page: A, B, X, the reference, or a number."""
    if role == "ref":
        return found["sound_reference"]
    return str(int(role[1:]) + 1) if role.startswith("s") and count else role.upper()


def keys(roles: Sequence[str], found: Mapping[str, str], count: int) -> str:
    """Which keys play, switch and seek."""
    letters = ["R" if role == "ref" else label(role, found, count) for role in roles]
    name = "keys_switch" if len(letters) > 1 else "keys"
    return found[name].format(letters=found["comma"].join(letters))


def questions(study: Study, current: Current, language: str) -> list[dict[str, Any]]:
    """What is asked: name, text, and the options or the range of each answer."""
    found = texts(language)
    if study.design == "mushra":
        text = study.questions[0].text[language]
        return [
            {
                "name": role,
                "text": found["rating_of"].format(letter=label(role, found, 1)),
                "above": text,
                "range": MUSHRA_SCALE,
            }
            for role, _ in current.sounds
            if role != "ref"
        ]
    return [
        {
            "name": question.id,
            "text": question.text[language],
            "options": _options(study, found),
            "low": question.low.get(language, ""),
            "high": question.high.get(language, ""),
        }
        for question in study.questions
    ]


def _options(study: Study, found: Mapping[str, str]) -> list[tuple[str, str]]:
    if study.design == "ratings":
        return [(str(n), str(n)) for n in range(SCALE[0], SCALE[1] + 1)]
    word = found["choose_x" if study.design == "abx" else "choose"]
    return [
        (choice, found["tie"] if choice == "tie" else word.format(letter=choice.upper()))
        for choice in choices(study)
    ]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
