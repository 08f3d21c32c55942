"""A second reader's opinion on the notes of a MIDI file."""

import numpy as np
import numpy.typing as npt

from ostinato.music.readers.midi_events import MidiEvents
from ostinato.music.readers.midi_notes import RawNotes

_LENGTHS = {0x51: 3, 0x58: 4, 0x59: 2}  # of tempos, meters, keys
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


def disagreement(data: bytes, events: MidiEvents, notes: RawNotes) -> list[str]:
    """What symusic reads otherwise in the bytes of a MIDI file, in one sentence or none.

    Compared are onset, duration, pitch and velocity of all notes in the file's ticks, whatever
    track they lie in. Notes that were never ended are left out: symusic is known to drop them, and
    their number is a warning of its own. On damaged tracks it is not asked: symusic (0.5.9) reads
    beyond their ends, and the process may die of it.
    """
    if not events.is_whole or not _has_whole_metas(events):
        return ["not compared with symusic, which may crash on damaged tracks"]
    if events.num_escapes:  # it takes their lengths for times and falls out of step
        return ["not compared with symusic, which cannot read escape events"]
    import symusic

    try:
        score = symusic.Score.from_midi(data)
    except Exception as error:  # it raises RuntimeError, and what its bindings make of other errors
        words = " ".join(str(error).split(": iostream")[0].split()).rstrip(".!")
        return [f"symusic refuses the file: {words or type(error).__name__}"]
    here = _keys(
        notes.onset[~notes.hanging],
        (notes.end - notes.onset)[~notes.hanging],
        notes.pitch[~notes.hanging],
        notes.velocity[~notes.hanging],
    )
    parts = [track.notes.numpy() for track in score.tracks]
    there = _keys(
        *(
            np.concatenate([part[name] for part in parts] or [np.zeros(0, np.int32)])
            for name in ("time", "duration", "pitch", "velocity")
        )
    )
    if len(here) == len(there) and np.array_equal(here, there):
        return []
    more, fewer = _surplus(there, here), _surplus(here, there)
    return [f"symusic reads other notes: {more} that are not here, {fewer} are not there"]


def _has_whole_metas(events: MidiEvents) -> bool:
    return all(len(meta.content) >= _LENGTHS.get(meta.kind, 0) for meta in events.metas)


def _keys(
    onset: npt.NDArray[np.integer],
    duration: npt.NDArray[np.integer],
    pitch: npt.NDArray[np.integer],
    velocity: npt.NDArray[np.integer],
) -> npt.NDArray[np.uint64]:
    """One sorted number for each note, equal for equal notes."""
    onset, duration, pitch, velocity = (
        values.astype(np.int64).view(np.uint64) for values in (onset, duration, pitch, velocity)
    )
    return np.sort(onset * _MIX[0] + duration * _MIX[1] + (pitch << np.uint64(8)) + velocity)


def _surplus(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> int:
    """How many of `a` have no partner in `b`, both sorted."""
    values, counts = np.unique(a, return_counts=True)
    partners = np.searchsorted(b, values, side="right") - np.searchsorted(b, values, side="left")
    return int(np.maximum(counts - partners, 0).sum())
