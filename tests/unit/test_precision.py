"""Steps with int8 weights: the graphs are the models', and the option is checked at the door."""

import numpy as np
import pytest
import torch

from ostinato.generator import Generator
from ostinato.live.composer import USUAL, Composer
from ostinato.live.kept import keep
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Timing
from ostinato.music.piece import same_music
from ostinato.precision import apply, choice, graph
from ostinato.precision.autoregressive import gpt
from ostinato.sampling.autoregressive.packed import packed
from ostinato.sampling.load import Trained, load_trained
from ostinato.sampling.request import Request

STEPS = 44  # more than the context, and than the slots that a ring begins with
GRID = ArraySpec(width=2, vocabulary=9)
MOVES = {"shift": [0, 2, 5, 0, 0], "bar": [0, 0, 0, 1, 0], "meter": [0, 0, 0, 0, 8]}
EVENTS = ArraySpec(width=1, vocabulary=5, timing=Timing(**MOVES, place=[-1] * 5))
GPT = {"width": 40, "layers": 2, "heads": 2, "context": 24, "dropout": 0.0}
LSTM = {"width": 40, "layers": 2, "dropout": 0.0}
HIDDEN = {"voice_hidden": 8}
MODELS = [
    ("gpt", GPT | HIDDEN, GRID),
    ("gpt", GPT | HIDDEN | {"norm": "layer", "feed_forward": "squared_relu"}, GRID),
    ("gpt", GPT | {"time_heads": 1}, EVENTS),
    ("lstm", LSTM | HIDDEN | {"residual": True}, GRID),
    ("lstm", LSTM | HIDDEN | {"embedding": 24}, GRID),
]


def built(family, settings, shape, precision="full"):
    torch.manual_seed(1)
    card = {"weights_sha256": "abc", "family": family, "system": "tiny"}
    model = build(family, settings, shape).eval()
    return apply.in_precision(Trained(model, None, card), precision)


def rounded(weight_KN):
    """A matrix as its integers and scales say it."""
    integers, scales = graph.quantized(weight_KN)
    values = (integers.astype(np.float32) - graph.MIDDLE) * scales[:, :, None]
    return torch.from_numpy(values.reshape(len(values), -1)[:, : len(weight_KN)].T.copy())


def round_weights(model):
    """The matrices of a trunk in single precision, with the values that 8 bits leave them."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("blocks.") and weight.dim() == 2:
                weight.copy_(rounded(weight))
        for layer in getattr(model, "layers", ()):
            reads = layer.weight_ih_l0.shape[1]
            both = torch.cat([layer.weight_ih_l0, layer.weight_hh_l0], dim=1)
            both = rounded(both.T).T
            layer.weight_ih_l0.copy_(both[:, :reads])
            layer.weight_hh_l0.copy_(both[:, reads:])
    return model


def tokens_of(model, batch):
    torch.manual_seed(2)
    return torch.randint(model.shape.vocabulary, (STEPS, model.shape.width, batch))


@torch.inference_mode()
def logits(model, tokens):
    """Of many steps, with two sequences that change places."""
    batch = tokens.shape[-1]
    state, found = model.start(batch, 10), []  # it is longer than was announced
    for position, row in enumerate(tokens):
        for token_B in row:
            found.append(model.next_logits(state).clone())
            model.push(state, token_B)
        if position % 9 == 4:
            model.select(state, torch.arange(batch).flip(0))
    return torch.stack(found)


@pytest.mark.parametrize(("family", "settings", "shape"), MODELS)
def test_a_graph_computes_what_its_model_does(family, settings, shape, monkeypatch):
    monkeypatch.setattr(graph, "INT8_INPUTS", 1)  # inputs in single precision: weights alone differ
    monkeypatch.setattr(gpt, "FIRST_SLOTS", 4)
    quick = built(family, settings, shape, "int8").model
    plain = round_weights(built(family, settings, shape).model)
    found, wanted = (logits(model, tokens_of(model, 2)) for model in (quick, plain))
    assert wanted.std() > 0.02
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("family", "settings", "shape"), MODELS[::3])
def test_eight_bits_are_near_and_a_row_is_its_own(family, settings, shape):
    quick, plain = (built(family, settings, shape, p).model for p in ("int8", "full"))
    found = []
    for model, batch in ((plain, 1), (quick, 1), (quick, 2)):
        tokens = tokens_of(model, 1).expand(-1, -1, batch)
        found.append(logits(model, tokens)[:, :1].softmax(-1))
    wanted, alone, beside = found
    assert 0 < (alone - wanted).abs().max() < 0.03
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=0)


def test_the_composer_makes_what_generate_makes_of_the_same_weights(model_folder):
    trained = apply.in_precision(load_trained(model_folder), "int8")
    sample = Generator(trained).generate(Request(bars=2, seed=4, options=USUAL))[0]
    composer = Composer(model_folder, precision="int8")
    *_, last = composer.compose(composer.prepare("generate", {"bars": 2, "seed": 4}, None).request)
    assert same_music(last.piece, sample.piece)
    assert sample.row["weights"] == composer.weights
    assert composer.weights == f"int8-{Composer(model_folder).weights}"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("half",), "precision=half must be one of: full, int8"),
        (("int8", "cuda"), "precision=int8 runs on the CPU"),
    ],
)
def test_other_precisions_are_refused(asked, says):
    with pytest.raises(ValueError, match=says):
        choice.check_precision(*asked)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(choice, "LIBRARIES", ("onnx", "nowhere"))
    with pytest.raises(ValueError, match=r"needs nowhere, not installed.*ostinato\[int8\]"):
        choice.check_precision("int8")


def test_families_without_such_steps_are_refused():
    with pytest.raises(
        ValueError, match=r"gpt, lstm and families made of them, and tiny is of family gpt2"
    ):
        built("gpt2", GPT | HIDDEN, GRID, "int8")


@pytest.mark.parametrize("settings", [LSTM | {"residual": True}, LSTM])
def test_what_is_kept_changes_nothing(settings):
    shape = ArraySpec(width=2, vocabulary=9)
    plain, kept = (built("lstm", settings | HIDDEN, shape).model for _ in range(2))
    keep(kept)
    for batch in (1, 2):
        tokens = tokens_of(plain, batch)
        assert torch.equal(logits(kept, tokens), logits(packed(plain, batch), tokens))
