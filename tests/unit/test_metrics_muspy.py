"""MusPy's metrics are MusPy's, to the last bit."""

import math

import muspy
import pytest

from ostinato.metrics.features import groove
from ostinato.metrics.muspy_metrics import UNITS, muspy_metrics
from ostinato.music.piece import Key, Meter, Piece, Track, make_notes
from ostinato.music.write import write_midi

ROWS = [(t, 24 * n + t, 20, 60 + 7 * t + n % 5, 80) for n in range(13) for t in (0, 1)]
B_MINOR = (Key(0, 2, "minor"),)
DRUMS = [(2, onset, 3, 36, 90) for onset in (0, 10, 24, 30, 48, 96, 100)]


def band(keys=B_MINOR, drums=True):
    tracks = Track("a", "soprano"), Track("b", "bass", 32), Track("d", "drums", 0, is_drum=True)
    notes = make_notes(ROWS + DRUMS if drums else ROWS)
    return Piece("p", 24, notes, tracks, meters=(Meter(0, 3, 4),), keys=keys)


def test_all_functions_of_muspy_metrics_are_there():
    assert set(UNITS) == set(muspy.metrics.__all__) - {"metrics"}


def test_a_file_has_the_values_that_muspy_gives_it(tmp_path):
    piece = band()
    write_midi(tmp_path / "p.mid", piece)
    music = muspy.read_midi(tmp_path / "p.mid")
    music.adjust_resolution(24)
    ours = muspy_metrics(piece)
    # B minor is the relative minor of D major; a bar of 3/4 has 72 ticks
    needed = {
        "pitch_in_scale_rate": {"root": 11, "mode": "minor"},
        "drum_in_pattern_rate": {"meter": "triple"},
        "empty_measure_rate": {"measure_resolution": 72},
        "groove_consistency": {"measure_resolution": 72},
    }
    for name in UNITS:
        assert ours[name] == getattr(muspy, name)(music, **needed.get(name, {})), name
        assert math.isfinite(ours[name])


def test_groove_consistency_depends_on_the_resolution_and_ours_does_not():
    fine = Piece("p", 480, make_notes([(t, 20 * o, 20 * d, p, v) for t, o, d, p, v in ROWS]),
                 band().tracks, meters=(Meter(0, 3, 4),))  # fmt: skip
    as_is, brought = (
        muspy_metrics(fine, resolution=ticks)["groove_consistency"] for ticks in (None, 24)
    )
    assert as_is > brought + 0.01
    assert brought == muspy_metrics(band(drums=False))["groove_consistency"]
    assert groove(fine) == groove(band(drums=False))


def test_what_muspy_cannot_say_is_nan():
    assert all(
        math.isnan(value) for value in muspy_metrics(Piece("p", 4, make_notes([]), ())).values()
    )
    missing = {
        name for name, x in muspy_metrics(band(keys=(), drums=False)).items() if math.isnan(x)
    }
    assert missing == {"pitch_in_scale_rate", "drum_in_pattern_rate", "drum_pattern_consistency"}


def test_two_identical_bars_are_not_alike_for_muspy():
    # issue 73 of muspy: a phantom empty bar after the last one. Two equal bars of 4 quarters with
    # 4 onsets each: no difference between them, 4 of 96 ticks between the last and the phantom
    piece = Piece("p", 24, make_notes([(0, 24 * n, 24, 60, 80) for n in range(8)]), (Track(),))
    assert muspy_metrics(piece)["groove_consistency"] == pytest.approx(1 - 4 / (2 * 96))
    assert groove(piece) == 1
