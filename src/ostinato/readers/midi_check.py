"""Other readers' opinions on the notes of a MIDI file.

symusic is asked of every file whose tracks are whole, MusPy's reader, twenty times slower, of a
share of them; then all three are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ostinato.readers.midi_events import MidiEvents
from ostinato.readers.midi_notes import RawNotes

MUSPY_BYTES = 300_000  # of the largest file that MusPy is asked of: some seconds of its time
SYMUSIC, MUSPY, BOTH = "symusic", "muspy", "muspy and symusic"
_LENGTHS = {0x51: 3, 0x58: 4, 0x59: 2}  # of tempos, meters, keys
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_SHARES = 10_000
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Opinions:
    """What other readers make of a file.

    warnings: where they disagree, or could not be asked. compared: whether there is a disagreement,
    for each that was compared: SYMUSIC and MUSPY with our reader, BOTH with each other.
    """

    warnings: tuple[str, ...] = ()
    compared: Mapping[str, bool] = field(default_factory=dict)


def opinions(data: bytes, events: MidiEvents, notes: RawNotes, muspy_share: float) -> Opinions:
    """What symusic, and MusPy for a share of files, read otherwise in the bytes of a MIDI file.

    Compared are onset, duration, pitch and velocity of all notes in the file's ticks, whatever
    track they lie in. Between symusic and us, notes that were never ended are left out: symusic is
    known to drop them, and their number is a warning of its own.
    """
    theirs = symusic_notes(data, events)
    warnings = [theirs] if isinstance(theirs, str) else []
    compared = {SYMUSIC: True} if isinstance(theirs, str) and "refuses" in theirs else {}
    if not isinstance(theirs, str):
        ours = raw_notes(notes.where(~notes.hanging))
        compared[SYMUSIC] = not np.array_equal(ours, theirs)
        if compared[SYMUSIC]:
            more, fewer = _surplus(theirs, ours), _surplus(ours, theirs)
            warnings.append(
                f"symusic reads other notes: {more} that are not here, {fewer} are not there"
            )
    if _is_whole(events) and is_in_sample(data, muspy_share):
        asked = _muspy_opinion(data, raw_notes(notes), theirs)
        warnings += asked.warnings
        compared |= asked.compared
    return Opinions(tuple(warnings), compared)


def _muspy_opinion(data: bytes, ours: Keys, symusics: Keys | str) -> Opinions:
    import mido
    import muspy

    try:
        theirs = music_notes(muspy.from_mido(mido.MidiFile(file=BytesIO(data))))
    except Exception as error:  # whatever MusPy stumbles over
        words = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        return Opinions((f"MusPy refuses the file: {words}",), {MUSPY: True})
    warnings, compared = [], {MUSPY: not np.array_equal(ours, theirs)}
    if compared[MUSPY]:
        warnings.append(f"MusPy reads {_against(theirs, ours, 'our reader')}")
    both = muspy_and_symusic(theirs, symusics)
    return Opinions((*warnings, *both.warnings), compared | dict(both.compared))


def muspy_and_symusic(muspys: Keys, symusics: Keys | str) -> Opinions:
    """How MusPy and symusic differ; nothing where symusic could not be asked."""
    if isinstance(symusics, str):
        return Opinions()
    if np.array_equal(muspys, symusics):
        return Opinions((), {BOTH: False})
    return Opinions((f"MusPy reads {_against(muspys, symusics, 'symusic')}",), {BOTH: True})


def _against(some: Keys, others: Keys, name: str) -> str:
    return (
        f"{len(some)} notes, {name} {len(others)}: {_surplus(some, others)} and "
        f"{_surplus(others, some)} of them are not the other's"
    )


def symusic_notes(data: bytes, events: MidiEvents) -> Keys | str:
    """The notes that symusic reads, or in one sentence why there are none.

    Of damaged tracks it is not asked: symusic (0.5.9) reads beyond their ends, and the process may
    die of it.
    """
    if not _is_whole(events):
        return "not compared with symusic, which may crash on damaged tracks"
    if events.num_escapes:  # it takes their lengths for times and falls out of step
        return "not compared with symusic, which cannot read escape events"
    import symusic

    try:
        score = symusic.Score.from_midi(data)
    except Exception as error:  # it raises RuntimeError, and what its bindings make of other errors
        words = " ".join(str(error).split(": iostream")[0].split()).rstrip(".!")
        return f"symusic refuses the file: {words or type(error).__name__}"
    parts = [track.notes.numpy() for track in score.tracks]
    columns = (
        np.concatenate([part[name] for part in parts] or [np.zeros(0, np.int32)])
        for name in ("time", "duration", "pitch", "velocity")
    )
    return _keys(*columns)


def music_notes(music: Any) -> Keys:
    """The notes of a `muspy.Music` in its own ticks, as sorted numbers to be compared."""
    rows = [(n.time, n.duration, n.pitch, n.velocity or 0) for t in music.tracks for n in t.notes]
    return _keys(*np.array(rows, np.int64).reshape(-1, 4).T)


def raw_notes(notes: RawNotes) -> Keys:
    """The same of our own reader's notes, in the file's ticks."""
    return _keys(notes.onset, notes.end - notes.onset, notes.pitch, notes.velocity)


def is_in_sample(data: bytes, share: float) -> bool:
    """Whether a file belongs to the share; by its bytes, so that each run asks the same ones."""
    return len(data) <= MUSPY_BYTES and crc32(data) % _SHARES < share * _SHARES


def _is_whole(events: MidiEvents) -> bool:
    return events.is_whole and all(
        len(meta.content) >= _LENGTHS.get(meta.kind, 0) for meta in events.metas
    )


def _keys(
    onset: npt.NDArray[np.integer],
    duration: npt.NDArray[np.integer],
    pitch: npt.NDArray[np.integer],
    velocity: npt.NDArray[np.integer],
) -> Keys:
    """One sorted number for each note, equal for equal notes."""
    onset, duration, pitch, velocity = (
        values.astype(np.int64).view(np.uint64) for values in (onset, duration, pitch, velocity)
    )
    return np.sort(onset * _MIX[0] + duration * _MIX[1] + (pitch << np.uint64(8)) + velocity)


def _surplus(a: Keys, b: Keys) -> int:
    """How many of `a` have no partner in `b`, both sorted."""
    values, counts = np.unique(a, return_counts=True)
    partners = np.searchsorted(b, values, side="right") - np.searchsorted(b, values, side="left")
    return int(np.maximum(counts - partners, 0).sum())
