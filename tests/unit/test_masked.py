"""Masked families: what is hidden stays unseen, the bound is a bound, kept cells are kept."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.evaluation.likelihood.masked import Scorer
from ostinato.models.grids.parts.voices import LAST_PLACE
from ostinato.models.layers.bar_lines import BarLines
from ostinato.models.masked.absorbing import Config, Model, hide
from ostinato.models.masked.parts.blocks import block_lots
from ostinato.models.masked.parts.bound import bound_of
from ostinato.models.masked.parts.intervals import Intervals
from ostinato.models.masked.parts.neighbors import FARTHEST, nearest
from ostinato.models.masked.parts.relative import KEYS, Relative
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.sampling.grids.opening import Canvas
from ostinato.sampling.masked.canvas import notes_of
from ostinato.sampling.masked.decoding import Decoding
from ostinato.sampling.masked.sampler import Sampler, _Painter, fill
from ostinato.sampling.request import Continue, Fill, Region, Request, Vary
from ostinato.sampling.sampler import Job
from ostinato.training.masked import Module

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/4", "4/4"))
CELLS = Grid(lowest=36, highest=81)
TINY = {"width": 16, "voice_hidden": 16, "layers": 1, "heads": 2, "dropout": 0.0}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, **changes):
    torch.manual_seed(0)
    return build("absorbing", TINY | changes, spec_of(grid)).eval()


def rows(chorale, grid=BARS, seed=1, bars=2):
    return torch.from_numpy(grid.encode(chorale(seed, bars=bars)).astype(np.int64))


def test_neighbors_are_the_nearest_known_cells():
    cells = torch.tensor([[[5], [6], [7], [8]]])
    known = torch.tensor([[[False], [True], [False], [False]]])
    found = nearest(cells, known, unknown=9)
    assert found.before.flatten().tolist() == [9, 6, 6, 6]
    assert found.after.flatten().tolist() == [6, 6, 9, 9]
    assert found.since.flatten().tolist() == [FARTHEST, 0, 1, 2]
    assert found.until.flatten().tolist() == [1, 0, FARTHEST, FARTHEST]


def test_so_many_cells_are_hidden_and_all_equally_often():
    free = torch.ones(4000, 5, 1, dtype=torch.bool)
    free[:, 2] = False
    hidden = hide(free, torch.full((4000,), 3))
    assert (hidden.sum(dim=(1, 2)) == 3).all()
    assert not hidden[:, 2].any()
    shares = hidden.double().mean(dim=0).flatten()[[0, 1, 3, 4]]
    assert (shares - 0.75).abs().max() < 4 * (0.75 * 0.25 / 4000) ** 0.5


def test_some_pieces_of_a_training_batch_hide_blocks():
    torch.manual_seed(0)
    assert block_lots(3, 8, 4, 0).shape == (3, 8, 4)
    lots = block_lots(160, 64, 4, 4)
    assert lots.min() >= 0
    assert lots.max() < 1
    hidden = hide(torch.ones(lots.shape, dtype=torch.bool), torch.full((len(lots),), 128), lots)
    assert (hidden.sum(dim=(1, 2)) == 128).all()
    alike = (hidden[:, 1:] == hidden[:, :-1]).double().mean(dim=(1, 2))
    blocks = torch.arange(len(lots)) % 4 == 0
    assert alike[blocks].min() > 0.6 > alike[~blocks].max()
    voices = hidden.double().mean(dim=1)
    assert (voices.amax(dim=1) - voices.amin(dim=1))[blocks].max() > 0.7
    shares = hidden.double().mean(dim=(0, 2))
    assert (shares - 0.5).abs().max() < 0.15


def test_an_untrained_output_costs_ln_v_for_each_cell(chorale):
    model = tiny()
    for layer in (model.to_symbols, model.to_copies):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    batch = rows(chorale)[None]
    nats = Scorer(model).score(batch)
    _, free = model.voices(batch)
    assert nats.shape == batch.shape
    wanted = float(free.sum()) * np.log(model.symbols)
    assert float(nats[..., 1:].detach().sum()) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.long
def test_the_bound_of_exact_conditionals_is_the_likelihood(monkeypatch):
    """Two cells of two symbols with a known joint distribution."""
    joint = torch.tensor([[0.4, 0.1], [0.2, 0.3]])
    model = tiny(Grid(voices=("soprano", "alto"), lowest=60, highest=61))

    def exact(rows_BTW, hidden_BTW, start_B, given=None):
        (a, b), (hide_a, hide_b) = rows_BTW[0, 0].tolist(), hidden_BTW[0, 0].tolist()
        both, of_a, of_b = joint[a, b], joint.sum(1)[a], joint.sum(0)[b]
        nats_a = -(of_a if hide_b else both / of_b).log() if hide_a else 0.0
        nats_b = -(of_b if hide_a else both / of_a).log() if hide_b else 0.0
        return torch.tensor([[[nats_a, nats_b]]])

    monkeypatch.setattr(model, "nats", exact)
    for piece in ([0, 0], [0, 1], [1, 0], [1, 1]):
        nats = bound_of(model, torch.tensor([[piece]]), None, draws=600).sum()
        truth = -joint[tuple(piece)].log()
        assert float(nats) == pytest.approx(float(truth), abs=0.06)


@pytest.mark.parametrize("skew", [1.0, 1.5, 3.0])
def test_the_objective_is_the_same_however_shares_are_drawn(monkeypatch, skew):
    model = tiny(CELLS, skew=skew)

    def squares(rows_BTW, shares_B, *_, **__):
        return shares_B[:, None, None].square().expand(rows_BTW.shape)

    monkeypatch.setattr(model, "bound", squares)
    rows_BTW = torch.zeros(500, 1, 4, dtype=torch.long)
    zeros = torch.zeros(500, dtype=torch.long)
    batch = {"targets": rows_BTW, "start": zeros, "conditions": zeros[:, None]}
    torch.manual_seed(0)
    loss = Module.loss(SimpleNamespace(model=model), batch) / rows_BTW.numel()
    assert float(loss) == pytest.approx(1 / 3, abs=0.005)
    with pytest.raises(ValueError, match=r"skew=0\.5 must be at least 1"):
        tiny(CELLS, skew=0.5)


@pytest.mark.parametrize("relative", [False, True])
def test_hidden_values_and_padding_are_not_seen(chorale, relative):
    model, piece = tiny(relative=relative), rows(chorale)
    for weight in model.relative.parameters() if relative else ():
        torch.nn.init.normal_(weight, std=0.1)
    hidden = torch.zeros(1, len(piece), 4, dtype=torch.bool)
    hidden[0, 3:9, 1] = hidden[0, 20, :3] = True
    start = torch.zeros(1, dtype=torch.long)
    logits = model.logits(piece[None], hidden, start)
    other = piece[None].clone()
    other[0, 3:9, 2] = 7
    assert torch.equal(model.logits(other, hidden, start), logits)
    padded = torch.cat([piece[None], torch.full((1, 6, 5), PAD)], dim=1)
    wide = torch.cat([hidden, torch.zeros(1, 6, 4, dtype=torch.bool)], dim=1)
    assert torch.allclose(model.logits(padded, wide, start), logits, atol=1e-5)
    scored = Scorer(model).score(padded)
    assert (scored[0, len(piece) :] == 0).all()
    known = piece[None].clone()
    known[0, 10, 2] += 1
    assert not torch.allclose(model.logits(known, hidden, start), logits)


@torch.no_grad()
def test_bar_lines_score_in_one_pass_what_they_say_step_by_step(chorale):
    torch.manual_seed(0)
    lines = BarLines(spec_of(BARS).structure)
    column = rows(chorale, bars=3)[None, :, 0]
    nats = lines.nats(column)
    for place in (0, 1, 16, 17, 48):
        logits = lines.logits(column[:, :place])[0, -1]
        code = (lines.symbols_K == column[0, place]).nonzero().item()
        assert float(nats[0, place]) == pytest.approx(float(-logits.log_softmax(0)[code]), abs=1e-5)


@pytest.mark.long
def test_kept_cells_are_kept_whatever_is_asked(chorale):
    sampler, piece = Sampler(tiny(), BARS), chorale(2, bars=3)
    whole = BARS.encode(piece)[:-1]  # a prompt has no end
    for region in (Region(bars=(2, 3)), Region(roles=("alto",)), Region((1, 2), ("bass",))):
        for options in ({"order": "confident", "turns": 0}, {"order": "confident"}, {"turns": 3}):
            options |= {"steps": 2, "gibbs": 2}
            request = Request(task=Fill(piece, region), bars=3, options=options)
            (made,) = sampler.sample([Job(request, 0, 5)])
            free = BARS.cells(whole, region.bars, region.roles or BARS.voices)
            assert np.array_equal(made.tokens[~free], whole[~free])
            assert not np.array_equal(made.tokens[free], whole[free])


def test_turns_draw_no_two_cells_of_a_step_or_of_near_steps_of_a_voice_together(monkeypatch):
    painter = _Painter(tiny(CELLS), np.zeros((1, 32, 4), np.int64), [np.random.default_rng(1)])
    drawn = []
    monkeypatch.setattr(
        painter, "_fill", lambda values, chances, hidden, parts: drawn.extend(parts)
    )
    now = np.random.default_rng(2).random((1, 32, 4)) < 0.7
    painter.reveal(now, now, turns=8, number=3)
    assert np.array_equal(np.sum(drawn, axis=0), now)
    for part in drawn:
        assert part[0].sum(axis=1).max() == 1
        for voice in range(4):
            assert (np.diff(np.flatnonzero(part[0, :, voice])) >= 8).all()


def test_later_turns_know_the_earlier_ones():
    """Two voices that always agree do so where they are drawn in turns."""
    grid = Grid(voices=("soprano", "alto"), lowest=60, highest=61)
    model = tiny(grid)
    with torch.no_grad():
        for weight in (model.to_symbols.weight, model.to_copies.weight, model.to_copies.bias):
            weight.zero_()
        model.to_symbols.bias.copy_(torch.tensor([-50.0, 0.0, 0.0]))
        kinds = model.intervals.near.view(2, 2, 2, -1, 3)
        kinds[0, 1, 0, 0, 1] = kinds[1, 0, 0, 0, 1] = 40.0  # the pitch of the other voice now
    agree = {}
    for turns in (0, 2):
        rows = np.full((1, 64, 2), 1, np.int64)
        free = np.ones(rows.shape, bool)
        painter = _Painter(model, rows, [np.random.default_rng(5)])
        painter.reveal(free, free, turns, 1)
        agree[turns] = (rows[..., 0] == rows[..., 1]).mean()
    assert agree[0] < 0.8
    assert agree[2] == 1


def test_a_piece_depends_on_its_seed_alone(chorale):
    sampler = Sampler(tiny(), BARS)
    request = Request(bars=2, options={"steps": 4, "gibbs": 2})
    many = sampler.sample([Job(request, number, number) for number in range(3)])
    (alone,) = sampler.sample([Job(request, 2, 2)])
    assert np.array_equal(many[2].tokens, alone.tokens)
    BARS.decode(alone.tokens)


@pytest.mark.long
def test_a_longer_piece_beside_it_changes_nothing(chorale):
    """The longer one needs more passes where each reveals one cell."""
    model, random = tiny(), np.random.default_rng
    short, long = (
        Canvas(whole, np.isin(np.arange(5), (1, 2, 3, 4)) & np.ones(whole.shape, dtype=bool))
        for whole in (BARS.encode(chorale(1, bars=bars))[:-1][: 8 * bars] for bars in (1, 2))
    )
    decoding = Decoding(steps=0, gibbs=3)
    (alone,) = fill(model, [short], [random(1)], decoding)
    beside, _ = fill(model, [short, long], [random(1), random(2)], decoding)
    assert np.array_equal(alone, beside)


def test_the_place_in_the_bar_is_unknown_before_the_first_line_of_a_crop(chorale):
    model, crop = tiny(), rows(chorale, bars=2)[None, 5:30]
    clock = model.places(crop, torch.tensor([5]))[0].tolist()
    assert clock[:11] == [LAST_PLACE + 1] * 11
    assert clock[11:] == list(range(14))


def test_variations_take_notes_whole_where_holds_have_a_symbol():
    cells = np.array([[5], [9], [9], [5], [9], [0]], np.int32)
    for seed in range(8):
        free = notes_of(cells, np.ones((6, 1), dtype=bool), 0.5, np.random.default_rng(seed), 9)
        assert free[:3].all() or not free[:3].any()
        assert free[3:5].all() or not free[3:5].any()


def test_samples_without_bar_lines_are_as_long_as_asked():
    (made,) = Sampler(tiny(CELLS), CELLS).sample(
        [Job(Request(bars=2, options={"steps": 2, "gibbs": 0}), 0, 1)]
    )
    assert made.tokens.shape == (32, 4)
    assert not made.ended


def test_variations_keep_what_their_strength_says(chorale):
    sampler, piece = Sampler(tiny(), BARS), chorale(3, bars=4)
    whole = BARS.encode(piece)[:-1]
    changed = []
    for strength in (0.0, 0.5, 1.0):
        request = Request(task=Vary(piece, strength), bars=4, options={"steps": 4, "gibbs": 2})
        (made,) = sampler.sample([Job(request, 0, 1)])
        assert np.array_equal(made.tokens[:, 0], whole[:, 0])
        changed.append((made.tokens != whole)[:, 1:].mean())
    assert changed[0] == 0
    assert 0.3 < changed[1] < 0.6 < 0.9 < changed[2]


def test_continuations_begin_with_their_prompt(chorale):
    sampler, piece = Sampler(tiny(), BARS), chorale(4, bars=3)
    request = Request(task=Continue(piece, 2), bars=4, options={"steps": 3, "gibbs": 1})
    (made,) = sampler.sample([Job(request, 0, 1)])
    assert np.array_equal(made.tokens[:32], BARS.encode(piece)[:32])
    assert len(made.tokens) > 33


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "left"}, "'left' is none of random, confident"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"steps": -1}, "steps=-1 cannot be negative"),
        ({"pace": 0.5}, "pace=0.5 must be at least 1"),
        ({"gibbs_share": 2.0}, "gibbs_share=2.0 must lie in"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Sampler(tiny(), BARS).sample([Job(Request(bars=1, options=options), 0, 1)])


def test_other_encodings_are_refused_with_the_remedy():
    whole = spec_of(BARS)
    for spec in (
        ArraySpec(width=88, vocabulary=2),
        replace(whole, width=1, structure=replace(whole.structure, voice_columns=(0,))),
    ):
        with pytest.raises(ValueError, match="cells of a grid with one column for each voice"):
            Model(Config(**TINY), spec)
    moved = replace(whole.structure, structural=(*whole.structure.structural[:-1], 0))
    with pytest.raises(ValueError, match="structural symbols must be the last ones"):
        Model(Config(**TINY), replace(whole, structure=moved))
    with pytest.raises(ValueError, match="not bar by bar"):
        Sampler(tiny(), BARS).session(Job(Request(), 0, 1))


def test_intervals_say_the_same_in_every_key():
    torch.manual_seed(0)
    tables = Intervals(spec_of(CELLS).voices)
    for table in tables.parameters():
        torch.nn.init.normal_(table)
    cells = torch.randint(10, 30, (1, 12, 4))
    hidden = torch.rand(cells.shape) < 0.5
    low, high = (
        tables(shown, ~hidden, nearest(shown, ~hidden, 47), hidden)
        for shown in (cells.masked_fill(hidden, 47), (cells + 5).masked_fill(hidden, 47))
    )
    assert torch.allclose(low[:, :-5], high[:, 5:], atol=1e-5)
    assert low.std() > 0.1


def test_what_is_relative_says_the_same_in_every_key():
    torch.manual_seed(0)
    relative = Relative(spec_of(CELLS).voices, width=8, hidden=6)
    for weight in relative.parameters():
        torch.nn.init.normal_(weight)
    cells = torch.randint(10, 30, (1, 12, 4))
    cells[:, :, 3] = 0  # rests
    hidden = torch.rand(cells.shape) < 0.5
    y = torch.randn(int(hidden.sum()), 6)
    found = []
    for shift in (0, 5):
        shown = (cells + shift * (cells > 0)).masked_fill(hidden, 47)
        told = relative.told(shown, ~hidden, nearest(shown, ~hidden, 47))
        inputs = relative.trunk_input(told), relative.cell_input(told, hidden)
        found.append((*inputs, relative(y, told, hidden)))
    (trunk, cell, low), (high_trunk, high_cell, high) = found
    assert trunk.shape == (1, 12, 8)
    assert torch.allclose(trunk, high_trunk, atol=1e-5)
    assert torch.allclose(cell, high_cell, atol=1e-5)
    assert torch.allclose(low[:, :-5], high[:, 5:], atol=1e-4)
    assert min(part.std() for part in (trunk, cell, low)) > 0.1


def test_the_key_follows_from_the_pitches_around():
    relative = Relative(spec_of(CELLS).voices, width=8, hidden=6)
    scale = torch.tensor([2, 4, 6, 7, 9, 11, 13]) + 1 + 12  # D major; 1 is the lowest C, 36
    shown = scale.repeat(3)[None, :, None].expand(1, 21, 4)
    known = torch.ones_like(shown, dtype=torch.bool)
    keys = relative.told(shown, known, nearest(shown, known, 47)).keys_BTK
    assert keys.shape == (1, 21, KEYS)
    assert (keys.argmax(dim=-1) == 2).all()
    nothing = relative.told(shown, ~known, nearest(shown, ~known, 47)).keys_BTK
    assert torch.allclose(nothing, torch.full_like(nothing, 1 / KEYS))


def test_whole_notes_of_one_voice_are_drawn_again(chorale):
    model = tiny()
    piece = rows(chorale).numpy()[None]
    painter = _Painter(model, piece.copy(), [np.random.default_rng(1)])
    for number in range(4):
        chosen = painter.whole_notes(number, 0.5)
        column = int(model.columns_V[number])
        assert chosen[..., column].any()
        assert not np.delete(chosen, column, axis=2).any()
        same = piece[:, 1:, column] == piece[:, :-1, column]
        cells = chosen[..., column]
        assert (cells[:, 1:] == cells[:, :-1])[same].all()
        assert not cells.all()
