"""Score bars in tokens: pickups, meters and irregular bars come back, and pieces end in them."""

import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.music.piece import VOICES, Annotation, Meter, Piece, Track, make_notes, same_music
from ostinato.music.timing import bar_numbers, bar_onsets, numbered_bars
from ostinato.representations.bars import first_bars
from ostinato.representations.protocol import Extent, Unencodable
from ostinato.representations.registry import build
from ostinato.representations.store import codec_of

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from one_sequence import OneSequence

FOLDER = Path(__file__).parents[2] / "conf" / "representation"
FILE = yaml.safe_load((FOLDER / "grid.yaml").read_text())
GRIDS = {
    "rows": build(FILE),
    "hold": build(FILE | {"hold": True}),
    "flat": build(FILE | {"kind": "grid_flat", "order": ["bass", *VOICES[:3]]}),
    "no end": build(FILE | {"end": False}),
    "no bars": build(FILE | {"bars": False, "meters": []}),
}
BARRED = [name for name in GRIDS if name != "no bars"]
each = pytest.mark.parametrize("name", BARRED)
few = settings(
    max_examples=min(25, settings.default.max_examples),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
METERS = [(4, 4), (3, 4), (6, 8), (3, 2), (12, 8)]


COMMON = (Meter(0, 4, 4),)


def chorale(bars, meters=COMMON, length=None):
    """A note of every voice in every bar, which begin at these steps of four to a quarter."""
    ends = [*bars[1:], length or bars[-1] + 16]
    rows = [
        (voice, start, end - start, 70 - 7 * voice - i % 2, 80)
        for i, (start, end) in enumerate(zip(bars, ends, strict=True))
        for voice in range(4)
    ]
    return Piece(
        id="made",
        ticks_per_quarter=4,
        notes=make_notes(rows),
        tracks=tuple(Track(role=role) for role in VOICES),
        meters=tuple(meters),
        annotations=tuple(Annotation(bar, "bar") for bar in bars),
    )


@st.composite
def barred(draw):
    """Pickups, short and long bars, changes of meter on and off the bar lines."""
    lengths = draw(st.lists(st.sampled_from([4, 8, 12, 12, 16, 16, 16, 24]), min_size=1))
    starts = np.cumsum([0, *lengths[:12]]).tolist()
    bars, length = starts[:-1], starts[-1]
    changes = draw(st.lists(st.tuples(st.integers(0, length), st.sampled_from(METERS)), max_size=3))
    at = {0: draw(st.sampled_from(METERS))} | dict(sorted(changes))
    return chorale(bars, [Meter(onset, *m) for onset, m in sorted(at.items())], length)


def printed(piece):
    return [note.onset for note in piece.annotations if note.kind == "bar"]


@each
@few
@given(piece=barred())
def test_bars_and_meters_come_back_from_the_tokens(name, piece):
    grid = GRIDS[name]
    found = grid.quantize(piece).piece
    assert printed(found) == bar_onsets(piece)
    decoded = grid.decode(grid.encode(piece))
    assert same_music(decoded, found)
    assert decoded.annotations == found.annotations
    assert {meter.onset for meter in found.meters} <= set(printed(found))


@each
@few
@given(piece=barred())
def test_rows_have_the_numbers_of_the_score(name, piece):
    grid = GRIDS[name]
    found = grid.quantize(piece).piece
    step = grid.grid.width if name == "flat" else 1
    first = {}
    for onset, number in numbered_bars(found):
        first.setdefault(number, onset * step)
    assert grid.bar_starts(grid.encode(piece)) == first


def rows_of(grid, piece):
    return grid.encode(piece).tolist()


@pytest.mark.long
@few
@given(piece=barred())
def test_the_grammar_counts_the_bars_that_the_score_counts(piece):
    """Bar by bar: complete are those before the current one, and that one if it is whole."""
    grid = GRIDS["rows"]
    found = grid.quantize(piece).piece
    grammar = OneSequence(grid, Extent(bars=None), np.zeros((0, 5), np.int32))
    for step, row in enumerate(rows_of(grid, piece)[:-1], 1):
        for column, token in enumerate(row):
            assert grammar.allowed(column)[token]
            grammar.advance(token, column)
        starts = [bar for bar in printed(found) if bar < step]
        full = [full_of(found, bar) for bar in starts]
        numbers = bar_numbers(starts, full, step)
        begun = starts[numbers.index(numbers[-1])]
        whole = step - begun >= full[-1]
        expected = numbers[-1] - (not whole) if numbers[-1] else 0
        assert grammar.grammar.bars()[0] == expected, (starts, step)
        prompt = np.array(rows_of(grid, piece)[:step], np.int32)
        assert grid.grammar(Extent(bars=None), [prompt]).bars()[0] == expected


def full_of(piece, bar):
    meter = [meter for meter in piece.meters if meter.onset <= bar][-1]
    return float(meter.bar_quarters() * piece.ticks_per_quarter)


@pytest.mark.parametrize(
    ("starts", "end", "numbers"),
    [
        ([0, 16, 32], 48, [1, 2, 3]),
        ([0, 4, 20], 32, [0, 1, 2]),  # a pickup, and a last bar that lacks it
        ([0, 4, 20, 32, 36], 52, [0, 1, 2, 2, 3]),  # a repeat sign after three quarters
        ([0, 16, 28, 44], 60, [1, 2, 3, 4]),  # a short bar that nothing completes
        ([0, 16, 20, 24, 32], 48, [1, 2, 2, 2, 3]),
        ([0, 40], 56, [1, 2]),  # a cadenza
    ],
)
def test_bars_are_numbered_as_in_print(starts, end, numbers):
    assert bar_numbers(starts, [16.0] * len(starts), end) == numbers


def draw(grid, extent, prompt, seed, inside=0.8):
    """Tokens after a prompt; most rows lie inside a bar where that is allowed."""
    grammar, rng, rows = OneSequence(grid, extent, prompt), np.random.default_rng(seed), [prompt]
    column_of_bars = grid.grid.column if hasattr(grid, "grid") else grid.column
    while not grammar.finished():
        assert sum(map(len, rows)) < 5000
        row = np.zeros((1, grid.width), np.int32)
        for column in range(grid.width):
            mask = grammar.allowed(column)
            token = int(rng.choice(np.flatnonzero(mask)))
            if mask[column_of_bars.inside] and rng.random() < inside:
                token = column_of_bars.inside
            row[0, column] = token
            grammar.advance(token, column)
        rows.append(row)
    return np.concatenate(rows), grammar.grammar


@pytest.mark.parametrize("name", GRIDS)
@few
@given(seed=st.integers(0, 2**32), bars=st.integers(1, 4), share=st.floats(0, 1))
def test_samples_end_by_themselves_or_at_a_bar_line(name, seed, bars, share):
    grid, least = GRIDS[name], round(bars * share)
    tokens, grammar = draw(grid, Extent(bars, least), np.zeros((0, grid.width), np.int32), seed)
    ended, counted = bool(grammar.ended()[0]), int(grammar.bars()[0])
    assert len(tokens) <= grammar.most
    end = codec_of(grid)["structure"]["end"]
    assert ended == (end is not None and bool((tokens[:, 0] == end).any()))
    assert counted >= least
    assert ended or counted == bars
    assert max(grid.bar_starts(tokens), default=0) <= bars
    piece = grid.decode(tokens)
    assert same_music(grid.decode(grid.encode(piece)), piece)
    lines = printed(piece)
    assert all(b - a <= full_of(piece, a) for a, b in pairwise(lines)), "no bar is too long"


@few
@given(seed=st.integers(0, 2**32), meter=st.sampled_from(FILE["meters"]), steps=st.integers(0, 6))
def test_a_meter_and_a_pickup_can_be_asked_for(seed, meter, steps):
    grid = GRIDS["rows"]
    pickup = 0 if steps == 6 else steps / 4
    none = np.zeros((0, 5), np.int32)
    tokens, grammar = draw(grid, Extent(3, 3, meter, pickup), none, seed)
    numbers = grid.bar_starts(tokens)
    numerator, denominator = map(int, meter.split("/"))
    assert numbers[1] == 4 * pickup
    assert (0 in numbers) == (pickup > 0)
    full = 16 * Fraction(numerator, denominator)
    filled = [token for token in tokens[:, 0] if token != grid.column.inside]
    assert grid.vocabulary[filled[0]] == f"bar_{meter}"
    assert len(tokens) - grammar.ended()[0] >= 4 * pickup + full
    assert grammar.ended()[0] or grammar.bars()[0] == 3  # it may end where the pickup completes it
    assert {m for m in grid.structure()["meters"].values() if m in tokens} == {int(filled[0])}


def test_what_cannot_be_asked_for_is_refused():
    none = np.zeros((0, 5), np.int32)
    with pytest.raises(ValueError, match="meter=7/8 is none of 2/4"):
        GRIDS["rows"].grammar(Extent(meter="7/8"), [none])
    with pytest.raises(ValueError, match="no meter; write a meter like 3/4"):
        GRIDS["rows"].grammar(Extent(meter="waltz"), [none])
    with pytest.raises(ValueError, match="needs a grid with bars: true"):
        GRIDS["no bars"].grammar(Extent(pickup=1), [none])
    with pytest.raises(ValueError, match="take a grid with bars: true"):
        build({"kind": "grid"}).grammar(Extent(pickup=1), [none[:, 1:]])
    with pytest.raises(ValueError, match="least=5 must be 0 to bars=4"):
        Extent(4, 5)
    with pytest.raises(ValueError, match="needs bars: true"):
        build({"kind": "grid", "meters": ["4/4"]})
    with pytest.raises(ValueError, match="one or more"):
        build({"kind": "grid", "bars": True})
    with pytest.raises(Unencodable, match="meter 13/16 is none of"):
        GRIDS["rows"].encode(chorale([0, 13], [Meter(0, 13, 16)]))


@pytest.mark.parametrize("name", [*BARRED, "remi", "midi_like"])
def test_a_prompt_ends_with_its_bars(name):
    piece = chorale([0, 4, 20, 36, 52, 68], length=80)
    known = GRIDS.get(name) or build(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    pickup = name in GRIDS  # events fill the first bar, which then counts
    prompt = first_bars(known, piece, 2 + (not pickup))
    decoded = known.decode(prompt)
    assert decoded.length == 36 + 12 * (not pickup)
    assert known.grammar(Extent(9), [prompt]).bars()[0] == 2 + (not pickup)
    whole = first_bars(known, piece, 99)
    assert np.array_equal(known.decode(whole).notes, known.quantize(piece).piece.notes)
    assert not known.grammar(Extent(99), [whole]).finished()[0]


def test_cells_are_named_by_the_bars_of_the_score():
    piece = chorale([0, 4, 20, 36, 52, 68], length=80)
    for name in BARRED:
        grid, tokens = GRIDS[name], GRIDS[name].encode(piece)
        free = grid.cells(tokens, (2, 4), ["alto", "bass"])
        assert free.shape == tokens.shape
        changed = tokens.copy()
        changed[free] = 0
        silent = grid.decode(changed).notes
        lost = silent["track"] % 2 == 1
        assert not ((silent["onset"] >= 20) & (silent["onset"] < 52) & lost).any()
        assert len(silent) == len(piece.notes) - 4
        assert printed(grid.decode(changed)) == printed(piece)
        everything = grid.cells(tokens, None, VOICES)
        assert everything.sum() == 80 * 4
        assert not grid.cells(tokens, (0, 1), VOICES).sum() - 4 * 4  # the pickup


def test_structure_leaves_the_cells_of_the_voices():
    """What evaluation counts: without structural cells both forms hold the cells of grid_cells."""
    piece = chorale([0, 4, 20], [Meter(0, 4, 4), Meter(4, 3, 4)], length=32)
    cells = build(yaml.safe_load((FOLDER / "grid_cells.yaml").read_text())).encode(piece)
    assert "structure" not in codec_of(build(yaml.safe_load((FOLDER / "remi.yaml").read_text())))
    for name in BARRED:
        grid = GRIDS[name]
        structure, tokens = codec_of(grid)["structure"], grid.encode(piece)
        kept = ~np.isin(tokens, structure["structural"])
        if structure["end"] is not None and name != "flat":
            kept &= (tokens[:, 0] != structure["end"])[:, None]
        assert kept.sum() == cells.size
        assert kept.any(axis=0).nonzero()[0].tolist() == structure["voice_columns"]
        names = {grid.vocabulary[number] for number in structure["structural"]}
        ends = {"end"} if structure["end"] is not None else set()
        assert names == {"inside", "bar", *(f"bar_{m}" for m in structure["meters"]), *ends}
    assert np.array_equal(GRIDS["rows"].encode(piece)[:-1, 1:], cells)


@pytest.mark.parametrize("name", ["rows", "flat"])
def test_a_piece_without_notes_is_its_end(name):
    grid = GRIDS[name]
    empty = replace(chorale([0]), notes=make_notes([]))
    tokens = grid.encode(empty)
    assert len(tokens) == 1
    assert tokens[0, 0] == grid.structure()["end"]
    assert same_music(grid.decode(tokens), grid.quantize(empty).piece)


def test_a_short_bar_with_a_signature_of_its_own_keeps_the_meter_before_it():
    """As MIDI writes it: 4/4, one bar of 1/4, 4/4 again. An unlisted longer meter is refused."""
    grid = build(FILE | {"meters": ["4/4"]})
    short = (Meter(0, 4, 4), Meter(32, 1, 4), Meter(36, 4, 4))
    piece = replace(chorale([0, 16, 32, 36], short), annotations=())
    found = grid.decode(grid.encode(piece))
    assert [meter.numerator for meter in found.meters] == [4]
    assert bar_onsets(found) == [0, 16, 32, 36]
    with pytest.raises(Unencodable, match="meter 5/4 is none of 4/4"):
        grid.encode(replace(piece, meters=(Meter(0, 4, 4), Meter(32, 5, 4))))
