"""Several corpora as one: parts, roles, styles, chords, levels, weights, counts."""

from dataclasses import replace

import pytest

from ostinato.corpus.store import Entry
from ostinato.metrics.control import LEVELS
from ostinato.music.chords import ROLE
from ostinato.music.piece import Annotation, Meter, Piece, Tempo, Track, make_notes
from ostinato.reproduction.mix import (
    TONICS,
    Mix,
    Part,
    Source,
    chosen,
    counted,
    describe,
    levelled,
    parts_of,
    renamed,
    spread,
    warnings_of,
)

MIX = Mix(bars=4, parts=2, without_chords=0.0, styles={"jazz": ["Swing"]}, levels=("piano",))


def entry(name="a", bars=12, split="train", notes_a_bar=4, **labels):
    rows = [(0, 16 * bar + n, 1, 60 + n % 5, 80) for bar in range(bars) for n in range(notes_a_bar)]
    piece = Piece(
        id=name,
        ticks_per_quarter=4,
        notes=make_notes([*rows, (1, 0, 16 * bars, 36, 80)]),
        tracks=(Track("Keys", "organ"), Track("Bass", "bass")),
        meters=(Meter(0, 4, 4),),
        tempos=(Tempo(0, 60.0), Tempo(16 * bars // 2, 120.0)),
        labels=labels,
    )
    return Entry(piece, split, name, name)


def test_pieces_become_parts_with_chords_a_style_and_one_tempo():
    found = parts_of("set", entry(style="swing"), Source(), MIX)
    assert [part.piece.id for part in found] == ["set/a#1", "set/a#9"]  # evenly spread
    assert {part.piece.labels["style"] for part in found} == {"jazz"}
    assert all(len(part.piece.voice(ROLE)) for part in found)
    assert {part.piece.tempos for part in found} == {(Tempo(0, 80.0),)}
    assert [part.group for part in found] == ["set/a"] * 2
    assert parts_of("set", entry(style="polka"), Source(), MIX)[0].piece.labels.get("style") is None


def test_symbols_of_a_piece_go_before_estimates():
    written = entry()
    sign = Annotation(0, "chord", "F#7")
    written = replace(written, piece=replace(written.piece, annotations=(sign,)))
    [first, *_] = parts_of("set", written, Source(), MIX)
    assert first.piece.voice(ROLE)["pitch"].min() == 42
    bare = parts_of("set", written, Source(), replace(MIX, without_chords=1.0))
    assert not any(len(part.piece.voice(ROLE)) for part in bare)


def test_roles_are_renamed_by_source_and_representation():
    source = Source(roles={"organ": "melody"})
    [part, _] = parts_of("set", entry(), source, MIX)
    assert part.piece.tracks[0].role == "melody"
    [part, _] = parts_of("set", entry(), Source(roles={"all": "melody"}), MIX)
    assert {track.role for track in part.piece.tracks[:2]} == {"melody"}
    [part, _] = parts_of("set", entry(), Source(), MIX)
    assert renamed(part, {"piano": ["organ"]}).piece.tracks[0].role == "piano"


def test_pieces_are_chosen_by_split_length_and_seed():
    entries = [entry(f"t{n}", bars=n) for n in range(1, 7)]
    entries += [entry(f"v{n}", split="valid") for n in range(6)]
    found = chosen("set", entries, Source(train=2, least_bars=3), MIX)
    names = {split: [e.piece.id for e in found if e.split == split] for split in ("train", "test")}
    assert len(names["train"]) == 2
    assert not {"t1", "t2"} & set(names["train"])
    assert names["test"] == ["v1", "v3", "v5"]  # the corpus has no test split
    assert found == chosen("set", entries, Source(train=2, least_bars=3), MIX)


def test_levels_are_quantiles_of_training_parts():
    entries = [entry(f"p{n}", notes_a_bar=n) for n in (2, 4, 6, 8, 10)]
    parts = [Part(e, renamed(e, {"piano": ["organ"]}).piece, 3) for e in entries]
    found, limits = levelled(parts, MIX.levels)
    assert [part.entry.piece.labels["density_piano"] for part in found] == list(LEVELS)
    assert len(limits["density_piano"]) == len(LEVELS) - 1


def test_training_parts_are_copied_in_other_keys_within_their_registers():
    [one, _] = parts_of("set", entry(), Source(roles={"organ": "piano"}), MIX)
    pitches = one.piece.voice("piano")["pitch"]
    registers = {"piano": (int(pitches.min()) - 1, int(pitches.max()) + 2)}
    held = replace(one, split="test")
    parts = [Part(one, one.piece, 40), Part(held, held.piece, 40)]
    mix = replace(MIX, transpose=(-5, 6))
    *copies, last = spread(parts, registers, mix)
    assert last.entry is held and len(copies) == 40
    assert len({part.entry.piece.id for part in copies}) == 40
    steps = [int(p.quantized.voice("piano")["pitch"].min() - pitches.min()) for p in copies]
    assert set(steps) == {-1, 0, 1, 2}
    for part, step in zip(copies, steps, strict=True):
        tonic = TONICS.index(part.entry.piece.labels["tonic"])
        assert (tonic - TONICS.index(one.piece.labels["tonic"]) - step) % 12 == 0
        chords = part.entry.piece.voice("harmony")["pitch"]
        assert {(p - step) % 12 for p in chords} == {
            p % 12 for p in one.piece.voice("harmony")["pitch"]
        }
        assert set(chords // 12) == set(one.piece.voice("harmony")["pitch"] // 12)
    assert [p.entry.piece.id for p in spread(parts, registers, mix)] == [
        p.entry.piece.id for p in (*copies, last)
    ]


def test_styles_with_few_pieces_draw_a_warning_with_the_count():
    parts = [
        Part(part, part.piece, 1) for part in parts_of("set", entry(style="jazz"), Source(), MIX)
    ]
    counts = counted(parts)
    assert counts["pieces_by_style"] == {"jazz": 1}
    roles = {"bass": 1, "harmony": 2, "organ": 2, "parts": 2}
    assert counts["parts_by_style_and_role"]["jazz"] == roles
    assert "jazz has 1 pieces" in warnings_of(counts)[0]
    names, _, jazz = describe(counts).splitlines()
    assert names == "| style | pieces | parts | bass | harmony | organ |"
    assert jazz == "| jazz | 1 | 2 | 1 | 2 | 2 |"


def test_settings_out_of_range_are_refused():
    for settings in ({"copies": 0}, {"train": -1}, {"least_bars": 0}):
        with pytest.raises(ValueError, match="at least"):
            Source(**settings)
    with pytest.raises(ValueError, match="without_chords=2"):
        Mix(without_chords=2)
    with pytest.raises(ValueError, match=r"transpose=\[1, 2\]"):
        Mix(transpose=(1, 2))
