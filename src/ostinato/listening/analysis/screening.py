"""Who counts: the rules are in the study's file, so they are fixed before the first answer."""

from dataclasses import dataclass

import pandas as pd

from ostinato.listening.study import Study

RATING_AT_MOST, MUSHRA_AT_MOST = 2, 40
REFERENCE_AT_LEAST, MOST_BELOW = 90, 0.15  # ITU-R BS.1534-3, post-screening


@dataclass(frozen=True)
class Screened:
    """The answers that count, and how many listeners were set aside for which reason."""

    frame: pd.DataFrame
    listeners: int
    unfinished: int
    beyond_plan: int
    failed_catch: int
    failed_reference: int
    is_complete: bool


def screen(frame: pd.DataFrame, study: Study) -> Screened:
    """Keep the main trials of listeners who finished, are among the first planned, and passed."""
    finished = frame[frame["finished"] == 1]
    order = sorted(finished["listener"].unique())
    first = order[: study.listeners]
    wanted = finished[finished["listener"].isin(first)]
    passed = catch_counts(wanted, study)
    failed = {n for n in first if study.catch.trials and passed.get(n, 0) < study.catch.needed}
    left = wanted[~wanted["listener"].isin(failed)]
    deaf = _below_reference(left, study) if study.design == "mushra" else set()
    kept = left[~left["listener"].isin(deaf)]
    return Screened(
        frame=kept[kept["kind"] == "main"].reset_index(drop=True),
        listeners=int(kept["listener"].nunique()),
        unfinished=int(frame["listener"].nunique()) - len(order),
        beyond_plan=len(order) - len(first),
        failed_catch=len(failed),
        failed_reference=len(deaf),
        is_complete=len(first) >= study.listeners,
    )


def catch_counts(frame: pd.DataFrame, study: Study) -> dict[int, int]:
    """Catch trials that each listener passed; with several questions the first one counts."""
    catch = frame[frame["kind"] == "catch"]
    if study.design == "mushra":
        answered = catch[catch["question"] == catch["expected"]]
        right = answered["answer"].astype(float) <= (study.catch.at_most or MUSHRA_AT_MOST)
    else:
        answered = catch[catch["question"] == study.questions[0].id]
        if study.design == "ratings":
            right = answered["answer"].astype(float) <= (study.catch.at_most or RATING_AT_MOST)
        else:
            right = answered["answer"].astype(str) == answered["expected"]
    return {int(n): int(count) for n, count in right.groupby(answered["listener"]).sum().items()}


def _below_reference(frame: pd.DataFrame, study: Study) -> set[int]:
    """Listeners who rate the hidden reference below 90 in more than 15 % of the trials."""
    main = frame[(frame["kind"] == "main") & (frame["system"] == study.reference)]
    below = main["answer"].astype(float) < REFERENCE_AT_LEAST
    shares = below.groupby(main["listener"]).mean()
    return {int(n) for n in shares[shares > MOST_BELOW].index}
