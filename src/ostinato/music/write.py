"""Writes pieces as Standard MIDI files, through MusPy."""

from pathlib import Path
from typing import Any

from ostinato.files import atomic_file
from ostinato.music.piece import Piece


def write_midi(path: Path, piece: Piece) -> None:
    """Write one piece, atomically and with the same bytes every time."""
    import mido
    import muspy

    music = muspy.Music(
        resolution=piece.ticks_per_quarter,
        metadata=muspy.Metadata(title=piece.title or None),
        tempos=[muspy.Tempo(tempo.onset, tempo.qpm) for tempo in piece.tempos],
        time_signatures=[
            muspy.TimeSignature(meter.onset, meter.numerator, meter.denominator)
            for meter in piece.meters
        ],
        tracks=[
            muspy.Track(
                program=track.program,
                is_drum=track.is_drum,
                name=track.name,
                notes=[
                    muspy.Note(
                        int(n["onset"]), int(n["pitch"]), int(n["duration"]), int(n["velocity"])
                    )
                    for n in piece.notes[piece.notes["track"] == number]
                ],
            )
            for number, track in enumerate(piece.tracks)
        ],
    )
    midi = muspy.to_mido(music)
    keys = _key_signatures(piece)
    if keys:
        midi.tracks[0] = mido.merge_tracks([midi.tracks[0], keys])
    with atomic_file(path) as partial:
        midi.save(partial)


def _key_signatures(piece: Piece) -> Any:
    """A track of the key signatures: MusPy (0.5.0) spells some keys as MIDI does not know them."""
    import mido

    track, before = mido.MidiTrack(), 0
    for key in piece.keys:
        name = key.midi_name()
        if name is not None:
            track.append(mido.MetaMessage("key_signature", key=name, time=key.onset - before))
            before = key.onset
    return track
