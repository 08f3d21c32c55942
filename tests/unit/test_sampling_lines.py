"""Split decoding: cells change as often as the model says, and no parallels where asked for."""

import math

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Voices
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import draw
from ostinato.sampling.autoregressive.lines import NONE, Lines, draw_split
from ostinato.sampling.autoregressive.sampler import SPLIT, Sampler
from ostinato.sampling.request import Request
from ostinato.sampling.sampler import Job

VOICES = Voices(first=1, end=4, lowest=1, pitches=20)
HOLDING = Voices(first=1, end=4, lowest=1, pitches=20, hold=21)
PROBS = torch.tensor([0.0, 0.97, 0.02, 0.01])
NARROW = Decoding(temperature=0.5, top_p=0.95)
POINTS = (torch.arange(4000) + 0.5) / 4000


def drawn(unchanged, decoding=NARROW, avoided=None, probs=PROBS):
    """Share of each symbol over evenly spaced uniform numbers."""
    count = len(POINTS)
    mask = None if avoided is None else avoided.expand(count, -1)
    found = draw_split(
        probs.log().expand(count, -1), POINTS, torch.full((count,), unchanged), mask, decoding
    )
    return torch.bincount(found, minlength=len(probs)) / count


def test_a_cell_changes_with_the_models_probability_whatever_is_truncated():
    shares = drawn(unchanged=1)
    sharp = torch.tensor([0.02, 0.01]) ** 2  # temperature 0.5 among those that change
    expected = torch.tensor([0.0, 0.97, *(0.03 * sharp / sharp.sum())])
    assert torch.allclose(shares, expected, atol=1e-3)
    whole = draw(PROBS.log().expand(len(POINTS), -1), POINTS, NARROW)
    assert (whole == 1).all(), "truncated as a whole, this cell never moves"


def test_a_sequence_alone_draws_what_it_draws_among_others():
    points, logits = POINTS[::400], PROBS.log().expand(10, -1)
    unchanged = torch.tensor([1, NONE, 1, 2, 1, 1, 3, 1, NONE, 1])
    among = draw_split(logits, points, unchanged, None, NARROW)
    alone = [
        draw_split(logits[n : n + 1], points[n : n + 1], unchanged[n : n + 1], None, NARROW)
        for n in range(10)
    ]
    assert torch.equal(torch.cat(alone), among)
    assert (among != unchanged).any()
    assert (among == unchanged).any()


def test_motion_divides_the_log_odds_of_staying():
    shares = drawn(unchanged=1, decoding=Decoding(motion=0.5))
    odds = (0.97 / 0.03) ** 2
    changes = 1 / (1 + odds)
    expected = torch.tensor([0.0, 1 - changes, changes * 2 / 3, changes / 3])
    assert torch.allclose(shares, expected, atol=1e-3)
    for unchanged in (NONE, 0):  # what cannot stay, or must, is not touched
        free, sharp = (drawn(unchanged, Decoding(motion=motion)) for motion in (1.0, 0.5))
        assert torch.equal(free, sharp)
    only = torch.tensor([0.0, 1.0, 0.0, 0.0])
    assert drawn(1, Decoding(motion=0.5), probs=only)[1] == 1
    with pytest.raises(ValueError, match=r"motion=0 must be above 0"):
        Decoding(motion=0)


def test_the_first_row_and_cells_that_may_not_stay_are_drawn_by_the_options_alone():
    assert drawn(unchanged=NONE)[1] == 1  # the nucleus is one symbol
    assert drawn(unchanged=0)[1] == 1  # symbol 0 is forbidden: it cannot stay
    only = torch.tensor([0.0, 1.0, 0.0, 0.0])
    assert drawn(unchanged=1, probs=only)[1] == 1


def test_what_is_avoided_is_drawn_only_if_nothing_else_is_left():
    avoided = torch.tensor([False, False, True, False])
    assert math.isclose(drawn(1, avoided=avoided)[3], 0.03, abs_tol=1e-3)
    everything = torch.ones(4, dtype=torch.bool)
    assert torch.equal(drawn(1, avoided=everything), drawn(1))
    assert drawn(1, avoided=torch.tensor([False, True, False, False]))[1] > 0.96  # it may stay


def test_parallels_by_hand():
    """Symbols are pitches: a fifth 8 over 1 and an octave 13 over 1 in three voices."""
    lines = Lines(VOICES, 2, 4)
    lines.push(np.array([[0, 13, 8, 1], [0, 13, 8, 1]], np.int32))
    rows = np.array([[0, 15, 0, 3], [0, 15, 0, 1]], np.int32)  # the bass moves, and stays
    found = lines.parallels(rows, 2, chosen=[1, 3], size=22)
    # a fifth over 3 is 10; the middle voice lies no fifth or octave from the upper one
    assert [np.flatnonzero(mask).tolist() for mask in found] == [[10], []]
    upper = lines.parallels(np.array([[0, 0, 8, 3]] * 2, np.int32), 1, chosen=[2, 3], size=22)
    assert np.flatnonzero(upper[0]).tolist() == [3, 15]  # octaves and unison with 3


def test_a_hold_stays_and_keeps_the_pitch_that_sounds():
    lines = Lines(HOLDING, 1, 4)
    assert lines.unchanged(1).tolist() == [NONE]
    lines.push(np.array([[30, 5, 0, 7]], np.int32))
    lines.push(np.array([[30, 21, 0, 8]], np.int32))
    assert [int(lines.unchanged(column)[0]) for column in (1, 2, 3)] == [21, 0, 21]
    assert lines.before_BW[0].tolist() == [30, 5, 0, 8]
    lines.select(np.array([0, 0]))
    assert len(lines.before_BW) == 2


def test_no_parallels_needs_split():
    with pytest.raises(ValueError, match=r"needs split, such as split=0\.6"):
        Decoding(no_parallels=True)
    with pytest.raises(ValueError, match="cannot be negative"):
        Decoding(split=-0.1)


def untrained(grid):
    torch.manual_seed(2)
    voices = Voices(first=0, end=4, lowest=1, pitches=len(grid.vocabulary) - 1)
    spec = ArraySpec(width=4, vocabulary=len(grid.vocabulary), voices=voices)
    settings = {"width": 16, "voice_hidden": 8, "pair_tables": True}
    return build("lstm", settings, spec).eval()


def test_samples_have_no_parallels_where_asked_for_and_some_where_not():
    grid, counts = Grid(), []
    for asked in (False, True):
        decoding = Decoding(split=1.0, no_parallels=asked)
        prompts = [np.zeros((0, 4), np.int32)] * 8
        made = decode(untrained(grid), grid, prompts, range(8), Extent(2), decoding)
        found = 0
        for sample in made:
            before, now = sample.tokens[:-1], sample.tokens[1:]
            for upper in range(4):
                for lower in range(upper + 1, 4):
                    pair = [upper, lower]
                    both = (before[:, pair] > 0).all(1) & (now[:, pair] > 0).all(1)
                    both &= (before[:, pair] != now[:, pair]).all(1)
                    was = abs(before[:, upper] - before[:, lower]) % 12
                    same = was == abs(now[:, upper] - now[:, lower]) % 12
                    found += int((both & same & np.isin(was, (0, 7))).sum())
        counts.append(found)
    assert counts[0] > 5
    assert counts[1] == 0


def test_grids_are_split_by_default_and_other_encodings_have_no_such_option():
    grid = Grid()
    model = untrained(grid)
    assert Sampler(model, grid).capabilities().options["split"] == SPLIT
    flat = build("lstm", {"width": 8}, ArraySpec(width=1, vocabulary=9))
    assert {"split", "no_parallels"}.isdisjoint(Sampler(flat, grid).capabilities().options)


def test_the_best_of_some_has_the_fewest_nats_a_note_and_the_first_is_the_usual_one():
    grid = Grid()
    sampler = Sampler(untrained(grid), grid)

    def nats(best_of):
        jobs = [Job(Request(bars=1, options={"best_of": best_of}), i, 10 + i) for i in range(3)]
        made = sampler.sample(jobs)
        return np.array([one.nats.sum() / len(grid.decode(one.tokens).notes) for one in made])

    one, some = nats(1), nats(4)
    assert (some <= one + 1e-5).all()
    assert (some < one - 1e-3).any()
    for options, words in (({"best_of": 0}, "best_of=0 must be"), ({"best_of": 2}, "a session")):
        with pytest.raises(ValueError, match=words):
            sampler.session(Job(Request(bars=1, options=options), 0, 1))
