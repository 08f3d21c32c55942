"""Does a conditioned model obey? A classifier of real music judges its samples.

`python -m benchmarks.conditions models/<system> data/corpus/<dataset> --condition emotion` fits a
linear discriminant on simple features of the train split, says how often it is right on held-out
pieces, and then how often on samples that were asked for each value. Chance is one in the number of
values. Pieces are cut to the length of the samples, and to whole bars of 4/4.
"""

# P pieces, F features, K values

import argparse
from pathlib import Path

import numpy as np

from ostinato.corpus.store import iterate_corpus
from ostinato.execution.commands import run_command
from ostinato.generator import Generator
from ostinato.metrics.bootstrap import mean_interval
from ostinato.music.piece import Piece, cut
from ostinato.sampling.request import Request

FEATURES = (
    "notes a quarter",
    "onsets a quarter",
    "mean pitch",
    "spread of pitch",
    "lowest tenth of pitch",
    "highest tenth of pitch",
    "mean duration",
    "mean interval of the highest notes",
    "major third above the commonest pitch class",
    "entropy of pitch classes",
)
RIDGE = 1e-3


def features(piece: Piece) -> np.ndarray:
    """FEATURES of a piece, (F,); zeros for a piece without notes."""
    notes, tpq = piece.notes, piece.ticks_per_quarter
    if not len(notes):
        return np.zeros(len(FEATURES))
    pitch, quarters = notes["pitch"].astype(float), max(piece.length / tpq, 1.0)
    onsets = np.unique(notes["onset"])
    top = np.array([pitch[notes["onset"] == onset].max() for onset in onsets])
    shares = np.bincount(notes["pitch"] % 12, minlength=12) / len(notes)
    tonic = int(shares.argmax())
    third = shares[(tonic + 4) % 12] - shares[(tonic + 3) % 12]
    used = shares[shares > 0]
    return np.array(
        [
            len(notes) / quarters,
            len(onsets) / quarters,
            pitch.mean(),
            pitch.std(),
            np.quantile(pitch, 0.1),
            np.quantile(pitch, 0.9),
            (notes["duration"] / tpq).mean(),
            np.abs(np.diff(top)).mean() if len(top) > 1 else 0.0,
            third,
            -(used * np.log(used)).sum(),
        ]
    )


class Discriminant:
    """Linear discriminant analysis: Gaussian classes of one covariance (Fisher 1936)."""

    def __init__(self, values_PF: np.ndarray, classes_P: np.ndarray) -> None:
        self.middle, self.scale = values_PF.mean(0), values_PF.std(0) + 1e-9
        scaled = self._scaled(values_PF)
        self.means_KF = np.stack([scaled[classes_P == k].mean(0) for k in np.unique(classes_P)])
        rest = scaled - self.means_KF[classes_P]
        covariance = rest.T @ rest / len(rest) + RIDGE * np.eye(scaled.shape[1])
        self.inverse = np.linalg.inv(covariance)

    def classes(self, values_PF: np.ndarray) -> np.ndarray:
        """The nearest class of each piece, (P,)."""
        rest = self._scaled(values_PF)[:, None] - self.means_KF
        return np.einsum("pkf,fg,pkg->pk", rest, self.inverse, rest).argmin(1)

    def _scaled(self, values_PF: np.ndarray) -> np.ndarray:
        return (values_PF - self.middle) / self.scale


def real_music(corpus: Path, name: str, values: list[str], quarters: int):
    """Features and classes of the pieces of each split that have the label and notes."""
    found: dict[str, tuple[list[np.ndarray], list[int]]] = {}
    for entry in iterate_corpus(corpus):
        if entry.piece.labels.get(name) in values:
            piece = cut(entry.piece, 0, quarters * entry.piece.ticks_per_quarter)
            rows, classes = found.setdefault(entry.split, ([], []))
            rows.append(features(piece))
            classes.append(values.index(entry.piece.labels[name]))
    return {split: (np.stack(rows), np.array(classes)) for split, (rows, classes) in found.items()}


def agreement(judge: Discriminant, values_PF: np.ndarray, classes_P: np.ndarray) -> str:
    right = (judge.classes(values_PF) == classes_P).astype(float)
    interval = mean_interval(right, seed=1, resamples=2000)
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}] of {len(right)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--condition", required=True)
    parser.add_argument("--each", type=int, default=24, help="samples of each value")
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = Generator.load(options.model)
    spec = next(s for s in generator.capabilities().conditions if s.name == options.condition)
    values = list(spec.values)
    splits = real_music(options.corpus, spec.name, values, options.bars * 4)
    judge = Discriminant(*splits["train"])
    print(f"chance                      {1 / len(values):.3f}")
    for split in ("train", "valid", "test"):
        print(f"real music, {split:5}           {agreement(judge, *splits[split])}")
    rows, asked = [], []
    for value in (*values, None):
        request = Request(
            bars=options.bars,
            n=options.each,
            seed=options.seed,
            conditions={} if value is None else {spec.name: value},
            options={"top_p": 0.95},
        )
        made = [sample.piece for sample in generator.generate(request) if sample.piece]
        found = np.stack([features(piece) for piece in made])
        taken = np.bincount(judge.classes(found), minlength=len(values))
        shares = "  ".join(f"{v} {n / len(made):.2f}" for v, n in zip(values, taken, strict=True))
        print(
            f"asked for {value or 'nothing':8}  judged {shares}   "
            f"notes a quarter {found[:, 0].mean():.2f}"
        )
        if value is not None:
            rows.append(found)
            asked.append(np.full(len(found), values.index(value)))
    agreed = agreement(judge, np.concatenate(rows), np.concatenate(asked))
    print(f"samples, as asked           {agreed}")


if __name__ == "__main__":
    run_command(main)
