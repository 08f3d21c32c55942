"""Whether the roles of the real band's pieces belong together, and whether styles are obeyed.

python -m benchmarks.band_roles --rows FOLDER   writes results/band-jam-roles.json

FOLDER: what `python -m benchmarks.band --rows FOLDER` kept. Beside its pieces stand held-out parts
of the real band's data (--tokens). `apart`: the same pieces with the second role taken from the
next other piece that has it, in the key of this one: what roles that do not hear each other get.
Pieces with fewer than 4 bars are left out, longer ones cut after 8 bars, so lengths are alike.

one piece: probability of being of one piece, by a classifier of training pairs (metrics/roles.py).
tonal distance: lower is closer. onsets, kick: the share of the bass's onsets on one of the drums,
on a bass drum. chord tones: time of notes in the chord of the chord role; apart: in that of the
next piece. style: judged by a classifier of training parts (metrics/control.py).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.commands import run_command

RESULTS = Path(__file__).parent / "results"
LEAST, MOST = 4, 8  # bars
ROLES = ("melody", "piano", "guitar", "strings", "bass", "drums")
CHANCE = {"seed": 1, "resamples": 1000}
FEWEST = 10  # pieces of a pair of roles


def cut_to(piece: Any) -> Any:
    """The first bars of a piece; None of one that is too short."""
    from ostinato.music.piece import cut
    from ostinato.music.timing import bar_onsets

    lines = bar_onsets(piece)
    if len(lines) < LEAST:
        return None
    return cut(piece, 0, lines[MOST]) if len(lines) > MOST else piece


def made_pieces(rows: Path, form: Any) -> tuple[list[Any], list[str | None]]:
    """The band's pieces, and the style that each was asked for."""
    from ostinato.music.piece import Tempo

    pieces, styles = [], []
    for file in sorted(rows.glob("*.json")):
        for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
            if row["tokens"] is None:
                continue
            piece = cut_to(form.decode(np.array(row["tokens"], np.int32)[:, None]))
            if piece is not None:
                pieces.append(replace(piece, tempos=(Tempo(0, row["tempo"]),)))
                styles.append(row["row"]["conditions"].get("style"))
    return pieces, styles


def real_pieces(
    tokens: Any, form: Any, split: str, most: int
) -> tuple[list[Any], list[str | None], list[str]]:
    """Parts of a split, their styles, and the pieces that they are of; at most so many."""
    part = tokens.splits[split]
    names = [entry["name"] for entry in tokens.codec["conditions"]]
    styles = tokens.codec["conditions"][names.index("style")]["values"]
    numbers = np.random.default_rng(1).permutation(len(part))
    pieces: list[Any] = []
    found: list[str | None] = []
    groups: list[str] = []
    for number in numbers[:most].tolist():
        piece = cut_to(form.decode(part.tokens_of(number)))
        if piece is not None:
            code = int(part.conditions[number, names.index("style")])
            pieces.append(piece)
            found.append(styles[code] if code >= 0 else None)
            groups.append(str(part.piece[number]).split("#")[0])
    return pieces, found, groups


def one_piece(
    train: list[Any], sets: dict[str, list[Any]], styles: dict[str, list[str | None]]
) -> dict[str, Any]:
    """The mean probability of being of one piece, by pair of roles, over all, and of these by
    style.
    """
    from ostinato.metrics.bootstrap import mean_interval
    from ostinato.metrics.roles import chance_of_one_piece, features_of, pairs_of, parts_of

    parts = {name: [parts_of(piece) for piece in pieces] for name, pieces in sets.items()}
    learned = [parts_of(piece) for piece in train]
    found: dict[str, Any] = {}
    every: dict[str, list[Any]] = {}
    for pair in combinations(ROLES, 2):
        known = [
            features_of(pairs_of(learned, pair, shuffled=shuffled)) for shuffled in (False, True)
        ]
        row = {}
        for name, rows in parts.items():
            for shuffled in (False, True):
                asked = features_of(pairs_of(rows, pair, shuffled=shuffled))
                key = f"{name}, apart" if shuffled else name
                chances = chance_of_one_piece(*known, asked)
                if (~np.isnan(chances)).sum() >= FEWEST:
                    row[key] = str(mean_interval(chances, **CHANCE))
                    every.setdefault(key, []).append(chances)
        found["_".join(pair)] = row
    found["all pairs"] = {
        key: str(mean_interval(np.concatenate(rows), **CHANCE)) for key, rows in every.items()
    }
    found["all pairs by style"] = {
        key: {
            style: str(mean_interval(np.concatenate([row[places] for row in rows]), **CHANCE))
            for style, places in places_of(styles[key.removesuffix(", apart")]).items()
        }
        for key, rows in every.items()
    }
    return found


def places_of(styles: list[str | None]) -> dict[str, list[int]]:
    """Which pieces have each style."""
    known = sorted({style for style in styles if style})
    return {name: [i for i, style in enumerate(styles) if style == name] for name in known}


def shares(pieces: Sequence[Any]) -> dict[str, Any]:
    """Tonal distance of pitched roles, bass on the drums, chord tones: as they are and apart."""
    from ostinato.metrics.bootstrap import ratio_interval
    from ostinato.metrics.roles import on_the_kick, onsets_together, pairs_of, parts_of
    from ostinato.metrics.tracks import tonal_distances

    parts = [parts_of(piece) for piece in pieces]
    counts: dict[str, list[Any]] = {"kick": [on_the_kick(piece, "bass") for piece in pieces]}
    for shuffled, word in ((False, ""), (True, ", apart")):
        pairs = pairs_of(parts, ("drums", "bass"), shuffled=shuffled)
        counts[f"onsets{word}"] = [
            (0.0, 0.0) if two is None else onsets_together(*two) for two in pairs
        ]
        distances = tonal_distances(pieces, [r for r in ROLES if r != "drums"], shuffled=shuffled)
        counts[f"tonal distance{word}"] = np.sum(
            [np.array(rows, dtype=np.float64) for rows in distances.values()], axis=0
        ).tolist()
        counts[f"chord tones{word}"] = in_chords(pieces, apart=shuffled)
    return {
        name: str(ratio_interval(*np.array(rows, dtype=np.float64).T, **CHANCE))
        for name, rows in counts.items()
    }


def in_chords(pieces: Sequence[Any], *, apart: bool) -> list[Any]:
    """Chord tones of every piece that has a chord role; apart: by the next one's chords."""
    from ostinato.metrics.chords import chord_tones
    from ostinato.music.chords import chords_as_annotations, parse_chord

    found, told = [], [chords_as_annotations(piece) for piece in pieces]
    for number, piece in enumerate(told):
        order = range(number + 1, number + len(told)) if apart else [number]
        signs = next(
            (told[at % len(told)].annotations for at in order if told[at % len(told)].annotations),
            (),
        )
        chords = []
        for sign in signs if piece.annotations else ():
            chord = parse_chord(sign.value)
            onset = sign.onset / piece.ticks_per_quarter
            chords.append((onset, sorted(chord.classes) if chord else []))
        found.append(chord_tones(piece, chords) if chords else (0.0, 0.0))
    return found


def style_obeyed(
    train: tuple[list[Any], list[Any]], sets: dict[str, tuple[list[Any], list[Any]]]
) -> dict[str, Any]:
    """How often the style that was asked for, or that is true, is recognized."""
    from ostinato.metrics.bootstrap import mean_interval
    from ostinato.metrics.control import judged, style_features

    names = sorted({style for style in train[1] if style})

    def codes(styles: list[Any]) -> Any:
        return np.array([names.index(s) if s in names else -1 for s in styles])

    labels = codes(train[1])
    features = style_features(
        [piece for piece, code in zip(train[0], labels, strict=True) if code >= 0]
    )
    labels = labels[labels >= 0]
    found: dict[str, Any] = {"training parts": len(labels)}
    for name, (pieces, styles) in sets.items():
        wanted = codes(styles)
        pieces = [piece for piece, code in zip(pieces, wanted, strict=True) if code >= 0]
        wanted = wanted[wanted >= 0]
        right = judged(features, labels, style_features(pieces)) == wanted
        found[name] = str(mean_interval(right.astype(float), **CHANCE))
        found[f"{name}, by style"] = {
            style: f"{right[wanted == code].mean():.2f} ({(wanted == code).sum()})"
            for code, style in enumerate(names)
            if (wanted == code).any()
        }
        commonest = np.bincount(labels).argmax()
        found[f"{name}, commonest style"] = round(float((wanted == commonest).mean()), 4)
        found[f"{name}, styles by chance"] = round(1 / len(names), 4)
    return found


def main() -> None:
    """Parse the command line, measure, write the results."""
    from ostinato.files import write_json
    from ostinato.loading.tokens import open_tokens
    from ostinato.representations.registry import build

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.band_roles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument(
        "--rival", action="append", default=[], metavar="NAME=FOLDER", help="rows of another model"
    )
    parser.add_argument("--tokens", type=Path, default=Path("reproductions/band/data/tokens/band"))
    parser.add_argument("--train", type=int, default=1000, help="training parts, at most")
    parser.add_argument("--out", type=Path, default=RESULTS / "band-jam-roles.json")
    arguments = parser.parse_args()
    tokens = open_tokens(arguments.tokens)
    form = build(tokens.codec["representation"])
    made, asked = made_pieces(arguments.rows, form)
    rivals = dict(pair.split("=", 1) for pair in arguments.rival)
    train, train_styles, _ = real_pieces(tokens, form, "train", arguments.train)
    real, styles, _ = real_pieces(tokens, form, "test", 10_000)
    flat = {name: made_pieces(Path(rows), form) for name, rows in rivals.items()}
    asked_of = {"band": (made, asked)} | flat | {"held-out": (real, styles)}
    sets = {name: pieces for name, (pieces, _) in asked_of.items()}
    styles_of = {name: labels for name, (_, labels) in asked_of.items()}
    found = {
        "pieces": {name: len(pieces) for name, pieces in sets.items()} | {"training": len(train)},
        "bars": [LEAST, MOST],
        "one piece": one_piece(train, sets, styles_of),
        "shares": {name: shares(pieces) for name, pieces in sets.items()},
        "shares by style": {
            name: {
                style: shares([pieces[place] for place in places])
                for style, places in places_of(styles_of[name]).items()
            }
            for name, pieces in sets.items()
        },
        "style": style_obeyed((train, train_styles), asked_of),
    }
    write_json(arguments.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_command(main)
