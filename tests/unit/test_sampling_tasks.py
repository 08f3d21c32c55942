"""Tasks by name: what each takes, contradictions, melodies to harmonize, and kept cells kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ostinato.models.registry import build, settings_for
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import VOICES, Piece, Track, make_notes
from ostinato.representations.grid.grid import Grid
from ostinato.representations.roll.roll import Roll
from ostinato.sampling.registry import families_that, sampler_of
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Interpolate,
    Region,
    Request,
    Unconditional,
    Vary,
)
from ostinato.sampling.sampler import Job
from ostinato.sampling.tasks import (
    HARMONIZE,
    NEEDS,
    Asked,
    check_prompt,
    melody_alone,
    task_named,
    task_of,
)

ABLE = Capabilities(tasks=("fill",), roles=VOICES)
BARS = Grid(bars=True, end=True, meters=("3/4", "4/4"))
TINY = {
    "width": 24,
    "critic_width": 24,
    "voice_hidden": 8,
    "layers": 1,
    "heads": 2,
    "context": 24,
    "dropout": 0.0,
}
TINY |= {"max_distance": 8, "pitch_range": (1, 46)}
QUICK = {"particles": 4, "steps": 3, "gibbs": 2}


@pytest.mark.parametrize(
    ("name", "given", "task"),
    [
        (None, (), "unconditional"),
        (None, ("prompt",), "continue"),
        (None, ("prompt", "infill"), "fill"),
        (None, ("prompt", "end"), "interpolate"),
        (None, ("prompt", "vary"), "vary"),
        ("vary", ("prompt",), "vary"),
        *((name, needs, name) for name, needs in NEEDS.items()),
    ],
)
def test_a_task_is_named_or_follows_from_what_is_given(name, given, task):
    assert task_named(name, given) == task


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("fly", (), "task=fly is none of unconditional, continue, fill, harmonize, interp.*, vary"),
        ("unconditional", ("prompt",), "task unconditional does not take prompt: leave that out"),
        ("continue", (), "task continue needs prompt: give prompt=<file>"),
        ("continue", ("prompt", "vary"), "task continue does not take vary"),
        ("harmonize", ("prompt", "infill"), "task harmonize does not take infill"),
        ("interpolate", ("prompt",), "task interpolate needs prompt, end: give end=<file>"),
        ("fill", ("prompt",), r"give infill.bars=\[first,end\] or infill.voices"),
        (None, ("infill",), "task fill needs prompt, infill: give prompt=<file>"),
        (None, ("prompt", "infill", "end"), "asks for fill and interpolate at once"),
    ],
)
def test_contradictions_say_what_to_give_or_to_leave_out(name, given, words):
    with pytest.raises(ValueError, match=words):
        task_named(name, given)


def test_tasks_are_made_of_what_is_asked(chorale):
    one, two = chorale(1), chorale(2)
    asked = Asked(prompt=one, end=two, prompt_bars=2, bars=(1, 3), voices=("alto",), strength=0.25)
    made = {name: task_of(name, asked, ABLE) for name in NEEDS}
    assert made == {
        "unconditional": Unconditional(),
        "continue": Continue(one, 2),
        "fill": Fill(one, Region((1, 3), ("alto",))),
        HARMONIZE: Fill(one, Region(roles=("alto", "tenor", "bass"))),
        "interpolate": Interpolate(one, two),
        "vary": Vary(one, 0.25),
    }
    assert task_of("vary", Asked(prompt=one), ABLE) == Vary(one)
    with pytest.raises(ValueError, match=r"vary=0 keeps all of prompt .*1\.mid: give more"):
        task_of("vary", Asked(prompt=one, strength=0), ABLE)
    events = Capabilities(tasks=("continue",), missing={"fill": "a stream"}, roles=VOICES)
    with pytest.raises(
        ValueError, match=r"'harmonize': a stream; families that can.*: absorbing, band"
    ):
        task_of(HARMONIZE, asked, events)


def song(*tracks):
    """Quarter notes in each of (track, pitch, count)."""
    rows = [
        (number, 4 * n, 4, pitch, 80)
        for number, (_, pitch, count) in enumerate(tracks)
        for n in range(count)
    ]
    return Piece("song", 4, make_notes(rows), tuple(track for track, _, _ in tracks))


def test_the_melody_is_the_first_voice_and_the_others_are_silent():
    for tracks, said in (
        ([(Track("Alto", role="alto"), 60, 3)], "the melody is Alto (3 notes), kept as the sop"),
        (
            [(Track("A"), 50, 2), (Track("B"), 70, 4)],
            "is B (4 notes), kept as the soprano; 1 other",
        ),
        (
            [(Track("Flute"), 90, 2), (Track("Song", "melody", 73), 65, 5), (Track(), 40, 1)],
            "is Song (5 notes), kept as the soprano; 2 other tracks left out",
        ),
        ([(Track(is_drum=True), 90, 9), (Track(), 60, 1)], "is track 2 (1 notes)"),
    ):
        piece = song(*tracks)
        alone, remark = melody_alone(piece, VOICES)
        assert said in remark
        assert len(alone.notes) == len(alone.voice("soprano")) > 0
        assert Grid().encode(alone)[:, 1:].max() == 0
        assert alone.tracks[0].program == (73 if "Song" in said else 0)
    with pytest.raises(ValueError, match="no pitched notes, so no melody"):
        melody_alone(song((Track(is_drum=True), 40, 4)), VOICES)


def test_a_prompt_that_is_too_short_or_too_long_is_named(chorale):
    piece = chorale(1, bars=3)
    with pytest.raises(ValueError, match=r"1\.mid has 3 bars, prompt_bars=4: give prompt_bars=3"):
        check_prompt(BARS, Continue(piece, 4), 8)
    assert check_prompt(BARS, Continue(piece, 3), 8) == []
    vary, fill = Vary(piece), Fill(piece, Region(roles=("alto",)))
    assert check_prompt(BARS, fill, 3) == []
    for task in (vary, fill):
        assert check_prompt(BARS, task, 2)[0].endswith("has 3 bars; bars=2 takes the first 2")
    cut = check_prompt(BARS, Interpolate(piece, chorale(2, bars=5)), 2)
    assert [line[-36:] for line in cut] == [
        f"has {bars} bars; bars=2 takes the first 2" for bars in (3, 5)
    ]
    silent = replace(piece, notes=piece.notes[:0])
    for task in (Continue(silent, 1), Vary(silent), Interpolate(piece, silent)):
        with pytest.raises(ValueError, match=r"prompt .*1\.mid holds no full bar of music: give"):
            check_prompt(BARS, task, 8)
    assert check_prompt(BARS, Unconditional(), 1) == []


def sampler_for(family):
    """A sampler of an untrained model, and its encoding: the first on which the family can fill."""
    for representation in (BARS, Roll()):
        codec = {"width": representation.width, "vocabulary": representation.vocabulary}
        codec["structure"] = getattr(representation, "structure", dict)()
        torch.manual_seed(0)
        try:
            model = build(family, settings_for(family, TINY), ArraySpec.of(codec)).eval()
        except ValueError:
            continue
        sampler = sampler_of(model, representation, family)
        if Fill.name in sampler.capabilities().tasks:
            return sampler, representation
    pytest.skip(f"{family} fills neither a grid nor a roll; its own tests look at what it keeps")


@pytest.mark.parametrize("family", families_that(Fill.name))
def test_every_family_gives_back_kept_cells_bit_for_bit(family, chorale):
    sampler, representation = sampler_for(family)
    able, piece = sampler.capabilities(), chorale(3, bars=3)
    whole = representation.prefix(piece, 12)
    options = {key: value for key, value in QUICK.items() if key in able.options}
    regions = [Region(bars=(2, 3))]
    if able.roles:
        regions += [Region(roles=able.roles[1:]), Region((1, 3), able.roles[::2])]
    for region in regions:
        request = Request(task=Fill(piece, region), bars=3, options=options)
        for made in sampler.sample([Job(request, number, number) for number in range(2)]):
            free = representation.cells(whole, region.bars, region.roles or representation.voices)
            assert made.failed is None
            assert made.tokens[~free].tobytes() == whole[~free].tobytes()
            assert not np.array_equal(made.tokens[free], whole[free])


@pytest.mark.parametrize("family", families_that(Fill.name))
def test_regions_that_keep_everything_or_nothing_are_refused(family, chorale):
    sampler, _ = sampler_for(family)
    piece = chorale(4, bars=3)
    for region, words in (
        (Region(bars=(5, 6)), r"\[5, 6\] lie outside prompt .*4\.mid, which has bars 1 to 3"),
        (Region(bars=(2, 6)), r"\[2, 6\] lie outside .*name bars .* at most infill.bars=\[1, 4\]"),
        (Region(bars=(1, 4)), r"all of prompt .*4\.mid: nothing would be kept"),
    ):
        with pytest.raises(ValueError, match=words):
            sampler.sample([Job(Request(task=Fill(piece, region), bars=8), 0, 1)])
