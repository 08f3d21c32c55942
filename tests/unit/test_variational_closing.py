"""Pieces of variational families close: their last bar is drawn again until it does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import VOICES, Meter, Piece, Track, make_notes
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.request import Continue, Request, Vary
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.closing import closed
from ostinato.sampling.variational.plan import Plan
from ostinato.sampling.variational.sampler import Sampler

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
TINY = {"latent": 4, "width": 16, "encoder_hidden": 8, "voice_hidden": 16, "dropout": 0.0}


def sampled(*requests):
    codec = {"width": BARS.width, "vocabulary": BARS.vocabulary, "structure": BARS.structure()}
    torch.manual_seed(0)
    model = build("vae", TINY, ArraySpec.of(codec)).eval()
    return Sampler(model, BARS).sample([Job(one, 0, 1) for one in requests])


def ending(chord):
    """Two bars of 4/4: the tonic's triad in quarters, and a chord for the whole last bar."""
    chords = [*((beat, 1, TONIC) for beat in range(4)), (4, 4, chord)]
    notes = [
        (voice, 480 * beat, 480 * quarters, pitches[voice], 80)
        for beat, quarters, pitches in chords
        for voice in range(4)
    ]
    tracks = tuple(Track(role, role) for role in VOICES)
    piece = Piece("a", 480, make_notes(notes), tracks, meters=(Meter(0, 4, 4),))
    return BARS.encode(piece)


TONIC, DOMINANT, CLUSTER = (72, 67, 64, 48), (74, 71, 67, 43), (73, 67, 61, 48)


@pytest.mark.parametrize(
    ("end_on", "candidates", "chosen_one"),
    [
        ("tonic", [CLUSTER, DOMINANT, TONIC, TONIC], 2),
        ("triad", [CLUSTER, DOMINANT, TONIC, TONIC], 1),
        ("tonic", [CLUSTER, DOMINANT, CLUSTER, CLUSTER], 1),  # the best that there is
        ("tonic", [CLUSTER], None),
        ("any", [TONIC], None),
    ],
)
def test_a_last_bar_is_drawn_until_the_piece_closes(end_on, candidates, chosen_one):
    first, asked = ending(CLUSTER), []
    bars = [ending(chord) for chord in candidates]

    def draw(numbers, plans, seeds):
        asked.extend(zip(numbers, plans, seeds, strict=True))
        return [bars[place % len(bars)] for place in range(len(numbers))]

    (found,) = closed([Job(Request(), 0, 1)], [Plan(first)], [first], draw, BARS, end_on)

    assert np.array_equal(found, first if chosen_one is None else bars[chosen_one])
    assert len({seed for _, _, seed in asked}) == len(asked)
    for _, plan, _ in asked:
        assert np.flatnonzero(plan.is_kept()).tolist() == list(range(16))


def test_pieces_that_are_cut_off_or_given_are_not_closed(chorale):
    first = ending(CLUSTER)
    jobs = [Job(Request(), 0, 1), Job(Request(task=Vary(chorale(1), 0.5)), 0, 1)]
    plans = [Plan(first, ended=False), Plan(first)]
    kept = Plan(first, kept=np.ones(len(first), dtype=bool))
    jobs, plans = [*jobs, Job(Request(task=Continue(chorale(1), 2)), 0, 1)], [*plans, kept]

    def draw(*_):
        raise AssertionError("nothing is to be drawn")

    found = closed(jobs, plans, [first] * 3, draw, BARS, "tonic")
    assert all(np.array_equal(rows, first) for rows in found)


def test_its_samples_close_as_other_samples_of_the_same_seed_need_not():
    request = Request(bars=3, options={"end_on": "triad"})
    asked, free = sampled(request, replace(request, options={"end_on": "any"}))
    last = max(BARS.bar_starts(free.tokens).values())
    assert np.array_equal(asked.tokens[:last], free.tokens[:last])
    assert len(asked.tokens) == len(free.tokens)
    with pytest.raises(ValueError, match="end_on=loud is none of any, triad, tonic"):
        sampled(replace(request, options={"end_on": "loud"}))
