"""Recomputes headline figures of a system on a grid from the pipeline's files, by own code.

`python tests/independent/headlines.py lstm` in a built project reads samples/<system>/*.mid with
mido, the tokens with numpy and the model step by step, and compares with
evaluation/<system>/details.json and pieces.csv. Nothing of ostinato.metrics or
ostinato.evaluation is imported. Exit status 1 where a figure differs.
"""

# ruff: noqa: T201

import argparse
import csv
import itertools
import json
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import mido
import numpy as np

from ostinato.execution.commands import run_command

STEPS = 4  # in a quarter
FIFTH, OCTAVE = 7, 0
STEPPED = 2  # test pieces that the model is stepped through


def read_voices(path):
    """Notes (onset, end, pitch) in quarters of every track of a MIDI file that has some."""
    file = mido.MidiFile(path)
    voices = []
    for track in file.tracks:
        now, sounding, notes = 0, {}, []
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.note] = now
            elif message.type in ("note_on", "note_off") and message.note in sounding:
                notes.append((sounding.pop(message.note), now, message.note))
        if notes:
            per = file.ticks_per_beat
            voices.append([(on / per, off / per, pitch) for on, off, pitch in notes])
    return voices


def held_out_lengths(folder, codec):
    """Quarters from the first row to the end of the last note of every held-out piece."""
    lengths = []
    for split in ("valid", "test"):
        tokens = np.load(folder / split / "tokens.npy")
        index = np.load(folder / split / "index.npz")
        start = 0
        for rows in index["length"].tolist():
            cells = tokens[start : start + rows, codec["structure"]["voice_columns"]]
            pitched = np.char.startswith(np.array(codec["vocabulary"]), "pitch_")[cells]
            lengths.append((int(np.flatnonzero(pitched.any(axis=1)).max()) + 1) / STEPS)
            start += rows
    return sorted(lengths)


def cut_voices(voices, quarters):
    """What begins before a time, cut off there."""
    kept = [[(on, min(off, quarters), p) for on, off, p in v if on < quarters] for v in voices]
    return [voice for voice in kept if voice]


def parallels(pieces):
    """Fifths and octaves that move in parallel, and all pairs that move in one direction."""
    found = dict.fromkeys((FIFTH, OCTAVE), 0)
    together = 0
    for voices in pieces:
        steps = round(max(off for voice in voices for _, off, _ in voice) * STEPS)
        lines = [[None] * steps for _ in voices]
        for line, voice in zip(lines, voices, strict=True):
            for on, off, pitch in sorted(voice):
                for step in range(round(on * STEPS), min(steps, round(off * STEPS))):
                    line[step] = pitch
        for a, b in combinations(lines, 2):
            for now in range(1, steps):
                four = (a[now - 1], a[now], b[now - 1], b[now])
                if None in four or (four[1] - four[0]) * (four[3] - four[2]) <= 0:
                    continue
                together += 1
                apart = {abs(four[0] - four[2]) % 12, abs(four[1] - four[3]) % 12}
                for interval in found:
                    found[interval] += apart == {interval}
    return found[FIFTH], found[OCTAVE], together


def bar_starts(system, rows, codec):
    """Quarters at which the bars of every sample begin, by its id, from the bar column."""
    stored = np.load(Path("samples", system, "tokens.npz"))
    ends = np.cumsum(stored["length"])
    structure = codec["structure"]
    quiet = (structure["inside"], structure["end"])
    found = {}
    for row, length, end in zip(rows, stored["length"], ends, strict=True):
        column = stored["tokens"][end - length : end, structure["bar_column"]]
        found[row["id"]] = (np.flatnonzero(~np.isin(column, quiet)) / STEPS).tolist()
    return found


def classes_at(voices, quarter):
    """Pitches that sound at a time."""
    return [p for voice in voices for on, off, p in voice if on <= quarter < off]


def is_triad(pitches, root=None):
    """Whether they are exactly a major or minor triad, and on this root if one is given."""
    classes = {pitch % 12 for pitch in pitches}
    roots = range(12) if root is None else [root % 12]
    return any(classes == {r, (r + third) % 12, (r + 7) % 12} for r in roots for third in (3, 4))


def triads(pieces, bars):
    """Beats that sound a triad, and beats on which something sounds."""
    found = heard = 0
    for voices, starts in zip(pieces, bars, strict=True):
        end = max(off for voice in voices for _, off, _ in voice)
        limits = [*(s for s in starts if s < end), end]
        for start, following in itertools.pairwise(limits):
            for beat in range(math.ceil(following - start)):
                sounding = classes_at(voices, start + beat)
                heard += bool(sounding)
                found += is_triad(sounding)
    return found, heard


def ends_on_triad(voices, starts):
    """Whether the last sonority is a root-position triad, on a beat, a quarter or longer."""
    last = max(on for voice in voices for on, _, _ in voice)
    end = max(off for voice in voices for _, off, _ in voice)
    bar = max(start for start in starts if start <= last)
    sounding = classes_at(voices, last)
    bass = min(sounding)
    full = {(p - bass) % 12 for p in sounding} | {7}  # the fifth may be missing
    return end - last >= 1 and (last - bar) % 1 == 0 and full in ({0, 3, 7}, {0, 4, 7})


def stepped_nats(model_folder, tokens_folder, codec):
    """Nats per sub-token of the shortest test pieces, one sub-token after the other."""
    import torch

    from ostinato.sampling.load import load_trained

    model = load_trained(model_folder).model
    if not hasattr(model, "next_logits"):
        return {}  # a bound: nothing to step through
    tokens = np.load(tokens_folder / "test" / "tokens.npy")
    index = np.load(tokens_folder / "test" / "index.npz")
    ends = np.cumsum(index["length"])
    found = {}
    for number in np.argsort(index["length"], kind="stable")[:STEPPED].tolist():
        piece = tokens[ends[number] - index["length"][number] : ends[number]].astype(int)
        total = 0.0
        with torch.inference_mode():
            state = model.start(1, len(piece))
            for row in piece:
                for column in model.order:
                    logits = model.next_logits(state).double()[0]
                    total -= float(torch.log_softmax(logits, 0)[row[column]])
                    model.push(state, torch.tensor([row[column]]))
        found[str(index["piece"][number])] = total / piece.size
    return found


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    system = parser.parse_args().system
    details = json.loads(Path("evaluation", system, "details.json").read_text())
    tokens = Path("data/tokens", details["encoding"])
    codec = json.loads((tokens / "codec.json").read_text())
    listed = json.loads(Path("samples", system, "samples.json").read_text())["samples"]
    wrong = []

    def compare(name, ours, theirs, tolerance=1e-4):
        same = math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=1e-9)
        print(f"{'  ' if same else '!!'} {name}: {ours:.5g} here, {theirs:.5g} in the evaluation")
        if not same:
            wrong.append(name)

    def figure(measure, name):
        return details["measures"][measure]["values"][name]["value"]

    lengths = held_out_lengths(tokens, codec)
    quarters = int(lengths[math.floor(0.1 * (len(lengths) - 1))])
    compare("common length, quarters", quarters, details["samples"]["quarters"])
    bars = bar_starts(system, listed, codec)
    made = [row for row in listed if row["task"] == "unconditional" and row["failed"] is None]
    wholes = [(read_voices(Path("samples", system, row["file"])), row) for row in made]
    long = [
        (voices, row)
        for voices, row in wholes
        if voices and max(off for x in voices for _, off, _ in x) >= quarters - 1e-6
    ]
    pieces = [cut_voices(voices, quarters) for voices, _ in long]
    compare("samples compared", len(pieces), details["samples"]["compared"])
    fifths, octaves, together = parallels(pieces)
    compare("parallel fifths", 1000 * fifths / together, figure("part_writing", "parallel_fifths"))
    compare(
        "parallel octaves", 1000 * octaves / together, figure("part_writing", "parallel_octaves")
    )
    found, heard = triads(pieces, [bars[row["id"]] for _, row in long])
    compare("triads", found / heard, figure("part_writing", "triads"))
    closed = [ends_on_triad(voices, bars[row["id"]]) for voices, row in wholes if row["ended"]]
    if closed:
        compare("ends on a triad", sum(closed) / len(closed), figure("form", "last_sonority"))
    ends = [max(off for voice in piece for _, off, _ in voice) for piece in pieces]
    notes = [sum(map(len, piece)) / end for piece, end in zip(pieces, ends, strict=True)]
    compare("notes a quarter", sum(notes) / len(notes), figure("features", "note_density"))
    columns = defaultdict(dict)
    with Path("evaluation", system, "pieces.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["measure"], row["name"]) == ("likelihood", "nats_per_token"):
                columns[row["set"]][row["piece"]] = (float(row["value"]), float(row["weight"]))
    for piece, nats in stepped_nats(Path("models", system), tokens, codec).items():
        compare(f"nats of {piece}, step by step", nats, columns["test"][piece][0])
    for split, rows in columns.items():
        total = sum(v * w for v, w in rows.values()) / sum(w for _, w in rows.values())
        compare(f"nats per token, {split}", total, figure("likelihood", f"{split}/nats_per_token"))
    print(f"{len(wrong)} figures differ" if wrong else "all figures agree")
    return int(bool(wrong))


if __name__ == "__main__":
    run_command(main)
