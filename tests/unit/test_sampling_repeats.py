"""No passage twice: found as a search by hand finds it, and holding a note is no repetition."""

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.repeats import NoRepeat

GRID = Grid(voices=("soprano", "bass"), lowest=60, highest=61)


def repeated(rows, passage):
    """Ends of all passages that were there before and in which something moves."""
    seen, ends = set(), []
    for end in range(passage, len(rows) + 1):
        part = tuple(map(tuple, rows[end - passage : end]))
        if len(set(part)) > 1 and part in seen:
            ends.append(end)
        seen.add(part)
    return ends


@pytest.mark.parametrize("passage", [2, 3, 5])
@pytest.mark.parametrize("width", [1, 2])
def test_what_is_forbidden_is_what_would_repeat_a_passage(passage, width):
    rng = np.random.default_rng(passage)
    rows = rng.integers(0, 2, (4, 70, width)).astype(np.int32)
    rows[3] = 1  # never moves
    repeats = NoRepeat(4, width, passage, last=0)
    met = 0
    for time in range(rows.shape[1]):
        mask = repeats.forbidden(np.where(np.arange(width) == 0, 0, rows[:, time]), 3)
        for number in range(4):
            for token in range(3):
                row = rows[number, time].copy()
                row[0] = token
                tried = np.vstack([rows[number, :time], row])
                expected = time + 1 in repeated(tried, passage)
                assert mask[number, token] == expected, (number, time, token)
                met += expected
        repeats.push(rows[:, time])
    assert met > 10


def test_chosen_sequences_keep_their_past():
    rows = np.array([[1, 2, 1], [2, 2, 1]], np.int32)[:, :, None]
    repeats = NoRepeat(2, 1, 2, last=0)
    for time in range(3):
        repeats.push(rows[:, time])
    none = np.zeros((2, 1), np.int32)
    assert repeats.forbidden(none, 3).tolist() == [[False, False, True], [False, False, False]]
    repeats.select(np.array([1, 0]))
    assert repeats.forbidden(none, 3).tolist() == [[False, False, False], [False, False, True]]


@pytest.fixture(scope="module")
def model():
    """Untrained, of two voices with two notes each: it repeats itself."""
    torch.manual_seed(0)
    settings = {"width": 8, "voice_hidden": 8, "layers": 1}
    return build("lstm", settings, ArraySpec(width=2, vocabulary=len(GRID.vocabulary)))


@pytest.mark.parametrize("passage", [3, 4])
def test_a_sample_repeats_no_passage_and_still_holds_notes(model, passage):
    none = [np.zeros((0, 2), np.int32)] * 4
    plain = decode(model, GRID, none, range(4), Extent(4), Decoding())
    assert any(repeated(sample.tokens, passage) for sample in plain), "it does not repeat itself"
    found = decode(model, GRID, none, range(4), Extent(4), Decoding(no_repeat=passage))
    for sample in found:
        assert not repeated(sample.tokens, passage)
        assert len(sample.tokens) == 64


def test_a_held_chord_may_be_held_on(model):
    """Twenty rows of one chord hold every passage of four of them; the next may be the same."""
    held = np.tile(np.array([[30, 25, 20, 10]], np.int32), (20, 1))
    repeats = NoRepeat(1, 4, 4, last=3)
    for row in held:
        repeats.push(row[None])
    assert not repeats.forbidden(held[:1], 47).any()


def test_where_the_grammar_leaves_nothing_else_the_repetition_stands(model):
    class TwoNotes(Grid):
        """A grid of whose symbols only one is allowed."""

        def grammar(self, extent, prompts):
            found = super().grammar(extent, prompts)
            only = np.zeros((len(prompts), len(self.vocabulary)), bool)

            def allowed(column=0):
                only[:] = False
                only[:, 1 + (int(found._cells[0]) // 2) % 2] = True
                return only.copy()

            found.allowed = allowed
            return found

    none = [np.zeros((0, 2), np.int32)]
    grid = TwoNotes(voices=GRID.voices, lowest=60, highest=61)
    (found,) = decode(model, grid, none, [1], Extent(1), Decoding(no_repeat=2))
    assert found.failed is None
    assert repeated(found.tokens, 2)
