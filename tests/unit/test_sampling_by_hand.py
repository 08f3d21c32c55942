"""Prompts by hand: which voices a model hears, what is left out, and what is said about it."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from ostinato.config import load_config
from ostinato.music.piece import VOICES, Meter, Piece, Track, make_notes
from ostinato.music.signatures import with_pickup
from ostinato.representations.events.events import Events
from ostinato.representations.grid.grid import Grid
from ostinato.representations.protocol import Unencodable
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.by_hand import (
    OPTIONS,
    prepared,
    remarks,
    request_of,
    voiced,
)
from ostinato.sampling.early import check_early, check_request
from ostinato.sampling.known import check_known, counting_meters
from ostinato.sampling.left_out import not_held
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Region,
    Request,
    Unconditional,
    Vary,
)
from ostinato.sampling.sampler import Made
from ostinato.sampling.sounding import TRIES, generate_sounding
from ostinato.sampling.wording import in_words_of
from ostinato.sampling.write import Sample

ROOT = Path(__file__).parents[2]
CONFIG = {
    "infill": {"bars": None, "voices": [], "particles": 8},
    "vary": None,
    "task": None,
    "conditions": {},
    "options": {},
}
CONFIG |= {"bars": 8, "min_bars": 1, "n": 1, "seed": 1, "prompt_bars": 2, "temperature": 0.5}
CONFIG |= {"top_k": 3, "top_p": 0.9, "min_p": 0.0, "no_repeat": 0}
ROOT = Path(__file__).parents[2]
FILLS = Capabilities(
    tasks=("unconditional", "continue", "fill"),
    options={"temperature": 1.0, "particles": 64},
    roles=VOICES,
)


def lines(*tracks, bars=4, late=0):
    """A piece of one quarter note after another in each track, the last track from bar `late`."""
    rows = [
        (number, 4 * n, 4, 72 - 7 * number, 80)
        for number in range(len(tracks))
        for n in range(4 * late if number == len(tracks) - 1 else 0, 4 * bars)
    ]
    return Piece("song", 4, make_notes(rows), tracks, source="song.mid")


def said(piece, representation, able=FILLS, **infill):
    config = CONFIG | {"infill": CONFIG["infill"] | infill}
    request = request_of(config, able, voiced(piece, representation))
    return remarks(piece, request, able, representation)


def test_a_melody_is_told_to_leave_three_voices_silent():
    (line,) = said(lines(Track("Melody")), Grid())
    assert "first 2 bars of the prompt: alto, tenor, bass. The model continues this" in line
    assert line.endswith("To compose them: task=harmonize")


def test_four_voices_need_no_remark(chorale):
    assert said(chorale(1), Grid()) == []


def test_a_voice_that_enters_after_the_prompt_is_silent_in_it(chorale):
    piece = chorale(1)
    late = (piece.notes["track"] != 3) | (piece.notes["onset"] >= 2 * 4 * 480)
    piece = replace(piece, notes=piece.notes[late])
    assert "prompt: bass. " in said(piece, Grid())[0]


def test_voices_that_are_filled_are_not_called_silent():
    melody = lines(Track("Melody"))
    assert said(melody, Grid(), voices=["alto", "tenor", "bass"]) == []
    (line,) = said(melody, Grid(), voices=["alto"])
    assert "in the prompt: tenor, bass. They stay silent outside of what is filled" in line
    assert line.endswith("task=harmonize")
    assert "alto, tenor, bass" in said(melody, Grid(), bars=[1, 2])[0]


def test_a_variation_says_which_voices_are_silent(chorale):
    able = replace(FILLS, tasks=("fill", "vary"))
    melody, config = lines(Track("Melody")), CONFIG | {"vary": 0.3}
    request = request_of(config, able, voiced(melody, Grid()))
    (line,) = remarks(melody, request, able, Grid())
    assert "in the prompt: alto, tenor, bass. The model hears what vary keeps of this" in line
    assert line.endswith("task=harmonize instead of vary")
    assert remarks(chorale(1), request_of(config, able, chorale(1)), able, Grid()) == []


def test_a_model_that_cannot_fill_says_who_can():
    able = replace(FILLS, tasks=("continue",))
    (line,) = said(lines(Track("Melody")), Events(), able)
    assert "This model cannot compose them; families that fill, on some encodings: " in line
    assert "lstm" in line


def test_drums_and_other_tracks_are_named_with_their_notes(chorale):
    piece = chorale(1)
    rows = [(4, 480 * n, 240, 36, 80) for n in range(12)] + [(5, 0, 480, 50, 80)]
    more = (Track("Kit", is_drum=True), Track("", role="synth"))
    notes = np.concatenate([piece.notes, make_notes(rows)])
    band = replace(piece, notes=notes, tracks=piece.tracks + more)
    (line,) = said(band, Grid())
    assert line.startswith("left out of the prompt, ")
    assert line.endswith(": Kit, drums (12 notes), synth (1 note)")


def test_drums_beside_unnamed_voices_are_named():
    """Four lines become the voices by height, and the drums are none of them."""
    found = said(lines(*(Track(),) * 4, Track(is_drum=True)), Grid())
    assert found[0].endswith(": track 5, drums (16 notes)")
    assert len(found) == 1


@pytest.mark.parametrize("merged", [True, False])
def test_tracks_without_voices_are_all_heard_but_drums(merged):
    tracks = Events(voices=(), merged=merged)
    found = said(
        lines(Track("Lead"), Track("Drums", is_drum=True)), tracks, replace(FILLS, roles=())
    )
    assert [line.rpartition(": ")[2] for line in found] == ["Drums (16 notes)"]


def test_notes_that_a_line_cannot_hold_are_counted(chorale):
    piece = chorale(1)
    double = make_notes([(0, 0, 480, 61, 80)])
    found = said(replace(piece, notes=np.concatenate([double, piece.notes])), Grid())
    assert found == [
        "changed or left out of the prompt: 1 note: "
        "sounds with a higher or lower note of its voice",
        "not heard: soprano C#4 in bar 1",
    ]


def test_notes_after_a_pickup_are_found_behind_its_rests():
    """Over events a pickup is a whole bar."""
    voices = lines(*map(Track, ("Soprano", "Alto", "Tenor", "Bass")), bars=2)
    double = make_notes([(0, 8, 4, 61, 80)])
    notes = np.concatenate([double, voices.notes])
    meters = (Meter(0, 1, 4), Meter(4, 4, 4))
    piece = with_pickup(replace(voices, notes=notes, meters=meters))
    held = Events(voices=VOICES).quantize(voiced(piece, Events(voices=VOICES))).piece
    first = replace(held, notes=held.notes[held.notes["pitch"] != 61])
    assert held.notes["onset"].min() == 12
    assert not_held(voiced(piece, Events(voices=VOICES)), first) == "soprano C#4 in bar 1"


def test_onsets_that_a_grid_moves_are_told(chorale):
    piece = chorale(1)
    late = piece.notes.copy()
    late["onset"][late["onset"] > 0] += 40
    (line,) = said(replace(piece, notes=late), Grid())
    assert line.startswith("onsets are moved to the model's grid, by 0.0")


def test_notes_outside_the_pitches_of_a_model_are_named(chorale):
    piece = chorale(1)
    high = make_notes([(1, 4 * 480 * bar, 480, 100 + bar, 80) for bar in range(9)])
    with pytest.raises(Unencodable, match=r"E7 in bar 1, alto F7 in bar 2, .* and 3 more\): tr"):
        said(replace(piece, notes=np.concatenate([piece.notes, high])), Grid())


def test_a_band_keeps_its_roles_and_may_lack_some():
    """By height the piano would become the melody and the drums would be lost."""
    trio = Events(voices=("melody", "piano", "bass", "drums"), needed="any", lowest=0, highest=127)
    piece = lines(Track("P", role="piano"), Track("D", role="drums", is_drum=True))
    assert voiced(piece, trio) is piece
    assert said(piece, trio, replace(FILLS, roles=trio.voices)) == []


def test_requests_follow_the_settings():
    piece = lines(Track("Melody"))
    assert request_of(CONFIG, FILLS, None).task == Unconditional()
    request = request_of(CONFIG | {"options": {"heat": 2}}, FILLS, piece)
    assert request.task == Continue(piece, 2)
    assert request.options == {"temperature": 0.5, "heat": 2}
    filled = request_of(CONFIG | {"infill": CONFIG["infill"] | {"bars": [1, 2]}}, FILLS, piece)
    assert isinstance(filled.task, Fill)
    assert filled.options == {"temperature": 0.5, "particles": 8}
    with pytest.raises(ValueError, match="task fill needs prompt, infill: give prompt=<file>"):
        request_of(CONFIG | {"infill": CONFIG["infill"] | {"voices": ["alto"]}}, FILLS, None)


def test_an_option_that_is_named_and_not_there_is_refused():
    config = CONFIG | {"split": 0.6, "overrides": ["n=1", "temperature=0.5"]}
    assert request_of(config, FILLS, None).options == {"temperature": 0.5}  # defaults are left out
    for words in (["top_p=0.8"], ["split=0.4", "no_parallels=true"]):
        keys = ", ".join(word.partition("=")[0] for word in words)
        with pytest.raises(ValueError, match=f"no option {keys}; its options: temperature, part"):
            request_of(config | {"overrides": words}, FILLS, None)
    bare, words = replace(FILLS, options={}), ["infill.particles=9"]
    assert request_of(config | {"overrides": words}, FILLS, None).options == {"temperature": 0.5}
    with pytest.raises(ValueError, match=r"no option infill\.particles; its options: none"):
        request_of(config | {"overrides": words}, bare, None)


def test_every_setting_of_a_sampler_is_looked_for():
    config = load_config("generate", root=ROOT)
    options = {field.name for field in fields(Decoding)}
    settings = [key for key in config if key in options]
    settings += [f"infill.{key}" for key in config["infill"] if key in options]
    assert sorted(OPTIONS) == sorted(settings)


def test_a_variation_needs_a_piece_and_a_strength(chorale):
    piece = chorale(1)
    assert request_of(CONFIG | {"vary": 0.25}, FILLS, piece).task == Vary(piece, 0.25)
    for change, prompt, words in (
        ({"vary": 0.25}, None, "task vary needs prompt: give prompt=<file>"),
        ({"vary": "hot"}, piece, "vary='hot' must be a number from 0 to 1"),
        ({"vary": 2}, piece, "strength=2 must lie in"),
        (
            {"vary": 0.5, "infill": CONFIG["infill"] | {"bars": [1, 2]}},
            piece,
            "fill and vary at once",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            request_of(CONFIG | change, FILLS, prompt)


BAND = Capabilities(tasks=("unconditional", "fill"), roles=("piano", "bass", "harmony"))
COUNTED = {
    "representation": {"meters": ["3/4", "4/4"]},
    "chord_kinds": {"": 9, "m7": 1},
    "conditions": [
        {"name": "meter", "values": ["3/4", "4/4"], "pieces": [2, 7]},
        {"name": "plays_bass", "values": ["no", "yes"], "pieces": [4, 5]},
        {"name": "plays_piano", "values": ["yes"], "pieces": [9]},
    ],
}


@pytest.mark.parametrize(
    ("options", "free", "words"),
    [
        ({"roles": ("piano", "tuba")}, (), r"roles names tuba; .* piano \(9\), bass \(5\), harmo"),
        ({}, ("kazoo",), r"fill.roles names kazoo; .* piano \(9\)"),
        ({"meter": "7/8"}, (), r"meter=7/8 is none of 3/4 \(2\), 4/4 \(7\); in brackets, how many"),
        ({"meter": "three"}, (), r"meter=three is none of 3/4 \(2\)"),
        (
            {"chords": "C | Hm"},
            (),
            r"no chord symbol.* learned from C \(9\), Cm7 \(1\); in",
        ),
        ({"roles": ("bass", "piano", "bass")}, (), "roles names bass twice: name each once"),
        ({}, ("bass", "bass"), "fill.roles names bass twice"),
        ({"roles": ("harmony",)}, (), r"without a note: .* of piano \(9\), bass \(5\); in"),
    ],
)
def test_what_a_model_does_not_know_is_refused_with_the_pieces_of_what_it_knows(
    options, free, words, chorale
):
    task = Fill(chorale(1), Region(roles=free)) if free else Unconditional()
    with pytest.raises(ValueError, match=words):
        check_known(Request(task=task, options=options), BAND, COUNTED)


def test_known_roles_and_meters_are_let_through_and_pieces_need_not_be_counted():
    options = {"roles": ("piano", "harmony"), "meter": "3/4"}
    check_known(Request(options=options), BAND, COUNTED)
    with pytest.raises(ValueError, match=r"roles are piano, bass, harmony$"):
        check_known(Request(options={"roles": ("x",)}), BAND, {"representation": {}})


def test_a_prompt_in_an_unknown_meter_is_refused_with_the_pieces_of_those_that_are_known():
    reason, said = "meter not in the vocabulary", "meter 7/8 is none of 3/4, 4/4: take a model"
    with (
        pytest.raises(Unencodable, match=r"take a model\. It knows 3/4 \(2\), 4/4 \(7\); in br"),
        counting_meters(COUNTED),
    ):
        raise Unencodable(reason, said)
    for why, codec in (("no notes", COUNTED), (reason, {"representation": {}})):
        with pytest.raises(Unencodable, match=r"take a model$"), counting_meters(codec):
            raise Unencodable(why, said)


@pytest.mark.parametrize(("key", "value"), [("bars", 2.5), ("n", "two"), ("min_bars", True)])
def test_counts_are_whole_numbers(key, value):
    with pytest.raises(ValueError, match=f"{key}={value} must be a whole number"):
        check_early(CONFIG | {key: value}, [], Path())


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("fill.bars=[9,10]", "fill.bars=[9, 10] lie outside song, at most fill.bars=[1, 5]"),
        ("infill.bars=[9,10]", "infill.bars=[9, 10] lie outside song, at most infill.bars=[1, 5]"),
    ],
)
def test_a_refusal_names_a_gap_as_the_user_wrote_it(written, told):
    said = "infill.bars=[9, 10] lie outside song, at most infill.bars=[1, 5]"
    with pytest.raises(ValueError) as error, in_words_of({"overrides": [written]}):
        raise ValueError(said)
    assert str(error.value) == told
    with (
        pytest.raises(ValueError, match=r"^infill\.voices names kazoo"),
        in_words_of({"overrides": ["infill.voices=[kazoo]"]}),
    ):
        raise ValueError("fill.roles names kazoo")


class NowAndThen:
    """A generator whose pieces have notes where `sounds` says so, of (seed, number)."""

    def __init__(self, sounds):
        self.sounds, self.made = sounds, 0

    def generate_all(self, requests):
        samples = []
        for request in requests:
            for number in range(request.first, request.first + request.n):
                self.made += 1
                rows = [(0, 0, 4, 60, 80)] if self.sounds(request.seed, number) else []
                piece = Piece("song", 4, make_notes(rows), (Track("a"),))
                made = Made(np.zeros((1, 1), np.int32), None, True)
                samples.append(Sample(piece, made, {"seed": request.seed, "index": number}))
        return samples


def test_pieces_without_a_note_are_made_anew_and_the_others_kept(capsys):
    generator = NowAndThen(lambda seed, number: number != 1 or seed != 5)
    samples = generate_sounding(generator, [Request(n=3, seed=5)])
    assert "1 without a note" in capsys.readouterr().err
    assert all(len(sample.piece.notes) for sample in samples)
    assert [sample.row["index"] for sample in samples] == [0, 1, 2]
    assert [sample.row["seed"] == 5 for sample in samples] == [True, False, True]


def test_a_model_without_sound_is_not_asked_forever():
    generator = NowAndThen(lambda seed, number: False)
    samples = generate_sounding(generator, [Request(n=2, seed=5)])
    assert (len(samples), generator.made) == (2, 2 + 2 * TRIES)


@pytest.mark.parametrize("family", ["tuned", "absorbing"])
def test_candidates_of_a_reward_are_no_option_of_the_model(chorale, family):
    """It chooses among pieces of any family, gaps included; the sampler makes one at a time."""
    card = json.loads((ROOT / "pretrained/bach/model.json").read_text()) | {"family": family}
    asked = CONFIG | {"split": 0.8, "motion": 0.85, "no_parallels": False, "end_on": "any"}
    asked |= {"best_of": 4, "reward": "data/feedback/mine", "overrides": ["best_of=4"]}
    asked["infill"] = CONFIG["infill"] | {"bars": [2, 3]}
    check_request(asked, {"prompt": chorale(1)}, card)
    told = "best_of is for whole pieces" if family == "tuned" else "has no option best_of"
    with pytest.raises(ValueError, match=told):
        check_request(asked | {"reward": None}, {"prompt": chorale(1)}, card)


def test_an_option_that_is_said_twice_is_refused():
    config = CONFIG | {"overrides": ["temperature=0.7"], "temperature": 0.7}
    assert request_of(config, FILLS, None).options["temperature"] == 0.7
    with pytest.raises(
        ValueError, match=r"=0\.7 contradicts options\.temperature=0\.5: say it once"
    ):
        request_of(config | {"options": {"temperature": 0.5}}, FILLS, None)
    usual = {"options": {"temperature": 0.5}, "overrides": []}
    assert request_of(config | usual, FILLS, None).options["temperature"] == 0.5


def test_a_prompt_of_drums_alone_is_told_that_they_are_left_out():
    drums = lines(Track("Kit", is_drum=True))
    config = load_config("generate", root=ROOT) | {"overrides": [], "prompt": "song.mid", "bars": 8}
    with pytest.raises(ValueError, match=r"no full bar .*no place for it: Kit, drums \(16 notes\)"):
        prepared(config, {"prompt": drums}, FILLS, Grid(), {"representation": {}})


def test_what_a_reader_warns_of_is_told():
    piece = replace(lines(*map(Track, VOICES)), warnings=("notes never ended: 3", "MusPy reads 2"))
    config = load_config("generate", root=ROOT) | {"overrides": [], "prompt": "song.mid", "bars": 8}
    able, codec = replace(FILLS, options={}), {"representation": {}}
    _, said = prepared(config, {"prompt": piece}, able, Grid(), codec)
    assert said == ["song.mid: notes never ended: 3"]
