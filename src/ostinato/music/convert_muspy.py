"""Converts pieces to `muspy.Music` and back.

Both directions keep times in ticks and lose nothing that both classes can hold. `to_muspy` loses
nothing at all: what `muspy.Music` has no field for travels in annotations, which its JSON and YAML
files keep.

| Piece | muspy.Music |
|---|---|
| ticks_per_quarter | resolution |
| title, source | metadata.title, metadata.source_filename ("" is None) |
| tempos, meters | tempos, time_signatures |
| keys | key_signatures, by `fifths` and `mode` ("" is None) |
| tracks, their notes | tracks, notes |
| a track's role | an annotation of the track, group `role` |
| annotations of kind `bar` without a value | barlines |
| other annotations | annotations; the kind is the group ("" is None) |
| id, labels, warnings | one annotation at 0, group `ostinato` |

`unsaid` counts what a `muspy.Music` of another origin holds and a Piece cannot: lyrics, beats,
chords, spelled pitches, creators, copyright, collection, source format, annotations that are no
text, keys without fifths or root, and notes without a velocity, which get DEFAULT_VELOCITY.
"""

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.music.piece import (
    DEFAULT_VELOCITY,
    NOTE,
    Annotation,
    Key,
    Meter,
    Piece,
    Tempo,
    Track,
    fifths_of,
    sort_notes,
)
from ostinato.music.roles import role_of

if TYPE_CHECKING:
    from muspy import Music

OURS = "ostinato"
ROLE = "role"


def to_muspy(piece: Piece) -> "Music":
    """A piece as a new `muspy.Music`; `from_muspy` gives an equal piece back.

    Annotations come back sorted by onset and kind, which is how readers leave them.
    """
    import muspy

    columns = {name: piece.notes[name].tolist() for name in NOTE.names or ()}
    tracks = [
        muspy.Track(
            program=track.program,
            is_drum=track.is_drum,
            name=track.name,
            annotations=[muspy.Annotation(0, track.role, ROLE)],
        )
        for track in piece.tracks
    ]
    for number, onset, duration, pitch, velocity in zip(*columns.values(), strict=True):
        tracks[number].notes.append(muspy.Note(onset, pitch, duration, velocity))
    ours = {"id": piece.id, "labels": dict(piece.labels), "warnings": list(piece.warnings)}
    bars = [_is_barline(note) for note in piece.annotations]
    return muspy.Music(
        metadata=muspy.Metadata(title=piece.title or None, source_filename=piece.source or None),
        resolution=piece.ticks_per_quarter,
        tempos=[muspy.Tempo(tempo.onset, tempo.qpm) for tempo in piece.tempos],
        key_signatures=[
            muspy.KeySignature(key.onset, fifths=key.fifths, mode=key.mode or None)
            for key in piece.keys
        ],
        time_signatures=[
            muspy.TimeSignature(meter.onset, meter.numerator, meter.denominator)
            for meter in piece.meters
        ],
        barlines=[
            muspy.Barline(note.onset)
            for note, is_bar in zip(piece.annotations, bars, strict=True)
            if is_bar
        ],
        annotations=[
            muspy.Annotation(note.onset, note.value, note.kind or None)
            for note, is_bar in zip(piece.annotations, bars, strict=True)
            if not is_bar
        ]
        + [muspy.Annotation(0, ours, OURS)],
        tracks=tracks,
    )


def from_muspy(music: "Music", id: str | None = None) -> Piece:  # noqa: A002 (a Piece's word)
    """A `muspy.Music` as a piece; see `unsaid` for what a piece cannot hold.

    id: default: the one that `to_muspy` left, else the stem of metadata.source_filename. Roles come
    from `to_muspy` as well, else from names and programs (`roles.role_of`).
    """
    meta = music.metadata
    source = (meta.source_filename if meta else "") or ""
    ours: dict[str, Any] = next((n.annotation for n in music.annotations if _is_ours(n)), {})
    rows = [
        (
            number,
            n.time,
            n.duration,
            n.pitch,
            DEFAULT_VELOCITY if n.velocity is None else n.velocity,
        )
        for number, track in enumerate(music.tracks)
        for n in track.notes
    ]
    words = [Annotation(bar.time, "bar") for bar in music.barlines]
    words += [
        Annotation(note.time, note.group or "", note.annotation)
        for note in music.annotations
        if isinstance(note.annotation, str)
    ]
    return Piece(
        id=str(ours.get("id", PurePath(source).stem)) if id is None else id,
        ticks_per_quarter=music.resolution,
        notes=sort_notes(np.array(rows, dtype=NOTE)),
        tracks=tuple(_track(track) for track in music.tracks),
        tempos=tuple(Tempo(tempo.time, float(tempo.qpm)) for tempo in music.tempos),
        meters=tuple(Meter(m.time, m.numerator, m.denominator) for m in music.time_signatures),
        keys=tuple(
            Key(key.time, fifths, key.mode or "")
            for key in music.key_signatures
            if (fifths := _fifths(key)) is not None
        ),
        annotations=tuple(sorted(words, key=lambda note: (note.onset, note.kind))),
        labels={str(key): str(value) for key, value in ours.get("labels", {}).items()},
        title=(meta.title if meta else "") or "",
        source=source,
        warnings=tuple(str(warning) for warning in ours.get("warnings", ())),
    )


def unsaid(music: "Music") -> dict[str, int]:
    """What `from_muspy` leaves out of a `muspy.Music`, by name, with its number; {} for nothing."""
    meta, counts = music.metadata, Counter[str]()
    for name in ("creators", "copyright", "collection", "source_format"):
        counts[name] = int(bool(meta and getattr(meta, name)))
    counts["lyrics"], counts["beats"] = len(music.lyrics), len(music.beats)
    counts["keys without fifths or root"] = sum(_fifths(k) is None for k in music.key_signatures)
    counts["annotations that are no text"] = sum(
        not isinstance(note.annotation, str) and not _is_ours(note) for note in music.annotations
    )
    for track in music.tracks:
        counts["lyrics"] += len(track.lyrics)
        counts["chords"] += len(track.chords)
        counts["annotations of tracks"] += sum(note.group != ROLE for note in track.annotations)
        counts["spelled pitches"] += sum(note.pitch_str is not None for note in track.notes)
        counts["notes without a velocity"] += sum(note.velocity is None for note in track.notes)
    return {name: number for name, number in sorted(counts.items()) if number}


def _is_barline(note: Annotation) -> bool:
    return note.kind == "bar" and not note.value


def _is_ours(note: Any) -> bool:
    return note.group == OURS and isinstance(note.annotation, dict)


def _track(track: Any) -> Track:
    roles = [note.annotation for note in track.annotations if note.group == ROLE]
    name = track.name or ""
    role = roles[0] if roles else role_of(name, track.program, bool(track.is_drum))
    return Track(name, str(role), track.program, bool(track.is_drum))


def _fifths(key: Any) -> int | None:
    """Sharps or flats of a MusPy key, from its root where it does not state them."""
    if key.fifths is not None or key.root is None or key.mode not in ("major", "minor"):
        return None if key.fifths is None else int(key.fifths)
    return fifths_of(key.root, key.mode)
