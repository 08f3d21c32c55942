"""Every autoregressive family there is, found by its file: a change at t moves no logit before t,
and a step at a time gives the logits that all at once gives.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
import torch

import ostinato.models.autoregressive
from ostinato.models.autoregressive.parts import base
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.repetition import find_repetitions
from ostinato.models.registry import build, families
from ostinato.models.spec import ArraySpec, Timing

LENGTH = 11
TIMING = Timing(
    shift=(0, 2, *[0] * 9),
    bar=(0, 0, 1, *[0] * 8),
    meter=(0, 0, 0, 3, 4, *[0] * 6),
    place=(-1, -1, 0, -1, -1, 0, 1, 2, *[-1] * 3),
)
SHAPES = {
    "events": ArraySpec(width=1, vocabulary=11, timing=TIMING),
    "voices": ArraySpec(width=4, vocabulary=11),
}
SHAPES["keys"] = ArraySpec(width=6, vocabulary=2)
# given where a family has such a setting; what it has beyond these is left at its default. Echoes
# are on, which decide by equality and not by sums; test_models.py looks at models without them
SMALL = {
    "layers": 2,
    "heads": 2,
    "max_distance": 2,
    "expansion": 2,
    "dropout": 0.3,
    "repetition_memory": 5,
}
CONTEXTS = (4, 64)  # a window shorter and one longer than the sequences


def settings_of(family):
    return {
        field.name
        for field in fields(import_module(f"ostinato.models.autoregressive.{family}").Config)
    }


def autoregressive():
    """The families whose model is one; others may learn in other ways."""
    modules = {
        name: import_module(f"ostinato.models.autoregressive.{name}")
        for name in families("autoregressive")
    }
    return [name for name, module in modules.items() if issubclass(module.Model, Autoregressive)]


forms = pytest.mark.parametrize(
    ("family", "kind", "context"),
    [
        (family, kind, context)
        for family in autoregressive()
        for kind in SHAPES
        for context in (CONTEXTS if "context" in settings_of(family) else (None,))
    ],
)


def make(family, kind, context, **changes):
    """A small model in float64, its weights moved from where they start, some of which is zero."""
    torch.manual_seed(0)
    shape = SHAPES[kind]
    order = list(range(shape.width))
    settings = {"width": 16, "order": order[::2] + order[1::2], "periods": [4, 3]}
    settings |= {"voice_hidden": 8, "held_steps": 3} if kind == "voices" else {}
    settings |= {"voice_hidden": 8} if kind == "keys" else {}
    known = settings_of(family)
    settings |= {name: value for name, value in SMALL.items() if name in known}
    settings |= {"context": context} if context else {}
    settings |= {"max_time_distance": 4} if shape.timing and "max_time_distance" in known else {}
    settings |= changes
    model = build(family, settings, shape).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return model


def tokens_of(shape):
    """Two sequences; half of their sub-tokens stay what they were, so that ages count."""
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(shape.vocabulary, (2, LENGTH, shape.width), generator=rng)
    stays = torch.rand(tokens.shape, generator=rng) < 0.5
    for t in range(1, LENGTH):
        tokens[:, t] = torch.where(stays[:, t], tokens[:, t - 1], tokens[:, t])
    return tokens


@torch.inference_mode()
def logits_at_once(model, tokens_BTW):
    """Of every sub-token in the order of the chain, shape (B, T * W, …)."""
    given = []
    hook = model.chain.register_forward_hook(lambda *call: given.append(call[2]))
    nats_BTW = model.score(tokens_BTW)
    hook.remove()
    logits = given[0] if given else nats_BTW  # a family may have another head
    return logits[:, :, list(model.order)].flatten(1, 2)


@torch.inference_mode()
def logits_step_by_step(model, tokens_BTW):
    state = model.start(len(tokens_BTW), 3)  # the length is only a hint: these grow past it
    logits = []
    for row_BW in tokens_BTW.unbind(1):
        for column in model.order:
            logits.append(model.next_logits(state))
            model.push(state, row_BW[:, column])
    return torch.stack(logits, dim=1)


def moved_too_early(model, tokens_BTW):
    """The places (t, column) a change at which moves a logit that comes before it, or its own."""
    before = logits_at_once(model, tokens_BTW)
    vocabulary, found = model.shape.vocabulary, []
    places = [(t, column) for t in range(LENGTH) for column in model.order]
    for number, (t, column) in enumerate(places):
        other = tokens_BTW.clone()
        other[:, t, column] = (other[:, t, column] + 1) % vocabulary
        after = logits_at_once(model, other)
        if (after - before)[:, : number + 1].abs().max() > 1e-12:
            found.append((t, column))
        following = (after - before)[:, number + 1 :].abs()
        assert not following.numel() or following.max() > 1e-6, "what comes after must see it"
    return found


@forms
def test_a_change_moves_no_logit_before_it_nor_its_own(family, kind, context):
    model = make(family, kind, context)
    assert not moved_too_early(model, tokens_of(model.shape))


@forms
def test_step_by_step_is_all_at_once(family, kind, context):
    model = make(family, kind, context)
    tokens = tokens_of(model.shape)
    steps, at_once = logits_step_by_step(model, tokens), logits_at_once(model, tokens)
    distributions = [logits.log_softmax(dim=-1) for logits in (steps, at_once)]
    torch.testing.assert_close(*distributions, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        *[
            (family, {"norm": norm, "feed_forward": feed_forward})
            for family in ("gpt", "music_transformer")
            for norm in ("layer", "rms")
            for feed_forward in ("squared_relu", "swiglu")
        ],
        ("lstm", {"embedding": 6}),
        ("lstm", {"embedding": 16, "residual": True}),
    ],
)
def test_every_variant_of_a_family_is_causal_and_steps(family, changes):
    model = make(family, "voices", 4 if family != "lstm" else None, **changes)
    tokens = tokens_of(model.shape)
    assert not moved_too_early(model, tokens)
    steps, at_once = logits_step_by_step(model, tokens), logits_at_once(model, tokens)
    torch.testing.assert_close(steps, at_once, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("family", "changes", "named"),
    [
        ("gpt", {"norm": "batch"}, "norm=batch must be one of layer, rms"),
        ("gpt", {"feed_forward": "relu"}, "feed_forward=relu must be one of squared_relu, swiglu"),
        ("gpt2", {"layers": 0}, "layers=0"),
        ("music_transformer", {"heads": 0}, "heads=0"),
        ("lstm", {"embedding": -1}, "embedding=-1"),
        ("lstm", {"embedding": 6, "residual": True}, "embedding=6 must be width=16 or 0"),
    ],
)
def test_contradictory_variants_are_refused(family, changes, named):
    with pytest.raises(ValueError, match=named):
        make(family, "voices", None, **changes)


def test_an_lstm_s_embedding_is_as_wide_as_was_asked():
    model = make("lstm", "voices", None, embedding=6)
    assert model.step_input.rows.embedding_dim == 6
    assert [(layer.input_size, layer.hidden_size) for layer in model.layers] == [(6, 16), (16, 16)]
    assert model.chain.project.in_features == 16


@pytest.mark.parametrize("family", autoregressive())
def test_a_model_that_looks_ahead_is_found(family, monkeypatch):
    model = make(family, "voices", 64 if "context" in settings_of(family) else None)
    trunk = model.trunk
    monkeypatch.setattr(model, "trunk", lambda x, rows: trunk(x, rows).roll(-1, dims=1))
    assert moved_too_early(model, tokens_of(model.shape))


@pytest.mark.parametrize("kind", SHAPES)
def test_an_echo_that_looks_ahead_is_found(kind, monkeypatch):
    model = make("lstm", kind, None)

    def ahead(rows_BTW, *how):
        return find_repetitions(rows_BTW.roll(-1, dims=1), *how)

    monkeypatch.setattr(base, "find_repetitions", ahead)
    assert moved_too_early(model, tokens_of(model.shape))


def test_every_file_of_a_family_is_looked_at():
    folder = Path(ostinato.models.autoregressive.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(families("autoregressive"))
    assert {"lstm", "gpt", "gpt2", "music_transformer"} <= set(autoregressive())
