"""What is asked of a band: chords, roles, key, tempo, conditions; and what contradicts itself."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from ostinato.feedback.best import candidates_of
from ostinato.feedback.told import judge_by
from ostinato.generator import Generator
from ostinato.models.ensemble.parts.steps import Line
from ostinato.models.registry import build
from ostinato.models.spec import NOT_GIVEN, ArraySpec, Given
from ostinato.music.chords import ROLE
from ostinato.music.piece import Annotation, Meter, Piece, Tempo, Track, make_notes
from ostinato.representations.protocol import Unencodable
from ostinato.representations.registry import build as representation_of
from ostinato.representations.store import codec_of
from ostinato.sampling.ensemble.asked import conditions_of
from ostinato.sampling.ensemble.finish import in_key
from ostinato.sampling.ensemble.guidance import line_of
from ostinato.sampling.load import Trained
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import Continue, Fill, Region, Request, Vary
from ostinato.sampling.sampler import Job

FORM = representation_of(
    {
        "kind": "roles",
        "roles": ["melody", "bass", "drums", ROLE],
        "order": [ROLE, "melody", "bass", "drums"],
        "meters": ["3/4", "4/4"],
        "sources": {"melody": ["melody", "reed"]},
        "registers": {"melody": [60, 84], "bass": [36, 60], "drums": [35, 50], ROLE: [31, 65]},
    }
)
CONDITIONS = [
    {"name": "style", "values": ["jazz", "rock"], "pieces": [3, 2]},
    {"name": "mode", "values": ["major", "minor"], "pieces": [3, 2]},
    {"name": "tonic", "values": ["Bb", "C", "F#"], "pieces": [0, 1, 1]},
    {"name": "meter", "values": ["3/4", "4/4"], "pieces": [0, 4]},
    {"name": "density_bass", "values": ["high", "low"], "pieces": [3, 2]},
    {
        "name": "tempo",
        "values": ["below 90", "90 to below 140", "from 140"],
        "pieces": [0, 5, 0],
        "edges": [90, 140],
    },
]
SPEC = ArraySpec.of(codec_of(FORM) | {"conditions": CONDITIONS})
MICRO = {"width": 16, "layers": 1, "heads": 2, "coordinator_layers": 1, "heard": 4}
MICRO |= {"memory": 24, "coordinator_memory": 12, "dropout": 0.0, "motion_speed": 4.0}
MICRO |= {"conditions": [found["name"] for found in CONDITIONS]}


@cache
def sampler():
    torch.manual_seed(1)
    return sampler_of(build("band", MICRO, SPEC).eval(), FORM, "band")


def made(**settings):
    """A piece as a generator makes it of a request."""
    request = Request(**({"bars": 2, "min_bars": 2} | settings))
    if isinstance(request.task, Fill | Vary):
        request = replace(request, options={"particles": 1} | dict(request.options))
    sampler().capabilities().check(request, "band")
    job = Job(request, 0, 5)
    [found] = sampler().sample([job])
    return sampler().finish(job, FORM.decode(found.tokens))


def melody(role="melody", name="Tune", **more):
    notes = make_notes([(0, 4 * i, 4, 60 + 2 * (i % 4), 80) for i in range(8)])
    return Piece("m", 4, notes, (Track(name, role),), meters=(Meter(0, 4, 4),), **more)


def symbols(piece):
    return [(sign.onset, sign.value) for sign in piece.annotations if sign.kind == "chord"]


def roles(piece):
    return sorted(track.role for track in piece.tracks)


def test_given_chords_are_kept_and_begin_again():
    piece = made(bars=3, min_bars=3, options={"chords": "Dm7 G7 | Cmaj7", "roles": ["bass"]})
    bars = [(0, "Dm7"), (8, "G7"), (16, "Cmaj7"), (32, "Dm7"), (40, "G7")]
    assert symbols(piece) == bars
    assert roles(piece) == ["bass"]
    waltz = made(options={"chords": "C | N.C.", "roles": ["bass"], "meter": "3/4"})
    assert symbols(waltz) == [(0, "C")]
    assert waltz.meters[0].numerator == 3


def test_roles_are_drawn_under_chords_where_none_are_named():
    piece = made(options={"chords": "C"})
    assert roles(piece)
    assert ROLE not in roles(piece)


def test_a_band_is_made_for_a_melody_and_its_chords():
    task = Fill(melody(tempos=(Tempo(0, 97.0),)), Region(roles=("bass", "drums")))
    piece = made(task=task, options={"chords": "Am | F"})
    assert roles(piece) == ["bass", "drums", "melody"]
    assert symbols(piece) == [(0, "Am"), (16, "F")]
    assert piece.voice("melody")["pitch"].tolist() == melody().notes["pitch"].tolist()
    assert piece.tempos[0].qpm == 97
    own = replace(melody(), annotations=(Annotation(0, "chord", "G7"),))
    heard = made(task=Fill(own, Region(roles=("bass",))))
    assert symbols(heard) == [(0, "G7")]


def test_key_and_tempo_are_those_that_were_asked_for():
    piece = made(bars=1, min_bars=1, options={"key": "F#m", "tempo": 77.0, "roles": ["bass"]})
    assert piece.tempos == (Tempo(0, 77.0),)
    assert [(key.fifths, key.mode) for key in piece.keys] == [(3, "minor")]
    drawn = made(bars=1, min_bars=1, options={"roles": ["bass"]})
    assert 90 <= drawn.tempos[0].qpm < 140  # as training pieces have


def key_told(**settings):
    """Tonic and mode that the model is told for a request."""
    request = Request(**({"bars": 2} | settings))
    found = conditions_of(Job(request, 0, 5), SPEC.conditions, FORM.meters)
    return found.get("tonic"), found.get("mode")


def test_the_model_is_told_the_key_that_is_asked_for_given_or_drawn():
    assert key_told(options={"key": "Bbm"}) == ("Bb", "minor")
    assert key_told(options={"key": "Gb"}) == ("F#", "major")
    assert key_told(options={"key": "D"}) == (None, "major")  # no tonic of the model
    assert key_told(options={"chords": "Cm | Fm G7 | Cm"}) == ("C", "minor")
    assert key_told(options={"chords": "N.C."}) == (None, None)
    triad = make_notes([(0, 4 * i, 4, pitch, 80) for i, pitch in enumerate([60, 64, 67, 72])])
    prompt = replace(melody(), notes=triad)
    assert key_told(task=Fill(prompt, Region(roles=("bass",)))) == ("C", "major")
    drawn = {key_told(conditions={"mode": "minor"}), key_told()}
    assert {tonic for tonic, _ in drawn} <= {"C", "F#"}
    with pytest.raises(ValueError, match=r"key=Bb contradicts conditions.tonic=C"):
        made(options={"key": "Bb"}, conditions={"tonic": "C"})


def rests_of(piece, role):
    """The longest rest of a role, in bars of 4/4 without an onset."""
    bars = set((piece.voice(role)["onset"] // (4 * piece.ticks_per_quarter)).tolist())
    marks = [-1, *sorted(bars), -(-piece.length // (4 * piece.ticks_per_quarter))]
    return max(after - before - 1 for before, after in pairwise(marks))


@pytest.mark.parametrize("chords", ["", "C | G7"])
def test_no_role_rests_longer_than_it_may(chords, monkeypatch):
    """Parts that end as soon as they may; a role that sounds on from a bar before does not rest."""
    never = torch.full((), -30.0)
    told = Line.symbol_log_probabilities

    def silent(line):
        nats = told(line).clone() + never
        nats[0] = 0.0
        return nats

    monkeypatch.setattr(Line, "symbol_log_probabilities", silent)
    asked = {"roles": ["bass", "melody"], "meter": "4/4", "chords": chords}
    for rests, longest in ((1, 1), (2, 2), (0, 5)):
        piece = made(bars=6, min_bars=6, options=asked | {"rests": rests})
        found = [rests_of(piece, role) for role in asked["roles"]]
        assert max(found) <= longest
        if not rests:
            assert max(found) == 5
    with pytest.raises(ValueError, match="bars=100000 must be at most 1024"):
        made(bars=100_000, min_bars=1)
    with pytest.raises(ValueError, match="rests=-1"):
        made(options={"rests": -1})


def test_a_piece_is_moved_to_its_key_but_for_drums():
    scale = [(0, 4 * i, 4, p, 80) for i, p in enumerate([60, 62, 64, 65, 67, 69, 71, 60])]
    tracks = (Track("a", "melody"), Track("d", "drums", 0, True))
    piece = Piece("m", 4, make_notes([*scale, (1, 0, 4, 36, 80)]), tracks)
    for name, moved in (("E", 4), ("G", -5), ("C", 0)):
        found = in_key(piece, name)
        assert found.voice("melody")["pitch"][0] == 60 + moved
        assert found.voice("drums")["pitch"].tolist() == [36]


def test_a_piece_has_one_meter_even_if_none_is_asked_for():
    piece = made(bars=3, min_bars=3, options={"roles": ["bass"]})
    assert [(m.numerator, m.denominator) for m in piece.meters] == [(4, 4)]  # as training pieces


def test_conditions_follow_from_what_is_asked():
    job = Job(Request(options={"key": "Dm", "meter": "3/4"}, conditions={"tempo": 80}), 0, 1)
    given = sampler()._given([job])
    names = [found["name"] for found in CONDITIONS]
    codes = dict(zip(names, given.codes_BC[0].tolist(), strict=True))
    assert codes == {
        "style": -1,
        "mode": 1,
        "tonic": -1,
        "meter": 0,
        "density_bass": -1,
        "tempo": 0,
    }


LOW_BASS = {"conditions": {"density_bass": "low"}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conditions": {"style": "polka"}}, r"jazz \(3\), rock \(2\)"),
        ({"options": {"roles": ["tuba"]}}, "melody, bass, drums"),
        ({"options": {"meter": "5/4"}}, "3/4, 4/4"),
        ({"options": {"chords": "C | Xyz"}}, "no chord symbol"),
        ({"options": {"chords": "N.C."}}, "names no chord"),
        ({"options": {"key": "H"}}, "no key"),
        ({"options": {"tempo": 4000.0}}, "10 to 400"),
        ({"options": {"key": "D", "chords": "C"}}, "leave key out"),
        ({"options": {"key": "D"}, "conditions": {"mode": "minor"}}, "leave one out"),
        ({"options": {"meter": "3/4"}, "conditions": {"meter": "4/4"}}, "contradicts"),
        (
            {"options": {"roles": ["drums"]}, "conditions": {"density_bass": "low"}},
            r"in roles=\[drums\]",
        ),
        ({"conditions": {"density_bass": "low"}}, "of bass, a role that is not made here: name it"),
        ({"task": Continue(melody(), 1)} | LOW_BASS, "take a prompt that has it"),
        ({"task": Vary(melody())} | LOW_BASS, "take one of melody"),
        ({"task": Fill(melody(), Region(roles=("drums",)))} | LOW_BASS, "fill.roles=.drums."),
        (
            {"task": Fill(melody(), Region((2, 9), ("bass",))), "bars": 16},
            r"bars 1 to 2: .*bars=\[1, 3\]",
        ),
        ({"task": Fill(melody(), Region((1, 3), ("melody",)))}, "nothing of it would be kept"),
        ({"task": Continue(melody(), 1), "options": {"chords": "C"}}, "leave chords out"),
        ({"task": Vary(melody()), "options": {"roles": ["bass"]}}, "fill.roles"),
        ({"task": Vary(melody()), "options": {"meter": "3/4"}}, "leave meter out"),
        ({"task": Vary(melody()), "options": {"key": "D"}}, "leave key out"),
    ],
)
def test_contradictions_and_unknown_values_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        made(**settings)


def test_tracks_that_play_no_role_are_refused_with_the_mapping():
    assert made(task=Fill(melody("reed"), Region(roles=("bass",)))).voice("melody").size
    with pytest.raises(Unencodable, match=r"Tune \(brass\).*melody by melody, reed"):
        made(task=Fill(melody("brass"), Region(roles=("bass",))))


def test_no_session_under_chords():
    with pytest.raises(ValueError, match="sample it"):
        sampler().session(Job(Request(options={"chords": "C"}), 0, 1))


def test_a_melody_alone_gets_chords_and_others_keep_theirs():
    free = made(task=Fill(melody(), Region(roles=("bass",))))
    assert ROLE not in roles(free)
    rows = [(0, 0, 32, 72, 80), (1, 0, 32, 36, 80), (0, 0, 32, 64, 80), (0, 0, 32, 67, 80)]
    two = replace(
        melody(), notes=make_notes(rows), tracks=(Track("a", "melody"), Track("b", "bass"))
    )
    kept = made(task=Fill(two, Region(bars=(1, 2), roles=("drums",))))
    assert symbols(kept)[0] == (0, "C")
    assert np.array_equal(kept.voice("bass")["pitch"], two.voice("bass")["pitch"])


@pytest.mark.long
def test_guidance_one_is_the_model_and_more_of_it_moves_away_from_the_model_without_conditions():
    model = sampler().model
    with torch.inference_mode():
        job = Job(Request(conditions={"style": "jazz"}), 0, 1)
        given = model.condition(1, sampler()._given([job]))[0]

        def first(strength):
            line = line_of(model, given, [0, 1, 2, 3], strength)
            line.playing = [True] * 4
            line.begin()
            line.open_bar(1)
            line.open_part(0)
            return line.symbol_log_probabilities()

        plain = Line(model, given, [0, 1, 2, 3])
        assert isinstance(line_of(model, given, [0, 1, 2, 3]), type(plain))
        none, one, two = first(0.0), first(1.0), first(2.0)
        assert torch.logsumexp(two, 0).abs() < 1e-5
        assert torch.allclose(two, torch.log_softmax(2 * one - none, 0), atol=1e-4)
        assert not torch.allclose(one, none, atol=1e-3)
    guided = {"guidance": 2.0, "roles": ["bass"], "particles": 1}
    assert roles(made(options=guided, conditions={"style": "jazz"})) == ["bass"]
    task = Fill(melody(), Region(roles=("bass",)))
    assert made(task=task, options={"guidance": 2.0, "chords": "C"}).voice("bass").size


def test_the_best_by_conditions_gains_most_when_the_model_is_told_them():
    model = sampler().model
    card = {"system": "band", "family": "band", "weights_sha256": "", "codec": codec_of(FORM)}
    generator = Generator(Trained(model, FORM, card))
    judge, alone = judge_by({"reward": "conditions", "best_of": 3, "overrides": ["best_of=3"]})
    assert (alone["best_of"], alone["overrides"]) == (1, [])
    asked = {"conditions": {"style": "rock"}, "options": {"roles": ("bass",)}}
    request = Request(bars=1, min_bars=1, n=2, seed=4, **asked)
    best = judge.best(generator, request)
    every = [generator.generate(one) for one in candidates_of(request, 3)]
    codes = torch.tensor([[1, *[NOT_GIVEN] * (len(CONDITIONS) - 1)]])
    for number, chosen in enumerate(best):
        gains = {}
        for group in every:
            tokens = torch.tensor(group[number].made.tokens.astype(int))[None]
            with torch.inference_mode():
                free, told = model.score(tokens), model.score(tokens, Given(codes))
            gains[group[number].row["id"]] = float(free.sum() - told.sum())
        assert len(set(gains.values())) > 1
        assert gains[chosen.row["id"]] == pytest.approx(max(gains.values()))
    with pytest.raises(
        ValueError, match=r"it has none: give some, such as style=…; .* style, mode"
    ):
        judge.best(generator, Request())
