"""Tells a system's samples from held-out music again, by features and a classifier of its own.

`python tests/independent/two_sample.py lstm` in a built project reads samples/<system>/*.mid and
the tokens of held-out pieces, describes each excerpt by shares that plain loops count, and asks
ridge regression in cross-validation by groups. The interval of its balanced accuracy, from a
bootstrap over groups, must overlap that of features_accuracy in evaluation/<system>/details.json:
with other features and another classifier no more can be asked. Nothing of ostinato.metrics or
ostinato.evaluation is imported. Exit status 1 where it differs.
"""

# ruff: noqa: T201

import argparse
import csv
import json
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from headlines import STEPS, cut_voices, read_voices

from ostinato.execution.commands import run_command

SHAPES = {"major": {0, 4, 7}, "minor": {0, 3, 7}, "diminished": {0, 3, 6}}
SHAPES |= {"dominant": {0, 4, 7, 10}, "seventh": {0, 3, 7, 10}, "half": {0, 3, 6, 10}}
FOLDS, REPEATS, RESAMPLES, PENALTY, SEED = 5, 10, 1000, 100.0, 1


def lines_of(voices, steps):
    """The pitch of every voice at every sixteenth, None for a rest, and where its notes begin."""
    found = []
    for voice in voices:
        line, begins = [None] * steps, [False] * steps
        for on, off, pitch in sorted(voice):
            first = round(on * STEPS)
            for step in range(first, min(steps, round(off * STEPS))):
                line[step] = pitch
            if first < steps:
                begins[first] = True
        found.append((line, begins))
    return found


def held_out(folder, codec, groups, quarters):
    """(group, voices) of the held-out pieces that were compared, cut to a length."""
    words = [word.removeprefix("pitch_") for word in codec["vocabulary"]]
    for split in ("valid", "test"):
        tokens, index = (
            np.load(folder / split / "tokens.npy"),
            np.load(folder / split / "index.npz"),
        )
        ends = np.cumsum(index["length"])
        for name, length, end in zip(index["piece"], index["length"], ends, strict=True):
            if str(name) not in groups:
                continue
            voices = []
            for column in codec["structure"]["voice_columns"]:
                cells = [words[cell] for cell in tokens[end - length : end, column]]
                starts = [n for n in range(len(cells)) if not n or cells[n] != cells[n - 1]]
                voices.append(
                    [
                        (a / STEPS, b / STEPS, int(cells[a]))
                        for a, b in pairwise([*starts, len(cells)])
                        if cells[a].isdigit()
                    ]
                )
            yield groups[str(name)], cut_voices(voices, quarters)


def chord_of(pitches):
    """(kind, root) of what sounds, None for no chord."""
    classes = {pitch % 12 for pitch in pitches}
    for kind, shape in SHAPES.items():
        for root in classes:
            if {(c - root) % 12 for c in classes} == shape:
                return kind, root
    return None


def described(voices, quarters):
    """Shares of what a piece does, by name."""
    lines = lines_of(voices, quarters * STEPS)
    counts = {
        kind: Counter()
        for kind in ("move", "turn", "length", "pair", "motion", "chord", "root", "onset", "place")
    }
    for line, begins in lines:
        at = [n for n, begun in enumerate(begins) if begun]
        moves = [line[b] - line[a] for a, b in pairwise(at) if line[b] != line[a]]
        counts["move"].update(min(abs(move), 9) for move in moves)
        counts["turn"].update((a > 0) != (b > 0) for a, b in pairwise(moves))
        counts["length"].update(min(b - a, 12) for a, b in pairwise(at))
    before = None
    for step in range(quarters * STEPS):
        begun = sum(begins[step] for _, begins in lines)
        if not begun:
            continue
        sounding = [line[step] for line, _ in lines if line[step] is not None]
        counts["onset"][begun] += 1
        counts["place"][step % STEPS] += 1
        counts["pair"].update(abs(a - b) % 12 for a, b in combinations(sounding, 2))
        chord = chord_of(sounding)
        counts["chord"][chord[0] if chord else "none"] += 1
        if chord and before:
            counts["root"][(chord[1] - before[1]) % 12] += 1
        before = chord
        if step:
            for (a, _), (b, _) in combinations(lines, 2):
                four = (a[step - 1], a[step], b[step - 1], b[step])
                if None in four or four[0] == four[1] or four[2] == four[3]:
                    continue
                together = (four[1] > four[0]) == (four[3] > four[2])
                apart = {abs(four[0] - four[2]) % 12, abs(four[1] - four[3]) % 12}
                parallel = together and len(apart) == 1 and apart <= {0, 7}
                counts["motion"]["parallel" if parallel else together] += 1
    return {
        (kind, what): number / sum(counter.values())
        for kind, counter in counts.items()
        for what, number in counter.items()
    }


def accuracy(features, is_sample, groups):
    """Balanced accuracy of ridge regression on standardized features, over folds of groups, and the
    bounds of its central 95 % over draws of groups.
    """
    names = sorted({name for row in features for name in row}, key=str)
    values = np.array([[row.get(name, 0.0) for name in names] for row in features])
    names, number = np.unique(groups, return_inverse=True)
    random, right = np.random.default_rng(SEED), np.zeros(len(values))
    for _ in range(REPEATS):
        fold = random.permutation(len(names))[number] % FOLDS
        for part in range(FOLDS):
            learn, asked = fold != part, fold == part
            middle, scale = values[learn].mean(axis=0), values[learn].std(axis=0)
            known = (values - middle) / np.where(scale > 0, scale, 1.0)
            sides = np.where(is_sample, 1.0, -1.0)
            weight = np.where(is_sample, 1 / is_sample[learn].sum(), 1 / (~is_sample[learn]).sum())
            x = np.c_[known, np.ones(len(known))]
            w = weight[learn, None] * learn.sum() / 2
            squares = x[learn].T @ (w * x[learn]) + PENALTY * np.diag([1.0] * known.shape[1] + [0])
            solved = np.linalg.solve(squares, x[learn].T @ (w[:, 0] * sides[learn]))
            right[asked] += (x[asked] @ solved > 0) == is_sample[asked]
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    times = np.vstack([np.ones(len(number)), drawn[:, number]])
    sides = (times[:, side] @ right[side] / times[:, side].sum(axis=1) / REPEATS
             for side in (is_sample, ~is_sample))  # fmt: skip
    found = sum(sides) / 2
    return float(found[0]), *np.quantile(found[1:], (0.025, 0.975)).tolist()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    system = parser.parse_args().system
    details = json.loads(Path("evaluation", system, "details.json").read_text())
    quarters = details["samples"]["quarters"]
    tokens = Path("data/tokens", details["encoding"])
    codec = json.loads((tokens / "codec.json").read_text())
    with Path("evaluation", system, "pieces.csv").open(newline="") as file:
        groups = {
            row["piece"]: row["group"]
            for row in csv.DictReader(file)
            if (row["set"], row["name"]) == ("held_out", "features_log_odds")
        }
    listed = json.loads(Path("samples", system, "samples.json").read_text())["samples"]
    made = [row for row in listed if row["task"] == "unconditional" and row["failed"] is None]
    wholes = [read_voices(Path("samples", system, row["file"])) for row in made]
    ours = [
        cut_voices(voices, quarters)
        for voices in wholes
        if voices and max(off for voice in voices for _, off, _ in voice) >= quarters - 1e-6
    ]
    theirs = list(held_out(tokens, codec, groups, quarters))
    features = [described(voices, quarters) for voices in [*ours, *(v for _, v in theirs)]]
    is_sample = np.arange(len(features)) < len(ours)
    names = [f"sample {n}" for n in range(len(ours))] + [group for group, _ in theirs]
    found, low, high = accuracy(features, is_sample, names)
    figure = details["measures"]["two_sample"]["values"]["features_accuracy"]
    agrees = figure["low"] <= high and low <= figure["high"]
    print(
        f"{'  ' if agrees else '!!'} two-sample accuracy of {len(ours)} samples and {len(theirs)} "
        f"held-out pieces: {found:.3f} [{low:.3f}, {high:.3f}] here, {figure['value']:.3f} "
        f"[{figure['low']:.3f}, {figure['high']:.3f}] in the evaluation"
    )
    return int(not agrees)


if __name__ == "__main__":
    run_command(main)
