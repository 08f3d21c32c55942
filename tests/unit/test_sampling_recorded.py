"""Steps that are fixed, as graphs need them, and the graphs themselves where there is a GPU."""

import numpy as np
import pytest
import torch

from ostinato.models.registry import build, families
from ostinato.models.spec import ArraySpec, Timing
from ostinato.sampling.autoregressive.recorded import Recorded, put_back, stepper, tensors_of

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
SETTINGS = {
    "lstm": {"width": 24, "layers": 2, "dropout": 0.0, "residual": True},
    "gpt": {"width": 24, "layers": 2, "heads": 2, "context": 12, "dropout": 0.0},
    "music_transformer": {
        "width": 24,
        "layers": 2,
        "heads": 2,
        "context": 12,
        "max_distance": 4,
        "dropout": 0.0,
        "pitch_range": (2, 7),
        "intervals": 3,
    },
}
TIMING = Timing(  # of nine symbols, as if they were events
    shift=(0, 1, *[0] * 7),
    bar=(0, 0, 1, *[0] * 6),
    meter=(0, 0, 0, 4, *[0] * 5),
    place=(-1, -1, 0, -1, 1, 2, *[-1] * 3),
)
DRY = {"dropout": 0.0, "attention_dropout": 0.0}  # of gpt2
SHAPES = [(1, 9), (4, 9), (5, 2)]
cases = pytest.mark.parametrize(
    ("family", "width", "vocabulary"),
    [(family, *shape) for family in SETTINGS for shape in SHAPES],
)


@pytest.fixture(autouse=True)
def whole_products(monkeypatch):
    """A GPU's LSTM would round them to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def make(family, width, vocabulary):
    torch.manual_seed(1)
    settings = SETTINGS[family] | {"voice_hidden": 16, "periods": (4, 3), "repetition_memory": 8}
    if vocabulary == 2:
        settings |= {"pitch_range": ()} if family == "music_transformer" else {}
    else:
        settings |= {"held_steps": 4}
    timing = TIMING if (width, vocabulary) == (1, 9) else None
    settings |= {"max_time_distance": 5} if timing and family == "music_transformer" else {}
    settings |= {"time_heads": 1} if timing and family == "gpt" else {}
    shape = ArraySpec(width=width, vocabulary=vocabulary, timing=timing)
    return build(family, settings, shape).eval()


def logits_along(model, tokens_BTW, begin, order_of):
    """Of every sub-token, asked before it is told."""
    state, found = begin, []
    for row_BW in tokens_BTW.unbind(1):
        for column in order_of.order:
            found.append(model.next_logits(state).clone())
            model.push(state, row_BW[:, column])
    return torch.stack(found)


def tokens(width, vocabulary, batch=3, length=30):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(vocabulary, (batch, length, width), generator=generator)


def test_every_family_says_whether_its_steps_can_be_fixed():
    known = {
        name: build(name, settings_of(name), ArraySpec(width=1, vocabulary=9))
        for name in families("autoregressive")
    }
    assert {name for name, model in known.items() if model.recordable} == set(SETTINGS)


def settings_of(name):
    return SETTINGS.get(name, {"width": 24, "layers": 1, "heads": 2, "context": 8} | DRY)


@cases
@torch.inference_mode()
def test_fixed_steps_are_the_usual_ones_far_beyond_the_context(family, width, vocabulary):
    model, given = make(family, width, vocabulary), tokens(width, vocabulary)
    usual = logits_along(model, given, model.start(3, given.shape[1]), model)
    fixed = logits_along(model, given, model.start(3, given.shape[1], fixed=True), model)
    assert torch.allclose(usual, fixed, rtol=1e-4, atol=1e-5)


@cases
@torch.inference_mode()
def test_a_position_put_back_is_where_the_next_one_reads(family, width, vocabulary):
    """What replayed graphs do, by hand: every position begins in the same tensors."""
    model, given = make(family, width, vocabulary), tokens(width, vocabulary)
    usual = logits_along(model, given, model.start(3, given.shape[1]), model)
    state, found = model.start(3, given.shape[1], fixed=True), []
    begins = list(tensors_of(state))
    addresses = [tensor.data_ptr() for tensor in begins]
    for row_BW in given.unbind(1):
        for column in model.order:
            found.append(model.next_logits(state).clone())
            model.push(state, row_BW[:, column])
        ends = list(tensors_of(state))
        put_back(begins, ends)
        replace(state, dict(zip(map(id, ends), begins, strict=True)))
        assert [tensor.data_ptr() for tensor in tensors_of(state)] == addresses
    assert torch.allclose(usual, torch.stack(found), rtol=1e-4, atol=1e-5)


def replace(part, by_id):
    """Put tensors into a state in the place of others."""
    if isinstance(part, list):
        part[:] = [replaced(item, by_id) for item in part]
    for name, value in vars(part).items() if hasattr(part, "__dict__") else []:
        setattr(part, name, replaced(value, by_id))


def replaced(value, by_id):
    if isinstance(value, torch.Tensor):
        return by_id.get(id(value), value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(replaced(item, by_id) for item in value)
    replace(value, by_id)
    return value


def test_tensors_that_change_places_are_refused():
    a, b = torch.zeros(2), torch.ones(2)
    with pytest.raises(RuntimeError, match="changed places"):
        put_back([a, b], [b, a])


def test_a_cpu_steps_as_ever():
    model = make("gpt", 1, 9)
    assert stepper(model, 1) is model


@pytest.mark.parametrize("batch", [1, 3])
@torch.inference_mode()
def test_an_lstm_with_packed_weights_takes_the_same_steps(batch):
    model, given = make("lstm", 4, 9), tokens(4, 9)[:batch]
    steps = stepper(model, batch)
    assert steps is not model
    assert type(model.layers[0]) is torch.nn.LSTM  # the model itself stays as it is
    usual = logits_along(model, given, model.start(batch, given.shape[1]), model)
    again = logits_along(steps, given, steps.start(batch, given.shape[1]), model)
    assert torch.equal(usual, again)


@gpu
@cases
@torch.inference_mode()
def test_replayed_graphs_give_the_logits_of_the_usual_steps(family, width, vocabulary):
    model, given = make(family, width, vocabulary), tokens(width, vocabulary)
    usual = logits_along(model, given, model.start(3, given.shape[1]), model)
    recorded = stepper(model.cuda(), 3)
    assert isinstance(recorded, Recorded)
    for _ in range(2):  # a second batch begins anew
        replayed = logits_along(recorded, given.cuda(), recorded.start(3, given.shape[1]), model)
        assert torch.allclose(usual, replayed.cpu(), rtol=1e-3, atol=1e-4)


@gpu
@pytest.mark.parametrize("family", families("autoregressive"))
def test_on_a_gpu_the_score_is_that_of_a_cpu_with_its_gradients(family):
    torch.manual_seed(3)
    model = build(
        family, settings_of(family) | {"voice_hidden": 16}, ArraySpec(width=4, vocabulary=9)
    )
    given = tokens(4, 9, length=12)
    results = []
    for device in ("cpu", "cuda"):
        model = model.to(device).train()  # cuDNN's LSTM has no gradients else
        model.zero_grad()
        nats = model.score(given.to(device))
        nats.mean().backward()
        gradients = [p.grad.cpu().clone() for p in model.parameters() if p.grad is not None]
        results.append((nats.detach().cpu(), gradients))
    (nats, gradients), (nats_gpu, gradients_gpu) = results
    assert torch.allclose(nats, nats_gpu, rtol=1e-3, atol=1e-4)
    for one, other in zip(gradients, gradients_gpu, strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-4)


@gpu
@pytest.mark.parametrize("family", families("autoregressive"))
def test_on_a_gpu_nothing_sees_the_future(family):
    torch.manual_seed(3)
    model = build(
        family, settings_of(family) | {"voice_hidden": 16}, ArraySpec(width=4, vocabulary=9)
    )
    model, given = model.cuda().eval(), tokens(4, 9, batch=1, length=16).cuda()
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        before = model.score(given)
        for place in (3, 9, 15):
            changed = given.clone()
            changed[:, place] = (changed[:, place] + 1) % 9
            assert np.array_equal(
                model.score(changed)[:, :place].float().cpu(), before[:, :place].float().cpu()
            )
