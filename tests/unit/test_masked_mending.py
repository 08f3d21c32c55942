"""Notes that make parallels get other pitches, and nothing else changes."""

import itertools

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Voices
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.grids.opening import Canvas
from ostinato.sampling.masked.decoding import Decoding
from ostinato.sampling.masked.mending import (
    Note,
    avoided,
    note_at,
    notes_to_mend,
    parallels_of,
    sounding,
)
from ostinato.sampling.masked.sampler import _Painter, fill

PLAIN = Voices(first=0, end=2, lowest=1, pitches=46)
HELD = Voices(first=0, end=2, lowest=1, pitches=46, hold=47)
FIFTHS = np.array([[8, 1], [8, 1], [10, 3], [10, 3], [12, 5]])  # two parallel fifths, in cells


def test_parallels_are_found_where_both_move_and_keep_a_perfect_interval():
    pitch, begins = sounding(FIFTHS, PLAIN)
    assert parallels_of(pitch) == [(2, 0, 1), (4, 0, 1)]
    assert begins[:, 0].tolist() == [True, False, True, False, True]
    for other in ([[8, 1], [8, 3]], [[8, 1], [10, 0]], [[8, 1], [10, 4]], [[0, 0], [0, 0]]):
        assert parallels_of(sounding(np.array(other), PLAIN)[0]) == []
    assert parallels_of(sounding(np.array([[14, 2], [16, 4]]), PLAIN)[0]) == [(1, 0, 1)]


def test_holds_sound_and_repeated_notes_begin_again():
    cells = np.array([[8, 1], [47, 47], [10, 3], [10, 47]])
    pitch, begins = sounding(cells, HELD)
    assert pitch[:, 0].tolist() == [7, 7, 9, 9]
    assert begins[:, 0].tolist() == [True, False, True, True]
    assert parallels_of(pitch) == [(2, 0, 1)]
    assert note_at(begins, 1, 3) == Note(1, 2, 4)


def test_avoided_pitches_are_those_of_parallels_at_both_ends_and_of_neighbors():
    pitch, _ = sounding(FIFTHS, PLAIN)
    note = Note(0, 2, 4)
    mask = avoided(pitch, note, 46)
    for candidate in range(46):
        changed = pitch.copy()
        changed[2:4, 0] = candidate
        merges = candidate in (pitch[1, 0], pitch[4, 0])
        assert mask[candidate] == (bool(parallels_of(changed)) or merges), candidate


def test_only_free_notes_are_chosen_and_no_two_touch():
    pitch, begins = sounding(np.tile(FIFTHS, (6, 1)), PLAIN)
    for kept in (None, 0, 1):
        free = np.ones(pitch.shape, dtype=bool)
        if kept is not None:
            free[:, kept] = False
        groups = notes_to_mend(pitch, begins, free, np.random.default_rng(1))
        groups.sort(key=lambda notes: min(note.start for note in notes))
        assert groups
        assert all(note.voice != kept for notes in groups for note in notes)
        for before, after in itertools.pairwise(groups):
            assert max(note.end for note in before) < min(note.start for note in after)
    assert not notes_to_mend(pitch, begins, np.zeros_like(free), np.random.default_rng(1))


@pytest.mark.parametrize("hold", [False, True])
def test_mended_pieces_have_no_parallels_and_the_same_rhythm(hold):
    """A piece of parallels alone, of which the soprano is kept."""
    grid = Grid(lowest=36, highest=81, hold=hold)
    codec = {"width": 4, "vocabulary": grid.vocabulary}
    torch.manual_seed(0)
    tiny = {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2}
    model = build("absorbing", tiny, ArraySpec.of(codec)).eval()
    line = 20 + np.repeat(np.random.default_rng(2).permutation(12), 4)
    rows = np.stack([line, line - 7, line - 12, line - 19], axis=1)
    if hold:
        rows[np.arange(len(rows)) % 4 > 0] = grid.vocabulary.index("hold")
    free = np.ones(rows.shape, dtype=bool)
    free[:, 0] = False
    voices = model.shape.voices
    assert len(parallels_of(sounding(rows, voices)[0])) == 55
    after = mended(model, rows, free)
    assert np.array_equal(after[:, 0], rows[:, 0])
    assert len(parallels_of(sounding(after, voices)[0])) <= 2
    assert np.array_equal(sounding(after, voices)[1], sounding(rows, voices)[1])


def mended(model, rows, free):
    """Rows after forty passes that mend them, at most."""
    painter = _Painter(model, rows[None].astype(np.int64), [np.random.default_rng(1)])
    with torch.inference_mode():
        for _ in range(40):
            if not painter.mend(free[None]):
                break
    return painter.rows_BTW[0]


def test_more_steps_than_cells_are_as_many_steps_as_cells():
    grid = Grid(lowest=36, highest=81)
    codec = {"width": 4, "vocabulary": grid.vocabulary}
    torch.manual_seed(0)
    tiny = {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2}
    model = build("absorbing", tiny, ArraySpec.of(codec)).eval()
    rows = np.full((8, 4), 5, np.int32)
    free = np.zeros(rows.shape, dtype=bool)
    free[2:4] = True
    made = [
        fill(model, [Canvas(rows, free)], [np.random.default_rng(1)], Decoding(steps=n, gibbs=0))
        for n in (8, 10**9)
    ]
    assert np.array_equal(made[0][0], made[1][0])
