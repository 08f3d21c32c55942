"""Relative attention is the slow formula, to the last digits of float64; it and GPT-2 see nothing
that comes later, and a step at a time gives what all at once gives, however long it goes on.
"""

from pathlib import Path

import pytest
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

from ostinato.models.autoregressive.parts.musical_time import Clock
from ostinato.models.autoregressive.parts.relative import PitchScale
from ostinato.models.layers.attention import query_chunks
from ostinato.models.layers.blocks import SquaredReLU
from ostinato.models.registry import build
from ostinato.models.spec import PAD, ArraySpec, Timing
from ostinato.representations.grid.grid import Grid
from ostinato.representations.registry import build as build_representation
from ostinato.representations.store import codec_of

VOCABULARY = 14
CONF = Path(__file__).parents[2] / "conf" / "model"
FAMILIES = ("music_transformer", "gpt2")
CONTEXTS = (2, 5, 8, 64)
SETTINGS = {
    "width": 12,
    "voice_hidden": 8,
    "order": [0, 2, 1],
    "periods": [4, 3],
    "held_steps": 3,
    "layers": 2,
    "heads": 2,
}
TIMING = Timing(  # of the first voice's symbols, as if they were events
    shift=(0, 1, 3, *[0] * 11),
    bar=(0, 0, 0, 1, *[0] * 10),
    meter=(*[0] * 4, 4, 6, *[0] * 8),
    place=(*[-1] * 3, 0, -1, -1, 1, 2, 3, *[-1] * 5),
)
OF_FAMILY = {
    "music_transformer": {"max_distance": 2, "pitch_range": [2, 11], "intervals": 3},
    "gpt2": {},
}


def make(family, context, **changes):
    """A small model in float64 whose every weight matters."""
    torch.manual_seed(0)
    settings = {**SETTINGS, **OF_FAMILY[family], "context": context, **changes}
    width = len(settings["order"])
    shape = ArraySpec(width=width, vocabulary=VOCABULARY, timing=TIMING)
    model = build(family, settings, shape).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def random_rows(batch, length, width=3):
    """Symbols of all kinds: pitches, rests, and in the first row "before the piece"."""
    rows = torch.randint(VOCABULARY, (batch, length, width), generator=seeded(1))
    rows[:, 0] = VOCABULARY
    return rows


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def slow_attention(attention, x_BTD, rows_BTW, config):
    """The formula of parts/relative.py with its relations written out, (B, N, T, T, E)."""
    B, T, D = x_BTD.shape
    N, E = config.heads, D // config.heads
    q, k, v = (
        part.view(B, T, N, E).transpose(1, 2) for part in (x_BTD @ attention.qkv).split(D, dim=2)
    )
    relations, (first, last) = attention.relations, config.pitch_range or (1, 0)
    times = Clock(TIMING)(rows_BTW[:, :, 0]).tolist()
    relation = torch.zeros(B, N, T, T, E, dtype=x_BTD.dtype)
    for t in range(T):
        for s in range(t + 1):
            relation[:, :, t, s] += relations.near_NFE[:, min(t - s, config.max_distance - 1)]
            for period, table in zip(config.periods, relations.metrical, strict=True):
                relation[:, :, t, s] += table[:, (t - s) % period]
            for b in range(B if config.max_time_distance else 0):
                passed = min(max(0, times[b][t] - times[b][s]), config.max_time_distance - 1)
                relation[b, :, t, s] += relations.moments_NGE[:, passed]
            for b in range(B if config.pitch_range else 0):
                for w, (now, then) in enumerate(zip(rows_BTW[b, t], rows_BTW[b, s], strict=True)):
                    if first <= now <= last and first <= then <= last:
                        widest = config.intervals
                        interval = max(-widest, min(widest, int(now - then)))
                        entry = w * (2 * widest + 1) + widest + interval
                        relation[b, :, t, s] += relations.interval_NEI[:, :, entry]
    asks = q + relations.query_N1E
    scores = (q @ k.transpose(2, 3) + torch.einsum("bnte,bntse->bnts", asks, relation)) / E**0.5
    back = torch.arange(T)[:, None] - torch.arange(T)
    scores = scores.masked_fill((back < 0) | (back >= config.context), -torch.inf)
    return (scores.softmax(dim=3) @ v).transpose(1, 2).reshape(B, T, D) @ attention.out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pitch_range": []},
        {"periods": []},
        {"max_distance": 1},
        {"max_time_distance": 6},
        {"max_time_distance": 1, "pitch_range": []},
    ],
)
@pytest.mark.parametrize("context", [4, 9, 64])
@pytest.mark.parametrize("chunk", [1, 3, 128])
def test_attention_is_the_slow_formula(changes, context, chunk):
    model = make("music_transformer", context, **changes)
    attention = model.blocks[0].attention
    for length in (1, 3, 11):
        x_BTD = torch.randn(2, length, 12, generator=seeded(2), dtype=torch.double)
        rows_BTW = random_rows(2, length)
        expected = slow_attention(attention, x_BTD, rows_BTW, model.config)
        chunks = query_chunks(length, context, x_BTD.device, chunk)
        ours = attention(x_BTD, *related(model, rows_BTW, chunks))
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


def related(model, rows_BTW, chunks):
    """What attention is given besides its input."""
    pitches = model.scale.relate(rows_BTW) if model.scale else None
    times_BT = model.clock(rows_BTW[:, :, 0]) if model.clock else None
    return pitches, chunks, model._passed(times_BT, chunks)


def test_attention_has_the_slow_formula_s_gradients():
    model = make("music_transformer", 5, max_time_distance=4)
    attention = model.blocks[1].attention
    x_BTD = torch.randn(2, 9, 12, generator=seeded(2), dtype=torch.double)
    rows_BTW, chunks = random_rows(2, 9), query_chunks(9, 5, x_BTD.device, 4)
    weights = list(attention.parameters())
    ours = attention(x_BTD, *related(model, rows_BTW, chunks)).square().sum()
    slow = slow_attention(attention, x_BTD, rows_BTW, model.config).square().sum()
    for mine, expected in zip(
        torch.autograd.grad(ours, weights), torch.autograd.grad(slow, weights), strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-9, atol=1e-11)


def inputs_of(model, rows_BTW):
    """What the trunk is given; ages of zero."""
    clock_BT = torch.arange(rows_BTW.shape[1]).expand(rows_BTW.shape[:2])
    return model.step_input(rows_BTW, clock_BT, torch.zeros_like(rows_BTW))


TIMED = [("music_transformer", {}), ("music_transformer", {"max_time_distance": 6}), ("gpt2", {})]
timed = pytest.mark.parametrize(("family", "changes"), TIMED)


@timed
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("told", [1, 6, 40])  # a length is only a hint
@torch.inference_mode()
def test_the_trunk_s_steps_are_its_parallel_pass(family, changes, context, told):
    model = make(family, context, **changes)
    rows_BTW = random_rows(3, 23)
    x_BTD = inputs_of(model, rows_BTW)
    cache = model.trunk_cache(3, told)
    pairs = zip(x_BTD.unbind(1), rows_BTW.unbind(1), strict=True)
    steps = torch.stack([model.trunk_step(x_BD, row_BW, cache) for x_BD, row_BW in pairs], dim=1)
    torch.testing.assert_close(steps, model.trunk(x_BTD, rows_BTW), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_a_cache_stays_within_the_context(family):
    model = make(family, 8)
    cache = model.trunk_cache(1, 10_000)
    rows_BTW = random_rows(1, 50)
    x_BTD = inputs_of(model, rows_BTW)
    held = [cache.ring.kept] if family == "music_transformer" else [cache.inputs, *cache.layers[0]]
    sizes = [tensor.shape for tensor in held]
    for x_BD, row_BW in zip(x_BTD.unbind(1), rows_BTW.unbind(1), strict=True):
        model.trunk_step(x_BD, row_BW, cache)
    assert [tensor.shape for tensor in held] == sizes
    assert all(8 in size and max(size) <= 12 for size in sizes)


@timed
@pytest.mark.parametrize("context", CONTEXTS)
@torch.inference_mode()
def test_a_change_moves_no_logit_before_it(family, changes, context):
    model = make(family, context, **changes)
    tokens = torch.randint(VOCABULARY, (2, 15, 3), generator=seeded(3))
    before = model.score(tokens)
    for at in range(15):
        other = tokens.clone()
        other[:, at] = (tokens[:, at] + 5) % VOCABULARY
        change = (model.score(other) - before).abs()
        assert change[:, :at].max() < 1e-12 if at else True
        assert change[:, at].min() > 1e-6
        assert change[:, at + 1 : at + 2].numel() == 0 or change[:, at + 1].max() > 1e-6


@pytest.mark.parametrize("context", [4, 5, 8])
@torch.inference_mode()
def test_gpt2_sees_half_a_context_or_more_and_never_more_than_a_whole(context):
    model = make("gpt2", context, layers=1, held_steps=0)
    rows_BTW = random_rows(1, 21)
    x_BTD = inputs_of(model, rows_BTW)
    before = model.trunk(x_BTD, rows_BTW)
    seen = torch.zeros(21, dtype=torch.long)
    for at in range(21):
        other = x_BTD.clone()
        other[:, at, 0] += 1
        seen += ((model.trunk(other, rows_BTW) - before).abs()[0].amax(dim=1) > 1e-9).long()
    assert seen[:context].tolist() == list(range(1, context + 1))
    assert int(seen[context:].min()) == context - context // 2 + 1
    assert int(seen[context:].max()) == context


def test_a_block_of_gpt2_is_torch_s_own_layer():
    model = make("gpt2", 16)
    block = model.blocks[0]
    layer = torch.nn.TransformerEncoderLayer(
        12,
        2,
        48,
        dropout=0.0,
        activation=lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        batch_first=True,
        norm_first=True,
        dtype=torch.double,
    )
    names = {
        "self_attn.in_proj_": block.qkv,
        "self_attn.out_proj.": block.out,
        "linear1.": block.up,
        "linear2.": block.down,
        "norm1.": block.norm_attention,
        "norm2.": block.norm_forward,
    }
    layer.load_state_dict(
        {f"{name}{kind}": getattr(ours, kind) for name, ours in names.items() for kind in KINDS}
    )
    x_BTD = torch.randn(2, 16, 12, generator=seeded(4), dtype=torch.double)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(16, dtype=torch.double)
    expected = layer(x_BTD, src_mask=mask, is_causal=True)
    torch.testing.assert_close(block(x_BTD)[0], expected, rtol=1e-9, atol=1e-12)


KINDS = ("weight", "bias")


def test_the_flat_form_of_gpt2_begins_as_published():
    """Its parameters are GPT-2's, with weights and biases of its own for the output."""
    settings = yaml.safe_load((CONF / "gpt2" / "flat.yaml").read_text(encoding="utf-8"))["model"]
    torch.manual_seed(0)
    model = build("gpt2", settings, ArraySpec(width=1, vocabulary=47))
    width, layers, positions = (settings[name] for name in ("width", "layers", "context"))
    of_block = 12 * width * width + 13 * width
    outside = 48 * width + positions * width + 2 * width + 47 * width + 47
    assert sum(weight.numel() for weight in model.parameters()) == layers * of_block + outside
    for name, weight in model.named_parameters():
        if "bias" in name:
            assert not weight.any(), name
        elif "norm" in name:
            assert (weight == 1).all(), name
        else:
            residual = name.endswith((".out.weight", ".down.weight"))
            deviation = 0.02 * ((2 * layers) ** -0.5 if residual else 1)
            assert float(weight.detach().std()) == pytest.approx(deviation, rel=0.03), name
            assert abs(float(weight.detach().mean())) < deviation / 20, name


def test_transposing_all_voices_changes_no_interval():
    model = make("music_transformer", 64, intervals=20)
    x_BTD = torch.randn(1, 7, 12, generator=seeded(2), dtype=torch.double)
    rows_BTW = torch.randint(2, 9, (1, 7, 3), generator=seeded(5))
    rows_BTW[0, 2, 1] = 0  # a rest, which is transposed to a rest
    moved = torch.where(rows_BTW > 0, rows_BTW + 3, 0)
    attention, chunks = model.blocks[0].attention, query_chunks(7, 64, x_BTD.device)
    here, there = (attention(x_BTD, model.scale.relate(rows), chunks) for rows in (rows_BTW, moved))
    torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)
    one_voice = rows_BTW.clone()
    one_voice[0, 3:, 1] += 1
    other = attention(x_BTD, model.scale.relate(one_voice), chunks)
    assert (other - here)[0, 3:].abs().max() > 1e-3


def test_what_is_no_pitch_has_no_interval():
    scale = PitchScale(first=2, number=3, widest=5)
    symbols = torch.tensor([PAD, 0, 1, 2, 3, 4, 5, VOCABULARY])
    assert scale.pitch(symbols).tolist() == [-1, -1, -1, 0, 1, 2, -1, -1]


class Largest(TorchDispatchMode):
    """The largest tensor that any operation gave."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def test_no_tensor_is_of_the_square_of_the_length_for_each_width_of_a_head():
    """Nor of the square itself: a chunk of queries looks at a time."""
    length, heads = 1024, 2
    model = make("music_transformer", length, width=64, layers=1, held_steps=0)
    rows_BTW = random_rows(1, length)
    x_BTD = inputs_of(model, rows_BTW)
    with Largest() as largest:
        model.trunk(x_BTD, rows_BTW).sum().backward()
    assert largest.numel < heads * length * length / 4


@pytest.mark.parametrize(
    ("family", "changes", "named"),
    [
        ("music_transformer", {"heads": 5}, "heads=5"),
        ("music_transformer", {"context": 1}, "context=1"),
        ("music_transformer", {"max_distance": 65}, "max_distance=65 must lie in 1 to context=64"),
        ("music_transformer", {"max_distance": 0}, "max_distance=0"),
        ("music_transformer", {"pitch_range": [1]}, "first and a last"),
        ("music_transformer", {"pitch_range": [5, 2]}, "first and a last"),
        ("music_transformer", {"pitch_range": [1, 14]}, r"\[1, 14\] must be symbols.* 14: 0 to 13"),
        ("music_transformer", {"intervals": 0}, "intervals=0"),
        ("music_transformer", {"max_time_distance": -1}, "max_time_distance=-1 cannot be negative"),
        ("music_transformer", {"dropout": 1.0}, "dropout=1.0"),
        ("gpt2", {"heads": 5}, "heads=5"),
        ("gpt2", {"context": 1}, "context=1"),
        ("gpt2", {"dropout": -0.1}, "dropout=-0.1"),
        ("gpt2", {"attention_dropout": 1.0}, "attention_dropout=1.0"),
    ],
)
def test_contradictory_settings_are_refused(family, changes, named):
    with pytest.raises(ValueError, match=named):
        make(family, **{"context": 64, **changes})


@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_builds_and_names_the_pitches_of_its_tokens(family):
    grid = Grid()  # whose symbols the flat form shares
    sizes = sorted((CONF / family).glob("*.yaml"))
    assert sizes
    for path in sizes:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
        representation = grid
        if path.stem == "events":
            options = CONF.parent / "representation" / "remi.yaml"
            representation = build_representation(yaml.safe_load(options.read_text("utf-8")))
        wide = len(settings["order"]) if settings["voice_hidden"] else 1  # 5 with bar lines
        codec = codec_of(representation) | {"width": wide}
        build(family, settings, ArraySpec.of(codec))
        if settings.get("pitch_range"):
            first, last = settings["pitch_range"]
            named = [representation.vocabulary[first], representation.vocabulary[last]]
            assert named == [f"pitch_{grid.lowest}", f"pitch_{grid.highest}"]


def test_times_of_what_tells_none_are_refused_with_the_remedy():
    settings = {"width": 12, "heads": 2, "max_distance": 4, "context": 8, "max_time_distance": 6}
    with pytest.raises(
        ValueError,
        match=r"max_time_distance=6 needs the times of events.* leave max_time_distance",
    ):
        build("music_transformer", settings, ArraySpec(width=1, vocabulary=14))


def test_squared_relu_has_the_gradient_of_its_values():
    x = torch.linspace(-2, 2, 8, dtype=torch.double, requires_grad=True)
    assert torch.equal(SquaredReLU.apply(x), x.clamp(min=0) ** 2)
    assert torch.autograd.gradcheck(SquaredReLU.apply, (x,))
