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
from ostinato.generator import Generator, planned_requests
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import VOICES, cut, make_notes, same_music
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.pitch.pitch import Pitches
from ostinato.representations.protocol import Extent, Unencodable
from ostinato.representations.store import codec_of
from ostinato.sampling.load import Trained
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    EncodedPiece,
    Fill,
    Interpolate,
    Region,
    Request,
    Unconditional,
    Vary,
)


def continuing(prompt, prompt_bars=0.5, bars=2):
    return Request(task=Continue(prompt, prompt_bars), bars=bars)


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
    able = generator.capabilities()
    assert able.conditions == ()
    assert able.roles == VOICES
    tasks = [Unconditional(), Continue(chorale(1), 0.5), Fill(chorale(1), Region(roles=("alto",)))]
    assert able.tasks == tuple(task.name for task in tasks)
    for task in tasks:
        (sample,) = generator.generate(Request(task=task, bars=2, options={"particles": 4}))
        assert sample.row["failed"] is None
        assert sample.piece.quarters <= 8
        assert [track.role for track in sample.piece.tracks] == list(VOICES)
        assert len(sample.made.tokens) == len(sample.made.nats) == 32


def test_what_it_cannot_do_is_named_with_what_it_can(generator, chorale):
    for request, words in (
        (
            Request(task=Vary(chorale(1))),
            "lstm cannot do task 'vary'; its tasks: unconditional, continue, fill; "
            "families that can, on some encodings: absorbing",
        ),
        (
            Request(task=Interpolate(chorale(1), chorale(2))),
            "cannot do task 'interpolate'; its tasks: .*; families that can, on some encodings: ",
        ),
        (Request(conditions={"key": "y"}), "lstm has no condition key; its conditions: none"),
        (Request(options={"steps": 3}), "lstm has no option steps; its options: temperature, "),
        (Request(options={"top_p": 2}), r"top_p=2 must lie in \(0, 1\]"),
    ):
        with pytest.raises(ValueError, match=words):
            generator.generate(request)


def test_requests_of_unlike_length_and_options_are_made_together(generator, chorale):
    requests = [
        Request(bars=1, n=2),
        Request(bars=2, options={"top_k": 3}),
        Request(task=Continue(chorale(1), 1), bars=2),
        Request(bars=1, first=2, n=2),
    ]
    together = generator.generate_all(requests)
    alone = [sample for request in requests for sample in generator.generate(request)]
    assert [s.row | {"nats": 0} for s in together] == [s.row | {"nats": 0} for s in alone]


def test_a_prompt_that_the_model_cannot_hold_is_named(generator, chorale):
    piece = chorale(1)
    low = piece.notes.copy()
    low["pitch"] -= 24
    with pytest.raises(Unencodable, match=r"chorale-1: pitch \d+ lies outside 36 to 81: transpose"):
        generator.generate(continuing(replace(piece, notes=low)))
    unnamed = replace(piece, tracks=tuple(replace(t, role="") for t in piece.tracks))
    with pytest.raises(
        Unencodable,
        match=r"no soprano, alto, tenor, bass; roles in the piece: none: name .* tracks",
    ):
        generator.generate(continuing(unnamed))
    silent = replace(piece, notes=make_notes([]))
    with pytest.raises(ValueError, match=r"prompt chorale-1\.mid holds no music to continue"):
        generator.generate(continuing(silent))


def with_context(generator, positions):
    """The same generator, whose model says that it sees so many positions."""
    model = copy.copy(generator.trained.model)
    model.config = SimpleNamespace(context=positions)
    return Generator(replace(generator.trained, model=model))


def test_a_prompt_longer_than_the_context_is_refused_with_both(generator, chorale):
    request = continuing(chorale(1), 2.5, bars=4)
    words = r"prompt chorale-1\.mid has 40 positions in 2\.5 bars, the model's context is 30, so "
    with pytest.raises(ValueError, match=words + r".*about prompt_bars=1\.75.* longer context"):
        with_context(generator, 30).generate(request)
    (found,) = with_context(generator, 40).generate(request)
    (without,) = generator.generate(request)
    assert found.row == without.row


def test_tokens_of_the_models_own_encoding_are_a_prompt_like_their_piece(generator, chorale):
    piece = generator.representation.quantize(chorale(1)).piece
    tokens, codec = generator.representation.encode(piece), generator.trained.card["codec"]
    (from_piece,) = generator.generate(continuing(piece))
    (found,) = generator.generate(continuing(EncodedPiece(piece.id, tokens, codec)))
    assert found.row == from_piece.row


def test_tokens_of_another_encoding_are_refused_with_both(generator, chorale):
    codec = generator.trained.card["codec"]
    lower = Grid(lowest=30)
    for other, words in (
        (lower, r"grid, 4 of 53 sub-tokens \(codec \w+\), .* on grid, 4 of 47 sub-tokens"),
        (Pitches(), r"encoded as pitch, 1 of 47 .* trained on grid, 4 of 47 .* give the piece"),
    ):
        prompt = EncodedPiece("x", other.encode(chorale(1)), codec_of(other))
        with pytest.raises(ValueError, match=words):
            generator.generate(continuing(prompt))
    for tokens, words in (
        (np.zeros((8, 3), np.int32), r"shape \(8, 3\), its representation \(T, 4\)"),
        (np.full((8, 4), 99), "the token 99, the vocabulary 0 to 46"),
    ):
        with pytest.raises(ValueError, match=words):
            generator.generate(continuing(EncodedPiece("x", tokens, codec)))


def filling(piece, bars=None, roles=(), n=2, length=3):
    free = Region(bars, roles)
    return Request(task=Fill(piece, free), bars=length, n=n, options={"particles": 4})


def test_a_filled_gap_keeps_all_around_it(generator, chorale):
    encoded = generator.representation.encode(chorale(1))[:48]
    made = {}
    for name, gap, free in (
        ("bar", {"bars": (2, 3)}, np.s_[16:32, :]),
        ("voices", {"roles": ("alto", "bass")}, np.s_[:, 1::2]),
        ("both", {"bars": (3, 4), "roles": ("tenor",)}, np.s_[32:, 2]),
    ):
        made[name] = generator.generate(filling(chorale(1), **gap))
        for sample in made[name]:
            tokens = sample.made.tokens
            expected = tokens.copy()
            expected[free] = encoded[free]
            assert np.array_equal(expected, encoded)
            assert not np.array_equal(tokens, encoded)
            assert same_music(sample.piece, generator.representation.decode(tokens))
        assert not np.array_equal(made[name][0].made.tokens, made[name][1].made.tokens)
    row = made["both"][0].row
    assert row["region"] == {"bars": [3, 4], "roles": ["tenor"]}
    assert row["options"] == {"particles": 4}
    again = generator.generate(filling(chorale(1), (2, 3), n=1))
    assert again[0].row == made["bar"][0].row


@pytest.mark.parametrize("family", ["gpt", "gpt2", "music_transformer"])
def test_a_piece_longer_than_the_context_is_filled_through_the_sliding_window(
    generator, settings_of, chorale, family
):
    """Where `continue` refuses so long a prompt: 48 positions, the context is 24."""
    torch.manual_seed(0)
    shape = ArraySpec(width=4, vocabulary=len(generator.representation.vocabulary))
    model = build(family, settings_of(family).model, shape).eval()
    windowed = Generator(replace(generator.trained, model=model))
    encoded = generator.representation.encode(chorale(1))[:48]
    for sample in windowed.generate(filling(chorale(1), (2, 3))):
        assert sample.row["failed"] is None
        tokens = sample.made.tokens
        assert np.array_equal(tokens[:16], encoded[:16])
        assert np.array_equal(tokens[32:], encoded[32:])
        assert not np.array_equal(tokens[16:32], encoded[16:32])
        with torch.inference_mode():
            scored = model.score(torch.from_numpy(tokens[None]).long())[0]
        assert sample.made.nats == pytest.approx(scored.numpy(), abs=1e-3)
    with pytest.raises(ValueError, match=r"48 positions in 3 bars, .* context is 24"):
        windowed.generate(continuing(chorale(1), 3, bars=4))


def test_gaps_that_are_none_are_refused(generator, chorale):
    with pytest.raises(ValueError, match="no role oboe; its roles: soprano, alto, tenor, bass"):
        generator.generate(filling(chorale(1), roles=("oboe",)))
    with pytest.raises(ValueError, match=r"\[6, 7\] lie outside .*-1\.mid, which has bars 1 to 4"):
        generator.generate(filling(chorale(1), (6, 7), length=9))


def test_only_what_stands_at_known_places_can_be_filled(generator, chorale):
    events = Generator(Trained(generator.trained.model, Events(), generator.trained.card))
    assert "fill" in generator.capabilities().tasks
    assert "fill" not in events.capabilities().tasks
    with pytest.raises(
        ValueError,
        match=r"'fill': its encoding is a stream .*; families that can.*: absorbing, .*gpt, gpt2, ",
    ):
        events.generate(filling(chorale(1), (0, 1)))


def test_a_continuation_begins_with_its_prompt(generator, chorale):
    piece = chorale(5)
    (sample,) = generator.generate(continuing(piece, 1))
    encoded = generator.representation.encode(piece)
    assert np.array_equal(sample.made.tokens[:16], encoded[:16])
    quantized = generator.representation.decode(encoded)
    expected = cut(quantized, 0, 16)
    assert same_music(cut(sample.piece, 0, 16), expected)
    assert (sample.row["prompt"], sample.row["prompt_bars"]) == ("chorale-5", 1)


def test_the_i_th_piece_does_not_depend_on_how_many_are_made(generator):
    many = generator.generate(Request(bars=1, n=5))
    later = generator.generate(Request(bars=1, n=2, first=3))
    assert [s.row for s in many[3:]] == [s.row for s in later]
    assert len({s.row["id"] for s in many}) == 5
    other = generator.generate(Request(bars=1, n=5, seed=2))
    assert not {s.row["id"] for s in many} & {s.row["id"] for s in other}


def test_a_session_gives_the_first_piece_of_a_request(generator):
    request = Request(bars=2, first=3)
    session = generator.session(request)
    half, whole = session.advance(1), session.advance(1)
    (sample,) = generator.generate(request)
    assert np.array_equal(whole.tokens, sample.made.tokens)
    assert np.array_equal(half.tokens, sample.made.tokens[:16])
    with pytest.raises(ValueError, match="lstm has no option steps"):
        generator.session(Request(options={"steps": 1}))


def test_pieces_beyond_one_batch_are_all_made(generator, monkeypatch):
    """The same, but for the last digit of sums: products of other batches add in another order."""
    whole = generator.generate(Request(bars=1, n=5))
    monkeypatch.setattr("ostinato.sampling.autoregressive.sampler.BATCH", 2)
    for one, other in zip(generator.generate(Request(bars=1, n=5)), whole, strict=True):
        assert one.row | {"nats": 0} == other.row | {"nats": 0}
        assert one.row["nats"] == pytest.approx(other.row["nats"], abs=1e-3)


def test_an_id_is_of_the_request_and_the_tokens(generator):
    (sample,) = generator.generate(Request(bars=1))
    defaults = dict(generator.capabilities().options)
    again = generator.generate(Request(bars=1, options=defaults))[0]
    assert again.row == sample.row
    assert sample.piece.id == sample.row["id"]
    assert json.loads(json.dumps(sample.row)) == sample.row
    greedy = generator.generate(Request(bars=1, options={"top_k": 1}))[0]
    assert greedy.row["id"] != sample.row["id"]
    assert sample.row["weights"] == generator.trained.card["weights_sha256"]
    assert sample.row["nats"] == pytest.approx(float(sample.made.nats.sum()), abs=1e-3)


class Endless(Grid):
    """A representation whose music is never finished."""

    def grammar(self, extent, prompts):
        found = super().grammar(Extent(10**6), prompts)
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
    assert len(sample.made.tokens) > 0


SAMPLING = {"unconditional": 3, "continue": 3, "bars": 4, "prompt_bars": 1, "seed": 9} | {
    "min_bars": 1,
    "temperature": 1.0, "top_k": 0, "top_p": 0.95,
}  # fmt: skip


ABLE = Capabilities(
    tasks=("unconditional", "continue"), options={"temperature": 1.0, "top_k": 0, "top_p": 1.0}
)


def test_a_plan_asks_for_what_a_system_can_do(chorale):
    able = Capabilities(tasks=("unconditional",), options={"temperature": 1.0})
    (request,) = planned_requests(SAMPLING, [chorale(1)], able)
    assert (request.task, request.n) == (Unconditional(), 3)
    assert request.options == {"temperature": 1.0}
    with pytest.raises(ValueError, match="nothing to sample"):
        planned_requests(SAMPLING | {"unconditional": 0}, [chorale(1)], able)


def test_the_plan_goes_round_the_heldout_pieces(chorale):
    requests = planned_requests(SAMPLING, [chorale(1), chorale(2)], ABLE)
    assert [r.task.name for r in requests] == ["unconditional", *["continue"] * 3]
    assert [r.task.prompt.id for r in requests[1:]] == [
        "chorale-1",
        "chorale-2",
        "chorale-1",
    ]
    assert [r.first for r in requests[1:]] == [0, 1, 2]
    assert requests[0].n == 3
    assert {(r.bars, r.seed, r.options["top_p"]) for r in requests} == {(4, 9, 0.95)}
    assert len(planned_requests(SAMPLING | {"unconditional": 0}, [chorale(1)], ABLE)) == 3
    with pytest.raises(ValueError, match=r"sampling\.continue=3 needs held-out pieces"):
        planned_requests(SAMPLING, [], ABLE)
