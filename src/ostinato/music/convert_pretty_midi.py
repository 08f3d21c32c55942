"""Converts pieces to `pretty_midi.PrettyMIDI` and back, and to piano rolls in its shape.

PrettyMIDI keeps times in seconds and the tempo map that leads from ticks to them, so ticks come
back exactly. It holds the ticks per quarter, notes, names, programs and drums of tracks, tempos,
meters, keys, lyrics, texts and the sustain pedal, and these survive in both directions, except:
a tempo at 0 is always there (120 where a piece states none); a key is a tonic and major or minor,
so that Gb comes back as F#, and other modes as major with the same signs.

Lost on the way to PrettyMIDI: id, title, source, labels, warnings, roles (which come back by
`roles.role_of`) and annotations of other kinds, such as bars, chords and fermatas. Lost on the way
back, and counted by `unsaid`: pitch bends and control changes other than the pedal.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import (
    NOTE,
    Annotation,
    Key,
    Meter,
    Piece,
    Tempo,
    Track,
    fifths_of,
    sort_notes,
    tonic_of,
)
from ostinato.music.roles import role_of
from ostinato.music.timing import DEFAULT_QPM

if TYPE_CHECKING:
    from pretty_midi import PrettyMIDI

SUSTAIN, DOWN_FROM, DOWN, UP = 64, 64, 127, 0  # controller and its values
DIGITS = 12  # of a tempo: what survives the way through seconds a tick
WORDS = {"lyric": "lyrics", "text": "text_events"}


def to_pretty_midi(piece: Piece) -> "PrettyMIDI":
    """A piece as a new `PrettyMIDI`, with its tempo map.

    Raises:
        ValueError: an onset below 0.
    """
    import pretty_midi

    resolution = piece.ticks_per_quarter
    midi = pretty_midi.PrettyMIDI(resolution=resolution, initial_tempo=DEFAULT_QPM)
    scales = {0: DEFAULT_QPM} | {tempo.onset: tempo.qpm for tempo in piece.tempos}
    # no public setter; its own reader and adjust_times set the map the same way
    midi._tick_scales = [(tick, 60.0 / (qpm * resolution)) for tick, qpm in sorted(scales.items())]
    midi._update_tick_to_time(piece.length)
    midi.instruments = [
        pretty_midi.Instrument(track.program, track.is_drum, track.name) for track in piece.tracks
    ]
    columns = [piece.notes[name].tolist() for name in NOTE.names or ()]
    for number, onset, duration, pitch, velocity in zip(*columns, strict=True):
        start, end = midi.tick_to_time(onset), midi.tick_to_time(onset + duration)
        note = pretty_midi.Note(velocity, pitch, start, end)
        midi.instruments[number].notes.append(note)
    midi.time_signature_changes = [
        pretty_midi.TimeSignature(m.numerator, m.denominator, midi.tick_to_time(m.onset))
        for m in piece.meters
    ]
    for key in piece.keys:
        number = tonic_of(key) + (12 if key.mode == "minor" else 0)
        change = pretty_midi.KeySignature(number, midi.tick_to_time(key.onset))
        midi.key_signature_changes.append(change)
    for note in piece.annotations:
        time = midi.tick_to_time(note.onset)
        if note.kind == "pedal":
            track, _, state = note.value.partition(" ")
            change = pretty_midi.ControlChange(SUSTAIN, DOWN if state == "down" else UP, time)
            midi.instruments[int(track)].control_changes.append(change)
        elif note.kind in WORDS:
            word = pretty_midi.Lyric if note.kind == "lyric" else pretty_midi.Text
            getattr(midi, WORDS[note.kind]).append(word(note.value, time))
    return midi


def from_pretty_midi(midi: "PrettyMIDI", id: str = "") -> Piece:  # noqa: A002 (a Piece's word)
    """A `PrettyMIDI` as a piece; times between two ticks go to the nearer one."""
    tick = midi.time_to_tick
    rows = [
        (number, tick(note.start), tick(note.end) - tick(note.start), note.pitch, note.velocity)
        for number, instrument in enumerate(midi.instruments)
        for note in instrument.notes
    ]
    words = [
        Annotation(tick(word.time), kind, word.text)
        for kind, name in WORDS.items()
        for word in getattr(midi, name) or ()
    ]
    for number, instrument in enumerate(midi.instruments):
        words += [
            Annotation(
                tick(change.time), "pedal", f"{number} {'down' if _is_down(change) else 'up'}"
            )
            for change in instrument.control_changes
            if change.number == SUSTAIN
        ]
    times, tempos = midi.get_tempo_changes()
    return Piece(
        id=id,
        ticks_per_quarter=midi.resolution,
        notes=sort_notes(np.array(rows, dtype=NOTE)),
        tracks=tuple(
            Track(i.name, role_of(i.name, i.program, i.is_drum), i.program, i.is_drum)
            for i in midi.instruments
        ),
        tempos=tuple(
            Tempo(int(tick(time)), float(f"{qpm:.{DIGITS}g}"))
            for time, qpm in zip(times.tolist(), tempos.tolist(), strict=True)
        ),
        meters=tuple(
            Meter(int(tick(change.time)), change.numerator, change.denominator)
            for change in midi.time_signature_changes
        ),
        keys=tuple(_key(change, int(tick(change.time))) for change in midi.key_signature_changes),
        annotations=tuple(sorted(words, key=lambda note: (note.onset, note.kind))),
    )


def unsaid(midi: "PrettyMIDI") -> dict[str, int]:
    """What `from_pretty_midi` leaves out, by name, with its number; {} for nothing."""
    counts = {
        "pitch bends": sum(len(i.pitch_bends) for i in midi.instruments),
        "control changes": sum(
            change.number != SUSTAIN for i in midi.instruments for change in i.control_changes
        ),
    }
    return {name: number for name, number in counts.items() if number}


def piano_roll(piece: Piece, fs: float = 100.0) -> npt.NDArray[np.float64]:
    """Velocities of all pitched tracks, shape (128, T), in frames of 1/fs seconds.

    As `PrettyMIDI.get_piano_roll`: notes at one place add up, drums are left out, and pedals hold
    their notes.
    """
    return np.asarray(to_pretty_midi(piece).get_piano_roll(fs=fs))


def from_piano_roll(roll: npt.NDArray[Any], fs: float = 100.0, program: int = 0) -> Piece:
    """One track of the runs of equal velocity in a roll of shape (pitches, T); a frame is a tick.

    A roll cannot say whether a note is held or struck again with the same velocity: it is held.
    Velocities are rounded and limited to 127.

    Raises:
        ValueError: a roll that is not of two dimensions.
    """
    if roll.ndim != 2:
        raise ValueError(f"a piano roll has shape (pitches, frames), not {roll.shape}")
    loud = np.clip(np.rint(roll), 0, 127).astype(np.int64)
    edges = np.diff(loud, prepend=0, append=0, axis=1)
    rows = []
    for pitch in np.flatnonzero(loud.any(axis=1)).tolist():
        at = np.flatnonzero(edges[pitch]).tolist()
        rows += [
            (0, start, end - start, pitch, int(loud[pitch, start]))
            for start, end in pairwise(at)
            if loud[pitch, start]
        ]
    ticks_per_quarter = max(1, round(fs * 60.0 / DEFAULT_QPM))
    return Piece(
        id="",
        ticks_per_quarter=ticks_per_quarter,
        notes=sort_notes(np.array(rows, dtype=NOTE)),
        tracks=(Track(program=program, role=role_of("", program)),),
        tempos=(Tempo(0, 60.0 * fs / ticks_per_quarter),),
    )


def _is_down(change: Any) -> bool:
    return bool(change.value >= DOWN_FROM)


def _key(change: Any, onset: int) -> Key:
    mode = "minor" if change.key_number >= 12 else "major"
    return Key(onset, fifths_of(change.key_number % 12, mode), mode)
