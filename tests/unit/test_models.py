"""Autoregressive families: generating step by step gives the likelihood of the parallel pass,
nothing sees what comes after it, and settings without sense are refused, naming the valid ones.
"""

import pytest
import torch
from torch.nn import functional as F

from ostinato.models.autoregressive import gpt
from ostinato.models.autoregressive.lstm import whole_precision
from ostinato.models.layers.blocks import squared_relu
from ostinato.models.layers.rotary import rotary_table, rotate
from ostinato.models.registry import build, families
from ostinato.models.spec import PAD, ArraySpec

VOCABULARY = 11
# a window shorter and one longer than the sequences; gpt2 reads in windows of its own kind
CONTEXTS = {"gpt": (4, 64), "music_transformer": (4, 64), "gpt2": (64,)}
TRANSFORMER = {"layers": 2, "heads": 2}
EXTRA = {"lstm": {"layers": 2}} | dict.fromkeys(CONTEXTS, TRANSFORMER)
EXTRA["music_transformer"] = TRANSFORMER | {"max_distance": 3}
ORDERS = {1: [0], 4: [0, 3, 1, 2]}
FORMS = [
    (family, width, context)
    for family in families("autoregressive")
    for width in ORDERS
    for context in CONTEXTS.get(family, (None,))
]
forms = pytest.mark.parametrize(("family", "width", "context"), FORMS)


def make(family, width, context=None, **changes):
    """A small model with every part that the width allows; widths differ in their settings."""
    torch.manual_seed(0)
    settings = {
        "width": 16,
        "voice_hidden": 8 if width > 1 else 0,
        "order": ORDERS[width],
        "periods": [4, 3] if width > 1 else [],
        "held_steps": 3 if width > 1 else 0,
        "dropout": 0.1,
        **EXTRA.get(family, {}),
        **({"context": context} if context else {}),
        **changes,
    }
    return build(family, settings, ArraySpec(width=width, vocabulary=VOCABULARY)).eval()


def pieces(count, length, width):
    """Random sub-tokens that often stay the same, so that ages count."""
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (count, length, width), generator=rng)
    stays = torch.rand(count, length, width, generator=rng) < 0.5
    for step in range(1, length):
        tokens[:, step] = torch.where(stays[:, step], tokens[:, step - 1], tokens[:, step])
    return tokens


@torch.inference_mode()
def stepwise(model, tokens_BTW, length):
    """Nats by next_logits and push, where `length` is what the model was told."""
    state = model.start(len(tokens_BTW), length)
    nats = torch.zeros(tokens_BTW.shape)
    for step in range(tokens_BTW.shape[1]):
        for column in model.order:
            chosen = tokens_BTW[:, step, column]
            logits = model.next_logits(state)
            nats[:, step, column] = F.cross_entropy(logits, chosen, reduction="none")
            model.push(state, chosen)
    return nats


@forms
@pytest.mark.parametrize("told", [13, 3])  # a length is only a hint: sequences may grow past it
def test_step_by_step_is_the_parallel_pass(family, width, context, told):
    model, tokens = make(family, width, context), pieces(3, 13, width)
    with torch.inference_mode():
        assert torch.allclose(stepwise(model, tokens, told), model.score(tokens), atol=1e-5)


@pytest.mark.long
def test_step_by_step_is_the_parallel_pass_over_many_chunks_of_queries():
    for context in (5, 200, 1000):
        model, tokens = make("gpt", 1, context), pieces(2, 300, 1)
        with torch.inference_mode():
            assert torch.allclose(stepwise(model, tokens, 300), model.score(tokens), atol=1e-5)


@forms
def test_a_sub_token_changes_no_nats_before_it(family, width, context):
    """Before it in time, and within its position in the order of the chain; its own must change."""
    model, tokens = make(family, width, context), pieces(1, 9, width)
    flat = [(step, column) for step in range(9) for column in model.order]
    with torch.inference_mode():
        before = model.score(tokens)
        for place, (step, column) in enumerate(flat):
            other = tokens.clone()
            other[0, step, column] = (tokens[0, step, column] + 1) % VOCABULARY
            change = (model.score(other) - before)[0].abs()
            ordered = [float(change[at]) for at in flat]
            assert max(ordered[:place], default=0.0) < 1e-6
            assert ordered[place] > 1e-4
            if place + 1 < len(flat):
                assert max(ordered[place + 1 :]) > 1e-4, "what follows must see it"


@pytest.mark.parametrize(("family", "width", "context"), [form for form in FORMS if form[2] == 4])
def test_a_transformer_forgets_what_left_its_window(family, width, context):
    layers = EXTRA[family]["layers"]
    # each layer looks context - 1 back; the input looks one position back, and 3 more for ages
    reach = layers * (context - 1) + 1 + (3 if width > 1 else 0)
    model, tokens = make(family, width, context), pieces(1, reach + 6, width)
    other = tokens.clone()
    other[0, 0] = (tokens[0, 0] + 1) % VOCABULARY
    with torch.inference_mode():
        change = (model.score(other) - model.score(tokens))[0].abs()
    assert change[reach + 1 :].max() < 1e-6
    assert change[reach - 3 : reach + 1].max() > 0


@forms
def test_padding_counts_nothing_and_changes_nothing(family, width, context):
    model, tokens = make(family, width, context), pieces(2, 9, width)
    padded = tokens.clone()
    padded[0, 6:] = PAD
    with torch.inference_mode():
        nats, alone = model.score(padded), model.score(tokens[:1, :6])
        assert (nats[0, 6:] == 0).all()
        assert torch.allclose(nats[0, :6], alone[0], atol=1e-5)
        assert torch.allclose(nats[1], model.score(tokens)[1], atol=1e-5)


@forms
def test_probabilities_of_a_position_sum_to_one(family, width, context):
    """Over all values of the last two sub-tokens of the chain, given the rest."""
    model, tokens = make(family, width, context), pieces(1, 3, width)
    free = model.order[-2:]
    grid = torch.cartesian_prod(*[torch.arange(VOCABULARY)] * len(free)).view(-1, len(free))
    rows = tokens.repeat(len(grid), 1, 1)
    rows[:, -1, list(free)] = grid
    with torch.inference_mode():
        nats = model.score(rows)[:, -1, list(free)].sum(dim=1)
    assert float(torch.exp(-nats).sum()) == pytest.approx(1, abs=1e-5)


@forms
def test_use_changes_no_weight_and_leaves_none_out(family, width, context):
    model, tokens = make(family, width, context), pieces(2, 6, width)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert set(before) == {name for name, _ in model.named_parameters()}
    stepwise(model, tokens, 6)
    model.score(tokens).sum().backward()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    unused = [name for name, value in model.named_parameters() if value.grad is None]
    assert not unused
    twin = make(family, width, context)
    with torch.no_grad():
        for value in twin.parameters():
            value.add_(1)
    twin.load_state_dict(before)
    with torch.inference_mode():
        assert torch.equal(twin.score(tokens), model.score(tokens))


@forms
def test_gradients_are_those_of_finite_differences(family, width, context):
    """Uphill in the space of all weights, the slope is the length of the gradient."""
    model, tokens = make(family, width, context), pieces(2, 7, width)
    model.score(tokens).sum().backward()
    weights = list(model.parameters())
    length = float(torch.cat([weight.grad.flatten() for weight in weights]).norm())

    @torch.no_grad()
    def moved(by):
        for weight in weights:
            weight.add_(weight.grad, alpha=by / length)
        return float(model.score(tokens).sum())

    high, low = moved(1e-3), moved(-2e-3)
    assert (high - low) / 2e-3 == pytest.approx(length, rel=1e-2)


def test_torch_s_fused_attention_is_ours():
    """It takes the place of our chunks on accelerators."""
    model, tokens = make("gpt", 1, 64), pieces(2, 40, 1)
    with torch.inference_mode():
        ours = model.score(tokens)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpt, "query_chunks", lambda *_: None)
            assert torch.allclose(model.score(tokens), ours, atol=1e-5)


def test_squared_relu_has_the_gradient_of_its_values():
    x = torch.linspace(-2, 2, 8, dtype=torch.double, requires_grad=True)
    assert torch.equal(squared_relu(x), x.clamp(min=0) ** 2)
    assert torch.autograd.gradcheck(squared_relu, (x,))


@pytest.mark.parametrize("family", families("autoregressive"))
def test_dropout_is_in_training_alone(family):
    model, tokens = make(family, 4, dropout=0.5), pieces(2, 6, 4)
    with torch.inference_mode():
        assert torch.equal(model.score(tokens), model.score(tokens))
        model.train()
        assert not torch.equal(model.score(tokens), model.score(tokens))


@pytest.mark.parametrize("family", families("autoregressive"))
def test_precision_of_half_the_bits_comes_close(family):
    model, tokens = make(family, 4), pieces(2, 6, 4)
    with torch.inference_mode():
        exact = model.score(tokens)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model.score(tokens)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, rtol=0.05, atol=0.1)


def test_an_lstm_stays_in_full_precision_where_bf16_would_raise(monkeypatch):
    monkeypatch.setattr("ostinato.models.autoregressive.lstm.whole_precision", lambda device: True)
    model, tokens = make("lstm", 4), pieces(2, 6, 4)
    exact = model.score(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score(tokens)
        rough.mean().backward()
        state = model.start(2, 6)
        model.push(state, tokens[:, 0, model.order[0]])
    assert all(p.grad is not None for p in model.layers.parameters())
    assert torch.allclose(rough, exact, rtol=0.05, atol=0.1)


def test_full_precision_is_kept_where_autocast_asks_for_bf16_alone():
    assert not whole_precision("cpu")
    with torch.autocast("cpu", torch.float16):
        assert not whole_precision("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        assert whole_precision("cpu") is not supported
        assert not whole_precision("cuda")


def test_rotations_are_the_same_in_the_form_that_compilers_fuse(monkeypatch):
    x_BTNE, rotation = torch.randn(2, 5, 3, 8), rotary_table(5, 8, torch.device("cpu"))
    complex_form = rotate(x_BTNE, rotation)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.allclose(rotate(x_BTNE, rotation), complex_form, atol=1e-6)


def test_an_unknown_family_or_setting_is_refused_with_the_valid_ones():
    shape = ArraySpec(width=1, vocabulary=3)
    with pytest.raises(ValueError, match=r"gtp.*gpt.*lstm"):
        build("gtp", {"width": 8}, shape)
    for family in families("autoregressive"):
        with pytest.raises(
            ValueError,
            match=r"no setting widht .*width.*voice_hidden",
        ):
            build(family, {"widht": 8}, shape)


@pytest.mark.parametrize(
    ("family", "changes", "named"),
    [
        ("gpt", {"heads": 3}, "heads=3"),
        ("gpt", {"context": 1}, "context=1"),
        ("gpt", {"dropout": 1.0}, "dropout=1.0"),
        ("gpt", {"dropout": -0.1}, "dropout=-0.1"),
        ("lstm", {"layers": 0}, "layers=0"),
        ("lstm", {"dropout": 1.0}, "dropout=1.0"),
        *[
            (family, {"order": [0, 1, 1, 3]}, "0 to 3 once")
            for family in families("autoregressive")
        ],
        *[(family, {"order": [0, 1]}, "has 4") for family in families("autoregressive")],
        *[(family, {"voice_hidden": 0}, "voice_hidden=0") for family in families("autoregressive")],
    ],
)
def test_contradictory_settings_are_refused(family, changes, named):
    with pytest.raises(ValueError, match=named):
        make(family, 4, **changes)


def test_tokens_need_a_width_and_a_vocabulary():
    for width, vocabulary in ((0, 5), (4, 1)):
        with pytest.raises(ValueError, match=f"width={width} and vocabulary={vocabulary}"):
            ArraySpec(width=width, vocabulary=vocabulary)


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        (torch.zeros(1, 3, 4, dtype=torch.long), "4 sub-tokens a position, the model reads 1"),
        (torch.full((1, 3, 1), VOCABULARY), f"sub-token {VOCABULARY} is not in the model's"),
    ],
)
def test_tokens_of_another_encoding_are_refused(tokens, named):
    with pytest.raises(ValueError, match=named):
        make("lstm", 1).score(tokens)
