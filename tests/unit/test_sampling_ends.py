"""A piece ends itself only where its music closes."""

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Voices
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.ends import Ends
from ostinato.sampling.autoregressive.sampler import Sampler
from ostinato.sampling.request import Request
from ostinato.sampling.sampler import Job

GRID = Grid(bars=True, end=True, meters=("4/4",))
INSIDE, _, FIRST, END = (len(GRID.vocabulary) - 4 + place for place in range(4))
C, F, G, C6 = (72, 67, 64, 48), (72, 69, 65, 53), (71, 67, 62, 55), (72, 67, 60, 52)
ONE = np.ones(1, dtype=bool)


def rows(*chords, steps=4):
    """A row for each step: bar lines every sixteen, the pitches of each chord for some steps."""
    lines = [FIRST if not n % 16 else INSIDE for n in range(steps * len(chords))]
    cells = [[pitch - GRID.lowest + 1 for pitch in chord] for chord in chords for _ in range(steps)]
    return np.column_stack([lines, cells]).astype(np.int32)


def refuses(tokens, end_on):
    ends = Ends(GRID, end_on)
    for row in tokens:
        ends.push(row[None])
    return bool(ends.refused(np.array([END]), ONE)[0])


@pytest.mark.parametrize(
    ("chords", "triad", "tonic"),
    [
        ((C, G, C, C), False, False),
        ((C, G, C, G), False, True),  # a triad, but the piece is in C
        ((C, G, C, C6), True, True),  # the bass is the third
        ((C, F, C, (72, 67, 60, 48)), True, True),  # no third
    ],
)
def test_an_end_is_refused_where_the_music_does_not_close(chords, triad, tonic):
    assert refuses(rows(*chords), "triad") is triad
    assert refuses(rows(*chords), "tonic") is tonic


def test_a_last_chord_lasts_a_quarter_and_begins_on_a_beat():
    assert refuses(rows(C, F, C)[:-1], "triad")
    late = rows(F, C, F, C, steps=2)
    assert refuses(np.concatenate([late[:6], late[6:], late[7:8], late[7:8]]), "triad")


def test_nothing_and_rests_do_not_close():
    assert refuses(rows(), "triad")
    assert refuses(rows((35, 35, 35, 35)), "triad")  # the symbols of rests


def test_each_sequence_is_asked_about_its_own_music():
    ends = Ends(GRID, "triad")
    for pair in zip(rows(C, F, C), rows(C, F, C6), strict=True):
        ends.push(np.stack(pair))
    both = np.ones(2, dtype=bool)
    assert ends.refused(np.array([END, END]), both).tolist() == [False, True]
    assert ends.refused(np.array([END, INSIDE]), both).tolist() == [False, False]
    assert ends.refused(np.array([END, END]), np.array([True, False])).tolist() == [False, False]
    ends.select(np.array([1, 0]))
    assert ends.refused(np.array([END, END]), both).tolist() == [True, False]


def eager(representation, voices):
    """An untrained model that ends wherever it may."""
    vocabulary = len(representation.vocabulary)
    spec = ArraySpec(width=representation.width, vocabulary=vocabulary, voices=voices)
    torch.manual_seed(1)
    model = build("lstm", {"width": 16, "voice_hidden": 8}, spec).eval()
    end = representation.vocabulary.index("end")
    after = model.next_logits

    def next_logits(state):
        logits = after(state)
        logits[:, end] += 9
        return logits

    model.next_logits = next_logits
    return model


@pytest.mark.parametrize("form", ["grid", "events"])
def test_samples_go_on_until_they_close_or_reach_the_limit(form):
    known = GRID if form == "grid" else Events(scheme="remi", meters=("4/4",))
    voices = Voices(first=1, end=5, lowest=1, pitches=46) if form == "grid" else None
    model, prompts = eager(known, voices), [np.zeros((0, known.width), np.int32)] * 2
    free, bound = (
        decode(model, known, prompts, range(2), Extent(2), Decoding(end_on=end_on))
        for end_on in ("any", "tonic")
    )
    assert all(made.ended for made in free)
    for made, shorter in zip(bound, free, strict=True):
        assert made.failed is None
        assert len(made.tokens) > len(shorter.tokens)
        if made.ended:
            ends = Ends(known, "tonic")
            for row in made.tokens[:-1]:
                ends.push(row[None])
            assert not ends.refused(made.tokens[-1:, 0], ONE)[0]


def test_choirs_end_on_their_tonic_by_default_and_what_has_no_end_has_no_such_option():
    known = eager(GRID, Voices(first=1, end=5, lowest=1, pitches=46))
    assert Sampler(known, GRID).capabilities().options["end_on"] == "tonic"
    trio = Grid(voices=("melody", "bass"), bars=True, end=True, meters=("4/4",))
    model = eager(trio, Voices(first=1, end=3, lowest=1, pitches=46))
    assert Sampler(model, trio).capabilities().options["end_on"] == "any"
    spec = ArraySpec(width=4, vocabulary=len(Grid().vocabulary))
    cells = build("lstm", {"width": 8, "voice_hidden": 8}, spec)
    assert "end_on" not in Sampler(cells, Grid()).capabilities().options
    with pytest.raises(ValueError, match="end_on=dominant is none of any, triad, tonic"):
        Sampler(known, GRID).sample([Job(Request(bars=1, options={"end_on": "dominant"}), 0, 1)])
