"""Pieces that are longer than what a model hears are continued all the same."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from ostinato.live.composer import Composer, prompt_bars
from ostinato.music.piece import Annotation, Meter, Tempo, cut, same_music
from ostinato.music.signatures import with_pickup
from ostinato.music.timing import numbered_bars
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.prompts import prompt_of
from ostinato.studio.asked import Asked, make
from ostinato.studio.longer import heard_from, joined
from ostinato.studio.models import Models, folders_under
from ostinato.studio.music import from_json, to_json


@pytest.mark.parametrize(("context", "bars"), [(None, 0), (64, 0), (63, 1), (40, 2), (5, 3)])
def test_the_last_bars_that_fit_are_heard(chorale, context, bars):
    piece = chorale(3)  # 4 bars of 16 steps
    asked = SimpleNamespace(context=context, representation=Grid())
    assert heard_from(asked, piece) == bars * 4 * piece.ticks_per_quarter


def test_a_piece_and_its_own_rest_are_the_piece(chorale):
    piece = chorale(3)
    start = 2 * 4 * piece.ticks_per_quarter
    onset, end = piece.notes["onset"], piece.notes["onset"] + piece.notes["duration"]
    assert ((onset < start) & (end > start)).any(), "a note is tied over the place"
    assert same_music(joined(piece, start, cut(piece, start, piece.length)), piece)


def test_the_page_continues_a_long_piece(chorale, model_folder, monkeypatch):
    monkeypatch.setattr(Composer, "context", 40)
    models, prompt = Models(folders_under([model_folder])), chorale(3)
    asked = Asked(model=model_folder.name, task="continue", bars=1, piece=to_json(prompt))
    (made,) = make(models, asked)
    piece, bar = from_json(made["piece"]), 4 * prompt.ticks_per_quarter
    assert made["remarks"][0] == "the model hears the last 2 bars of the piece"
    assert len(made["piece"]["bars"]) == 5
    scale = piece.ticks_per_quarter // prompt.ticks_per_quarter
    assert scale == 1
    assert same_music(cut(piece, 0, 2 * bar), cut(prompt, 0, 2 * bar))
    assert piece.length > prompt.length


@pytest.mark.parametrize("barred", ["before", "after"])
def test_bars_of_both_halves_stay_where_one_half_has_printed_bars(chorale, barred):
    whole = chorale(3)
    bar = 4 * whole.ticks_per_quarter
    rest = cut(whole, 2 * bar, whole.length)
    lines = tuple(Annotation(onset, "bar") for onset in range(0, 4 * bar, bar))
    if barred == "before":
        whole = replace(whole, annotations=lines)
    else:
        rest = replace(rest, annotations=lines[:2])
    assert numbered_bars(joined(whole, 2 * bar, rest)) == [(n * bar, n + 1) for n in range(4)]


def test_a_first_half_without_a_tempo_sounds_at_120_as_before(chorale):
    whole = replace(chorale(3), tempos=())
    bar = 4 * whole.ticks_per_quarter
    rest = replace(cut(whole, 2 * bar, whole.length), tempos=(Tempo(0, 84.0),))
    found = [(tempo.onset, tempo.qpm) for tempo in joined(whole, 2 * bar, rest).tempos]
    assert found == [(0, 120.0), (2 * bar, 84.0)]


CHANGING = ((0, 4, 4), (4, 3, 4), (7, 2, 4))  # quarter, beats, unit
UPBEAT = ((0, 1, 4), (1, 4, 4))


@pytest.mark.parametrize(("meters", "on_a_grid", "over_events"), [(CHANGING, 7, 7), (UPBEAT, 4, 5)])
def test_all_bars_of_a_piece_are_continued(chorale, meters, on_a_grid, over_events):
    """In meters that change, and after a pickup, which is bar 1 over events."""
    piece = chorale(3)  # of 16 quarters
    beat = piece.ticks_per_quarter
    piece = replace(piece, meters=tuple(Meter(on * beat, n, d) for on, n, d in meters))
    piece = with_pickup(piece)
    known = {"lowest": 36, "highest": 81, "meters": ("2/4", "3/4", "4/4")}
    for encoding, bars in (
        (Grid(bars=True, end=True, **known), on_a_grid),
        (Events(), over_events),
    ):
        assert prompt_bars(piece, encoding) == bars
        heard = prompt_of(encoding, piece, bars)
        whole = encoding.quantize(piece).piece
        assert encoding.decode(heard).length == whole.length
        assert (
            bars == 1 or encoding.decode(prompt_of(encoding, piece, bars - 1)).length < whole.length
        )
