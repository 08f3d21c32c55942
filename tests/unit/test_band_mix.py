"""Several corpora as one: parts, roles, styles, chords, levels, weights, counts."""

from dataclasses import replace

import pytest

from ostinato.corpus.store import Entry
from ostinato.music.chords import ROLE
from ostinato.music.piece import Annotation, Meter, Piece, Tempo, Track, make_notes
from ostinato.reproduction.mix import (
    LEVELS,
    Mix,
    Part,
    Source,
    chosen,
    counted,
    levelled,
    parts_of,
    renamed,
    warnings_of,
    weighted,
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


def test_levels_are_quantiles_of_training_parts_and_weights_are_copies():
    entries = [entry(f"p{n}", notes_a_bar=n) for n in (2, 4, 6, 8, 10)]
    parts = [Part(e, renamed(e, {"piano": ["organ"]}).piece, 3) for e in entries]
    found, limits = levelled(parts, MIX.levels)
    assert [part.entry.piece.labels["density_piano"] for part in found] == list(LEVELS)
    assert len(limits["density_piano"]) == len(LEVELS) - 1
    held = replace(found[0], entry=replace(found[0].entry, split="test"))
    names = [e.piece.id for e in weighted([found[1], held])]
    assert names == ["p4", "p4~2", "p4~3", "p2"]


def test_styles_with_few_pieces_draw_a_warning_with_the_count():
    parts = [
        Part(part, part.piece, 1) for part in parts_of("set", entry(style="jazz"), Source(), MIX)
    ]
    counts = counted(parts)
    assert counts["pieces_by_style"] == {"jazz": 1}
    roles = {"bass": 1, "harmony": 2, "organ": 2, "parts": 2}
    assert counts["parts_by_style_and_role"]["jazz"] == roles
    assert "jazz has 1 pieces" in warnings_of(counts)[0]


def test_settings_out_of_range_are_refused():
    for settings in ({"copies": 0}, {"train": -1}, {"least_bars": 0}):
        with pytest.raises(ValueError, match="at least"):
            Source(**settings)
    with pytest.raises(ValueError, match="without_chords=2"):
        Mix(without_chords=2)
