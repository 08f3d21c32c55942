"""Played time onto beats: music whose beats and bar lines are known in seconds gets bars.

The beats stand in a table of text for each file, as annotators and beat trackers write them: a row
a beat, with its time in seconds and a column that is 1 where a bar begins. A beat becomes a quarter
note. Between beats time is stretched linearly; before the first and after the last one, beats are
as far apart as the nearest two. Tempos are those of the beats, so the music lasts as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile
from ostinato.music.chords import NAMES, parse_chord
from ostinato.music.piece import Annotation, Meter, Piece, Tempo, sort_notes
from ostinato.music.signatures import with_pickup
from ostinato.music.timing import seconds_at
from ostinato.readers.base import Reading
from ostinato.readers.score import changes, ordered

Floats = npt.NDArray[np.float64]
KINDS = {  # of chords in Harte's notation, as in Bb:min7/5, and what music/chords.py calls them
    "maj": "", "min": "m", "7": "7", "maj7": "maj7", "min7": "m7", "maj6": "6", "min6": "m6",
    "dim": "dim", "dim7": "dim7", "hdim7": "m7b5", "minmaj7": "mmaj7", "aug": "aug",
    "sus2": "sus2", "sus4": "sus4", "sus4(b7)": "7sus4",
}  # fmt: skip
DEGREES = {"b3": 3, "3": 4, "4": 5, "b5": 6, "5": 7, "6": 9, "b7": 10, "7": 11}


@dataclass(frozen=True, kw_only=True)
class BeatTables:
    """Where the beats of a file are, below its own folder; `{stem}` is its name without suffix.

    table: rows of numbers, the first of them seconds. bar: the column, from 1, that is 1 where a
    bar begins. chords: rows of start and end in seconds and a chord in Harte's notation; "": none.
    """

    table: str
    bar: int = 2
    chords: str = ""

    def __post_init__(self) -> None:
        if self.bar < 2:
            raise ValueError(f"bar={self.bar}: column 1 holds the seconds, so this is 2 or more")
        for name in (self.table, self.chords):
            try:
                name.format(stem="")
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{name!r}: only {{stem}} can stand in braces") from error

    def of(self, path: Path) -> list[Path]:
        """The table of beats of a file, then its table of chords if there are such."""
        names = [self.table, self.chords] if self.chords else [self.table]
        return [path.parent / name.format(stem=path.stem) for name in names]


def on_beats(reading: Reading, path: Path, tables: BeatTables) -> Reading:
    """The reading of `path` with its time in beats; what it says of rounding holds of beats too.

    Raises:
        DamagedFile: a table is missing or does not hold what it should; names it.
    """
    table, *chord_tables = tables.of(path)
    seconds, downbeats = _read_beats(table, tables.bar)
    piece = reading.piece
    firsts, seconds = _extended(piece, seconds, downbeats)
    tpq = piece.ticks_per_quarter
    number = np.arange(len(seconds), dtype=np.float64)

    def beats_at(ticks: npt.ArrayLike) -> Floats:
        return np.interp(seconds_at(piece, ticks), seconds, number)

    def tick(onset: int) -> int:
        return round(float(beats_at(onset)) * tpq)

    notes = piece.notes.copy()
    starts = beats_at(piece.notes["onset"])
    ends = beats_at(piece.notes["onset"] + piece.notes["duration"])
    notes["onset"] = np.rint(starts * tpq)
    notes["duration"] = np.maximum(np.rint(ends * tpq) - notes["onset"], 1)
    signs = [
        replace(sign, onset=tick(sign.onset)) for sign in piece.annotations if sign.kind != "bar"
    ]
    warnings = list(piece.warnings)
    for chord_table in chord_tables:
        chords, unknown = _read_chords(chord_table)
        warnings += [f"chords of an unknown kind left out: {unknown}"] if unknown else []
        at = np.interp([start for start, _ in chords], seconds, number)
        signs += [
            Annotation(round(beat * tpq), "chord", name)
            for beat, (_, name) in zip(at.tolist(), chords, strict=True)
        ]
    micros = np.round(1e6 * np.diff(seconds))
    bars = [Meter(a * tpq, b - a, 4) for a, b in pairwise(firsts)]
    retimed = replace(
        piece,
        notes=sort_notes(notes),
        tempos=changes(Tempo(i * tpq, 6e7 / micro) for i, micro in enumerate(micros.tolist())),
        meters=changes(bars),
        keys=changes(replace(key, onset=tick(key.onset)) for key in piece.keys),
        annotations=ordered(signs),
        warnings=tuple(warnings),
    )
    error = float(np.abs(notes["onset"] / tpq - starts).mean()) if len(notes) else 0.0
    return replace(reading, piece=with_pickup(retimed), onset_error=error)


def _extended(piece: Piece, beats: Floats, downbeats: Sequence[int]) -> tuple[list[int], Floats]:
    """The beats that begin bars, up to the first after the music, and the seconds of all beats.

    Beats are added before the annotated ones, as many as make whole bars, where notes begin before
    them. A bar of two beats or more beyond the usual length is one in which a bar line is missing:
    it is divided. Beats before the first bar line are whole bars of the usual length, and a pickup
    if they are not as many.
    """
    lengths = [end - start for start, end in pairwise(downbeats)] or [4]
    usual = max(sorted(set(lengths)), key=lengths.count)
    first, last = seconds_at(piece, [int(piece.notes["onset"].min()), piece.length])
    step, end_step = beats[1] - beats[0], beats[-1] - beats[-2]
    missing = max(0, int(np.ceil(round(float((beats[0] - first) / step), 6))))
    before = -(-(missing + downbeats[0]) // usual) * usual - downbeats[0] if missing else 0
    after = max(0, int(np.ceil(float((last - beats[-1]) / end_step)))) + 2 * usual
    seconds = np.concatenate(
        [
            beats[0] - step * np.arange(before, 0, -1),
            beats,
            beats[-1] + end_step * np.arange(1, after + 1),
        ]
    )
    begin = before + downbeats[0]
    lines = sorted({0, *range(begin % usual, begin, usual), *(before + x for x in downbeats)})
    firsts: list[int] = []
    for start, end in pairwise(lines):
        divided = list(range(start, end, usual))
        firsts += divided[:-1] if len(divided) > 1 and end - divided[-1] == 1 else divided
    return [*firsts, *range(lines[-1], len(seconds), usual)], seconds


def _read_beats(table: Path, bar: int) -> tuple[Floats, list[int]]:
    """Seconds of the beats, and the numbers of those that begin bars."""
    rows = _rows(table)
    try:
        seconds = np.array([float(row[0]) for row in rows])
        downbeats = [number for number, row in enumerate(rows) if float(row[bar - 1]) == 1]
    except (ValueError, IndexError) as error:
        raise DamagedFile(f"{table.name}: a row has no number in column 1 or {bar}") from error
    if len(seconds) < 2 or not (np.diff(seconds) > 0).all():  # nan is not above 0
        raise DamagedFile(f"{table.name}: its times must be two or more, and ascend")
    if not downbeats:
        raise DamagedFile(f"{table.name}: no row has 1 in column {bar}, so no bar begins")
    return seconds, downbeats


def _read_chords(table: Path) -> tuple[list[tuple[float, str]], int]:
    """Seconds and symbols of chords where they change, and how many are of an unknown kind."""
    found: list[tuple[float, str]] = []
    unknown = 0
    for row in _rows(table):
        try:
            start, symbol = float(row[0]), _symbol(row[2])
        except (ValueError, IndexError):
            unknown += 1
            continue
        if not found or found[-1][1] != symbol:
            found.append((start, symbol))
    return found, unknown


def _symbol(harte: str) -> str:
    """`Bb:min/b3` as `Bbm/Db`, and `N` as `N.C.`; ValueError: neither is known."""
    if harte == "N":
        return "N.C."
    root, _, rest = harte.partition(":")
    kind, _, degree = rest.partition("/")
    chord = parse_chord(root + KINDS.get(kind or "maj", "?"))
    if chord is None or (degree and degree not in DEGREES):
        raise ValueError(f"{harte!r} is no chord")
    bass = NAMES[(chord.root + DEGREES[degree]) % 12] if degree else ""
    return chord.name + (f"/{bass}" if bass else "")


def _rows(table: Path) -> list[list[str]]:
    try:
        text = table.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DamagedFile(f"the table of its beats or chords is missing: {table.name}") from error
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{table.name} is no text") from error
    return [row for line in text.splitlines() if (row := line.replace(",", " ").split())]
