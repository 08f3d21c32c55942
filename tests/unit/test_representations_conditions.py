"""Conditions of pieces: labels as codes, numbers in bins, which roles play."""

from dataclasses import replace

import numpy as np
import pytest

from ostinato.corpus.store import Entry
from ostinato.loading.batches import Crops, CropSettings
from ostinato.loading.tokens import open_tokens
from ostinato.models.spec import ConditionSpec
from ostinato.music.piece import Meter, Tempo, Track, make_notes
from ostinato.representations.conditions import MOST_VALUES, UNKNOWN, Conditions, code_of, facts_of
from ostinato.representations.events.events import Events
from ostinato.representations.store import write_encoding

ORIGIN = {"licence": "none", "citation": "none", "url": "none"}


def named(specifications):
    return {spec["name"]: spec for spec in specifications}


@pytest.fixture
def pieces(chorale):
    """Six pieces: two styles, one without a label, tempos 60 to 110."""
    styles = ["swing", "waltz", "swing", None, "swing", "waltz"]
    return [
        replace(
            chorale(seed, bars=seed + 1),
            labels={"style": style} if style else {},
            tempos=(Tempo(0, 60.0 + 10 * seed),),
        )
        for seed, style in enumerate(styles)
    ]


def test_facts_of_a_piece():
    piece_notes = make_notes([(0, 0, 480, 60, 80), (0, 480, 480, 62, 80), (1, 0, 960, 40, 80)])
    from ostinato.music.piece import Piece

    piece = Piece(
        id="p",
        ticks_per_quarter=480,
        notes=piece_notes,
        tracks=(Track(role="melody"), Track(role="bass"), Track(role="drums", is_drum=True)),
        tempos=(Tempo(0, 96.0), Tempo(480, 120.0)),
        meters=(Meter(0, 2, 4),),
        labels={"style": "polka"},
    )
    assert facts_of(piece) == {
        "style": "polka",
        "tempo": 96.0,
        "meter": "2/4",
        "bars": 1.0,
        "density": 1.5,
        "plays_melody": "yes",
        "plays_bass": "yes",
    }


def test_values_are_counted_and_coded(pieces):
    table = Conditions()
    for number, piece in enumerate(pieces):
        table.add("train" if number < 4 else "test", piece)
    specs = table.specifications()
    assert named(specs)["style"] == {
        "name": "style",
        "values": ["swing", "waltz"],
        "pieces": [3, 2],
    }
    column = [spec["name"] for spec in specs].index("style")
    assert table.arrays("train")["conditions"][:, column].tolist() == [0, 1, 0, UNKNOWN]
    assert table.arrays("test")["conditions"][:, column].tolist() == [0, 1]
    assert table.arrays("valid")["conditions"].shape == (0, len(specs))
    assert table.arrays("train")["tempo"].tolist() == [60.0, 70.0, 80.0, 90.0]


def test_bins_hold_equal_shares_of_train_and_cover_everything(pieces):
    table = Conditions()
    for piece in pieces:
        table.add("train", piece)
    tempo = named(table.specifications())["tempo"]
    assert sum(tempo["pieces"]) == len(pieces)
    assert max(tempo["pieces"]) <= 2
    assert len(tempo["values"]) == len(tempo["edges"]) + 1
    assert code_of(tempo, 1.0) == 0
    assert code_of(tempo, 1e6) == len(tempo["edges"])
    assert code_of(tempo, tempo["edges"][0]) == 1
    spec = ConditionSpec.of(tempo)
    for value in (1.0, 64.9, *tempo["edges"], 1e6):
        assert spec.code_of(value) == code_of(tempo, value)


def test_a_role_that_a_piece_lacks_is_coded_as_absent(chorale):
    full = chorale(1)
    alone = replace(full, notes=full.notes[full.notes["track"] == 0])
    table = Conditions()
    table.add("train", full)
    table.add("train", alone)
    alto = named(table.specifications())["plays_alto"]
    assert (alto["values"], alto["pieces"]) == (["no", "yes"], [1, 1])


def test_a_label_that_names_pieces_is_left_out_and_named(chorale):
    table = Conditions()
    for number in range(MOST_VALUES + 1):
        table.add("train", replace(chorale(1, bars=1), labels={"number": str(number)}))
    assert table.left_out() == {"number": MOST_VALUES + 1}
    assert "number" not in named(table.specifications())


def test_batches_carry_the_codes_of_their_pieces(tmp_path, pieces):
    entries = [Entry(p, "train" if n else "valid", p.id, p.id) for n, p in enumerate(pieces)]
    write_encoding(tmp_path / "made", "made", entries, Events(), ORIGIN)
    tokens = open_tokens(tmp_path / "made")
    part = tokens.splits["train"]
    crops = Crops(tokens, CropSettings(batch=8, crop=16))
    batch = crops[3]
    assert batch["conditions"].shape == (8, len(tokens.codec["conditions"]))
    expected = {tuple(row) for row in part.conditions.tolist()}
    assert {tuple(row) for row in batch["conditions"].tolist()} <= expected
    firsts = {tuple(part.tokens_of(n)[:, 0].tolist()): n for n in range(len(part))}
    for row, codes in zip(batch["targets"].numpy(), batch["conditions"].numpy(), strict=True):
        shown = row[row[:, 0] >= 0, 0].tolist()
        owners = [n for whole, n in firsts.items() if contains(list(whole), shown)]
        assert any(np.array_equal(part.conditions[n], codes) for n in owners)


def contains(whole, part):
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))
