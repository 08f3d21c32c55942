"""Reads solos of the Weimar Jazz Database from CSV tables of notes and of beats.

A piece is the solo and the walking bass, with chord symbols; the database has no drums. Onsets are
interpolated between the player's beats, so a beat is a quarter note and swing and lay-back are
kept; the times of beats become tempos.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile
from ostinato.music.piece import (
    DEFAULT_VELOCITY,
    Annotation,
    Meter,
    Piece,
    Tempo,
    Track,
    make_notes,
)
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.score import changes, ordered

TRACKS = (
    Track("Solo", "melody", 66),
    Track("Bass", "bass", 32),
)  # tenor saxophone; the tables do not name it
VELOCITY_PER_DECIBEL = 2.0
Row = Mapping[str, str]
NoteRow = tuple[int, int, int, int, int]  # track, onset, duration, pitch, velocity
Beats = npt.NDArray[np.float64]


def read_wjazzd(path: Path, options: ReadOptions) -> Reading:
    """Read a solo from its melody table.

    The table of beats is `…_beattrack.csv` in ../mcsv_beat or in the same folder.

    Velocities follow `loud_median` (decibels) around the solo's median; chords, forms (as
    `marker`) and meters are those of the beats. Without a beat table the notes are placed by their
    columns bar, beat, tatum and division, without bass and chords, at one tempo.

    Raises:
        DamagedFile: a required column is missing or is not numeric.
    """
    melody = _table(path, ("onset", "duration", "pitch"))
    found = [p for p in _beat_paths(path) if p.is_file()]
    if found:
        beats = _table(found[0], ("onset", "bar", "beat", "signature"))
        return _with_beats(path, melody, beats, options)
    return _without_beats(path, melody, options)


def _beat_paths(path: Path) -> list[Path]:
    name = f"{path.stem}_beattrack.csv"
    return [path.parent.parent / "mcsv_beat" / name, path.parent / name]


def _table(path: Path, needed: Sequence[str]) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[Row] = list(csv.DictReader(file))
    if not rows:
        raise DamagedFile(f"{path.name} has no rows")
    missing = [name for name in needed if rows[0].get(name) is None]
    if missing:
        raise DamagedFile(f"{path.name} has no column {', '.join(missing)}")
    return rows


def _numbers(rows: Sequence[Row], name: str) -> Beats:
    values = np.array([float(row[name]) for row in rows])
    if not np.isfinite(values).all():
        raise DamagedFile(f"column {name} holds what is no number")
    return values


def _with_beats(path: Path, melody: list[Row], beats: list[Row], options: ReadOptions) -> Reading:
    tpq = options.ticks_per_quarter
    meters = [_meter(row["signature"]) for row in beats]
    seconds = _numbers(beats, "onset")
    if len(seconds) < 2 or (np.diff(seconds) <= 0).any():
        raise DamagedFile("the beats are fewer than two or not in order")
    steps = np.array([4 / meter.denominator for meter in meters])
    quarters = np.concatenate([[0], np.cumsum(steps)])
    seconds = np.append(seconds, 2 * seconds[-1] - seconds[-2])
    ticks = np.round(quarters * tpq).astype(int).tolist()
    onsets = _numbers(melody, "onset")
    starts = _place(onsets, seconds, quarters)
    ends = _place(onsets + _numbers(melody, "duration"), seconds, quarters)
    notes = _solo(melody, starts, ends, tpq)
    bass, dropped = _bass(beats, ticks)
    micros = np.round(1e6 * np.diff(seconds) / steps)
    piece = Piece(
        id=path.stem,
        ticks_per_quarter=tpq,
        notes=make_notes(notes + bass),
        tracks=TRACKS if bass else TRACKS[:1],
        tempos=changes(Tempo(t, 6e7 / micro) for t, micro in zip(ticks, micros, strict=False)),
        meters=changes(
            Meter(t, m.numerator, m.denominator) for t, m in zip(ticks, meters, strict=False)
        ),
        annotations=ordered(_signs(beats, ticks) + _phrases(melody, starts, tpq)),
        title=_title(path),
        source=path.name,
        warnings=() if bass else ("the beat table has no bass",),
    )
    return Reading(piece, dropped, float(np.abs(np.round(starts * tpq) / tpq - starts).mean()))


def _without_beats(path: Path, melody: list[Row], options: ReadOptions) -> Reading:
    """Read a solo from the metrical columns of its melody table."""
    tpq = options.ticks_per_quarter
    needed = ("bar", "beat", "tatum", "division", "beat_duration", "signature")
    if any(melody[0].get(name) is None for name in needed):
        raise DamagedFile(
            f"there is no beat table beside it, nor all of the columns {', '.join(needed)}"
        )
    beat_seconds = _numbers(melody, "beat_duration")
    meters = [_meter(row["signature"]) for row in melody]
    if len(set(meters)) > 1:
        raise DamagedFile("there is no beat table beside it, and the meter changes")
    step = 4 / meters[0].denominator
    bars = _numbers(melody, "bar")
    beats = (bars - bars[0]) * meters[0].numerator + _numbers(melody, "beat") - 1
    starts = (beats + (_numbers(melody, "tatum") - 1) / _numbers(melody, "division")) * step
    ends = starts + _numbers(melody, "duration") / beat_seconds * step
    piece = Piece(
        id=path.stem,
        ticks_per_quarter=tpq,
        notes=make_notes(_solo(melody, starts, ends, tpq)),
        tracks=TRACKS[:1],
        tempos=(Tempo(0, 60 / float(np.median(beat_seconds)) * step),),
        meters=(meters[0],),
        annotations=ordered(_phrases(melody, starts, tpq)),
        title=_title(path),
        source=path.name,
        warnings=("no beat table: notes are on the grid, at one tempo, without bass and chords",),
    )
    return Reading(piece, {}, float(np.abs(np.round(starts * tpq) / tpq - starts).mean()))


def _place(seconds: Beats, beat_seconds: Beats, quarters: Beats) -> Beats:
    """Seconds as quarter notes, linearly between beats, and at the last beat's tempo after them."""
    number = np.clip(np.searchsorted(beat_seconds, seconds, "right") - 1, 0, len(beat_seconds) - 2)
    slope = np.diff(quarters)[number] / np.diff(beat_seconds)[number]
    return np.maximum(0, quarters[number] + (seconds - beat_seconds[number]) * slope)


def _solo(melody: list[Row], starts: Beats, ends: Beats, tpq: int) -> list[NoteRow]:
    velocities = _velocities(melody)
    onsets, stops = np.round(starts * tpq).astype(int), np.round(ends * tpq).astype(int)
    pitches = np.round(_numbers(melody, "pitch")).astype(int)
    if pitches.min() < 0 or pitches.max() > 127:
        raise DamagedFile("column pitch leaves MIDI's 0 to 127")
    return [
        (0, int(start), max(1, int(stop - start)), int(pitch), velocity)
        for start, stop, pitch, velocity in zip(onsets, stops, pitches, velocities, strict=True)
    ]


def _velocities(melody: list[Row]) -> list[int]:
    loudness = [_number(row.get("loud_median")) for row in melody]
    known = [value for value in loudness if value is not None]
    if not known:
        return [DEFAULT_VELOCITY] * len(melody)
    middle = median(known)
    return [
        DEFAULT_VELOCITY
        if value is None
        else min(127, max(1, round(DEFAULT_VELOCITY + VELOCITY_PER_DECIBEL * (value - middle))))
        for value in loudness
    ]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _bass(beats: list[Row], ticks: list[int]) -> tuple[list[NoteRow], dict[str, int]]:
    """The bass notes, one a beat; and the number of beats whose bass is not a MIDI pitch."""
    rows: list[NoteRow] = []
    given = [
        (n, value) for n, row in enumerate(beats) if (value := _number(row.get("bass"))) is not None
    ]
    for number, value in given:
        if 0 < value < 128:
            start, end = ticks[number], ticks[number + 1]
            rows.append((1, start, end - start, round(value), DEFAULT_VELOCITY))
    lost = len(given) - len(rows)
    return rows, {"bass is no MIDI pitch": lost} if lost else {}


def _signs(beats: list[Row], ticks: list[int]) -> list[Annotation]:
    """Annotations of bars, and of chords and form parts at their changes."""
    signs: list[Annotation] = []
    before: dict[str, str] = {}
    for row, tick in zip(beats, ticks, strict=False):
        if int(float(row["beat"])) == 1:
            signs.append(Annotation(tick, "bar"))
        for column, kind in (("chord", "chord"), ("form", "marker")):
            text = (row.get(column) or "").strip()
            if text and text != before.get(column):
                signs.append(Annotation(tick, kind, text))
                before[column] = text
    return signs


def _phrases(melody: list[Row], starts: Beats, tpq: int) -> list[Annotation]:
    found: dict[str, int] = {}
    for row, start in zip(melody, starts, strict=True):
        if phrase := (row.get("phrase_id") or "").strip():
            found.setdefault(phrase, round(float(start) * tpq))
    return [Annotation(tick, "phrase", phrase) for phrase, tick in found.items()]


def _meter(text: str) -> Meter:
    """A signature, which is quoted in the tables."""
    try:
        numerator, denominator = (int(part) for part in text.strip("'\" ").split("/"))
        if min(numerator, denominator) < 1:
            raise ValueError("a meter of nothing")
    except ValueError as error:
        raise DamagedFile(f"the signature {text!r} is no meter") from error
    return Meter(0, numerator, denominator)


def _title(path: Path) -> str:
    """Names are Performer_Title_FINAL."""
    return path.stem.removesuffix("_FINAL").partition("_")[2] or path.stem
