"""Infilling: what is kept comes back, what is free fits it, and with many particles the cells come
from the model's own distribution given all that is kept, which small models let one write out.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.infill import Gaps, infill, kept_nats, systematic

TWO = Grid(voices=("soprano", "bass"), lowest=60, highest=61)
SHARED = {"width": 16, "voice_hidden": 8}
BLOCKS = {"layers": 2, "heads": 2, "context": 8}
FAMILIES = {
    "lstm": {"layers": 2, "held_steps": 4, "periods": (4,)},
    "gpt": BLOCKS,
    "gpt2": BLOCKS,
    "music_transformer": BLOCKS | {"max_distance": 4, "pitch_range": (1, 2), "intervals": 2},
}


def made(family="lstm", grid=TWO, sharp=1.0, **settings):
    """An untrained model; a row depends the more on the one before the sharper it is."""
    torch.manual_seed(0)
    shape = ArraySpec(width=grid.width, vocabulary=len(grid.vocabulary))
    model = build(family, SHARED | FAMILIES[family] | settings, shape).eval()
    with torch.no_grad():
        model.chain.previous.weight *= 10 * sharp
        model.chain.chosen.weight *= 10 * sharp
    return model


def gaps_of(length, free, grid=TWO, seed=1):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, len(grid.vocabulary), (length, grid.width)).astype(np.int32)
    mask = np.zeros(tokens.shape, bool)
    mask[free] = True
    return Gaps(tokens, mask)


def fill(model, gaps, seeds, particles, grid=TWO, decoding=None):
    chosen = replace(decoding or Decoding(), particles=particles)
    return infill(model, grid, gaps, seeds, chosen)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("free", [np.s_[5:9, :], np.s_[:, 0], np.s_[3:18, 1]], ids=str)
def test_kept_cells_come_back_and_nats_are_the_models_own(family, free):
    """Beyond the context of 8, and after the swarm was resampled: caches follow their particles."""
    model, gaps = made(family, sharp=3.0), gaps_of(20, free)
    found = fill(model, gaps, [1, 2, 3], particles=6)
    for sample in found:
        assert sample.failed is None
        assert np.array_equal(sample.tokens[~gaps.free_TW], gaps.tokens_TW[~gaps.free_TW])
        with torch.inference_mode():
            scored = model.score(torch.from_numpy(sample.tokens[None]).long())[0]
        assert sample.nats == pytest.approx(scored.numpy(), abs=1e-3)


def test_a_filling_depends_on_its_seed_alone():
    model, gaps = made(sharp=2.0), gaps_of(12, np.s_[3:7, :])
    together = fill(model, gaps, [1, 2, 1, 3], particles=5)
    assert np.array_equal(together[0].tokens, together[2].tokens)
    assert not np.array_equal(together[0].tokens, together[1].tokens)
    (alone,) = fill(model, gaps, [3], particles=5)
    assert np.array_equal(alone.tokens, together[3].tokens)


def posterior(model, gaps):
    """By every way to fill the gap, its probability given what is kept, and given what precedes."""
    cells = np.argwhere(gaps.free_TW)
    ways = np.array(list(product(range(model.shape.vocabulary), repeat=len(cells))))
    tokens = np.repeat(gaps.tokens_TW[None], len(ways), axis=0)
    tokens[:, cells[:, 0], cells[:, 1]] = ways
    with torch.inference_mode():
        nats = model.score(torch.from_numpy(tokens).long()).double().numpy()
    joint = np.exp(-nats.sum(axis=(1, 2)))
    prior = np.exp(-(nats * gaps.free_TW).sum(axis=(1, 2)))
    return joint / joint.sum(), prior


@pytest.mark.long
@pytest.mark.parametrize("free", [np.s_[1:3, 0], np.s_[1, :], ([0, 2, 2], [1, 0, 1])], ids=str)
def test_many_particles_draw_from_the_distribution_given_what_is_kept(free):
    model, gaps = made(sharp=4.0), gaps_of(5, free)
    exact, prior = posterior(model, gaps)
    symbols = model.shape.vocabulary ** np.arange(gaps.free_TW.sum())[::-1]
    apart = {}
    for particles, pieces in ((1, 400), (64, 400)):
        found = []
        for start in range(0, pieces, 200):
            found += fill(model, gaps, range(start, start + 200), particles)
        ways = [int((sample.tokens[gaps.free_TW] * symbols).sum()) for sample in found]
        shares = np.bincount(ways, minlength=len(exact)) / pieces
        apart[particles] = np.abs(shares - exact).sum() / 2
    assert np.abs(prior / prior.sum() - exact).sum() / 2 > 0.4, "the suffix says too little"
    assert apart[64] < 0.08
    assert apart[64] < apart[1] / 2


def test_what_is_kept_costs_what_the_model_says_whatever_is_in_the_gap():
    """The probability of the kept cells is that of all ways to fill the gap, summed up."""
    model, gaps = made(sharp=4.0), gaps_of(6, np.s_[1:3, 0])
    ways = np.array(list(product(range(model.shape.vocabulary), repeat=2)))
    tokens = np.repeat(gaps.tokens_TW[None], len(ways), axis=0)
    tokens[:, 1:3, 0] = ways
    with torch.inference_mode():
        nats = model.score(torch.from_numpy(tokens).long()).double().numpy()
    before = nats[0, :1].sum()
    exact = -np.log(np.exp(-nats.sum(axis=(1, 2)) + before).sum())
    for particles, apart in ((64, 0.06), (1, 0.5)):
        found = kept_nats(model, TWO, gaps, range(200), Decoding(particles=particles))
        assert -np.log(np.exp(-found).mean()) == pytest.approx(exact, abs=apart)
        assert found.mean() > exact - 3 * found.std() / 200**0.5


def test_more_particles_make_what_is_kept_likelier():
    model, gaps = made(sharp=4.0), gaps_of(24, np.s_[6:14, :])
    means = []
    for particles in (1, 8, 64):
        found = fill(model, gaps, range(60), particles)
        means.append(np.mean([sample.nats[14:].sum() for sample in found]))
    assert means[0] > means[1] > means[2]


def test_resampling_takes_each_as_often_as_its_weight_says():
    rng = np.random.default_rng(0)
    for number in (0.0, 0.4, 0.999999):
        weights = rng.dirichlet(np.ones(17) / 3)
        counts = np.bincount(systematic(weights, number), minlength=17)
        assert counts.sum() == 17
        assert (np.abs(counts - 17 * weights) < 1 + 1e-9).all()
    assert systematic(np.array([0.0, 1.0, 0.0]), 0.999999).tolist() == [1, 1, 1]


def test_what_the_grammar_refuses_weighs_nothing():
    """A kept hold needs a note before it; a particle that drew a rest there cannot go on."""
    grid = Grid(voices=("soprano", "bass"), lowest=60, highest=61, hold=True)
    model, hold = made(grid=grid), 3
    tokens = np.array([[1, 1], [0, 0], [hold, 1], [hold, hold]], np.int32)
    free = np.zeros(tokens.shape, bool)
    free[1, 0] = True
    for sample in fill(model, Gaps(tokens, free), range(40), 16, grid):
        assert sample.failed is None
        assert sample.tokens[1, 0] != 0
    alone = fill(model, Gaps(tokens, free), range(40), 1, grid)
    failed = [sample for sample in alone if sample.failed]
    assert 0 < len(failed) < 40
    assert all((s.tokens[1, 0] == 0) == (s.failed is not None) for s in alone)
    assert failed[0].failed == "none of 1 particles may have the kept cells; ask for more"


def test_the_options_of_decoding_hold_in_a_gap():
    model, gaps = made(sharp=2.0), gaps_of(30, np.s_[4:26, :])
    greedy = fill(model, gaps, [1, 2], 1, decoding=Decoding(top_k=1))
    assert np.array_equal(greedy[0].tokens, greedy[1].tokens)
    found = fill(model, gaps, [1], 4, decoding=Decoding(no_repeat=3))[0].tokens[4:26]
    passages = [found[n : n + 3].tobytes() for n in range(20)]
    moving = [p for n, p in enumerate(passages) if len(np.unique(found[n : n + 3], axis=0)) > 1]
    assert len(set(moving)) == len(moving)


def test_gaps_without_a_free_cell_are_refused():
    with pytest.raises(ValueError, match="no cell is free"):
        gaps_of(4, np.s_[4:, :])
    with pytest.raises(ValueError, match=r"free has the shape \(3, 2\), the piece \(4, 2\)"):
        Gaps(np.zeros((4, 2), np.int32), np.ones((3, 2), bool))


def bytes_of_tensors(thing):
    """Bytes of the storages that a state holds, each counted once."""
    found, seen, queue = {}, set(), [thing]
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, (nn.Module, type)):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            found[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        elif isinstance(one, dict):
            queue += one.values()
        elif isinstance(one, (list, tuple)):
            queue += one
        elif hasattr(one, "__dict__") or hasattr(one, "__slots__"):
            names = getattr(one, "__slots__", ()) or vars(one)
            queue += [getattr(one, name, None) for name in names]
    return sum(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt", "gpt2", "music_transformer"])
def test_many_positions_take_no_more_memory_than_the_context(family, monkeypatch):
    """What a state holds stops growing at the context; 128 keys and values of it are 1 MiB."""
    grid = Grid(voices=("soprano",))
    sizes = {"width": 512, "layers": 2, "heads": 4, "context": 128, "expansion": 1}
    torch.manual_seed(0)
    model = build(family, sizes, ArraySpec(width=1, vocabulary=len(grid.vocabulary)))
    held, push = {}, model.push

    def pushing(state, chosen):
        push(state, chosen)
        held[int(state.position)] = bytes_of_tensors(state)

    monkeypatch.setattr(model, "push", pushing)
    torch.set_num_threads(1)
    (sample,) = decode(model, grid, [np.zeros((0, 1), np.int32)], [1], Extent(94), Decoding())
    assert len(sample.tokens) == 1_504
    assert sample.failed is None
    assert held[500] >= 128 * 2 * 2 * 512 * 4  # positions, layers, keys and values, width, bytes
    assert held[1_500] == held[500] < 2 * held[128]
