"""A copied model folder makes music, says what it can do, and names what it cannot."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ostinato.execution.files import DamagedFile
from ostinato.generator import Generator, Request, planned_requests
from ostinato.music.piece import VOICES, cut, make_notes, same_music
from ostinato.representations.grid import Grid, GridGrammar
from ostinato.representations.protocol import Unencodable
from ostinato.sampling.load import Trained
from ostinato.sampling.settings import Decoding


@pytest.fixture(scope="module")
def generator(model_folder):
    return Generator.load(model_folder)


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
        prompt = chorale(1) if task == "continue" else None
        request = Request(task=task, bars=2, prompt=prompt, prompt_quarters=2)
        (sample,) = generator.generate(request)
        assert sample.row["failed"] is None
        assert sample.piece.quarters <= 8
        assert [track.role for track in sample.piece.tracks] == list(VOICES)
        assert len(sample.tokens) == len(sample.nats) == 32


def test_what_it_cannot_do_is_named_with_what_it_can(generator, chorale):
    with pytest.raises(ValueError, match="'infill' is none of unconditional, continue"):
        generator.generate(Request(task="infill"))
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
    with pytest.raises(ValueError, match="bars=0 and n=1"):
        Request(bars=0)
    with pytest.raises(ValueError, match="agree in bars and decoding"):
        generator.generate_all([Request(bars=1), Request(bars=2)])


def test_a_prompt_that_the_model_cannot_hold_is_named(generator, chorale):
    piece = chorale(1)
    request = Request(task="continue", bars=2, prompt_quarters=2, prompt=piece)
    low = piece.notes.copy()
    low["pitch"] -= 24
    with pytest.raises(Unencodable, match=r"chorale-1: pitch \d+ lies outside 36 to 81"):
        generator.generate(replace(request, prompt=replace(piece, notes=low)))
    unnamed = replace(piece, tracks=tuple(replace(t, role="") for t in piece.tracks))
    with pytest.raises(
        Unencodable, match="no soprano, alto, tenor, bass; roles in the piece: none"
    ):
        generator.generate(replace(request, prompt=unnamed))
    silent = replace(piece, notes=make_notes([]))
    with pytest.raises(ValueError, match=r"prompt chorale-1\.mid holds no music to continue"):
        generator.generate(replace(request, prompt=silent))


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
    whole = generator.generate(Request(bars=1, n=5))
    monkeypatch.setattr("ostinato.generator.BATCH", 2)
    assert [s.row for s in generator.generate(Request(bars=1, n=5))] == [s.row for s in whole]


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

    def grammar(self, quarters, prompt):
        return GridGrammar(self, 10**6, prompt)


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
