"""The flat grid is the grid told cell by cell: the same cells, the same likelihood, whole steps.

What it promises as a representation is tried with all others in test_representations.py.
"""

import copy
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ostinato.corpus.store import Entry
from ostinato.evaluation.autoregressive.exact import check_exact, count_cells, extreme_pieces
from ostinato.evaluation.baselines import score_baselines
from ostinato.evaluation.scored import score_split
from ostinato.loading.tokens import open_tokens
from ostinato.models.registry import build as build_model
from ostinato.models.registry import families
from ostinato.models.spec import PAD, ArraySpec
from ostinato.music.piece import VOICES, same_music
from ostinato.representations.grid.grid import Grid
from ostinato.representations.grid.grid_flat import GridFlat, OrderedGrid
from ostinato.representations.grid.parts.grammar import REST
from ostinato.representations.protocol import Extent
from ostinato.representations.registry import build
from ostinato.representations.store import write_encoding
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from one_sequence import OneSequence, exactly

SPLITS = ("train",) * 4 + ("valid",) * 2 + ("test",) * 2
BASS_SECOND = ("soprano", "bass", "alto", "tenor")
ORDERS = {"as they come": (), "bass second": BASS_SECOND}


def flat(order=(), **options):
    return GridFlat(OrderedGrid(order=order, **options))


@pytest.fixture(scope="module")
def encoded(chorale, tmp_path_factory):
    """A corpus of eight chorales as rows, and flat in each order; pieces of three lengths."""
    pieces = [chorale(seed, bars=1 + seed % 3) for seed in range(len(SPLITS))]
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, SPLITS, strict=True)]
    folder = tmp_path_factory.mktemp("encoded")
    forms = {"rows": Grid()} | {name: flat(order) for name, order in ORDERS.items()}
    for name, representation in forms.items():
        write_encoding(folder / name, "bach", entries, representation, {})
    return {name: open_tokens(folder / name) for name in forms}


def test_cells_come_step_by_step_in_the_order_asked_for(chorale):
    piece = chorale(3)
    rows = Grid().encode(piece)
    for order in itertools.permutations(VOICES):
        cells = flat(order).encode(piece)
        assert cells.shape == (rows.size, 1)
        for place, voice in enumerate(order):
            assert np.array_equal(cells[place::4, 0], rows[:, VOICES.index(voice)])
    assert np.array_equal(flat().encode(piece), flat(VOICES).encode(piece))


def test_the_order_is_no_other_choice_of_voices(chorale):
    """Among notes struck at once the bass keeps its lowest, wherever in a step it is told."""
    piece = chorale(4)
    assert same_music(flat(BASS_SECOND).quantize(piece).piece, Grid().quantize(piece).piece)
    told = build(flat(BASS_SECOND).codec()).decode(flat(BASS_SECOND).encode(piece))
    assert same_music(told, Grid().quantize(piece).piece)


def test_the_cells_to_fill_are_the_grids(chorale):
    form, piece = flat(BASS_SECOND), chorale(5)
    whole, bars = Grid().encode(piece), (2, 3)
    mask = form.cells(form.encode(piece), bars, ("alto", "bass"))
    marked = np.where(Grid().cells(whole, bars, ("alto", "bass")), whole, -1)
    expected = marked[:, form.grid.columns].reshape(-1, 1)
    assert np.array_equal(np.where(mask, form.encode(piece), -1), expected)
    assert mask.sum() == 16 * 2
    with pytest.raises(ValueError, match="no voice flute; there are soprano"):
        form.cells(whole[:4, :1], bars, ("flute",))


@pytest.mark.parametrize("order", [VOICES[:3], (*VOICES[:3], "soprano"), (*VOICES, "drums")])
def test_an_order_that_is_none_of_the_voices_is_refused(order):
    with pytest.raises(ValueError, match=r"must name each of voices=\['soprano', 'alto'"):
        build({"kind": "grid_flat", "order": list(order)})
    with pytest.raises(
        ValueError, match=r"grid_flat has no setting orders.*; its settings are .*, order"
    ):
        build({"kind": "grid_flat", "orders": list(VOICES)})


@settings(max_examples=min(30, settings.default.max_examples), deadline=None, derandomize=True)
@given(
    voices=st.integers(1, 4),
    cells=st.lists(st.integers(0, 47), max_size=22),
    quarters=st.integers(0, 3),
    data=st.data(),
)
def test_the_grammar_is_the_grids_own_and_ends_with_a_whole_step(voices, cells, quarters, data):
    """A prompt may end within a step; decoded, what is told of that step alone is left out."""
    names = VOICES[:voices]
    grid = OrderedGrid(voices=names, hold=True, order=data.draw(st.permutations(names)))
    columns, hold = grid.columns, len(grid.vocabulary) - 1
    prompt = np.array(cells, dtype=np.int32).reshape(-1, 1)
    told = list(cells)
    ours = OneSequence(GridFlat(grid), exactly(quarters, "1/4"), prompt)
    while not ours.finished():
        sounds = len(told) >= voices and told[-voices] != REST
        assert ours.allowed()[hold] == sounds
        assert ours.allowed()[:hold].all()
        told.append(int(data.draw(st.sampled_from(np.flatnonzero(ours.allowed()).tolist()))))
        ours.advance(told[-1])
    assert len(told) == max(len(cells), quarters * 4 * voices)
    whole = np.array(told[: len(told) // voices * voices], dtype=np.int32)
    rows = np.empty((len(whole) // voices, voices), dtype=np.int32)
    rows[:, columns] = whole.reshape(-1, voices)
    broken = np.array(told, dtype=np.int32).reshape(-1, 1)
    assert same_music(GridFlat(grid).decode(broken), grid.decode(rows))


@settings(max_examples=min(30, settings.default.max_examples), deadline=None, derandomize=True)
@given(
    hold=st.booleans(),
    prompts=st.lists(st.lists(st.integers(0, 46), max_size=14), min_size=1, max_size=4),
    order=st.permutations(VOICES),
    data=st.data(),
)
def test_sequences_of_a_batch_do_not_depend_on_each_other(hold, prompts, order, data):
    form, steps = flat(tuple(order), hold=hold), 2
    begun = [np.array(prompt, dtype=np.int32).reshape(-1, 1) for prompt in prompts]
    ours = form.grammar(exactly(steps, "1/16"), begun)
    alone = [OneSequence(form, exactly(steps, "1/16"), prompt) for prompt in begun]
    assert ours.most == max([4 * steps, *map(len, prompts)])
    for number in range(4 * steps):
        if number == 3:  # one of them twice, as particles are
            index = np.array([0, *range(len(begun))])
            ours.select(index)
            alone = [copy.deepcopy(alone[i]) for i in index]
        assert ours.finished().tolist() == [one.finished() for one in alone]
        mask = ours.allowed()
        expected = np.stack([one.allowed() for one in alone])
        assert (mask is None and not hold) or np.array_equal(mask, expected)
        count = len(ours.finished())
        moving = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        tokens = np.array([data.draw(st.integers(0, 46)) for _ in range(count)])
        ours.advance(tokens, moving)
        for i in np.flatnonzero(moving):
            alone[i].advance(tokens[i])


@pytest.mark.long
@pytest.mark.parametrize("name", ORDERS)
def test_both_forms_count_the_same_cells_notes_and_quarters(encoded, name):
    rows, cells = encoded["rows"], encoded[name]
    for split in ("train", "valid", "test"):
        assert count_cells(cells, split) == count_cells(rows, split)
        ours, theirs = cells.splits[split], rows.splits[split]
        assert np.array_equal(ours.length, 4 * theirs.length)
        for column in ("piece", "notes", "quarters", "shift_low", "shift_high"):
            assert np.array_equal(getattr(ours, column), getattr(theirs, column)), column
        uniform, by_row = (score_baselines(x, split)["uniform"] for x in (cells, rows))
        assert uniform.nats == pytest.approx(by_row.nats)
        for ours_of, theirs_of in zip(
            uniform.units().values(), by_row.units().values(), strict=True
        ):
            assert np.array_equal(ours_of[1], theirs_of[1])  # what nats are divided by
    assert cells.codec["vocabulary"] == rows.codec["vocabulary"]


class Told:
    """A model of rows asked cell by cell: one distribution, in the flat form."""

    def __init__(self, model):
        self.model = model

    def eval(self):
        self.model.eval()

    def score(self, tokens_BT1, given=None):
        rows = torch.full((len(tokens_BT1), tokens_BT1.shape[1] // 4, 4), PAD)
        rows[:, :, list(self.model.order)] = tokens_BT1.view(rows.shape)
        nats = self.model.score(rows)[:, :, list(self.model.order)]
        return nats.reshape(tokens_BT1.shape)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_one_distribution_costs_the_same_in_both_forms(encoded, family, name):
    """Every piece's nats to 1e-5, so any difference between two models is the models' own."""
    torch.manual_seed(0)
    rows, cells = encoded["rows"], encoded[name]
    order = tuple(VOICES.index(voice) for voice in ORDERS[name] or VOICES)
    options = {"width": 16, "voice_hidden": 8, "order": order, "periods": (16,), "held_steps": 4}
    model = build_model(family, options, ArraySpec(width=4, vocabulary=47)).eval()
    for split in ("valid", "test"):
        by_row, by_cell = score_split(model, rows, split), score_split(Told(model), cells, split)
        assert by_cell.nats == pytest.approx(by_row.nats, rel=1e-5)
        assert np.array_equal(by_cell.tokens, by_row.tokens)


def bigram_by_cells(table_4CVV, tokens_BT1):
    """A hand-made chain rule, cell by cell: each cell given the one before it, by its place."""
    before = F.pad(tokens_BT1[:, :-1, 0], (1, 0), value=table_4CVV.shape[1] - 1)
    place = torch.arange(tokens_BT1.shape[1]) % 4
    logits = table_4CVV[place, before.clamp(min=0)]
    return F.cross_entropy(
        logits.transpose(1, 2), tokens_BT1[:, :, 0], ignore_index=PAD, reduction="none"
    )[:, :, None]


def bigram_by_rows(table_4CVV, tokens_BTW):
    """The same, row by row: soprano after the bass of the row before, then down the row."""
    costs = torch.zeros(tokens_BTW.shape)
    start = table_4CVV.shape[1] - 1
    before = torch.cat([torch.full_like(tokens_BTW[:, :1, 3], start), tokens_BTW[:, :-1, 3]], dim=1)
    for voice in range(4):
        logits = table_4CVV[voice, before.clamp(min=0)].transpose(1, 2)
        now = tokens_BTW[:, :, voice]
        costs[:, :, voice] = F.cross_entropy(logits, now, ignore_index=PAD, reduction="none")
        before = now
    return costs


class Bigram:
    """Only its `score` is asked for."""

    def __init__(self, table_4CVV, form):
        self.table, self.form = table_4CVV, form

    def eval(self):
        pass

    def score(self, tokens, given=None):
        return self.form(self.table, tokens)


def test_a_chain_rule_made_by_hand_costs_the_same_in_both_forms(encoded):
    torch.manual_seed(0)
    table = 3 * torch.randn(4, 48, 47)
    for split in ("train", "valid", "test"):
        by_row = score_split(Bigram(table, bigram_by_rows), encoded["rows"], split)
        by_cell = score_split(Bigram(table, bigram_by_cells), encoded["as they come"], split)
        assert by_cell.nats == pytest.approx(by_row.nats, rel=1e-5)
        assert (by_row.nats > 10).all()


SETTINGS = {"width": 16, "voice_hidden": 0, "periods": (4, 64)}
# less than a piece, where a family reads in windows that move
CONTEXTS = {
    "gpt": {"context": 24},
    "gpt2": {"context": 24},
    "music_transformer": {"context": 24, "max_distance": 8},
}


@pytest.mark.parametrize("family", families("autoregressive"))
def test_the_likelihood_of_a_flat_model_is_exact(encoded, family):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    chosen = SETTINGS | CONTEXTS.get(family, {})
    model = build_model(family, chosen, ArraySpec(width=1, vocabulary=47))
    for piece_TW in extreme_pieces(encoded["as they come"], "valid"):
        check_exact(model, piece_TW)


@pytest.mark.parametrize("hold", [False, True])
def test_flat_samples_are_whole_steps_of_the_length_asked_for(chorale, hold):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    form = flat(BASS_SECOND, hold=hold)
    shape = ArraySpec(width=1, vocabulary=len(form.vocabulary))
    model = build_model("lstm", SETTINGS, shape)
    prompts = [form.prefix(chorale(1), quarters) for quarters in (0, 1, 2.25)]
    for prompt, sample in zip(
        prompts, decode(model, form, prompts, [1, 2, 3], Extent(1), Decoding()), strict=True
    ):
        assert sample.failed is None
        assert sample.tokens.shape == (4 * 4 * 4, 1)
        assert np.array_equal(sample.tokens[: len(prompt)], prompt)
        piece = form.decode(sample.tokens)
        assert same_music(form.decode(form.encode(piece)), piece)
