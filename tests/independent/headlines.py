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
BAR, HELD = 4, 1.5  # quarters
RUN = 4  # sonorities of the shortest passage
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


def sonorities(voices):
    """(onset, end): of what sounds from an onset to the next one of any voice."""
    onsets = sorted({on for voice in voices for on, _, _ in voice})
    end = max(off for voice in voices for _, off, _ in voice)
    return list(itertools.pairwise([*onsets, end]))


def is_root_position(pitches):
    """Whether they are a major or minor triad over its root; the fifth may be missing."""
    return {(p - min(pitches)) % 12 for p in pitches} | {7} in ({0, 3, 7}, {0, 4, 7})


def cadences(pieces, bars):
    """Dominants that resolve into a triad in root position on a beat, and steps in all."""
    found = steps = 0
    for voices, starts in zip(pieces, bars, strict=True):
        steps += round(max(off for voice in voices for _, off, _ in voice) * STEPS)
        for on, end in sonorities(voices):
            now, before = classes_at(voices, on), classes_at(voices, on - 1 / STEPS)
            beat = on - max((start for start in starts if start <= on), default=0.5)
            if end - on < 1 or beat % 1 or not before or not is_root_position(now):
                continue
            above = {(p - min(before)) % 12 for p in before}
            falls = (min(now) - min(before)) % 12 == 5
            found += falls and 4 in above and above <= {0, 4, 7, 10}
    return found, steps


def phrases(pieces):
    """Distances between held chords that are whole bars of four quarters, and all of a bar."""
    gaps = []
    for voices in pieces:
        held = [on for on, end in sonorities(voices) if end - on >= HELD]
        gaps += [after - on for on, after in itertools.pairwise(held) if after - on >= BAR]
    return sum(gap % BAR == 0 for gap in gaps), len(gaps)


def begins(voices):
    """What begins together: [(onset, sorted pitches)]."""
    found = defaultdict(list)
    for voice in voices:
        for on, _, pitch in voice:
            found[on].append(pitch)
    return [(on, sorted(found[on])) for on in sorted(found)]


def runs(chords):
    """Every run of RUN sonorities in no key and at no tempo."""
    for start in range(len(chords) - RUN + 1):
        part = chords[start : start + RUN]
        low, first = part[0][1][0], part[1][0] - part[0][0]
        gaps = tuple(round((b[0] - a[0]) / first, 6) for a, b in itertools.pairwise(part))
        yield tuple(frozenset(p - low for p in pitches) for _, pitches in part), gaps


def training_runs(folder, codec):
    """The runs of all training pieces, from the rows of their voices."""
    tokens, index = np.load(folder / "train/tokens.npy"), np.load(folder / "train/index.npz")
    words = [w.removeprefix("pitch_") for w in codec["vocabulary"]]
    pitch_of = np.array([int(w) if w.isdigit() else -1 for w in words])
    known, start = set(), 0
    for length in index["length"].tolist():
        cells = pitch_of[tokens[start : start + length, codec["structure"]["voice_columns"]]]
        before = np.vstack([np.full_like(cells[:1], -1), cells[:-1]])
        rows = [(n, cells[n, (cells[n] != before[n]) & (cells[n] >= 0)]) for n in range(length)]
        chords = [(n / STEPS, sorted(pitches.tolist())) for n, pitches in rows if len(pitches)]
        known.update(runs(chords))
        start += length
    return known


def copied_share(voices, known):
    """Notes in any run that training pieces have, as a share of all notes."""
    chords = begins(voices)
    shared = {n + k for n, run in enumerate(runs(chords)) if run in known for k in range(RUN)}
    counts = [len(pitches) for _, pitches in chords]
    return sum(counts[n] for n in shared) / sum(counts)


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


def music(pieces, bars, known):
    """Figures of the excerpts by name, each with its measure and its name there."""
    fifths, octaves, together = parallels(pieces)
    chords, beats = triads(pieces, bars)
    arrivals, steps = cadences(pieces, bars)
    whole, gaps = phrases(pieces)
    shares = [copied_share(voices, known) for voices in pieces]
    ends = [max(off for voice in piece for _, off, _ in voice) for piece in pieces]
    notes = [sum(map(len, piece)) / end for piece, end in zip(pieces, ends, strict=True)]
    found = {
        "parallel fifths": (1000 * fifths / together, "part_writing", "parallel_fifths"),
        "parallel octaves": (1000 * octaves / together, "part_writing", "parallel_octaves"),
        "triads": (chords / beats, "part_writing", "triads"),
        "cadences in 16 bars": (64 * STEPS * arrivals / steps, "form", "cadences"),
        "copied share": (sum(shares) / len(shares), "originality", "copied_share"),
        "notes a quarter": (sum(notes) / len(notes), "features", "note_density"),
    }
    return found | ({"phrases": (whole / gaps, "form", "phrases")} if gaps else {})


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system")
    system = parser.parse_args().system
    details = json.loads(Path("evaluation", system, "details.json").read_text())
    tokens = Path("data/tokens", details["encoding"])
    codec = json.loads((tokens / "codec.json").read_text())
    if "voice_columns" not in codec.get("structure", {}):
        parser.error(f"{system} is on {details['encoding']}, which is no grid of voices")
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
    starts = [bars[row["id"]] for _, row in long]
    known = training_runs(tokens, codec)
    for name, (ours, measure, key) in music(pieces, starts, known).items():
        compare(name, ours, figure(measure, key))
    closed = [ends_on_triad(voices, bars[row["id"]]) for voices, row in wholes if row["ended"]]
    if closed:
        compare("ends on a triad", sum(closed) / len(closed), figure("form", "last_sonority"))
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
