"""The few rows of a study's results that the report of all systems shows."""

from collections.abc import Iterator, Mapping
from typing import Any

from ostinato.listening.study import Study

FORMAT = 1
Row = dict[str, Any]


def summary(found: Mapping[str, Any], study: Study) -> dict[str, Any]:
    """Title, number of listeners and rows of label, value, low, high, p (Holm); of `results`."""
    language = study.languages[0]
    names = ("study", "design", "simulated", "complete")
    return {
        "format": FORMAT,
        "title": study.title[language],
        **{name: found[name] for name in names},
        "listeners": found["listeners"]["used"],
        "rows": [*_right(found), *_preferred(found), *_rated(found)],
    }


def _right(found: Mapping[str, Any]) -> Iterator[Row]:
    for row in found.get("right", []):
        label = f"{row['cell'].replace('|', ' and ')}: share right, chance 0.5"
        yield _share(label, row["test"], row["holm"])


def _preferred(found: Mapping[str, Any]) -> Iterator[Row]:
    for block in found.get("preference", []):
        for pair in block["pairs"]:
            if not pair["test"]["n"]:  # all answers are ties
                continue
            label = f"{block['question']}: {pair['first']} preferred to {pair['second']}, share"
            yield _share(label, pair["test"], pair["holm"])
        for row in block["strengths"].get("systems", []):
            yield _interval(f"{block['question']}: log strength of {row['system']}", row)


def _rated(found: Mapping[str, Any]) -> Iterator[Row]:
    for block in found.get("ratings", []):
        for row in block["systems"]:
            yield _interval(f"{block['question']}: mean rating of {row['system']}", row)


def _share(label: str, test: Mapping[str, Any], p: Any) -> Row:
    return _interval(label, {**test, "value": test["share"]}) | {"p": p}


def _interval(label: str, row: Mapping[str, Any]) -> Row:
    return {"label": label, "p": None, **{key: row[key] for key in ("value", "low", "high")}}
