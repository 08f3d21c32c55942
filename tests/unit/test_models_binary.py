"""Keys that are off or on: the fast chain is the plain formula, and a distribution over frames."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from ostinato.evaluation.autoregressive.exact import check_exact
from ostinato.models.autoregressive.parts.nade import BinaryChain
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec

KEYS = 5
ORDER = (3, 0, 4, 1, 2)
SETTINGS = {
    "lstm": {"width": 12, "voice_hidden": 6, "layers": 2, "residual": True, "periods": (4,)},
    "gpt": {"width": 16, "voice_hidden": 6, "layers": 1, "heads": 2, "context": 4, "order": ORDER},
    "music_transformer": {
        "width": 16,
        "voice_hidden": 6,
        "layers": 1,
        "heads": 2,
        "context": 4,
        "max_distance": 2,
    },
}
each = pytest.mark.parametrize("family", SETTINGS)


def rolls(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, KEYS, generator=generator) < 0.4).long()


def tiny(family, **changes):
    torch.manual_seed(1)
    model = build(family, SETTINGS[family] | changes, ArraySpec(width=KEYS, vocabulary=2))
    return model.requires_grad_(False).eval()


def chain(order=ORDER):
    torch.manual_seed(2)
    return BinaryChain(KEYS, 7, 4, order).double()


def slow_logits(part, context_D, previous_W, row_W):
    """The docstring's formula, key after key."""
    hidden_H = part.project(context_D) + (previous_W == 1).double() @ part.previous_WH
    logits = torch.zeros(KEYS, dtype=torch.float64)
    direct_W = part.direct(context_D)
    for key in part.order:
        logits[key] = F.gelu(hidden_H) @ part.out_HW[:, key] + direct_W[key]
        if row_W[key] == 1:
            hidden_H = hidden_H + part.chosen_WH[key]
    return logits


@pytest.mark.parametrize("order", [tuple(range(KEYS)), ORDER])
def test_the_chain_is_the_plain_formula(order):
    part, rows = chain(order), rolls(2, 3)
    previous = rolls(2, 3, seed=1)
    previous[:, 0] = 2  # before the piece
    context = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = part(context, previous, rows)
    assert (found[..., 0] == 0).all()
    for b, t in itertools.product(range(2), range(3)):
        expected = slow_logits(part, context[b, t], previous[b, t], rows[b, t])
        torch.testing.assert_close(found[b, t, :, 1], expected)


@pytest.mark.parametrize("rows", [torch.zeros(1, 2, KEYS).long(), torch.ones(1, 2, KEYS).long()])
def test_frames_of_no_key_and_of_all_keys(rows):
    part, context = chain(), torch.ones(1, 2, 7, dtype=torch.float64)
    expected = slow_logits(part, context[0, 0], rows[0, 0], rows[0, 0])
    torch.testing.assert_close(part(context, rows, rows)[0, 1, :, 1], expected)


@each
def test_all_frames_after_any_past_have_probabilities_that_sum_to_one(family):
    model, past = tiny(family), rolls(1, 3)
    frames = torch.tensor(list(itertools.product((0, 1), repeat=KEYS)))
    pieces = torch.cat([past.expand(len(frames), -1, -1), frames[:, None]], dim=1)
    nats = model.score(pieces)[:, -1].sum(dim=1)
    assert float(torch.exp(-nats).sum()) == pytest.approx(1.0, rel=1e-5)


@each
def test_every_family_is_exact_on_frames(family):
    check_exact(tiny(family), rolls(9))


@each
def test_a_key_sees_neither_itself_nor_what_comes_after_it(family):
    model, piece = tiny(family), rolls(1, 6)
    changed = piece.clone()
    column = model.order[2]
    changed[0, 3, column] ^= 1
    rows = [rows[0] for rows in (model.score(piece), model.score(changed))]
    before = [model.order[0], model.order[1]]
    assert torch.equal(rows[0][:3], rows[1][:3])
    assert torch.allclose(rows[0][3, before], rows[1][3, before], atol=1e-6)
    total = torch.exp(-rows[0][3, column]) + torch.exp(-rows[1][3, column])
    assert float(total) == pytest.approx(1.0, rel=1e-5)
    assert not torch.allclose(rows[0][4], rows[1][4], atol=1e-6)  # the next frame does see it


def test_padding_costs_nothing_and_changes_nothing():
    model, piece = tiny("lstm"), rolls(1, 5)
    padded = F.pad(piece, (0, 0, 0, 3), value=PAD)
    nats = model.score(padded)
    assert (nats[:, 5:] == 0).all()
    torch.testing.assert_close(nats[:, :5], model.score(piece))


def test_learning_starts_at_the_share_of_keys_that_sound_in_music():
    torch.manual_seed(0)
    part = BinaryChain(88, 8, 4, range(88))
    assert float(part.direct.bias.detach().sigmoid().sum()) == pytest.approx(3.5, abs=0.1)


def test_a_vocabulary_of_two_takes_them_and_a_larger_one_does_not():
    kinds = {}
    for size in (2, 3):
        model = build("lstm", SETTINGS["lstm"], ArraySpec(width=KEYS, vocabulary=size))
        kinds[size] = {type(model.chain).__name__, type(model.step_input).__name__}
    assert kinds == {2: {"BinaryChain", "BinaryInput"}, 3: {"Chain", "StepInput"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"held_steps": 8}, "leave held_steps at 0"), ({"voice_hidden": 0}, "voice_hidden=0")],
)
def test_what_keys_cannot_be_told_is_refused_with_the_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny("lstm", **changes)
