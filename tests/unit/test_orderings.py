"""Coconet's Algorithm 1 against its lines written out, and what its figures must be for known
models.
"""

import json
import math

import numpy as np
import pytest
import torch

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.reproduction import orderings
from ostinato.reproduction.orderings import (
    averaged_probability,
    cell_ordering,
    frame_ordering,
    group_nats,
    ordered_nats,
)
from ostinato.reproduction.orderings_stage import Predictor, crops
from ostinato.reproduction.orderings_table import orderings_table

SYMBOLS = 4


def uniform(rows_BTW, hidden_BTW, step_B, voice_B):
    return torch.full((len(rows_BTW), SYMBOLS), -math.log(SYMBOLS))


def made_up(rows_BTW, hidden_BTW, step_B, voice_B):
    """A fixed distribution for everything that a canvas shows, and for the cell that is asked."""
    weights = torch.arange(1, rows_BTW[0].numel() + 1).view(rows_BTW.shape[1:])
    shown = torch.where(hidden_BTW, SYMBOLS, rows_BTW)
    key_B = (shown * weights).sum(dim=(1, 2)) + 5 * step_B + 11 * voice_B
    waves_BS = torch.sin(key_B[:, None] * (1.0 + torch.arange(SYMBOLS)))
    return (2 * waves_BS).log_softmax(dim=1)


def written_out(predict, piece, order):
    """Algorithm 1 cell by cell: one canvas, the truth restored after each frame."""
    canvas, hidden = piece.clone(), torch.ones_like(piece, dtype=torch.bool)
    nats = np.zeros(len(order))
    for number, group in enumerate(order):
        for step, voice in group:
            cell = torch.tensor([step]), torch.tensor([voice])
            logs = predict(canvas[None], hidden[None], *cell)[0]
            nats[number] -= float(logs[piece[step, voice]])
            canvas[step, voice] = logs.argmax()
            hidden[step, voice] = False
        for step, voice in group:
            canvas[step, voice] = piece[step, voice]
    assert not hidden.any()
    return nats


@pytest.mark.parametrize("draw", [frame_ordering, cell_ordering], ids=["frame", "cell"])
def test_it_is_the_algorithm_written_out(draw, monkeypatch):
    monkeypatch.setattr(orderings, "CHUNK", 4)  # groups do not fit in one
    rng = np.random.default_rng(3)
    piece = torch.from_numpy(rng.integers(SYMBOLS, size=(6, 3)))
    order = draw(6, 3, rng)
    expected = written_out(made_up, piece, order)
    by_time = np.lexsort((order[..., 1].min(axis=1), order[:, 0, 0]))
    found = group_nats(made_up, piece, order)
    assert found == pytest.approx(expected[by_time], abs=1e-6)
    assert len({round(value, 6) for value in found}) > 3


def test_orderings_hold_every_cell_once_and_frames_whole():
    rng = np.random.default_rng(1)
    for draw, size in ((frame_ordering, 3), (cell_ordering, 1)):
        order = draw(5, 3, rng)
        assert order.shape == (15 // size, size, 2)
        assert sorted(map(tuple, order.reshape(-1, 2))) == [
            (t, w) for t in range(5) for w in range(3)
        ]
        assert all(len({step for step, _ in group}) == 1 for group in order.tolist())
    assert (np.diff(frame_ordering(50, 3, rng)[:, 0, 0]) < 0).any()
    assert len({tuple(group[:, 1]) for group in frame_ordering(50, 3, rng)}) == 6


def test_an_untrained_model_reads_ln_v_for_each_cell():
    piece = torch.zeros(8, 4, dtype=torch.long)
    for unit, cells in (("frame", 4), ("cell", 1)):
        nats = ordered_nats(uniform, piece, unit, 3, np.random.default_rng(1))
        assert nats == pytest.approx(cells * math.log(SYMBOLS))
        assert averaged_probability(nats) == pytest.approx(cells * math.log(SYMBOLS))


def test_orderings_are_averaged_as_probabilities():
    nats = -np.log(np.array([[0.5, 0.2], [0.1, 0.2]]))
    assert np.exp(-averaged_probability(nats)) == pytest.approx([0.3, 0.2])


def test_a_masked_model_does_not_see_the_truth_of_hidden_cells(tokens):
    torch.manual_seed(0)
    settings = {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2, "dropout": 0.0}
    spec = ArraySpec(width=4, vocabulary=len(tokens.codec["vocabulary"]))
    model = build("absorbing", settings, spec).eval()
    torch.nn.init.normal_(model.to_symbols.weight)
    cut = crops(tokens.splits["train"], 16, seed=1)
    assert len(cut) == len(tokens.splits["train"])
    assert not crops(tokens.splits["train"], 10**6, seed=1)
    _, start, piece = cut[0]
    hidden = torch.rand(3, 16, 4) < 0.5
    step, voice = torch.tensor([2, 5, 15]), torch.tensor([0, 3, 1])
    hidden[torch.arange(3), step, voice] = True
    rows = piece.repeat(3, 1, 1)
    predict = Predictor(model, start)
    with torch.inference_mode():
        found = predict(rows, hidden, step, voice)
        blind = predict(torch.where(hidden, 1, rows), hidden, step, voice)
    assert torch.equal(found, blind)
    assert found.exp().sum(dim=1) == pytest.approx(torch.ones(3), abs=1e-5)
    every = model.logits(rows, hidden, torch.full((3,), start)).log_softmax(dim=1)
    numbers = hidden.nonzero().tolist()
    for row in range(3):
        place = numbers.index([row, int(step[row]), int(voice[row])])
        assert found[row] == pytest.approx(every[place].detach(), abs=1e-4)


def test_the_table_names_what_was_not_scored(tmp_path):
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    figures = {"pieces": 7, "averaged_probability": interval, "mean_of_orderings": interval}
    score = {"format": 1, "frame": {"valid": figures}}
    (tmp_path / "absorbing-1.json").write_text(json.dumps(score))
    published = tmp_path / "published.csv"
    published.write_text("model,frame,cell,known,note\nCoconet,0.57,,memory,a table\n")
    settings = {"splits": ["valid"], "crop": 16, "orderings": 5}
    text = orderings_table(tmp_path, published, settings)
    assert "| ours | absorbing-1 | 7, – | 0.500 [0.400, 0.600] (0.500) | – | measured |" in text
    assert "| published | Coconet |  | 0.57 | – | from memory, unverified; a table |" in text
