"""Writes pieces as Standard MIDI files, through MusPy."""

from pathlib import Path

from ostinato.execution.files import atomic_file
from ostinato.music.piece import Piece


def write_midi(path: Path, piece: Piece) -> None:
    """Write one piece, atomically and with the same bytes every time."""
    import muspy

    # MusPy names E flat, A flat and B flat major D#, G# and A#, which MIDI does not know (0.5.0)
    muspy.outputs.midi.PITCH_NAMES[:] = [
        "C",
        "Db",
        "D",
        "Eb",
        "E",
        "F",
        "F#",
        "G",
        "Ab",
        "A",
        "Bb",
        "B",
    ]
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
    with atomic_file(path) as partial:
        muspy.write_midi(partial, music)
