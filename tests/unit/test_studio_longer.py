"""Pieces that are longer than what a model hears are continued all the same."""

from types import SimpleNamespace

import pytest

from ostinato.live.composer import Composer
from ostinato.music.piece import cut, same_music
from ostinato.representations.grid.grid import Grid
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
