"""Whether the real band's pieces have the style that was asked for, and what helps.

python -m benchmarks.band_style --rows FOLDER   writes results/band-jam-style.json

Every request has the style and the roles of a held-out part, and 8 bars; all else is open. So the
held-out parts themselves, cut after 8 bars, are what could be reached; `no style`, of which only
the roles are those of the style, is the floor. A piece is judged by a
classifier of one half of the training pieces (metrics/control.py).

guidance: see sampling/ensemble/guidance.py. best of 4, by the model: of four pieces, that whose
nats fall most when the model is told the style. best of 4, by a classifier: that to which a
classifier of the other half of the training pieces gives the style the highest probability.
FOLDER keeps every chunk that is done; the same command goes on from there.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.band import TOP_P, made_rows
from benchmarks.band_roles import CHANCE, RESULTS, cut_to, in_chords, real_pieces
from ostinato.execution.commands import run_command
from ostinato.music.chords import ROLE as CHORDS

BARS, CANDIDATES, SEED = 8, 4, 1
WRONG = ("failed", "empty", "collapsed", "mistakes")
VARIANTS = {  # guidance, candidates, whether the style is asked for
    "no style": (1.0, 1, False),
    "guidance 1": (1.0, CANDIDATES, True),
    "guidance 2": (2.0, 1, True),
    "guidance 3": (3.0, 1, True),
}


@dataclass(frozen=True)
class Limits:
    """Pieces side by side, and minutes of the processor after which no chunk of them begins."""

    chunk: int
    minutes: float


@dataclass(frozen=True)
class Real:
    """Parts of real music with a style, their style as a code, and the pieces they are of."""

    pieces: list[Any]
    codes: Any
    groups: list[str]

    @classmethod
    def of(cls, tokens: Any, form: Any, split: str, names: list[str]) -> "Real":
        """All parts of a split that have a style and bars enough."""
        pieces, styles, groups = real_pieces(tokens, form, split, 1_000_000)
        kept = [number for number, style in enumerate(styles) if style]
        codes = np.array([names.index(str(styles[number])) for number in kept])
        return cls([pieces[n] for n in kept], codes, [groups[n] for n in kept])

    def some(self, numbers: Any) -> "Real":
        """These parts."""
        groups = [self.groups[number] for number in numbers]
        return Real([self.pieces[n] for n in numbers], self.codes[numbers], groups)


def evenly(real: Real, each: int) -> Real:
    """At most so many parts of each style, styles in turn."""
    by_style = [np.flatnonzero(real.codes == code)[:each] for code in np.unique(real.codes)]
    turns = [number for turn in zip_longest(*by_style) for number in turn if number is not None]
    return real.some(np.array(turns))


def halves(real: Real) -> tuple[Real, Real]:
    """Every second piece, and the others; parts of a piece stay together."""
    order = {group: number for number, group in enumerate(sorted(set(real.groups)))}
    odd = np.array([order[group] % 2 for group in real.groups], dtype=bool)
    return real.some(np.flatnonzero(~odd)), real.some(np.flatnonzero(odd))


def asked_like(real: Real, names: list[str], guidance: float, number: int, told: bool) -> Any:
    """The requests of one variant, for the `number`-th candidates."""
    from ostinato.sampling.request import Request

    found = []
    for place, (piece, code) in enumerate(zip(real.pieces, real.codes.tolist(), strict=True)):
        playing = {piece.tracks[at].role for at in np.unique(piece.notes["track"]).tolist()}
        options: dict[str, Any] = {"roles": tuple(sorted(playing - {CHORDS})), "top_p": TOP_P}
        if guidance != 1:
            options["guidance"] = guidance
        about: dict[str, Any] = {
            "conditions": {"style": names[code]} if told else {},
            "options": options,
        }
        seed = SEED + place + 1000 * number
        found.append(Request(bars=BARS, min_bars=BARS, seed=seed, **about))
    return found


def made(generator: Any, asked: list[Any], file: Path, limits: Limits) -> list[dict[str, Any]]:
    """The pieces of these requests, as `benchmarks.band` has them; kept in `file`-<chunk>."""
    from ostinato.files import write_json

    chunk = limits.chunk

    rows: list[dict[str, Any]] = []
    for first in range(0, len(asked), chunk):
        kept = file.with_name(f"{file.name}-{first:03}.json")
        if not kept.exists():
            if time.process_time() > 60 * limits.minutes:
                raise SystemExit(f"stopped before {kept}")
            begun = time.process_time()
            done = made_rows(generator, asked, list(range(len(asked)))[first : first + chunk])
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, {"rows": done, "seconds": time.process_time() - begun})
        found = json.loads(kept.read_text(encoding="utf-8"))
        rows += [row | {"seconds": found["seconds"] / len(found["rows"])} for row in found["rows"]]
    return rows


def pieces_of(rows: list[dict[str, Any]], form: Any) -> list[Any]:
    """The pieces as the classifier sees them; raises ValueError where one failed."""
    from ostinato.music.piece import Tempo

    if any(row["tokens"] is None for row in rows):
        raise ValueError("a piece failed: see the rows")
    found = [cut_to(form.decode(np.array(row["tokens"], np.int32)[:, None])) for row in rows]
    tempos = [(Tempo(0, row["tempo"]),) for row in rows]
    return [replace(piece, tempos=tempo) for piece, tempo in zip(found, tempos, strict=True)]


def classifier(real: Real) -> Any:
    """Probabilities of styles, (P, styles), as `metrics.control.judged` decides."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ostinato.metrics.control import style_features

    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    model = make_pipeline(filled, StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(style_features(real.pieces), real.codes)
    return lambda pieces: model.predict_proba(style_features(pieces))


def summary(
    judge: Any, pieces: list[Any], codes: Any, names: list[str], rows: Any = ()
) -> dict[str, Any]:
    """How often the style is recognized, and what else there is to say of these pieces."""
    from ostinato.metrics.bootstrap import mean_interval, ratio_interval

    right = judge(pieces).argmax(axis=1) == codes
    tones = np.array(in_chords(pieces, apart=False)).T
    found: dict[str, Any] = {
        "pieces": len(pieces),
        "recognized": str(mean_interval(right.astype(float), **CHANCE)),
        "by style": {
            names[code]: f"{right[codes == code].mean():.2f} ({(codes == code).sum()})"
            for code in np.unique(codes).tolist()
        },
        "chord tones": str(ratio_interval(*tones, **CHANCE)),
        "notes a quarter": round(
            float(sum(len(p.notes) for p in pieces) / sum(p.quarters for p in pieces)), 3
        ),
    }
    if rows:
        counts: Counter[str] = Counter()
        for row in rows:
            counts.update(row["counts"])
        found |= {name: counts[name] for name in ("parts", *WRONG)}
        found["processor seconds a piece"] = round(float(np.mean([r["seconds"] for r in rows])), 2)
    return found


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.band_style",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="reproductions/band/pretrained")
    parser.add_argument("--tokens", type=Path, default=Path("reproductions/band/data/tokens/band"))
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--each", type=int, default=8, help="held-out parts of a style, at most")
    parser.add_argument("--chunk", type=int, default=20, help="pieces side by side")
    parser.add_argument("--minutes", type=float, default=np.inf, help="of the processor")
    parser.add_argument("--only", choices=VARIANTS, help="make the pieces of this one and stop")
    parser.add_argument("--out", type=Path, default=RESULTS / "band-jam-style.json")
    return parser.parse_args()


def best_of(
    rows: list[Any], codes: Any, form: Any, model: Any, choosing: Any
) -> dict[str, tuple[Any, Any]]:
    """Of each piece the best candidate, by both ways: pieces, and their rows."""
    from ostinato.feedback.told import gain
    from ostinato.models.spec import NOT_GIVEN

    every = [pieces_of(one, form) for one in rows]
    places = np.arange(len(codes))
    known = [spec.name for spec in model.conditions]

    def gained(row: dict[str, Any], code: int) -> float:
        asked = [code if name == "style" else NOT_GIVEN for name in known]
        return gain(model, np.array(row["tokens"])[:, None], asked)

    by_model = [[gained(r, c) for r, c in zip(one, codes.tolist(), strict=True)] for one in rows]
    by_classifier = [choosing(one)[places, codes] for one in every]
    found = {}
    for how, score in (("by the model", by_model), ("by a classifier", by_classifier)):
        best = np.array(score).argmax(axis=0).tolist()
        chosen = [rows[n][place] for place, n in enumerate(best)]
        chosen = [row | {"seconds": row["seconds"] * len(rows)} for row in chosen]
        found[how] = [every[n][place] for place, n in enumerate(best)], chosen
    return found


def main() -> None:
    """Make, judge, write the results."""
    import torch

    from ostinato.files import write_json
    from ostinato.generator import Generator
    from ostinato.loading.tokens import open_tokens

    arguments = parsed()
    torch.set_num_threads(1)
    generator, tokens = Generator.load(arguments.model), open_tokens(arguments.tokens)
    form, model = generator.representation, generator.trained.model
    [spec] = [spec for spec in generator.capabilities().conditions if spec.name == "style"]
    names = list(spec.values)
    like = evenly(Real.of(tokens, form, "test", names), arguments.each)
    limits, rows = Limits(arguments.chunk, arguments.minutes), {}
    for name, (guidance, candidates, asked) in VARIANTS.items():
        if arguments.only in (None, name):
            rows[name] = [
                made(
                    generator,
                    asked_like(like, names, guidance, number, asked),
                    arguments.rows / f"{name.replace(' ', '-')}-{number}",
                    limits,
                )
                for number in range(candidates)
            ]
    if arguments.only:
        return
    judging, choosing = map(classifier, halves(Real.of(tokens, form, "train", names)))
    found = {"held-out": summary(judging, like.pieces, like.codes, names)}
    for name, candidates in rows.items():
        pieces = pieces_of(candidates[0], form)
        found[name] = summary(judging, pieces, like.codes, names, candidates[0])
        if len(candidates) > 1:
            chosen = best_of(candidates, like.codes, form, model, choosing)
            for how, (best, of) in chosen.items():
                key = f"best of {len(candidates)}, {how}"
                found[key] = summary(judging, best, like.codes, names, of)
    write_json(arguments.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_command(main)
