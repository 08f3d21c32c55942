"""What a band is kept from: what cannot be played, one bar to the end; and that levels are kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.metrics.control import LEVELS
from ostinato.metrics.playability import playability
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.chords import ROLE, chords_as_annotations
from ostinato.music.instruments import in_hands
from ostinato.music.piece import Meter, Piece, Track, make_notes
from ostinato.representations.protocol import Extent
from ostinato.representations.registry import build as representation_of
from ostinato.representations.store import codec_of
from ostinato.sampling.ensemble.bounded import Bounded, clipped
from ostinato.sampling.ensemble.decoding import BandDecoding, restricted
from ostinato.sampling.ensemble.levels import steered, table
from ostinato.sampling.ensemble.together import Together
from ostinato.sampling.ensemble.varied import collapses_after
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import Continue, Fill, Region, Request
from ostinato.sampling.sampler import Job

ROOT = Path(__file__).parents[2]
FORM = representation_of(
    {
        "kind": "roles",
        "roles": ["melody", "piano", "bass", "drums", ROLE],
        "order": [ROLE, "melody", "bass", "drums", "piano"],
        "meters": ["3/4", "4/4"],
        "sources": {"melody": ["melody", "brass"]},
        "registers": {"melody": [30, 90], "bass": [24, 60], "drums": [35, 50], ROLE: [31, 65]},
        "programs": [65, 0, 32, 0, 0],
    }
)
LEVELLED = [f"{kind}_{role}" for kind in ("density", "register") for role in ("melody", "bass")]
CONDITIONS = [{"name": name, "values": sorted(LEVELS)} for name in LEVELLED]
MICRO = {"width": 16, "layers": 1, "heads": 2, "coordinator_layers": 1, "heard": 4}
MICRO |= {"memory": 24, "coordinator_memory": 12, "dropout": 0.0, "conditions": LEVELLED}
MICRO |= {"motion_speed": 4.0}


def walk(seed, form, roles, bars):
    """A random piece that a grammar allows: often many notes at once, and often long ones."""
    named = np.array(sorted(1 + FORM.parts.index(role) for role in roles), np.int32)[:, None]
    grammar = form.grammar(Extent(bars=bars, least=bars), [named])
    rng, tokens = np.random.default_rng(seed), named[:, 0].tolist()
    while not grammar.finished()[0]:
        allowed = np.flatnonzero(grammar.allowed()[0])
        assert len(allowed)
        closes = np.isin(FORM.layout.kinds[allowed], [0, 2, 3])
        weights = np.where(closes, 0.3 * len(allowed), 1)
        tokens.append(int(rng.choice(allowed, p=weights / weights.sum())))
        grammar.advance(np.array(tokens[-1:]), np.ones(1, bool))
    return np.array(tokens)[:, None]


@pytest.mark.parametrize("program", [65, 58, 40])
def test_no_player_is_asked_for_more_than_the_measure_counts(program):
    """Saxophone, tuba, violin; the same walk without the limit makes mistakes."""
    roles = ["melody", "piano", "bass", "drums", ROLE]
    programs = {"melody": program}
    found = {}
    for playable in (True, False):
        how = BandDecoding(playable=playable, collapse=True)
        form = restricted(FORM, how, programs)
        piece = chords_as_annotations(FORM.decode(walk(1, form, roles, 2)))
        tracks = tuple(replace(t, program=programs.get(t.role, t.program)) for t in piece.tracks)
        found[playable] = playability(replace(piece, tracks=tracks))["mistakes"].above
    assert found[True] == 0
    assert found[False] > 10


def test_sets_of_keys_are_judged_row_by_row():
    rng = np.random.default_rng(1)
    sets = np.sort(rng.integers(21, 109, (200, 7)), axis=1)
    rows = in_hands(sets)
    assert rows.tolist() == [bool(in_hands(row)) for row in sets]
    assert 0 < rows.sum() < 200


def test_a_part_does_not_repeat_one_bar_to_the_end():
    """A role that plays the same bar whenever it may."""
    same = ["bass_position_0", "bass_pitch_40", "bass_duration_4", "bass_position_8"]
    same += ["bass_pitch_43", "bass_duration_4"]
    bar = [FORM.vocabulary.index(name) for name in ("bar_4/4", "bass", *same)]
    for bars, collapse in ((8, False), (8, True), (3, False)):
        form = restricted(FORM, BandDecoding(collapse=collapse))
        named = np.array([[1 + FORM.parts.index("bass")]], np.int32)
        grammar = form.grammar(Extent(bars=bars, least=bars), [named])
        refused = []
        for number in range(bars):
            for token in bar:
                if not grammar.allowed()[0, token]:
                    refused.append((number, token))
                grammar.advance(np.array([token]), np.ones(1, bool))
        last = [(bars - 1, bar[5])] if bars == 8 and not collapse else []
        assert refused == last
    assert [collapses_after(bars) for bars in (1, 8, 9, 64)] == [4, 4, 4, 32]


def test_a_note_that_would_last_too_long_lasts_as_long_as_it_may():
    logs = torch.log(torch.tensor([0.1, 0.1, 0.2, 0.3, 0.3]))  # one other symbol, durations 1 to 4
    shares = [clipped(logs, 1, 4, room).exp().tolist() for room in (0, 1, 2, 3, 4, 9)]
    assert shares[0] == shares[1] == pytest.approx([0.1, 0.9, 0, 0, 0])
    assert shares[2] == pytest.approx([0.1, 0.1, 0.8, 0, 0])
    assert shares[3] == pytest.approx([0.1, 0.1, 0.2, 0.6, 0])
    assert shares[4] == shares[5] == pytest.approx([0.1, 0.1, 0.2, 0.3, 0.3])


def sampler():
    torch.manual_seed(1)
    spec = ArraySpec.of(codec_of(FORM) | {"conditions": CONDITIONS})
    return sampler_of(build("band", MICRO, spec).eval(), FORM, "band")


def test_what_ends_a_bar_stays_as_likely_where_only_one_thing_may_follow():
    """Of a model that has learned nothing: a bar, 2 beats with a note to the end, then what is
    asked for: more bars, in one meter, and the end after two.
    """
    form, model = FORM, sampler().model
    number = form.vocabulary.index
    bar = ["bar_4/4", "bass", "bass_position_8", "bass_pitch_40"]
    bars = slice(form.layout.first_bar, form.layout.first_bar + len(form.meters))
    states = {}
    with torch.inference_mode():
        for name, extent in (("free", None), ("held", Extent(2, 2, "4/4")), ("open", Extent())):
            source = Together(model) if extent is None else Bounded(Together(model), form, [extent])
            states[name] = [source, source.start(1, 64), []]
        for token in ["with_bass", *bar, "bass_duration_4", *bar, "bass_duration_8", "end"]:
            for source, state, logs in states.values():
                logs.append(source.next_logits(state)[0])
                source.push(state, torch.tensor([number(token)]))
    free, held, more = (torch.stack(logs).exp() for _, _, logs in states.values())
    ends = free[:, bars].sum(dim=1) + free[:, 0]
    assert held[6, number("bar_4/4")] == pytest.approx(ends[6].item())  # after the first bar
    assert held[6, number("bar_3/4")] == held[6, 0] == 0
    assert held[-1, 0] == pytest.approx(ends[-1].item())  # after the second one
    assert held[-1, bars].sum() == 0
    assert torch.allclose(held.sum(dim=1), torch.ones(len(held)), atol=1e-5)
    assert torch.equal(held[[2, 4, 5]], free[[2, 4, 5]])  # nothing ends here
    cut = slice(number("bass_duration_8"), number("bass_duration_8") + 5)
    assert held[-2, cut.start] == pytest.approx(free[-2, cut.start :][:9].sum().item())
    assert torch.allclose(more, free, atol=1e-6)


def test_levels_that_are_asked_for_are_kept_and_may_only_be_told():
    """By a model that has learned nothing."""
    known, found = sampler(), {}
    for level in ("lowest", "highest"):
        told = dict.fromkeys(("density_bass", "register_bass"), level)
        options = {"roles": ("bass",), "meter": "4/4", "playable": False}
        request = Request(bars=2, min_bars=2, conditions=told, options=options)
        [made] = known.sample([Job(request, 0, 3)])
        notes = FORM.decode(made.tokens).voice("bass")
        found[level] = len(notes), float(notes["pitch"].mean())
    (few, low), (many, high) = found["lowest"], found["highest"]
    assert many > 1.5 * few
    assert low + 3 < high
    assert table().levels == list(LEVELS)
    line = object()
    assert steered(line, FORM, told, 0.0) is line
    assert steered(line, FORM, {}, 1.0) is line


def test_the_limits_of_levels_are_those_of_the_real_band():
    mix = json.loads((ROOT / "reproductions/band/mix.json").read_text(encoding="utf-8"))
    assert table().limits == mix["limits_of_levels"]
    scores = json.loads((ROOT / "reproductions/band/scores.json").read_text(encoding="utf-8"))
    assert table().ends == {name: row["ends"] for name, row in scores["levels"].items()}


def test_pieces_of_other_lengths_roles_and_meters_grow_side_by_side():
    known = sampler()
    wanted = [(2, ("melody",), "3/4"), (4, ("bass", "drums"), "4/4"), (1, ("piano",), "4/4")]
    jobs = [
        Job(Request(bars=n, min_bars=n, options={"roles": roles, "meter": meter}), 0, n)
        for n, roles, meter in wanted
    ]
    together = known.sample(jobs)
    for (bars, roles, _), job, made in zip(wanted, jobs, together, strict=True):
        assert len(FORM.bar_starts(made.tokens)) == bars
        assert set(FORM.playing(made.tokens)) - {ROLE} == set(roles)
        [alone] = known.sample([job])
        assert np.array_equal(alone.tokens, made.tokens)
        assert np.allclose(alone.nats, made.nats, atol=1e-4)


def tuba(role="brass"):
    notes = make_notes([(0, 4 * i, 4, 40 + i, 80) for i in range(8)])
    return Piece("m", 4, notes, (Track("Tuba", role, 58),), meters=(Meter(0, 4, 4),))


def test_a_prompt_keeps_its_instruments():
    known = sampler()
    for task in (Fill(tuba(), Region(roles=("bass",))), Continue(tuba(), 1)):
        options = {"particles": 1} if isinstance(task, Fill) else {}
        job = Job(Request(bars=3, min_bars=3, task=task, options=options), 0, 1)
        [made] = known.sample([job])
        piece = known.finish(job, FORM.decode(made.tokens))
        programs = {track.role: track.program for track in piece.tracks}
        assert programs["melody"] == 58
        assert programs.get("bass", 32) == 32
        assert playability(piece)["mistakes"].above == 0


def test_a_prompt_of_which_nothing_would_be_kept_is_refused():
    with pytest.raises(ValueError, match=r"names all that prompt m plays \(melody\)"):
        job = Job(Request(bars=3, task=Fill(tuba(), Region(roles=("melody", "bass")))), 0, 1)
        sampler().sample([job])
