"""All results of a study as plain data: what the page shows and MLflow stores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from ostinato.listening.analysis import binomial, mixed, preference, ratings
from ostinato.listening.analysis.screening import Screened, screen
from ostinato.listening.analysis.sensitivity import d_prime
from ostinato.listening.design import cells
from ostinato.listening.study import ANCHOR, Study
from ostinato.seeds import seed_of

FORMAT = 1
DIGITS = 6
P_VALUES = ("p", "holm", "equivalence", "friedman_p")


class TooEarly(ValueError):
    """The planned listeners have not finished."""


def results(
    rows: Sequence[Mapping[str, Any]], study: Study, *, resamples: int, peek: bool
) -> dict[str, Any]:
    """The analysis of exported answers.

    Args:
        rows: as `export.rows` returns them.
        study: the study in force when they were given.
        resamples: of the bootstrap over listeners.
        peek: analyse before all planned listeners have finished; p-values are left out.

    Raises:
        TooEarly: not all have finished, and not `peek`.
        ValueError: no listener counts.
    """
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        raise ValueError(f"{study.id} has no answers yet; serve it, or simulate it: mode=simulate")
    screened = screen(frame, study)
    if not screened.is_complete and not peek:
        done = screened.listeners + screened.failed_catch + screened.failed_reference
        raise TooEarly(
            f"{done} of {study.listeners} planned listeners have finished: p-values are valid "
            "only for the n fixed before; wait, or look without p-values: peek=true"
        )
    if not screened.listeners:
        raise ValueError("no listener finished and passed the catch trials; nothing to analyse")
    found: dict[str, Any] = {
        "format": FORMAT,
        "study": study.id,
        "design": study.design,
        "simulated": bool(frame["simulated"].max()),
        "complete": screened.is_complete,
        "listeners": _listeners(screened, study),
        "bias": bias(screened.frame),
    }
    if study.design in ("abx", "human"):
        found["right"] = right_answers(screened.frame, study)
    elif study.design == "ab":
        found["preference"] = [
            preferences(screened.frame, study, q.id, resamples) for q in study.questions
        ]
    else:
        found["ratings"] = rated(screened.frame, study, resamples)
    rounded: dict[str, Any] = _plain(found if screened.is_complete else _without_p(found))
    return rounded


def _listeners(screened: Screened, study: Study) -> dict[str, int]:
    names = ("unfinished", "beyond_plan", "failed_catch", "failed_reference")
    counts = {name: int(getattr(screened, name)) for name in names}
    return {"planned": study.listeners, "used": screened.listeners, **counts}


def bias(frame: pd.DataFrame) -> dict[str, Any]:
    """Whether one side, or the sound that was played first, was chosen more often."""
    choices = frame[frame["answer"].isin(["a", "b"])]
    played = choices[choices["first_played"].isin(["a", "b"])]
    found = {
        "answer_is_a": (choices["answer"] == "a"),
        "answer_is_first_played": (played["answer"] == played["first_played"]),
    }
    return {
        name: asdict(binomial.share_of(int(flags.sum()), len(flags), alternative="two-sided"))
        for name, flags in found.items()
        if len(flags)
    }


def right_answers(frame: pd.DataFrame, study: Study) -> list[dict[str, Any]]:
    """For each pair of systems, and for all together if there are several."""
    groups = {"|".join(cell): frame[frame["cell"] == "|".join(cell)] for cell in cells(study)}
    if len(groups) > 1:
        groups["all"] = frame
    found = [{"cell": name, **_right(part, study)} for name, part in groups.items() if len(part)]
    for row, p in zip(found, ratings.holm([row["test"]["p"] for row in found]), strict=True):
        row["holm"] = p
    return found


def _right(part: pd.DataFrame, study: Study) -> dict[str, Any]:
    right = part["correct"].astype(int)
    test = binomial.share_of(int(right.sum()), len(right))
    each = right.groupby(part["listener"]).agg(["sum", "count"])
    return {
        "test": asdict(test),
        "d_prime": d_prime(test.share, study.design),
        "d_prime_low": d_prime(test.low, study.design),
        "d_prime_high": d_prime(test.high, study.design),
        "mixed": _mixed(right, part),
        "equivalence": binomial.equivalent_to_chance(test.count, test.n, study.margin),
        "listeners": [
            {"listener": int(n), **asdict(binomial.share_of(int(row["sum"]), int(row["count"])))}
            for n, row in each.iterrows()
        ],
    }


def _mixed(right: pd.Series, part: pd.DataFrame) -> dict[str, Any]:
    try:
        groups = {"listener": list(part["listener"]), "item": list(part["item"])}
        return asdict(mixed.fit(right.to_numpy(), groups))
    except mixed.Unfit as error:
        return {"missing": str(error)}


def preferences(frame: pd.DataFrame, study: Study, question: str, resamples: int) -> dict[str, Any]:
    """Exact tests of every pair, and strengths of all systems."""
    part = frame[frame["question"] == question]
    pairs = [_pair(part, cell, study) for cell in cells(study)]
    pairs = [pair for pair in pairs if pair]
    for pair, p in zip(pairs, ratings.holm([pair["test"]["p"] for pair in pairs]), strict=True):
        pair["holm"] = p
    systems = [name for name in study.systems if any(name in cell for cell in cells(study))]
    by_listener = {
        listener: [
            (*str(cell).split("|"), "tie" if answer == "tie" else str(system))
            for cell, answer, system in zip(
                rows["cell"], rows["answer"], rows["system"], strict=True
            )
        ]
        for listener, rows in part.groupby("listener")
    }
    return {
        "question": question,
        "pairs": pairs,
        "strengths": _strengths(by_listener, systems, study, question, resamples),
    }


def _pair(part: pd.DataFrame, cell: tuple[str, ...], study: Study) -> dict[str, Any]:
    rows = part[part["cell"] == "|".join(cell)]
    chosen = rows[rows["answer"] != "tie"]
    about = {"first": cell[0], "second": cell[1], "ties": len(rows) - len(chosen)}
    if not len(rows):
        return {}
    if not len(chosen):
        missing = {"missing": "all answers are ties"}
        test = binomial.Share(0, 0, *[math.nan] * 4)
        return {**about, "test": asdict(test), "mixed": missing, "equivalence": math.nan}
    first = (chosen["system"] == cell[0]).astype(int)
    test = binomial.share_of(int(first.sum()), len(first), alternative="two-sided")
    return {
        **about,
        "test": asdict(test),
        "mixed": _mixed(first, chosen),
        "equivalence": binomial.equivalent_to_chance(test.count, test.n, study.margin),
    }


def _strengths(
    by_listener: Mapping[Any, Any],
    systems: Sequence[str],
    study: Study,
    question: str,
    resamples: int,
) -> dict[str, Any]:
    seed = seed_of(study.seed, "bootstrap", question) % 2**32
    try:
        found = preference.ranking(by_listener, systems, seed=seed, resamples=resamples)
    except preference.NoEstimate as error:
        return {"missing": str(error)}
    order = sorted(systems, key=lambda name: -found.strengths.log_strengths[name])
    return {
        "nu": found.strengths.nu,
        "resamples": found.resamples,
        "failed": found.failed,
        "systems": [
            {
                "system": name,
                "value": found.strengths.log_strengths[name],
                "low": found.low[name],
                "high": found.high[name],
            }
            for name in order
        ],
        "differences": [
            {"first": a, "second": b, "p": p} for (a, b), p in found.differences.items()
        ],
    }


def rated(frame: pd.DataFrame, study: Study, resamples: int) -> list[dict[str, Any]]:
    """For each question (one for MUSHRA): means, Friedman, pairs."""
    found = []
    for question in study.questions:
        part = frame if study.design == "mushra" else frame[frame["question"] == question.id]
        table = ratings.table_of(part)
        seed = seed_of(study.seed, "bootstrap", question.id) % 2**32
        means = ratings.means(table, seed=seed, resamples=resamples)
        statistic, p = ratings.friedman(table)
        order = sorted(means.mean, key=lambda name: -means.mean[name])
        found.append(
            {
                "question": question.id,
                "listeners": len(table),
                "systems": [
                    {
                        "system": f"{name} (low-pass)" if name == ANCHOR else name,
                        "value": means.mean[name],
                        "low": means.low[name],
                        "high": means.high[name],
                    }
                    for name in order
                ],
                "friedman": statistic,
                "friedman_p": p,
                "pairs": [asdict(pair) for pair in ratings.pairs(table, study.margin)],
            }
        )
    return found


def _without_p(found: Any) -> Any:
    """The same without p-values, which are invalid before the planned n."""
    if isinstance(found, dict):
        return {k: math.nan if k in P_VALUES else _without_p(v) for k, v in found.items()}
    return [_without_p(value) for value in found] if isinstance(found, list) else found


def _plain(value: Any) -> Any:
    """Numbers to six digits; NaN and infinity, which JSON lacks, become null and text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    return value


def metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """The few numbers that are compared, flat, for MLflow."""
    numbers: dict[str, Any] = {"listeners": found["listeners"]["used"]}
    for row in found.get("right", []):
        numbers[f"{row['cell']}/share"] = row["test"]["share"]
        numbers[f"{row['cell']}/p"] = row["test"]["p"]
    for block in found.get("preference", []):
        for pair in block["pairs"]:
            name = f"{block['question']}/{pair['first']}-over-{pair['second']}"
            numbers[name] = pair["test"]["share"]
        for row in block["strengths"].get("systems", []):
            numbers[f"{block['question']}/strength/{row['system']}"] = row["value"]
    for block in found.get("ratings", []):
        for row in block["systems"]:
            numbers[f"{block['question']}/mean/{row['system'].split()[0]}"] = row["value"]
    return {
        name.replace("|", "-"): float(value)
        for name, value in numbers.items()
        if isinstance(value, int | float)
    }
