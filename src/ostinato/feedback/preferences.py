"""Choices between clips: simulated, or read from the export of a listening test, as pairs.

Answers have the columns of `listening/export.py`. A pair is always of one listener: ratings are
compared within a listener and a prompt, never between listeners, whose scales differ.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ostinato.feedback.settings import ListenerSettings
from ostinato.listening.choice import choose
from ostinato.seeds import seed_of

COLUMNS = (
    *("study", "simulated", "listener", "finished", "kind", "item", "sounds", "question", "answer"),
)
MAIN = "main"
FEWEST = 4  # listeners: two ensembles of different ones, and one that neither has seen
Values = npt.NDArray[np.float64]
Row = Mapping[str, object]


@dataclass(frozen=True)
class Pairs:
    """P choices: numbers of the preferred and of the other clip, of the listener, of the prompt."""

    better: npt.NDArray[np.int64]
    worse: npt.NDArray[np.int64]
    listener: npt.NDArray[np.int64]
    prompt: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.better)

    def only(self, mask: npt.NDArray[np.bool_]) -> "Pairs":
        """Those for which a mask is true."""
        return Pairs(*(values[mask] for values in vars(self).values()))


def simulated_answers(
    study: str,
    names: Sequence[str],
    prompts: Sequence[str],
    parts: Values,
    weights: Sequence[float],
    settings: ListenerSettings,
    seed: int,
) -> list[Row]:
    """Rows of answers of simulated listeners.

    names: of the clips. prompts: that each continues. parts: (clips, statistics) in standard
    deviations; a listener's utility is their sum, weighted by his own weights.
    """
    by_prompt: dict[str, list[int]] = {}
    for number, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(number)
    known, rows = sorted(by_prompt), list[Row]()
    for listener in range(1, settings.count + 1):
        rng = np.random.default_rng(seed_of(seed, "listener", listener))
        own = np.array(weights) * (1 + settings.spread * rng.normal(size=len(weights)))
        for _ in range(settings.choices):
            prompt = known[int(rng.integers(len(known)))]
            first, second = rng.choice(by_prompt[prompt], 2, replace=False)
            guess = rng.random() < settings.lapse
            utility = (0.0, 0.0) if guess else (parts[first] @ own, parts[second] @ own)
            rows.append(
                {
                    "study": study,
                    "simulated": 1,
                    "listener": listener,
                    "finished": 1,
                    "kind": MAIN,
                    "item": prompt,
                    "sounds": f"a={names[first]}|b={names[second]}",
                    "question": "preference",
                    "answer": choose(rng, *map(float, utility)),
                }
            )
    return rows


def nearest_pairs(prompts: Sequence[str], utility: Values) -> Pairs:
    """All pairs of clips of one prompt that differ in a utility; the listener is 0."""
    names = sorted(set(prompts))
    found = []
    for number, name in enumerate(names):
        own = [n for n, prompt in enumerate(prompts) if prompt == name]
        for a, b in combinations(own, 2):
            if utility[a] != utility[b]:
                better, worse = (a, b) if utility[a] > utility[b] else (b, a)
                found.append((better, worse, 0, number))
    return Pairs(*np.array(found, dtype=np.int64).reshape(-1, 4).T)


def as_csv(rows: Sequence[Row]) -> str:
    """Rows of answers as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def pairs_of(rows: Sequence[Row], names: Sequence[str], where: str) -> tuple[Pairs, dict[str, int]]:
    """Pairs of all answers to main trials, and what was set aside, counted by its reason.

    names: of the known clips. where: the file that messages name.

    Raises:
        ValueError: missing columns, an unknown clip, no preference, or too few listeners.
    """
    number_of = {name: number for number, name in enumerate(names)}
    if rows and (missing := [c for c in COLUMNS if c not in rows[0]]):
        raise ValueError(
            f"{where} lacks the columns {', '.join(missing)}; it must be the file answers.csv that "
            "python pipelines/listen.py mode=export writes"
        )
    listeners = {name: n for n, name in enumerate(sorted({str(row["listener"]) for row in rows}))}
    prompts = {name: n for n, name in enumerate(sorted({str(row["item"]) for row in rows}))}
    aside = {"not a main trial": 0, "not finished": 0, "no preference": 0}
    found: list[tuple[int, int, int, int]] = []
    rated: dict[tuple[int, int, str], list[tuple[float, int]]] = {}
    for row in rows:
        if row["kind"] != MAIN or str(row["finished"]) != "1":
            aside["not a main trial" if row["kind"] != MAIN else "not finished"] += 1
            continue
        sounds = _sounds(str(row["sounds"]), number_of, where)
        who, what = listeners[str(row["listener"])], prompts[str(row["item"])]
        answer = str(row["answer"])
        if answer in sounds and len(sounds) == 2:
            (other,) = (number for role, number in sounds.items() if role != answer)
            found.append((sounds[answer], other, who, what))
        elif answer.isdigit() and len(sounds) == 1:
            key = (who, what, str(row["question"]))
            rated.setdefault(key, []).append((float(answer), sounds[min(sounds)]))
        else:
            aside["no preference"] += 1
    for (who, what, _), given in sorted(rated.items()):
        for (a, first), (b, second) in combinations(given, 2):
            if a == b:
                aside["no preference"] += 1
            else:
                found.append((*((first, second) if a > b else (second, first)), who, what))
    pairs = Pairs(*np.array(found, dtype=np.int64).reshape(-1, 4).T)
    _refuse_few(pairs, where)
    return pairs, aside


def _sounds(text: str, number_of: Mapping[str, int], where: str) -> dict[str, int]:
    """The clip of each role."""
    found = {}
    for part in text.split("|"):
        role, _, name = part.partition("=")
        if name not in number_of:
            known = ", ".join(sorted(number_of)[:3])
            raise ValueError(
                f"{where} has an answer about {name!r}, which is not among the study's "
                f"{len(number_of)} clips ({known}, …): name the samples that were heard"
            )
        found[role] = number_of[name]
    return found


def _refuse_few(pairs: Pairs, where: str) -> None:
    listeners, prompts = len(np.unique(pairs.listener)), len(np.unique(pairs.prompt))
    if listeners < FEWEST:
        raise ValueError(
            f"{where} has preferences of {listeners} listeners and needs {FEWEST} or more: a "
            "reward model must be tried on listeners that it was not trained on. Ask more people"
        )
    if prompts < FEWEST:
        raise ValueError(
            f"{where} has preferences about {prompts} items and needs {FEWEST} or more"
        )
