"""Adversarial families: exact rolls, neurons and their slopes, the penalty, two optimizers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.models.adversarial.parts.generator import Held, Strip
from ostinato.models.adversarial.parts.known import draw_known
from ostinato.models.adversarial.parts.neurons import fires, one_fires
from ostinato.models.adversarial.parts.penalty import gradient_penalty
from ostinato.models.adversarial.parts.rolls import (
    MARGIN,
    PAD,
    Roll,
    form_of,
    frames_of,
    key_shift,
    planes_of,
    roll_of,
    rows_of,
)
from ostinato.models.adversarial.parts.statistics import NAMES, counted, distances, roll_from
from ostinato.models.adversarial.parts.strips import frame_all, strips
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid

BARS = Grid(lowest=36, highest=81, bars=True, end=True, meters=("3/2", "3/4", "4/4"))
HOLD = replace(BARS, hold=True)
TINY = {"width": 12, "critic_width": 12, "latent": 4, "critic_steps": 2}


def spec_of(grid):
    codec = {"width": grid.width, "vocabulary": grid.vocabulary, "structure": grid.structure()}
    return ArraySpec.of(codec)


def tiny(grid=BARS, **changes):
    torch.manual_seed(0)
    return build("gan", TINY | changes, spec_of(grid)).eval()


def rows(piece, grid=BARS):
    return torch.from_numpy(grid.encode(piece).astype(np.int64))


def music(piece, grid=BARS):
    return rows(piece, grid)[:-1]  # without the end


def strip_of(model, piece, grid=BARS, bars=2):
    framed, _ = frame_all([rows(piece, grid)], model.form, bars)
    batch = strips(framed, [(0, 0), (0, 1)], bars)
    return Strip(batch["steps"], batch["edges"], batch["shift"]), batch


@pytest.mark.parametrize("grid", [BARS, HOLD], ids=["joined", "hold"])
def test_rows_become_planes_and_the_same_rows_again(chorale, grid):
    form, random = form_of(spec_of(grid), 16), np.random.default_rng(1)
    wild = random.integers(0, 47, size=(60, 5))
    wild[random.random(wild.shape) < 0.3] = 0
    if form.holds:
        held = random.random((59, 5)) < 0.5
        wild[1:][held & (wild[:-1] != 0)] = form.voices.hold
        for row in range(1, 60):  # only what sounds may be held
            wild[row][(wild[row] == form.voices.hold) & (wild[row - 1] == 0)] = 0
    pieces = [music(chorale(seed, bars=3), grid) for seed in range(4)] + [torch.from_numpy(wild)]
    for number, piece in enumerate(pieces):
        for shift in (-MARGIN, 0, 3, MARGIN - 1, key_shift(piece, form)):
            roll = roll_of(piece, form, shift)
            planes = planes_of(roll.symbols, roll.onsets, form)
            assert (planes[..., :-1].sum(dim=-1) == 1).all()
            again = roll_from(planes, form)
            assert torch.equal(rows_of(again, form, shift), piece[:, 1:]), (number, shift)


def test_a_hold_of_nothing_and_symbols_that_are_no_music_are_refused(chorale):
    piece, form = music(chorale(1), HOLD), form_of(spec_of(HOLD), 16)
    with pytest.raises(ValueError, match="holds a note that has not begun"):
        roll_of(piece[1:], form)
    piece[5, 2] = form.structure.inside
    with pytest.raises(ValueError, match="neither pitch, hold nor rest"):
        roll_of(piece, form)


def test_pieces_in_any_key_are_moved_to_one(chorale):
    form = form_of(spec_of(BARS), 16)
    scale = torch.tensor([40, 42, 44, 45, 47, 49, 51])  # E major
    piece = torch.full((14, 5), 1)
    for moved in range(-4, 5):
        piece[:, 1:] = (scale.repeat(2) - 35 + moved)[:, None]
        roll = roll_of(piece, form, key_shift(piece, form))
        assert set((roll.symbols % 12).flatten().tolist()) == {0, 2, 4, 5, 7, 9, 11}


def test_frames_have_every_row_once_at_its_place_in_the_bar():
    form = form_of(spec_of(BARS), 16)
    inside, line, common = form.structure.inside, form.structure.bar, form.structure.meters[2]
    column = torch.full((4 + 16 + 12 + 4 + 12,), inside)
    column[[0, 4, 20, 32, 36]] = torch.tensor([common, line, line, line, line])
    frames = frames_of(column, form)
    assert frames.shape == (4, 16)
    assert torch.equal(frames[frames != PAD], torch.arange(len(column)))
    assert frames[0].tolist() == [PAD] * 12 + [0, 1, 2, 3]  # a pickup ends with its bar
    assert frames[2].tolist() == list(range(20, 36))  # two parts of one bar
    assert frames[3].tolist() == [*range(36, 48), *[PAD] * 4]
    column[20:] = inside
    assert frames_of(column, form) is None


def test_pieces_that_cannot_be_framed_are_counted_by_reason(chorale):
    form = form_of(spec_of(BARS), 16)
    long = replace(chorale(1), meters=(replace(chorale(1).meters[0], numerator=3, denominator=2),))
    kept, why = frame_all([rows(chorale(2)), rows(long), rows(chorale(3, bars=1))], form, 2)
    assert len(kept) == 1
    assert why == {"a bar is longer than bar_steps=16": 1, "fewer than 2 bars": 1}


def test_neurons_fire_or_not_and_have_the_slopes_of_probabilities():
    torch.manual_seed(1)
    logits = torch.randn(50, requires_grad=True)
    weights = torch.randn(50)
    for kind, lots in (("deterministic", None), ("stochastic", torch.rand(50))):
        fired = fires(logits, kind, lots)
        assert set(fired.tolist()) <= {0.0, 1.0}
        (slope,) = torch.autograd.grad((fired * weights).sum(), logits)
        chance = logits.sigmoid()
        assert torch.allclose(slope, weights * chance * (1 - chance), atol=1e-6)
    assert torch.equal(fires(logits, "none"), logits.sigmoid())
    assert torch.equal(fires(logits, "deterministic") > 0, logits > 0)
    with pytest.raises(ValueError, match="random numbers"):
        fires(logits, "stochastic")


def test_of_a_group_one_fires_and_a_group_of_two_is_one_binary_neuron():
    torch.manual_seed(1)
    logits, weights = torch.randn(40, 5, requires_grad=True), torch.randn(40, 5)
    for kind, lots in (("deterministic", None), ("stochastic", torch.rand(40))):
        fired = one_fires(logits, kind, lots)
        assert torch.equal(fired.sum(dim=1), torch.ones(40))
        assert set(fired.flatten().tolist()) == {0.0, 1.0}
        (slope,) = torch.autograd.grad((fired * weights).sum(), logits)
        (soft,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
        assert torch.allclose(slope, soft, atol=1e-6)
    pair, lots = torch.randn(200), torch.rand(200)
    for kind in ("deterministic", "stochastic"):
        both = one_fires(torch.stack([torch.zeros(200), pair], dim=1), kind, lots)
        assert torch.equal(both[:, 1], fires(pair, kind, 1 - lots))
    many = one_fires(
        torch.tensor([0.2, 0.3, 0.5]).log().expand(9000, 3), "stochastic", torch.rand(9000)
    )
    assert (many.mean(dim=0) - torch.tensor([0.2, 0.3, 0.5])).abs().max() < 0.02


def test_a_voice_goes_on_until_a_note_begins_with_exact_slopes():
    begins = torch.rand(2, 5, 3, dtype=torch.double, requires_grad=True)
    starts = torch.randn(2, 5, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(Held.apply, (begins, starts))
    hard = torch.tensor([1.0, 0, 0, 1, 0]).view(1, 5, 1)
    pitches = torch.eye(5).view(1, 5, 1, 5)
    assert Held.apply(hard, pitches)[0, :, 0].argmax(dim=1).tolist() == [0, 0, 0, 3, 3]


def test_the_penalty_is_what_finite_differences_say(chorale):
    model = tiny().double()
    strip, batch = strip_of(model, chorale(1))
    real = planes_of(batch["symbols"], batch["onsets"], model.form).double()
    made, lots = torch.rand_like(real), torch.rand(2, dtype=torch.double)
    penalty = gradient_penalty(lambda points: model.critic(points, strip), real, made, lots)
    points = torch.lerp(made, real, lots.view(2, 1, 1, 1))
    torch.manual_seed(2)
    (slopes,) = torch.autograd.grad(model.critic(points.requires_grad_(), strip).sum(), points)
    directions = torch.randn(5, *points.shape, dtype=torch.double)
    for direction in directions:  # the slopes are right …
        ahead, behind = (model.critic(points + sign * 1e-5 * direction, strip) for sign in (1, -1))
        expected = (slopes * direction).flatten(1).sum(dim=1)
        assert torch.allclose((ahead - behind) / 2e-5, expected, atol=1e-6)
    # … the penalty is of their norm, and its own slopes are right, too
    wanted = (slopes.flatten(1).norm(dim=1) - 1).square()
    assert torch.allclose(penalty, wanted, atol=1e-9)
    weight = model.critic.out.weight
    (slope,) = torch.autograd.grad(penalty.sum(), weight)
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0] += sign * 1e-6
        found.append(
            gradient_penalty(lambda points: model.critic(points, strip), real, made, lots)
            .sum()
            .item()
        )
        with torch.no_grad():
            weight[0, 0] -= sign * 1e-6
    assert (found[0] - found[1]) / 2e-6 == pytest.approx(slope[0, 0].item(), abs=1e-5)


def test_a_linear_critic_of_norm_one_costs_nothing():
    direction = torch.randn(3, 4)
    direction /= direction.norm()
    real, made = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    for scale, wanted in ((1.0, 0.0), (3.0, 4.0)):
        found = gradient_penalty(
            lambda x, scale=scale: (x * direction * scale).sum(dim=(1, 2)),
            real,
            made,
            torch.rand(5),
        )
        assert torch.allclose(found, torch.full((5,), wanted), atol=1e-4)


def test_the_critic_hears_intervals_in_any_key(chorale):
    model = tiny()
    critic = model.critic
    roll = roll_of(music(chorale(1)), model.form)
    here, there = (
        critic.intervals(planes_of(roll.symbols + moved, roll.onsets, model.form)[None])
        for moved in (0, 5)
    )
    assert torch.allclose(here, there, atol=1e-4)
    # the transform of the interval of soprano and alto at the first step, 18 numbers
    interval = int(roll.symbols[0, 0] - roll.symbols[0, 1])
    periods = torch.tensor([12, 6, 4, 3, 2.4, 24, 48, 96])
    angles = 2 * math.pi * interval / periods
    wanted = torch.cat(
        [torch.tensor([1.0, math.cos(math.pi * interval)]), angles.cos(), angles.sin()]
    )
    assert torch.allclose(here[0, 0, :18], wanted, atol=1e-4)


def test_the_critic_sees_nothing_beyond_its_strip(chorale):
    form, critic = form_of(spec_of(BARS), 16), tiny().critic
    piece = rows(chorale(1))
    other = piece.clone()
    other[:16, 1:], other[48:-1, 1:] = 5, 7
    scores = []
    for each in (piece, other):
        framed, _ = frame_all([each], form, 2)
        framed = [replace(framed[0], shift=0)]  # the key is that of the whole piece
        framed[0].symbols_NSV.add_(key_shift(piece[:-1], form) - key_shift(each[:-1], form))
        batch = strips(framed, [(0, 1)], 2)
        strip = Strip(batch["steps"], batch["edges"], batch["shift"])
        scores.append(critic(planes_of(batch["symbols"], batch["onsets"], form), strip))
    assert torch.equal(*scores)


def test_made_planes_are_rolls_of_the_bars_that_exist(chorale):
    for grid in (BARS, HOLD):
        for neurons in ("deterministic", "stochastic"):
            model = tiny(grid, neurons=neurons)
            strip, _ = strip_of(model, chorale(1), grid)
            strip.steps_BNS[:, 1, :12] = False  # a pickup
            nothing = torch.zeros(2, 32, 4, model.form.pitches + 2)
            known = torch.zeros(2, 32, 4, dtype=torch.bool)
            planes = model.generator(model.latent(strip), strip, nothing, known)
            there = strip.inner
            assert torch.equal(
                planes[..., :-1].sum(dim=-1), there[..., None].expand(2, 32, 4).float()
            )
            assert set(planes.flatten().tolist()) == {0.0, 1.0}
            roll = roll_from(planes, model.form)
            natural = roll.symbols - MARGIN - strip.shift_B[:, None, None]
            sounds = (roll.symbols != PAD) & (roll.symbols != model.form.rest)
            assert (natural[sounds] >= 0).all()
            assert (natural[sounds] < 46).all()
            changes = roll.symbols.diff(dim=1) != 0
            assert (roll.onsets[:, 13:][changes[:, 12:]]).all()


def test_about_a_share_of_the_strips_gets_known_cells():
    there = torch.ones(4000, 64, 4, dtype=torch.bool)
    torch.manual_seed(0)
    known = draw_known(there, 0.5, 16)
    some = known.any(dim=(1, 2))
    assert float(some.float().mean()) == pytest.approx(0.48, abs=0.03)  # all bars may be free
    assert not known.all(dim=(1, 2)).any()
    assert not draw_known(there, 0.0, 16).any()


def test_distances_are_nothing_for_the_same_music_and_ln_2_for_none_in_common(chorale):
    form = form_of(spec_of(BARS), 16)
    framed, _ = frame_all([rows(chorale(seed)) for seed in (1, 2)], form, 4)
    one, two = (strips(framed, [(number, 0)], 4) for number in (0, 1))
    first, second = (counted(Roll(b["symbols"], b["onsets"]), form) for b in (one, two))
    assert all(float(distances(first, first)[name]) == pytest.approx(0.0) for name in NAMES)
    assert all(0 < float(distances(first, second)[name]) < math.log(2) for name in NAMES)
    low, high = first["pitches"] * 0, first["pitches"] * 0
    low[0], high[1] = 3, 5
    apart = distances(first | {"pitches": low}, first | {"pitches": high})["pitches"]
    assert float(apart) == pytest.approx(math.log(2))
    assert int(first["pitches"].sum()) == 4 * 64
    assert int(first["rhythm"].sum()) == 4 * 64
    assert int(first["chords"].sum()) == 16
    assert int(first["intervals"].sum()) == 6 * 64


@pytest.mark.starts
def test_a_game_about_four_bars_ends_with_these_four_bars(chorale):
    model = tiny(width=48, critic_width=48)
    framed, _ = frame_all([rows(chorale(1))], model.form, 4)
    batch = strips(framed, [(0, 0)], 4)
    strip = Strip(batch["steps"], batch["edges"], batch["shift"])
    real = planes_of(batch["symbols"], batch["onsets"], model.form)
    known, nothing = torch.zeros(batch["symbols"].shape, dtype=torch.bool), torch.zeros_like(real)
    players = [
        torch.optim.Adam(part.parameters(), lr=0.004, betas=(0.0, 0.9))
        for part in (model.critic, model.generator)
    ]
    for step in range(400):
        made = model.generator(model.latent(strip), strip, nothing, known)
        penalty = gradient_penalty(lambda x: model.critic(x, strip), real, made, torch.rand(1))
        gap = model.critic(made.detach(), strip) - model.critic(real, strip)
        for player, loss in zip(
            players, ((gap + 10 * penalty).mean(), -model.critic(made, strip).mean()), strict=True
        ):
            slopes = torch.autograd.grad(loss, player.param_groups[0]["params"], retain_graph=True)
            for parameter, slope in zip(player.param_groups[0]["params"], slopes, strict=True):
                parameter.grad = slope
        for player in players:
            player.step()
        found = roll_from(made, model.form)
        equal = torch.stack([found.symbols == batch["symbols"], found.onsets == batch["onsets"]])
        if step % 10 == 9 and equal.float().mean() > 0.95:
            return
    pytest.fail(f"only {equal.float().mean():.2f} of the cells are those of the four bars")
