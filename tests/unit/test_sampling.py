"""Decoding: a draw is what inverting a distribution by hand gives, prompts are kept, and a sample
depends on its own seed alone.
"""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from ostinato.files import DamagedFile, MissingInput
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.readers.read import read_piece
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Extent
from ostinato.sampling.autoregressive.decode import decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.draw import Uniforms, draw
from ostinato.sampling.load import load_trained
from ostinato.sampling.sampler import Made
from ostinato.sampling.write import Sample, write_samples

GRID = Grid()
QUARTERS = 4.0
FAMILIES = ("lstm", "gpt", "gpt2", "music_transformer")
families = pytest.mark.parametrize("family", FAMILIES)


def by_hand(logits, uniform, decoding):
    """Sort, cut, renormalise, walk: in double precision, one row at a time."""
    weights = np.exp(logits / decoding.temperature - np.max(logits / decoding.temperature))
    probs = weights / weights.sum()
    order = sorted(range(len(probs)), key=lambda n: (-probs[n], n))
    if decoding.keeps_all:
        order = list(range(len(probs)))
    if decoding.top_k:
        order = order[: decoding.top_k]
    kept, reached = [], 0.0
    for symbol in order:
        if probs[symbol] == 0 and decoding.keeps_all:
            continue
        if probs[symbol] == 0 or (kept and reached >= decoding.top_p * probs[order].sum()):
            break
        if probs[symbol] < decoding.min_p * probs.max():
            break
        kept.append(symbol)
        reached += probs[symbol]
    walked = 0.0
    for symbol in kept:
        walked += probs[symbol]
        if walked > uniform * reached:
            return symbol
    return kept[-1]


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.7, 0.999999])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.31, 1e-6])
@pytest.mark.parametrize("top_k", [0, 1, 3, 50])
@pytest.mark.parametrize("min_p", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_a_draw_is_what_it_is_by_hand(temperature, min_p, top_k, top_p, uniform):
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12, 9)) * 2
    logits[4:8, rng.permutation(9)[:5]] = -np.inf  # masked by a grammar
    logits[8, 1:] = -np.inf  # one symbol is allowed
    logits[9] = 0.0  # all alike
    tensor = torch.tensor(logits, dtype=torch.float64)
    drawn = draw(tensor, torch.full((12,), uniform, dtype=torch.float64), decoding)
    assert drawn.tolist() == [by_hand(row, uniform, decoding) for row in logits]


def test_draws_have_the_frequencies_of_the_distribution():
    probs = np.array([0.5, 0.3, 0.15, 0.05])
    numbers = (torch.arange(10_000) + 0.5) / 10_000
    logits = torch.tensor(np.log(probs)).float().expand(10_000, 4)
    shares = np.bincount(draw(logits, numbers, Decoding()), minlength=4) / 10_000
    assert shares == pytest.approx(probs, abs=1e-3)
    nucleus = np.bincount(draw(logits, numbers, Decoding(top_p=0.8)), minlength=4) / 10_000
    assert nucleus == pytest.approx([0.625, 0.375, 0, 0], abs=1e-3)
    likely = np.bincount(draw(logits, numbers, Decoding(min_p=0.29)), minlength=4) / 10_000
    assert likely == pytest.approx([0.526, 0.316, 0.158, 0], abs=1e-3)
    both = np.bincount(draw(logits, numbers, Decoding(min_p=0.29, top_p=0.5)), minlength=4)
    assert both.tolist() == [10_000, 0, 0, 0]


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-24, 1.0])
def test_no_number_draws_a_masked_symbol(uniform):
    """Uniform numbers near one round up to 1.0 in single precision."""
    logits = torch.tensor([[-torch.inf, 2.0, -torch.inf, 1.0], [0.0, *[-torch.inf] * 3]])
    drawn = draw(logits, torch.full((2,), uniform), Decoding()).tolist()
    assert drawn == [1 if uniform == 0.0 else 3, 0]


def test_contradictions_of_decoding_name_their_values():
    for options, words in (
        ({"temperature": 0.0}, r"temperature=0\.0 must be above 0; top_k=1 is greedy"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0.0}, r"top_p=0\.0 must lie in \(0, 1\]"),
        ({"top_p": 1.1}, r"top_p=1\.1"),
        ({"min_p": 1.1}, r"min_p=1\.1 must lie in \[0, 1\]; 0 keeps all"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"no_repeat": 1}, "no_repeat=1 must be the 2 or more positions of a passage, or 0"),
        ({"no_repeat": -4}, "no_repeat=-4"),
        ({"particles": 0}, "particles=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            Decoding(**options)


def test_uniform_numbers_are_a_stream_of_their_seed():
    streams = Uniforms([5, 6, 5])
    drawing = np.array([True, False, False])
    first = [streams.next(drawing) for _ in range(3000)]
    assert [row[1:].tolist() for row in first] == [[0.0, 0.0]] * 3000
    numbers = np.random.default_rng(5).random(3072)[:3000].tolist()
    assert [row[0] for row in first] == numbers
    later = [streams.next(~drawing) for _ in range(3000)]
    assert [row[2] for row in later] == numbers
    assert [row[1] for row in later] == np.random.default_rng(6).random(3072)[:3000].tolist()
    assert streams.next(drawing)[0] == np.random.default_rng(5).random(3072)[3000]


@pytest.fixture(scope="module")
def models(settings_of):
    """Untrained models in full precision; nothing here depends on what they learned."""
    torch.manual_seed(0)
    shape = ArraySpec(width=4, vocabulary=len(GRID.vocabulary))
    return {name: build(name, settings_of(name).model, shape) for name in FAMILIES}


def sample(model, prompts, seeds, representation=GRID, decoding=None):
    chosen = decoding or Decoding(top_p=0.95)
    return decode(model, representation, prompts, seeds, Extent(QUARTERS // 4), chosen)


def no_prompt():
    return np.zeros((0, 4), np.int32)


@families
def test_the_same_seed_gives_the_same_tokens_whoever_is_beside_it(models, family):
    together = sample(models[family], [no_prompt()] * 4, [1, 2, 3, 2])
    assert np.array_equal(together[1].tokens, together[3].tokens)
    assert not np.array_equal(together[0].tokens, together[1].tokens)
    for seed, beside in zip([1, 2, 3], together, strict=False):
        (alone,) = sample(models[family], [no_prompt()], [seed])
        assert np.array_equal(alone.tokens, beside.tokens)
        assert alone.nats == pytest.approx(beside.nats, abs=1e-4)
        assert alone.tokens.shape == (16, 4)


@families
def test_prompts_of_unlike_length_give_what_they_give_alone(models, family, chorale):
    piece = chorale(1)
    prompts = [GRID.prefix(piece, quarters) for quarters in (0.25, 3.75, 2)] + [no_prompt()]
    assert [len(prompt) for prompt in prompts] == [1, 15, 8, 0]
    together = sample(models[family], prompts, [1, 2, 3, 4])
    for prompt, seed, beside in zip(prompts, [1, 2, 3, 4], together, strict=True):
        (alone,) = sample(models[family], [prompt], [seed])
        assert np.array_equal(alone.tokens, beside.tokens)
        assert np.array_equal(beside.tokens[: len(prompt)], prompt)
        assert beside.failed is None


@families
def test_nats_are_those_of_the_model_without_temperature_or_truncation(models, family, chorale):
    model = models[family].eval()
    prompts = [GRID.prefix(chorale(2), 2), no_prompt()]
    decoding = Decoding(temperature=0.7, top_k=5, top_p=0.8)
    for sampled in sample(model, prompts, [1, 2], decoding=decoding):
        with torch.inference_mode():
            scored = model.score(torch.from_numpy(sampled.tokens[None]).long())[0]
        assert sampled.nats == pytest.approx(scored.numpy(), abs=2e-4)


def test_prompts_that_are_already_whole_come_back_as_they_are(models, chorale):
    whole, part = GRID.prefix(chorale(3), QUARTERS), GRID.prefix(chorale(4), 1)
    for prompts in ([whole, whole], [whole, part], [whole]):
        found = sample(models["lstm"], prompts, range(len(prompts)))
        for prompt, sampled in zip(prompts, found, strict=True):
            assert sampled.failed is None
            assert np.array_equal(sampled.tokens[: len(prompt)], prompt)
            assert len(sampled.tokens) == len(sampled.nats) == 16


class EndlessForPrompts(Grid):
    """Sequences with a prompt never end, others do."""

    def grammar(self, extent, prompts):
        found = super().grammar(extent, prompts)
        ended, begun = found.finished, np.array([len(prompt) > 0 for prompt in prompts])
        found.finished = lambda: ended() & ~begun
        found.most = None
        return found


@pytest.mark.long
def test_a_sequence_that_does_not_end_is_reported_and_its_neighbour_is_not(models, chorale):
    prompts = [GRID.prefix(chorale(1), 1), no_prompt()]
    endless, whole = sample(models["lstm"], prompts, [1, 2], EndlessForPrompts())
    assert endless.failed == "not finished after 128 positions"
    assert len(endless.tokens) == len(endless.nats) == 128
    assert whole.failed is None
    (alone,) = sample(models["lstm"], [no_prompt()], [2])
    assert np.array_equal(whole.tokens, alone.tokens)


def test_what_the_grammar_forbids_is_never_sampled(settings_of):
    """With `hold`, a voice that does not sound cannot go on."""
    grid = Grid(hold=True)
    hold = len(grid.vocabulary) - 1
    torch.manual_seed(0)
    model = build("lstm", settings_of().model, ArraySpec(width=4, vocabulary=hold + 1))
    hot = Decoding(temperature=5.0)
    for sampled in decode(model, grid, [no_prompt()] * 8, range(8), Extent(4), hot):
        before = np.vstack([np.zeros((1, 4), int), sampled.tokens[:-1]])
        assert not ((sampled.tokens == hold) & (before == 0)).any()
        assert (sampled.tokens == hold).any()


def written(number, piece, likely=True):
    rng = np.random.default_rng(number)
    nats = rng.random((number + 1, 4)).astype(np.float32) if likely else None
    made = Made(rng.integers(0, 9, (number + 1, 4)), nats)
    row = {"id": f"id{number}", "task": "continue", "index": number}
    return Sample(piece, made, row | {"failed": None if piece else "why"})


def test_samples_are_written_with_their_exact_tokens_and_the_failed_ones_counted(tmp_path, chorale):
    samples = [written(0, chorale(1)), written(1, None), written(2, chorale(2))]
    rows = write_samples(tmp_path / "out", "lstm", samples)
    assert [row["file"] for row in rows] == ["continue-0.mid", None, "continue-2.mid"]
    listed = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert (listed["samples"], listed["system"]) == (rows, "lstm")
    stored = np.load(tmp_path / "out" / "tokens.npz")
    ends = np.cumsum(stored["length"])
    for sample, end in zip(samples, ends, strict=True):
        part = slice(end - len(sample.made.tokens), end)
        assert np.array_equal(stored["tokens"][part], sample.made.tokens)
        assert np.array_equal(stored["log_probability"][part], -sample.made.nats)
    assert np.array_equal(read_piece(tmp_path / "out" / "continue-2.mid").notes, chorale(2).notes)
    before = (tmp_path / "out" / "tokens.npz").read_bytes()
    write_samples(tmp_path / "out", "lstm", samples)
    assert (tmp_path / "out" / "tokens.npz").read_bytes() == before
    names = Counter(path.name for path in (tmp_path / "out").iterdir())
    assert sorted(names) == ["continue-0.mid", "continue-2.mid", "samples.json", "tokens.npz"]


def test_samples_without_a_likelihood_have_no_log_probabilities(tmp_path, chorale):
    write_samples(tmp_path / "out", "toy", [written(0, chorale(1), likely=False)])
    assert sorted(np.load(tmp_path / "out" / "tokens.npz")) == ["id", "length", "tokens"]


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign"])
def test_weights_that_are_not_those_of_the_card_are_refused(
    model_folder, tmp_path, flip_byte, damage
):
    folder = tmp_path / "lstm"
    with pytest.raises(MissingInput, match=r"model\.json is missing.*dvc repro train@lstm"):
        load_trained(folder)
    shutil.copytree(model_folder, folder)
    weights = folder / "weights.safetensors"
    if damage == "flip":
        flip_byte(weights)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:100])
    else:
        card = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(card | {"weights_sha256": "0" * 64}))
    with pytest.raises(DamagedFile, match=r"weights\.safetensors is damaged.*train@lstm"):
        load_trained(folder)
    weights.unlink()
    with pytest.raises(MissingInput, match=r"weights\.safetensors is missing.*train@lstm"):
        load_trained(folder)


def test_a_vocabulary_that_this_version_does_not_make_is_refused(model_folder, tmp_path):
    folder = tmp_path / "lstm"
    shutil.copytree(model_folder, folder)
    card = json.loads((folder / "model.json").read_text())
    card["codec"]["vocabulary"][3] = "pitch_of_another_time"
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(DamagedFile, match=r"model\.json: its vocabulary .* train again"):
        load_trained(folder)


@pytest.mark.parametrize(
    "timing",
    [{"shift": [0]}, {"beat": [0]}, {"shift": [0], "bar": [0], "meter": [0], "place": [0]}],
)
def test_times_that_are_not_ours_are_refused(model_folder, tmp_path, timing):
    folder = tmp_path / "lstm"
    shutil.copytree(model_folder, folder)
    card = json.loads((folder / "model.json").read_text())
    card["codec"]["timing"] = timing
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(DamagedFile, match=r"model\.json: its codec is not one of ours .* train"):
        load_trained(folder)


def test_a_piece_is_not_changed_by_being_a_prompt(models, chorale):
    prompt = GRID.prefix(chorale(1), 2)
    kept = prompt.copy()
    sample(models["gpt"], [prompt], [1])
    assert np.array_equal(prompt, kept)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (np.zeros((3, 1), np.int32), r"shape \(3, 1\), its representation \(T, 4\): encode it"),
        (np.full((3, 4), 47), "the token 47, the vocabulary 0 to 46: encode it"),
        (np.full((3, 4), -1), "the token -1, the vocabulary 0 to 46"),
    ],
)
def test_a_prompt_of_another_representation_is_refused_with_both_values(models, prompt, words):
    with pytest.raises(ValueError, match=words):
        sample(models["lstm"], [no_prompt(), prompt], [1, 2])


@families
def test_caches_are_made_once_and_never_grow(models, family, monkeypatch):
    """The model is told how many positions a sequence can have, and makes room for no more."""
    model, told, sizes = models[family], [], set()
    start, push = model.start, model.push

    def starting(batch, length, given=None):
        told.append(length)
        return start(batch, length, given)

    def pushing(state, chosen):
        push(state, chosen)
        sizes.add(sum(tensor.numel() for tensor in tensors_of(state.cache)))

    monkeypatch.setattr(model, "start", starting)
    monkeypatch.setattr(model, "push", pushing)
    decode(model, GRID, [no_prompt()] * 2, [1, 2], Extent(3), Decoding())
    assert told == [48]
    assert len(sizes) == 1


def tensors_of(cache):
    """All tensors in a cache of any family."""
    if isinstance(cache, torch.Tensor):
        return [cache]
    if isinstance(cache, list | tuple):
        return [tensor for part in cache for tensor in tensors_of(part)]
    return tensors_of(list(vars(cache).values())) if hasattr(cache, "__dict__") else []
