"""MidiTok's REMI and MIDILike tokenizers: they read our tokens, and say what ours must be.

MidiTok works on a score in which a step is a quarter note (see events_vocabulary) and every voice
has a program of its own: it merges tracks of one program. Its own quantization is switched off:
ours came before. Our tokens are written by `events_write`, many times as fast.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ostinato.music.piece import NOTE, Notes, sort_notes
from ostinato.representations.events.parts.vocabulary import Vocabulary


@lru_cache(maxsize=8)
def tokenizer(
    scheme: str, voices: int, pitches: tuple[int, int], longest: int, bars: tuple[int, ...]
) -> Any:
    """MidiTok's tokenizer for so many voices, a pitch range and bars of so many steps."""
    # loading MidiTok takes seconds (it imports torch)
    from miditok import REMI, MIDILike, TokenizerConfig

    config = TokenizerConfig(
        pitch_range=pitches,
        beat_res={(0, longest): 1},
        special_tokens=["PAD"],
        use_velocities=False,
        use_note_duration_programs=list(range(voices)),
        use_time_signatures=True,
        time_signature_range={4: sorted(set(bars))},
        use_programs=True,
        programs=list(range(voices)),
        one_token_stream_for_programs=True,
        use_pitchdrum_tokens=False,
        remove_duplicated_notes=False,
        delete_equal_successive_time_sig_changes=False,
    )
    return {"remi": REMI, "midi_like": MIDILike}[scheme](config)


def score_of(vocabulary: Vocabulary, notes: Notes, meters: Sequence[tuple[int, int]]) -> Any:
    """Notes in steps (track is the voice) under meters (onset in steps, number) as MidiTok's Score.

    What MidiTok makes of it is what `events_write` writes; a test holds it to that.
    """
    from symusic import Note, Score, TimeSignature, Track

    score = Score(1)
    for onset, meter in meters:
        score.time_signatures.append(TimeSignature(onset, vocabulary.bar_steps[meter], 4))
    for voice in np.unique(notes["track"]).tolist():
        line = notes[notes["track"] == voice]
        track = Track(program=voice)
        track.notes = Note.from_numpy(
            line["onset"].astype(np.int32),
            line["duration"].astype(np.int32),
            line["pitch"].astype(np.int8),
            np.full(len(line), 80, dtype=np.int8),
        )
        score.tracks.append(track)
    return score


def read_notes(miditok: Any, vocabulary: Vocabulary, tokens: Sequence[int], velocity: int) -> Notes:
    """The notes of our tokens in steps, voice as their track; those that lack an end are out."""
    from miditok import TokSequence

    names = " ".join(vocabulary.foreign[token] for token in tokens).split()
    parts = [np.empty(0, dtype=NOTE)]
    for track in miditok.decode(TokSequence(tokens=names)).tracks:
        columns = track.notes.numpy()
        part = np.zeros(len(columns["time"]), dtype=NOTE)
        part["track"], part["velocity"] = track.program, velocity
        part["onset"], part["duration"] = columns["time"], columns["duration"]
        part["pitch"] = columns["pitch"]
        parts.append(part)
    return sort_notes(np.concatenate(parts))
