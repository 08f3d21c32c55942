"""Writes pieces as Standard MIDI files (type 1; tempos, meters and keys in the first track)."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.files import atomic_file
from ostinato.music.piece import NOTE, Piece, Track
from ostinato.music.signatures import with_signatures

if TYPE_CHECKING:
    from mido import MidiFile

DRUM_CHANNEL = 9
TICKS = 480  # a quarter: what most programs expect
CHANNELS = 15  # without the one for drums


def write_midi(path: Path, piece: Piece) -> None:
    """Write one piece, atomically and with the same bytes every time.

    480 ticks a quarter where they hold the piece's own; annotated bars as time signatures.
    """
    midi = to_mido(in_ticks(with_signatures(piece), TICKS))
    with atomic_file(path) as partial:
        midi.save(partial)


def to_mido(piece: Piece) -> "MidiFile":
    """A piece as a `mido.MidiFile`: the bytes that MusPy writes, and the keys that it cannot spell.

    MIDI has no room for roles, labels, annotations and warnings; keys of more than seven sharps or
    flats are left out, and other modes than minor are named by their major scale. Tempos are
    rounded to whole microseconds a quarter.

    Raises:
        ValueError: a pitch or a velocity outside 0 to 127, or a meter whose denominator is no power
            of two.
    """
    from mido import Message, MetaMessage, MidiFile, MidiTrack, bpm2tempo

    shared = [MetaMessage("track_name", name=piece.title)] if piece.title else []
    shared += [MetaMessage("set_tempo", time=x.onset, tempo=bpm2tempo(x.qpm)) for x in piece.tempos]
    shared += [
        MetaMessage(
            "time_signature", time=x.onset, numerator=x.numerator, denominator=x.denominator
        )
        for x in piece.meters
    ]
    shared += [
        MetaMessage("key_signature", time=key.onset, key=name)
        for key in piece.keys
        if (name := key.midi_name()) is not None
    ]
    channels = [channel_of(number, track) for number, track in enumerate(piece.tracks)]
    tracks = [
        [
            MetaMessage("track_name", name=track.name),
            Message("program_change", program=track.program, channel=channel),
        ]
        for track, channel in zip(piece.tracks, channels, strict=True)
    ]
    columns = [piece.notes[name].tolist() for name in NOTE.names or ()]
    for number, onset, duration, pitch, velocity in zip(*columns, strict=True):
        for time, loud in ((onset, velocity), (onset + duration, 0)):
            tracks[number].append(
                Message("note_on", time=time, note=pitch, velocity=loud, channel=channels[number])
            )
    midi = MidiFile(type=1, ticks_per_beat=piece.ticks_per_quarter, charset=_charset(piece))
    for messages in (shared, *tracks):
        messages.sort(key=lambda message: message.time)  # stable: a note's end before the next
        before = 0
        for message in messages:
            message.time, before = message.time - before, message.time
        midi.tracks.append(MidiTrack(messages))
    return midi


def in_ticks(piece: Piece, ticks: int) -> Piece:
    """The same music in finer ticks; unchanged where `ticks` is no multiple of its own."""
    factor, rest = divmod(ticks, piece.ticks_per_quarter)
    if rest:
        return piece
    notes = piece.notes.copy()
    notes["onset"] *= factor
    notes["duration"] *= factor
    moved: dict[str, Any] = {
        name: tuple(replace(x, onset=x.onset * factor) for x in getattr(piece, name))
        for name in ("tempos", "meters", "keys", "annotations")
    }
    return replace(piece, notes=notes, ticks_per_quarter=ticks, **moved)


def channel_of(number: int, track: Track) -> int:
    """Channel of a track, from 0; tracks after the 15th share one with an earlier track."""
    if track.is_drum:
        return DRUM_CHANNEL
    channel = number % CHANNELS
    return channel + (channel >= DRUM_CHANNEL)


def _charset(piece: Piece) -> str:
    """Latin-1, which most readers expect, if it has all letters of the names; else UTF-8."""
    try:
        "".join((piece.title, *(track.name for track in piece.tracks))).encode("latin1")
    except UnicodeEncodeError:
        return "utf-8"
    return "latin1"
