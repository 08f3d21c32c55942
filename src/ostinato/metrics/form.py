"""Form: cadences, phrases, keys, repetition, endings, and pieces in which generation went wrong.

All is counted on sixteenth steps without drums (`metrics.steps`). No figure but `degenerate` has a
best value; the corpus is the referee. Formulas and traps: docs/metrics.md.
"""

from collections.abc import Mapping

import numpy as np

from ostinato.metrics.closing import closing_of
from ostinato.metrics.counts import Count, Counted
from ostinato.metrics.keys import key_of, keys_by_windows
from ostinato.metrics.sonorities import IS_DOMINANT, IS_ROOT_TRIAD, above_bass
from ostinato.metrics.steps import CLASSES, PER_QUARTER, REST, Mask, Numbers, Steps, steps_of
from ostinato.music.piece import Piece

PHRASE = 4 * PER_QUARTER  # steps
LONG = 6  # steps: a held chord lasts at least a dotted quarter
DRONE = 12 * PER_QUARTER  # steps on one pitch
HOLE = 4 * PER_QUARTER  # steps of silence
FEWEST = 0.25  # notes a quarter, for each voice that plays
LAGS = (1, 4, 8)  # bars

FORM: Mapping[str, Counted] = {
    "cadences": Counted("Authentic cadences in 16 bars", "cadences", 16.0 * PHRASE),
    "cadences_at_held": Counted("Held chords that are cadences"),
    "phrases": Counted("Held chords whole bars of four quarters apart"),
    "keys": Counted("Keys in a piece", "keys"),
    "home_key": Counted("Windows in the key of the piece"),
    **{f"similarity_{lag}": Counted(f"Self-similarity at {lag} bars") for lag in LAGS},
    "repeated_bars": Counted("Bars that repeat an earlier one"),
    "silence": Counted("Silent steps"),
    "drones": Counted("Pieces with a drone", "share of pieces", direction="lower"),
    "holes": Counted("Pieces with a hole", "share of pieces", direction="lower"),
    "too_few_notes": Counted("Pieces with too few notes", "share of pieces", direction="lower"),
    "degenerate": Counted("Degenerate pieces", "share of pieces", direction="lower"),
}
ENDINGS: Mapping[str, Counted] = {
    "last_sonority": Counted("Ends on a triad", "share of pieces"),
    "last_cadence": Counted("Ends with an authentic cadence", "share of pieces"),
    "last_tonic": Counted("Ends on the tonic", "share of pieces"),
}


def form(piece: Piece) -> dict[str, Count]:
    """Counts of FORM for one piece, which may be an excerpt."""
    steps = steps_of(piece)
    return {
        **_cadences(steps),
        **_keys(steps),
        **_repetition(steps),
        **_silence(steps),
        **_degenerate(steps),
    }


def endings(piece: Piece) -> dict[str, Count]:
    """Counts of ENDINGS for one whole piece; nothing for a piece without pitched notes."""
    steps = steps_of(piece)
    closing = closing_of(steps)
    if closing is None:
        return {}
    return {
        "last_sonority": Count(float(closing.is_triad), 1.0),
        "last_cadence": Count(float(arrivals(steps, *_changes(steps))[-1]), 1.0),
        "last_tonic": Count(float(closing.is_tonic), 1.0),
    }


def arrivals(steps: Steps, starts: Numbers, lasts: Numbers) -> Mask:
    """Which sonorities are the arrival of an authentic cadence.

    starts, lasts: steps at which any note begins, and the steps until the next one. A sonority
    arrives where it is a triad in root position (the fifth may be missing) on a beat, lasts a
    quarter or more, and the step before sounds a dominant in root position, with its third and
    nothing outside its seventh chord, whose bass lies a fifth higher or a fourth lower.
    """
    before = np.maximum(starts - 1, 0)
    bass, bass_before = steps.bass_T[starts], steps.bass_T[before]
    return np.asarray(
        (starts > 0)
        & (bass_before != REST)
        & ((bass - bass_before) % CLASSES == 5)
        & IS_ROOT_TRIAD[above_bass(steps.classes_T[starts], bass)]
        & IS_DOMINANT[above_bass(steps.classes_T[before], bass_before)]
        & (lasts >= PER_QUARTER)
        & steps.on_beat()[starts]
    )


def _changes(steps: Steps) -> tuple[Numbers, Numbers]:
    """Steps at which any note begins, and the number of steps until the next or the end."""
    starts = np.flatnonzero(steps.onset_VT.any(axis=0))
    return starts, np.diff(np.r_[starts, steps.length]) if len(starts) else starts


def _cadences(steps: Steps) -> dict[str, Count]:
    starts, lasts = _changes(steps)
    arrived = arrivals(steps, starts, lasts)
    held = lasts >= LONG
    gaps = np.diff(starts[held])
    gaps = gaps[gaps >= PHRASE]
    return {
        "cadences": Count(_sum(arrived), steps.length),
        "cadences_at_held": Count(_sum(arrived & held), _sum(held)),
        "phrases": Count(_sum(gaps % PHRASE == 0), len(gaps)),
    }


def _keys(steps: Steps) -> dict[str, Count]:
    keys = keys_by_windows(steps)
    if not len(keys):
        return {}
    return {
        "keys": Count(len(set(keys.tolist())), 1.0),
        "home_key": Count(_sum(keys == key_of(steps)), len(keys)),
    }


def _repetition(steps: Steps) -> dict[str, Count]:
    """How alike bars are; a note is its step in the bar, voice and pitch."""
    bars = len(steps.bars)
    bar = np.searchsorted(steps.bars, steps.start_N, side="right") - 1
    inside = bar >= 0
    place = (steps.start_N - steps.bars[bar])[inside] if bars else np.empty(0, np.int64)
    notes = (place * len(steps.roles) + steps.voice_N[inside]) * 128 + steps.note_N[inside]
    widest = int(notes.max(initial=0)) + 1
    codes = np.unique(bar[inside] * widest + notes)
    counts = np.bincount(codes // widest, minlength=bars)
    lengths = steps.bar_ends() - steps.bars
    found = {}
    for lag in LAGS:
        later = codes // widest
        match = np.isin(codes, codes + lag * widest, assume_unique=True)
        common = np.bincount(later[match], minlength=bars)[lag:]
        union = counts[lag:] + counts[: max(bars - lag, 0)] - common
        pairs = (union > 0) & (lengths[lag:] == lengths[: max(bars - lag, 0)])
        found[f"similarity_{lag}"] = Count(float((common[pairs] / union[pairs]).sum()), _sum(pairs))
    edges = np.searchsorted(codes, np.arange(bars + 1) * widest)
    texts = [
        (length, (codes[a:b] % widest).tobytes())
        for length, a, b in zip(lengths.tolist(), edges, edges[1:], strict=False)
        if b > a
    ]
    return {**found, "repeated_bars": Count(len(texts) - len(set(texts)), len(texts))}


def _silence(steps: Steps) -> dict[str, Count]:
    first = int(steps.start_N.min(initial=steps.length))
    silent = steps.classes_T[first:] == 0
    return {"silence": Count(_sum(silent), len(silent))}


def _degenerate(steps: Steps) -> dict[str, Count]:
    """Whether generation went wrong; a piece without pitched notes has too few."""
    first = int(steps.start_N.min(initial=steps.length))
    longest = max((_longest_run(v[:-1] == v[1:], v[1:] != REST) for v in steps.pitch_VT), default=0)
    silent = steps.classes_T[first:] == 0
    playing = len(np.unique(steps.voice_N))
    quarters = steps.length / PER_QUARTER
    faults = {
        "drones": longest + 1 >= DRONE,
        "holes": _longest_run(silent, silent) >= HOLE,
        "too_few_notes": playing == 0 or len(steps.note_N) < FEWEST * playing * quarters,
    }
    faults["degenerate"] = any(faults.values())
    return {name: Count(float(is_so), 1.0) for name, is_so in faults.items()}


def _longest_run(same: Mask, counts: Mask) -> int:
    """Length of the longest stretch where both masks are true."""
    edges = np.flatnonzero(np.diff(np.r_[False, same & counts, False].astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _sum(mask: Mask) -> float:
    return float(np.count_nonzero(mask))
