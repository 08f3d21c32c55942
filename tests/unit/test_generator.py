"""A copied model folder makes music, says what it can do, and names what it cannot."""

import copy
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.files import DamagedFile
from ostinato.generator import Generator, Request, planned_requests
from ostinato.models.autoregressive.parts.config import TokenShape
from ostinato.models.registry import build
from ostinato.music.piece import VOICES, cut, make_notes, same_music
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.pitch.pitch import Pitches
from ostinato.representations.protocol import Unencodable
from ostinato.representations.store import codec_of
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.load import Trained
from ostinato.sampling.request import EncodedPiece


@pytest.fixture(scope="module")
def generator(model_folder):
    return Generator.load(model_folder)


@pytest.mark.parametrize("device", ["cuda:1", "meta", "gramophone", None])
def test_other_devices_are_refused(model_folder, device):
    with pytest.raises(ValueError, match=f"device={device} must be cpu or cuda"):
        Generator.load(model_folder, device)


def test_a_gpu_that_is_not_there_is_refused(model_folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device=cuda needs a GPU.*device=cpu"):
        Generator.load(model_folder, "cuda")


def test_a_copied_folder_is_enough_and_makes_the_same_music(
    generator, model_folder, tmp_path, monkeypatch
):
    shutil.copytree(model_folder, tmp_path / "somewhere" / "else")
    monkeypatch.chdir(tmp_path)
    copied = Generator.load("somewhere/else")
    first, second = (g.generate(Request(bars=2, n=2)) for g in (generator, copied))
    assert [sample.row for sample in first] == [sample.row for sample in second]
    assert all(same_music(a.piece, b.piece) for a, b in zip(first, second, strict=True))


def test_a_damaged_copy_is_refused(model_folder, tmp_path, flip_byte):
    shutil.copytree(model_folder, tmp_path / "lstm")
    flip_byte(tmp_path / "lstm" / "weights.safetensors")
    with pytest.raises(DamagedFile, match=r"weights\.safetensors is damaged"):
        Generator.load(tmp_path / "lstm")


def test_it_does_what_it_says_it_can(generator, chorale):
    can = generator.capabilities()
    assert can["conditions"] == []
    for task in can["tasks"]:
        prompt = None if task == "unconditional" else chorale(1)
        gap = {"infill_voices": ("alto",), "particles": 4} if task == "infill" else {}
        request = Request(task=task, bars=2, prompt=prompt, prompt_quarters=2, **gap)
        (sample,) = generator.generate(request)
        assert sample.row["failed"] is None
        assert sample.piece.quarters <= 8
        assert [track.role for track in sample.piece.tracks] == list(VOICES)
        assert len(sample.tokens) == len(sample.nats) == 32


def test_what_it_cannot_do_is_named_with_what_it_can(generator, chorale):
    with pytest.raises(ValueError, match="'compose' is none of unconditional, continue, infill"):
        generator.generate(Request(task="compose"))
    with pytest.raises(ValueError, match="lstm takes no conditions; asked for: key, style"):
        generator.generate(Request(conditions={"style": "x", "key": "y"}))
    with pytest.raises(ValueError, match="task='continue' and prompt=None disagree"):
        Request(task="continue")
    with pytest.raises(ValueError, match="task='unconditional' and prompt=chorale-1 disagree"):
        Request(prompt=chorale(1))
    with pytest.raises(
        ValueError, match=r"prompt_quarters=8 .* less than the 8 quarters of bars=2"
    ):
        Request(task="continue", prompt=chorale(1), bars=2, prompt_quarters=8)
    with pytest.raises(ValueError, match="ask for more bars or a shorter prompt"):
        Request(task="continue", prompt=chorale(1), bars=2, prompt_quarters=9)
    with pytest.raises(ValueError, match="bars=0 and n=1"):
        Request(bars=0)
    with pytest.raises(ValueError, match="agree in bars and decoding"):
        generator.generate_all([Request(bars=1), Request(bars=2)])


def test_a_prompt_that_the_model_cannot_hold_is_named(generator, chorale):
    piece = chorale(1)
    request = Request(task="continue", bars=2, prompt_quarters=2, prompt=piece)
    low = piece.notes.copy()
    low["pitch"] -= 24
    with pytest.raises(Unencodable, match=r"chorale-1: pitch \d+ lies outside 36 to 81: transpose"):
        generator.generate(replace(request, prompt=replace(piece, notes=low)))
    unnamed = replace(piece, tracks=tuple(replace(t, role="") for t in piece.tracks))
    with pytest.raises(
        Unencodable,
        match=r"no soprano, alto, tenor, bass; roles in the piece: none: name .* tracks",
    ):
        generator.generate(replace(request, prompt=unnamed))
    silent = replace(piece, notes=make_notes([]))
    with pytest.raises(ValueError, match=r"prompt chorale-1\.mid holds no music to continue"):
        generator.generate(replace(request, prompt=silent))


def with_context(generator, positions):
    """The same generator, whose model says that it sees so many positions."""
    model = copy.copy(generator.trained.model)
    model.config = SimpleNamespace(context=positions)
    return Generator(replace(generator.trained, model=model))


def test_a_prompt_longer_than_the_context_is_refused_with_both(generator, chorale):
    request = Request(task="continue", bars=4, prompt=chorale(1), prompt_quarters=10)
    words = r"prompt chorale-1\.mid has 40 positions in 10 quarters, the model's context is 30; "
    with pytest.raises(ValueError, match=words + r"take about 7 quarters .* longer context"):
        with_context(generator, 30).generate(request)
    (found,) = with_context(generator, 40).generate(request)
    (without,) = generator.generate(request)
    assert found.row == without.row


def test_tokens_of_the_models_own_encoding_are_a_prompt_like_their_piece(generator, chorale):
    piece = generator.representation.quantize(chorale(1)).piece
    tokens, codec = generator.representation.encode(piece), generator.trained.card["codec"]
    request = Request(task="continue", bars=2, prompt=piece, prompt_quarters=2)
    (from_piece,) = generator.generate(request)
    (found,) = generator.generate(replace(request, prompt=EncodedPiece(piece.id, tokens, codec)))
    assert found.row == from_piece.row


def test_tokens_of_another_encoding_are_refused_with_both(generator, chorale):
    codec = generator.trained.card["codec"]
    lower = Grid(lowest=30)
    request = Request(task="continue", bars=2, prompt=chorale(1), prompt_quarters=2)
    for other, words in (
        (lower, r"grid, 4 of 53 sub-tokens \(codec \w+\), .* on grid, 4 of 47 sub-tokens"),
        (Pitches(), r"encoded as pitch, 1 of 47 .* trained on grid, 4 of 47 .* give the piece"),
    ):
        prompt = EncodedPiece("x", other.encode(chorale(1)), codec_of(other))
        with pytest.raises(ValueError, match=words):
            generator.generate(replace(request, prompt=prompt))
    for tokens, words in (
        (np.zeros((8, 3), np.int32), r"shape \(8, 3\), its representation \(T, 4\)"),
        (np.full((8, 4), 99), "the token 99, the vocabulary 0 to 46"),
    ):
        with pytest.raises(ValueError, match=words):
            generator.generate(replace(request, prompt=EncodedPiece("x", tokens, codec)))


GAP = {"task": "infill", "bars": 3, "particles": 4, "n": 2}


def test_a_filled_gap_keeps_all_around_it(generator, chorale):
    encoded = generator.representation.encode(chorale(1))[:48]
    made = {}
    for name, gap, free in (
        ("bar", {"infill_bars": (1, 2)}, np.s_[16:32, :]),
        ("voices", {"infill_voices": ("alto", "bass")}, np.s_[:, 1::2]),
        ("both", {"infill_bars": (2, 3), "infill_voices": ("tenor",)}, np.s_[32:, 2]),
    ):
        made[name] = generator.generate(Request(prompt=chorale(1), **GAP, **gap))
        for sample in made[name]:
            expected = sample.tokens.copy()
            expected[free] = encoded[free]
            assert np.array_equal(expected, encoded)
            assert not np.array_equal(sample.tokens, encoded)
            assert same_music(sample.piece, generator.representation.decode(sample.tokens))
        assert not np.array_equal(made[name][0].tokens, made[name][1].tokens)
    row = made["both"][0].row
    assert (row["infill_bars"], row["infill_voices"], row["particles"]) == ([2, 3], ["tenor"], 4)
    assert "particles" not in generator.generate(Request(bars=1))[0].row
    again = generator.generate(Request(prompt=chorale(1), infill_bars=(1, 2), **GAP | {"n": 1}))
    assert again[0].row == made["bar"][0].row


@pytest.mark.parametrize("family", ["gpt", "gpt2", "music_transformer"])
def test_a_piece_longer_than_the_context_is_filled_through_the_sliding_window(
    generator, settings_of, chorale, family
):
    """Where `continue` refuses so long a prompt: 48 positions, the context is 24."""
    torch.manual_seed(0)
    shape = TokenShape(width=4, vocabulary=len(generator.representation.vocabulary))
    model = build(family, settings_of(family).model, shape).eval()
    windowed = Generator(replace(generator.trained, model=model))
    encoded = generator.representation.encode(chorale(1))[:48]
    for sample in windowed.generate(Request(prompt=chorale(1), infill_bars=(1, 2), **GAP)):
        assert sample.row["failed"] is None
        assert np.array_equal(sample.tokens[:16], encoded[:16])
        assert np.array_equal(sample.tokens[32:], encoded[32:])
        assert not np.array_equal(sample.tokens[16:32], encoded[16:32])
        with torch.inference_mode():
            scored = model.score(torch.from_numpy(sample.tokens[None]).long())[0]
        assert sample.nats == pytest.approx(scored.numpy(), abs=1e-3)
    longer = Request(task="continue", bars=4, prompt=chorale(1), prompt_quarters=12)
    with pytest.raises(ValueError, match=r"48 positions in 12 quarters, .* context is 24"):
        windowed.generate(longer)


def test_gaps_that_are_none_are_refused(generator, chorale):
    prompt = chorale(1)
    for gap, words in (
        ({}, r"infill needs infill_bars=\[first, end\), infill_voices, or both"),
        ({"infill_bars": (2, 4)}, r"infill_bars=\[2, 4\] must .* within 0 to bars=3"),
        ({"infill_bars": (2, 2)}, r"infill_bars=\[2, 2\]"),
        ({"infill_bars": (0, 1), "particles": 0}, "particles=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            Request(prompt=prompt, **GAP | gap)
    with pytest.raises(ValueError, match=r"'unconditional' takes no infill_bars=\(0, 1\)"):
        Request(infill_bars=(0, 1))
    with pytest.raises(ValueError, match="no voice oboe; there are soprano, alto, tenor, bass"):
        generator.generate(Request(prompt=prompt, **GAP, infill_voices=("oboe",)))
    late = Request(prompt=prompt, **GAP | {"bars": 9}, infill_bars=(6, 7))
    with pytest.raises(ValueError, match=r"\[6, 7\] lie outside .*-1\.mid, which has 4 bars"):
        generator.generate(late)


def test_only_what_stands_at_known_places_can_be_filled(generator):
    events = Generator(Trained(generator.trained.model, Events(), generator.trained.card))
    assert "infill" in generator.capabilities()["tasks"]
    assert "infill" not in events.capabilities()["tasks"]


def test_a_continuation_begins_with_its_prompt(generator, chorale):
    piece = chorale(5)
    request = Request(task="continue", bars=2, prompt=piece, prompt_quarters=4)
    (sample,) = generator.generate(request)
    encoded = generator.representation.encode(piece)
    assert np.array_equal(sample.tokens[:16], encoded[:16])
    quantized = generator.representation.decode(encoded)
    expected = cut(quantized, 0, 16)
    assert same_music(cut(sample.piece, 0, 16), expected)
    assert (sample.row["prompt"], sample.row["prompt_quarters"]) == ("chorale-5", 4)


def test_the_i_th_piece_does_not_depend_on_how_many_are_made(generator):
    many = generator.generate(Request(bars=1, n=5))
    later = generator.generate(Request(bars=1, n=2, first=3))
    assert [s.row for s in many[3:]] == [s.row for s in later]
    assert len({s.row["id"] for s in many}) == 5
    other = generator.generate(Request(bars=1, n=5, seed=2))
    assert not {s.row["id"] for s in many} & {s.row["id"] for s in other}


def test_pieces_beyond_one_batch_are_all_made(generator, monkeypatch):
    """The same, but for the last digit of sums: products of other batches add in another order."""
    whole = generator.generate(Request(bars=1, n=5))
    monkeypatch.setattr("ostinato.generator.BATCH", 2)
    for one, other in zip(generator.generate(Request(bars=1, n=5)), whole, strict=True):
        assert one.row | {"nats": 0} == other.row | {"nats": 0}
        assert one.row["nats"] == pytest.approx(other.row["nats"], abs=1e-3)


def test_an_id_is_of_the_request_and_the_tokens(generator):
    (sample,) = generator.generate(Request(bars=1))
    again = generator.generate(Request(bars=1, decoding=Decoding()))[0]
    assert again.row == sample.row
    assert sample.piece.id == sample.row["id"]
    assert json.loads(json.dumps(sample.row)) == sample.row
    greedy = generator.generate(Request(bars=1, decoding=Decoding(top_k=1)))[0]
    assert greedy.row["id"] != sample.row["id"]
    assert sample.row["weights"] == generator.trained.card["weights_sha256"]
    assert sample.row["nats"] == pytest.approx(float(sample.nats.sum()), abs=1e-3)


class Endless(Grid):
    """A representation whose music is never finished."""

    def grammar(self, quarters, prompts):
        found = super().grammar(10**6, prompts)
        found.most = None
        return found


class Undecodable(Grid):
    """A representation that cannot read its own tokens."""

    def decode(self, tokens):
        raise ValueError("token 7 follows token 9")


@pytest.mark.parametrize(
    ("representation", "reason"),
    [
        (Endless(), "not finished after 128 positions"),
        (Undecodable(), "does not decode: token 7 follows token 9"),
    ],
)
def test_what_fails_is_a_row_with_its_reason_and_no_piece(generator, representation, reason):
    trained = Trained(generator.trained.model, representation, generator.trained.card)
    (sample,) = Generator(trained).generate(Request(bars=1))
    assert sample.piece is None
    assert sample.row["failed"] == reason
    assert len(sample.tokens) > 0


SAMPLING = {"unconditional": 3, "continue": 3, "bars": 4, "prompt_bars": 1, "seed": 9} | {
    "temperature": 1.0, "top_k": 0, "top_p": 0.95,
}  # fmt: skip


def test_the_plan_goes_round_the_heldout_pieces(chorale):
    requests = planned_requests(SAMPLING, [chorale(1), chorale(2)])
    assert [r.task for r in requests] == ["unconditional", *["continue"] * 3]
    assert [r.prompt and r.prompt.id for r in requests[1:]] == [
        "chorale-1",
        "chorale-2",
        "chorale-1",
    ]
    assert [r.first for r in requests[1:]] == [0, 1, 2]
    assert requests[0].n == 3
    assert {(r.bars, r.seed, r.decoding.top_p) for r in requests} == {(4, 9, 0.95)}
    assert len(planned_requests(SAMPLING | {"unconditional": 0}, [chorale(1)])) == 3
    with pytest.raises(ValueError, match=r"sampling\.continue=3 needs held-out pieces"):
        planned_requests(SAMPLING, [])
