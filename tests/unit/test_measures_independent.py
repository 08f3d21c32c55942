"""Headline figures of part-writing and form, counted again by plain loops that share no code.

The loops read only a piece's notes and meter. Pieces are random chorale-like textures with held
chords, rests, crossings and a pickup, so that every branch is met (asserted at the end).
"""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from ostinato.metrics.form import endings, form
from ostinato.metrics.part_writing import part_writing
from ostinato.music.piece import VOICES, Annotation, Piece, Track, make_notes

THIRDS = ((0, 4, 7), (0, 3, 7))
TRIADS = [{(root + step) % 12 for step in shape} for root in range(12) for shape in THIRDS]
SEEDS = range(12)
MET = ("fifths", "octaves", "triads", "cadences", "phrases", "gaps", "ends", "ends_with_cadence")


def piece_of(seed, tick=480):
    """40 chords of 1 to 8 sixteenths: dominants, then often their tonic; a voice may rest.

    Of even seeds all chords begin on beats and the last two are a cadence.
    """
    random = np.random.default_rng(seed)
    even = seed % 2 == 0
    rows, at, root = [], int(random.integers(0, 2)) * 4, 60
    bars = [0, at] if at else [0]
    for chord in range(40):
        lasts = int(random.choice([4, 4, 8] if even else [1, 2, 4, 4, 6, 8]))
        closes = even and chord == 39
        falls = closes or random.random() < 0.4
        root = 55 + (root - 55 - 7) % 12 if falls else int(random.integers(55, 67))
        shape = [(4, 0, 7, 10), (4, 0, 7), (3, 0, 7), (6, 0, 1)][random.integers(0, 4)]
        shape = (4, 0, 7) if even and chord >= 38 else shape
        upper = [shape[0], *random.choice(shape, 2)]
        for voice, step in enumerate([*random.permutation(upper).tolist(), -12]):
            if random.random() > 0.05 or (even and chord >= 38):
                pitch = root + 12 + step if voice < 3 else root - 12
                rows.append((voice, at * tick // 4, lasts * tick // 4, pitch, 80))
        at += lasts
    bars += range(bars[-1] + 16, at, 16)
    notes = tuple(Annotation(bar * tick // 4, "bar") for bar in bars)
    tracks = tuple(Track(role=role) for role in VOICES)
    return Piece(f"p{seed}", tick, make_notes(rows), tracks, annotations=notes)


def cells_of(piece):
    """{(voice, step): pitch}, the steps of onsets by voice, and the number of steps."""
    cells, onsets = {}, {}
    for voice, onset, duration, pitch, _ in piece.notes.tolist():
        first, end = onset * 4 // 480, (onset + duration) * 4 // 480
        onsets.setdefault(first, set()).add(voice)
        for step in range(first, end):
            cells[voice, step] = pitch
    return cells, onsets, 1 + max(step for _, step in cells)


def counted(piece):
    cells, onsets, length = cells_of(piece)
    found = Counter()
    bars = sorted(note.onset * 4 // 480 for note in piece.annotations)
    beats = {b for s, e in zip(bars, [*bars[1:], length], strict=True) for b in range(s, e, 4)}
    for step in range(length):
        chord = {v: cells[v, step] for v in range(4) if (v, step) in cells}
        before = {v: cells[v, step - 1] for v in range(4) if (v, step - 1) in cells}
        for a in chord:
            for b in chord:
                if a < b and a in before and b in before:
                    moves = chord[a] - before[a], chord[b] - before[b]
                    if moves[0] * moves[1] > 0:
                        found["similar"] += 1
                        was = abs(before[a] - before[b]) % 12
                        now = abs(chord[a] - chord[b]) % 12
                        found["fifths"] += was == now == 7
                        found["octaves"] += was == now == 0
        if step in beats and chord:
            found["beats"] += 1
            found["triads"] += {p % 12 for p in chord.values()} in TRIADS
        found["held"] += sum(v not in onsets.get(step, ()) for v in chord)
        found["cells"] += len(chord)
    starts = sorted(onsets)
    lasts = [b - a for a, b in zip(starts, [*starts[1:], length], strict=True)]
    arrived = [
        arrives(cells, step) and step in beats and last >= 4
        for step, last in zip(starts, lasts, strict=True)
    ]
    found["cadences"] = sum(arrived)
    held = [step for step, last in zip(starts, lasts, strict=True) if last >= 6]
    gaps = [b - a for a, b in pairwise(held) if b - a >= 16]
    found["phrases"], found["gaps"] = sum(gap % 16 == 0 for gap in gaps), len(gaps)
    final = [cells[v, starts[-1]] for v in range(4) if (v, starts[-1]) in cells]
    found["ends"] = is_root_triad(final) and starts[-1] in beats and lasts[-1] >= 4
    found["ends_with_cadence"] = arrived[-1]
    return found


def is_root_triad(pitches):
    above = {(p - min(pitches)) % 12 for p in pitches}
    return above in ({0, 4, 7}, {0, 3, 7}, {0, 4}, {0, 3})


def arrives(cells, step):
    now = [cells[v, step] for v in range(4) if (v, step) in cells]
    before = [cells[v, step - 1] for v in range(4) if (v, step - 1) in cells]
    if not before or (min(now) - min(before)) % 12 != 5 or not is_root_triad(now):
        return False
    above = {(p - min(before)) % 12 for p in before}
    return 4 in above and above <= {0, 4, 7, 10}


@pytest.fixture(scope="module")
def expected():
    return {seed: counted(piece_of(seed)) for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_plain_loops_count_the_same(seed, expected):
    piece, plain = piece_of(seed), expected[seed]
    ours = part_writing(piece) | form(piece) | endings(piece)
    _, _, length = cells_of(piece)
    assert ours["parallel_fifths"] == (plain["fifths"], plain["similar"])
    assert ours["parallel_octaves"] == (plain["octaves"], plain["similar"])
    assert ours["triads"] == (plain["triads"], plain["beats"])
    assert ours["held"] == (plain["held"], plain["cells"])
    assert ours["cadences"] == (plain["cadences"], length)
    assert ours["phrases"] == (plain["phrases"], plain["gaps"])
    assert ours["last_sonority"] == (plain["ends"], 1)
    assert ours["last_cadence"] == (plain["ends_with_cadence"], 1)


def test_the_pieces_had_something_of_everything(expected):
    met = {name: sum(plain[name] for plain in expected.values()) for name in MET}
    assert all(number > 1 for number in met.values()), met
    assert met["phrases"] < met["gaps"]
    assert met["ends_with_cadence"] < len(SEEDS)
