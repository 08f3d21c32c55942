"""Musical statistics of a corpus: notes, time, harmony, instruments, labels."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ostinato.music.piece import Piece
from ostinato.report.corpus_count import (
    Bins,
    longest,
    octaves,
    pitches,
    ranking,
    sounding,
    whole_numbers,
)
from ostinato.report.corpus_data import Histogram, Ranking
from ostinato.report.corpus_names import drum_name, instrument_name, key_name

MOST_VOICES = 16
STRAIGHT = 5  # bins per octave: straight, dotted and triplet durations have one each
FINE = 10
SECONDS = [(float(s), f"{s} s") for s in (1, 2, 4, 8, 15, 30)]
MINUTES = [(60.0 * m, f"{m} min") for m in (1, 2, 4, 8, 15, 30, 60, 120, 240)]
NOTHING = "none stated"
STYLES = ("style", "genre")  # labels that are styles; the first that a corpus has counts
NO_ROLE = "no role"
MOST_ROLES = 60
FEW_PIECES = 20  # of a style


class MusicCounts:
    """Counts of all histograms and rankings."""

    def __init__(self) -> None:
        self.pitch = Bins(pitches())
        self.duration = Bins(octaves(-6, 6, STRAIGHT))
        self.per_second = Bins(octaves(-5, 8, FINE))
        self.per_quarter = Bins(octaves(-5, 8, FINE))
        self.polyphony = Bins(whole_numbers(0, MOST_VOICES, 1, range(MOST_VOICES + 1)))
        self.seconds = Bins(octaves(-1, 14, FINE, SECONDS + MINUTES))
        self.quarters = Bins(octaves(-1, 14, FINE))
        self.tempo = Bins(whole_numbers(10, 399, 10, range(20, 400, 20)))
        self.no_tempo = 0
        self.changes = Counter[str]()
        self.meters, self.keys = Counter[str](), Counter[str]()
        self.programs, self.roles, self.drums = Counter[str](), Counter[str](), Counter[str]()

    def add(self, piece: Piece, seconds: float) -> None:
        """Count one piece; `seconds`: its length."""
        drum = np.array([track.is_drum for track in piece.tracks], bool)
        beaten = drum[piece.notes["track"]] if len(piece.notes) else np.empty(0, bool)
        tuned = piece.notes[~beaten]
        self.pitch.add(tuned["pitch"])
        self.duration.add(tuned["duration"] / piece.ticks_per_quarter)
        if len(tuned):
            notes, ticks = sounding(tuned)
            self.polyphony.add(notes, ticks / piece.ticks_per_quarter)
        if piece.length and seconds > 0:
            self.seconds.add(seconds)
            self.quarters.add(piece.quarters)
            self.per_second.add(len(piece.notes) / seconds)
            self.per_quarter.add(len(piece.notes) / piece.quarters)
        self._add_marks(piece, seconds)
        self._add_tracks(piece, beaten)

    def _add_marks(self, piece: Piece, seconds: float) -> None:
        if piece.tempos and seconds > 0:
            self.tempo.add(round(60 * piece.quarters / seconds))
        else:
            self.no_tempo += 1
        meter, key = longest(piece.meters, piece.length), longest(piece.keys, piece.length)
        self.meters[f"{meter.numerator}/{meter.denominator}" if meter else NOTHING] += 1
        self.keys[key_name(key) if key else NOTHING] += 1
        for name in ("tempos", "meters", "keys"):
            self.changes[name] += len(getattr(piece, name)) > 1

    def _add_tracks(self, piece: Piece, beaten: np.ndarray) -> None:
        notes = np.bincount(piece.notes["track"], minlength=len(piece.tracks)).tolist()
        for track, count in zip(piece.tracks, notes, strict=True):
            if count:
                self.roles[track.role or "no role"] += count
                name = "Drums" if track.is_drum else instrument_name(track.program)
                self.programs[name] += count
        found, counts = np.unique(piece.notes["pitch"][beaten], return_counts=True)
        for pitch, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.drums[drum_name(pitch)] += count

    def histograms(self) -> tuple[Histogram | Ranking, ...]:
        """Histograms and rankings of notes, time and harmony that are not empty."""
        found: list[Histogram | Ranking] = [
            self.pitch.done("Pitch", "notes", "Drums left out."),
            self.duration.done(
                "Duration in quarter notes", "notes", "Drums left out; logarithmic axis."
            ),
            self.polyphony.done(
                "Notes sounding at once",
                "quarter notes",
                f"For how long so many sound; 0 is silence, {MOST_VOICES} is {MOST_VOICES} or "
                "more. Drums left out.",
            ),
            self.per_second.done(
                "Density: notes per second", "pieces", "Drums included; logarithmic axis."
            ),
            self.per_quarter.done(
                "Density: notes per quarter note", "pieces", "Drums included; logarithmic axis."
            ),
            self.seconds.done("Length of pieces in time", "pieces", self._untimed()),
            self.quarters.done("Length of pieces in quarter notes", "pieces", "Logarithmic axis."),
            self.tempo.done("Tempo: quarter notes per minute", "pieces", self._tempi()),
            ranking("Meter", "pieces", self.meters, self._main("meter", "meters")),
            ranking("Key", "pieces", self.keys, self._main("key", "keys")),
        ]
        return tuple(item for item in found if item.total)

    def _untimed(self) -> str:
        if not self.no_tempo:
            return "Logarithmic axis."
        return f"Logarithmic axis; {self.no_tempo} without a tempo are played at 120 a minute."

    def _tempi(self) -> str:
        text = f"The average over each piece that states one; {self.no_tempo} state none"
        return f"{text}, {self.changes['tempos']} change theirs."

    def _main(self, word: str, name: str) -> str:
        return f"The {word} each piece is in for longest; {self.changes[name]} change theirs."

    def instruments(self) -> tuple[Ranking, ...]:
        """Rankings of programs, roles and drums that are not empty."""
        found = (
            ranking("Instruments", "notes", self.programs, "By General MIDI program."),
            ranking("Roles", "notes", self.roles, "The part that tracks play."),
            ranking("Drums", "notes", self.drums, "By General MIDI's drum kit."),
        )
        return tuple(item for item in found if item.total)


class LabelCounts:
    """Counts of the values of every label, of the roles that play, and of both together."""

    def __init__(self) -> None:
        self.values: dict[str, Counter[str]] = {}
        self.roles, self.of_styles = Counter[str](), Counter[str]()
        self.pieces = 0

    def add(self, piece: Piece) -> None:
        """Count the labels and roles of one piece."""
        self.pieces += 1
        labels: Mapping[str, str] = piece.labels
        for name, value in labels.items():
            self.values.setdefault(name, Counter())[value] += 1
        tracks = np.unique(piece.notes["track"]).tolist()
        roles = {piece.tracks[number].role or NO_ROLE for number in tracks}
        self.roles.update(roles)
        styles = [labels[name] for name in STYLES if name in labels][:1]
        self.of_styles.update(f"{style}, {role}" for style in styles for role in roles)

    def few(self) -> tuple[str, ...]:
        """A line for each style that few pieces have."""
        found = next((self.values[name] for name in STYLES if name in self.values), Counter[str]())
        return tuple(
            f"style {style} has {count} piece{'s' * (count > 1)}, fewer than {FEW_PIECES}: expect "
            "little of it"
            for style, count in sorted(found.items())
            if count < FEW_PIECES
        )

    def rankings(self) -> tuple[Ranking, ...]:
        """One ranking per label, by name."""
        found = []
        for name, values in sorted(self.values.items()):
            bare = self.pieces - values.total()
            text = f"{len(values)} different {'value' if len(values) == 1 else 'values'}"
            text += f"; {bare} pieces have none." if bare else "."
            found.append(ranking(name.replace("_", " ").capitalize(), "pieces", values, text))
        text = "A piece counts once for each role that has notes in it."
        for title, counts in (("Roles", self.roles), ("Styles and roles", self.of_styles)):
            if counts:
                found.append(ranking(title, "pieces", counts, text, MOST_ROLES))
        return tuple(found)
