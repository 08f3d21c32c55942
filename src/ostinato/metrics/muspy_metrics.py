"""MusPy's own metrics under their own names, as MusPy computes them: to compare with papers.

Nothing is corrected here. `metrics.features` has our definitions; docs/metrics.md says where the
two differ.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ostinato.music.convert_muspy import to_muspy
from ostinato.music.piece import Piece, tonic_of

if TYPE_CHECKING:
    from muspy import Music

RESOLUTION = 24  # ticks a quarter, MusPy's default; its groove_consistency depends on it
UNITS: Mapping[str, str] = {
    "pitch_range": "semitones",
    "n_pitches_used": "pitches",
    "n_pitch_classes_used": "pitch classes",
    "polyphony": "pitches",
    "polyphony_rate": "share",
    "pitch_in_scale_rate": "share",
    "scale_consistency": "share",
    "pitch_entropy": "bits",
    "pitch_class_entropy": "bits",
    "empty_beat_rate": "share",
    "empty_measure_rate": "share",
    "drum_in_pattern_rate": "share",
    "drum_pattern_consistency": "share",
    "groove_consistency": "share",
}


def muspy_metrics(piece: Piece, *, resolution: int | None = RESOLUTION) -> dict[str, float]:
    """All 14 functions of `muspy.metrics` for a piece, in the order of UNITS.

    resolution: the piece is first brought to so many ticks a quarter by MusPy's own
    `adjust_resolution`; None leaves it as it is. What MusPy asks for comes from the piece's first
    meter and key: the length of a bar (`measure_resolution`), the scale (`root` and `mode`; NaN
    without a key in major or minor) and the `meter` of drums (triple for three or nine beats, else
    duple). NaN for a piece without notes, on which MusPy fails.
    """
    import muspy

    music, meter = to_muspy(piece), piece.first_meter()
    if not len(piece.notes):
        return dict.fromkeys(UNITS, math.nan)
    if resolution is not None and resolution != piece.ticks_per_quarter:
        music.adjust_resolution(resolution)
    bar = meter.bar_quarters() * music.resolution
    whole = {"measure_resolution": int(bar)} if bar.denominator == 1 else None
    options: dict[str, Mapping[str, Any] | None] = {
        **{name: {} for name in UNITS},
        "empty_measure_rate": whole,
        "groove_consistency": whole,
        "pitch_in_scale_rate": _scale(piece),
        "drum_in_pattern_rate": {"meter": "triple" if meter.numerator in (3, 9) else "duple"},
    }
    return {name: _value(getattr(muspy, name), music, options[name]) for name in UNITS}


def _scale(piece: Piece) -> Mapping[str, Any] | None:
    if not piece.keys or piece.keys[0].mode not in ("major", "minor"):
        return None
    return {"root": tonic_of(piece.keys[0]), "mode": piece.keys[0].mode}


def _value(
    metric: Callable[..., float], music: "Music", options: Mapping[str, Any] | None
) -> float:
    return math.nan if options is None else float(metric(music, **options))
