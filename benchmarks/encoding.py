"""Pieces to tokens: notes a second against MidiTok on the same music with the same vocabulary."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.measure import OURS, Race, in_turn
from ostinato.music.piece import NOTE, Meter, Notes, Piece, Track, sort_notes
from ostinato.representations.events.events import Events

PIECES, NOTES = 20, 1000
TICKS, STEPS, LONGEST = 480, 4, 16
METERS = ("2/4", "3/4", "4/4")
PROGRAMS = {"melody": 65, "piano": 0, "guitar": 25, "bass": 33, "strings": 48, "drums": 0}


def races(rounds: int) -> list[Race]:
    """Both from music in memory to numbers, quantization included; reading files is another race.

    On sixteenths, with meters, programs and drums as each says them, without velocities.
    """
    pieces = [random_piece(seed) for seed in range(PIECES)]
    return [
        Race(
            question=f"encode as {scheme}, {len(PROGRAMS)} tracks",
            unit="notes",
            amount=sum(len(piece.notes) for piece in pieces),
            seconds=in_turn(
                {OURS: _ours(scheme, pieces), "MidiTok": _theirs(scheme, pieces)}, rounds
            ),
            aims={"MidiTok": 1.0},
        )
        for scheme in ("remi", "midi_like")
    ]


def random_piece(seed: int) -> Piece:
    """A band that plays a little off the grid, with two changes of meter on bar lines."""
    rng = np.random.default_rng(seed)
    tracks = tuple(
        Track(name=role, role=role, program=program, is_drum=role == "drums")
        for role, program in PROGRAMS.items()
    )
    notes = np.concatenate([_line(rng, number) for number in range(len(tracks))])
    meters = (Meter(0, 4, 4), Meter(32 * TICKS, 3, 4), Meter(62 * TICKS, 2, 4))
    return Piece(f"piece-{seed}", TICKS, sort_notes(notes), tracks, meters=meters)


def _line(rng: np.random.Generator, number: int) -> Notes:
    """One track: steps of up to a quarter note, each within a 50th of a quarter of its place."""
    step = TICKS // STEPS
    notes = np.zeros(NOTES // len(PROGRAMS), dtype=NOTE)
    onsets = np.cumsum(rng.integers(1, STEPS + 1, len(notes))) * step
    notes["track"], notes["velocity"] = number, 80
    notes["onset"] = onsets + rng.integers(-TICKS // 50, TICKS // 50, len(notes))
    notes["duration"] = rng.integers(1, 2 * STEPS, len(notes)) * step
    notes["pitch"] = rng.integers(36, 82, len(notes))
    return notes


def _ours(scheme: str, pieces: Sequence[Piece]) -> Callable[[], None]:
    events = Events(
        scheme=scheme,
        voices=tuple(PROGRAMS),
        programs=tuple(PROGRAMS.values()),
        steps_per_quarter=STEPS,
        max_quarters=LONGEST,
        meters=METERS,
    )

    def encode() -> None:
        for piece in pieces:
            assert len(events.encode(piece)) > len(piece.notes)

    return encode


def _theirs(scheme: str, pieces: Sequence[Piece]) -> Callable[[], None]:
    from miditok import REMI, MIDILike, TokenizerConfig

    config = TokenizerConfig(
        pitch_range=(36, 82),  # the end is not in it
        beat_res={(0, LONGEST): STEPS},
        use_velocities=False,
        use_programs=True,
        use_time_signatures=True,
        time_signature_range={4: [2, 3, 4]},
        use_pitchdrum_tokens=True,
        drums_pitch_range=(36, 82),
    )
    tokenizer = {"remi": REMI, "midi_like": MIDILike}[scheme](config)
    scores = [_score(piece) for piece in pieces]

    def encode() -> None:
        for piece, score in zip(pieces, scores, strict=True):
            assert len(tokenizer.encode(score).ids) > len(piece.notes)

    return encode


def _score(piece: Piece) -> Any:
    """A piece as symusic holds it."""
    from symusic import Note, Score, TimeSignature
    from symusic import Track as Part

    score = Score(piece.ticks_per_quarter)
    for meter in piece.meters:
        score.time_signatures.append(TimeSignature(meter.onset, meter.numerator, meter.denominator))
    for number, track in enumerate(piece.tracks):
        line = piece.notes[piece.notes["track"] == number]
        part = Part(track.name, track.program, track.is_drum)
        part.notes = Note.from_numpy(
            line["onset"].astype(np.int32),
            line["duration"].astype(np.int32),
            line["pitch"].astype(np.int8),
            line["velocity"].astype(np.int8),
        )
        score.tracks.append(part)
    return score
