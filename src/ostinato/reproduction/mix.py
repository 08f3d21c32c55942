"""Several corpora as one: parts of pieces, with common names of roles, styles, chords and levels.

Every piece is cut into parts of at most some bars. Its styles and roles get the names that the mix
has for them; its chord symbols, or chords estimated by `music/chord_estimate.py`, become a chord
role. Training parts are moved to other keys here, so that labels stay true of what is learned from:
the tonic, and how dense and how high every role plays, with the values of LEVELS, whose limits are
quantiles of the training parts.
"""

# P parts

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ostinato.corpus.store import Entry
from ostinato.metrics.control import LEVELS, levels_of
from ostinato.music.chord_estimate import estimate_chords
from ostinato.music.chords import ROLE, with_chord_role, with_chords
from ostinato.music.keys import key_of_piece
from ostinato.music.piece import Piece, Tempo, cut, sort_notes
from ostinato.music.timing import bar_onsets, duration_seconds
from ostinato.seeds import seed_of

FEW_PIECES = 20  # of a style: fewer draw a warning
NO_STYLE = "none"
TONICS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
OCTAVE = len(TONICS)


@dataclass(frozen=True, kw_only=True)
class Source:
    """How one corpus is taken.

    train, valid, test: at most so many pieces of these splits, chosen by the seed; 0: all. copies:
    how often a training part occurs, the weight of this corpus; more: by style, what this is
    multiplied by. least_bars: shorter pieces are left out. roles: by the corpus's role, that of the
    mix; `all` stands for every role. style: the label that has the style.
    """

    train: int = 0
    valid: int = 0
    test: int = 0
    copies: int = 1
    more: Mapping[str, int] = field(default_factory=dict)
    least_bars: int = 1
    roles: Mapping[str, str] = field(default_factory=dict)
    style: str = "style"

    def __post_init__(self) -> None:
        if min(self.copies, self.least_bars) < 1 or min(self.train, self.valid, self.test) < 0:
            raise ValueError(
                f"copies={self.copies} and least_bars={self.least_bars} must be at least 1, "
                f"train={self.train}, valid={self.valid} and test={self.test} at least 0"
            )


@dataclass(frozen=True)
class Part:
    """A part of a piece, as it is and as the representation has it; copies: its weight."""

    entry: Entry
    quantized: Piece
    copies: int

    @property
    def name(self) -> str:
        """The piece that it is of."""
        return self.entry.piece.id.split("#")[0]


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What is mixed.

    bars: of a part, at most. parts: of a piece, at most, evenly spread over it. without_chords:
    share of pieces that get no chord role, so that a model also learns to do without. styles: by
    style of the mix, the labels that mean it; other labels are left out. levels: the roles that
    get levels. transpose: range of semitones within which training parts are moved, both included,
    as far as the registers of their roles reach.
    """

    bars: int = 32
    parts: int = 3
    without_chords: float = 0.15
    styles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    transpose: tuple[int, int] = (0, 0)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.bars < 1 or self.parts < 1 or not 0 <= self.without_chords <= 1:
            raise ValueError(
                f"bars={self.bars} and parts={self.parts} must be at least 1, "
                f"without_chords={self.without_chords} from 0 to 1"
            )
        low, high = self.transpose
        if not low <= 0 <= high:
            raise ValueError(f"transpose={[low, high]} must be a range around 0")

    @property
    def style_of(self) -> dict[str, str]:
        """By label of a corpus in lower case, the style of the mix."""
        return {
            label.lower(): style for style, labels in self.styles.items() for label in labels
        } | {style: style for style in self.styles}


def chosen(name: str, entries: Iterable[Entry], source: Source, mix: Mix) -> list[Entry]:
    """The pieces of a corpus that are taken.

    Where a corpus has no split `test`, every second group of its split `valid` is test.
    """
    kept = [entry for entry in entries if len(bar_onsets(entry.piece)) >= source.least_bars]
    if not any(entry.split == "test" for entry in kept):
        groups = sorted({entry.group for entry in kept if entry.split == "valid"})
        held = set(groups[1::2])
        kept = [replace(e, split="test") if e.group in held else e for e in kept]
    taken: list[Entry] = []
    for split in ("train", "valid", "test"):
        mine = [entry for entry in kept if entry.split == split]
        rng = np.random.default_rng(seed_of("mix", name, split, mix.seed))
        numbers = rng.permutation(len(mine))[: getattr(source, split) or len(mine)]
        taken += [mine[number] for number in sorted(numbers.tolist())]
    return taken


def parts_of(name: str, entry: Entry, source: Source, mix: Mix) -> list[Entry]:
    """Parts of a piece, named `<dataset>/<piece>#<first bar>`."""
    piece = _named_alike(name, entry.piece, source, mix)
    rng = np.random.default_rng(seed_of("chords", piece.id, mix.seed))
    if rng.random() >= mix.without_chords:
        piece = heard_chords(piece)
    lines = bar_onsets(piece)
    firsts = lines[:: mix.bars]
    found = []
    for number, (start, end) in enumerate(pairwise([*firsts, piece.length])):
        part = replace(cut(piece, start, end), id=f"{piece.id}#{1 + number * mix.bars}")
        if key := key_of_piece(part):
            labels = dict(part.labels) | {"tonic": TONICS[key[0]], "mode": key[1]}
            part = replace(part, labels=labels)
        if played_roles(part) - {ROLE}:
            found.append(replace(entry, piece=part, group=f"{name}/{entry.group}"))
    few = np.linspace(0, len(found) - 1, min(len(found), mix.parts)).round().astype(int)
    return [found[number] for number in few.tolist()]


def renamed(entry: Entry, sources: Mapping[str, Sequence[str]]) -> Entry:
    """A part whose tracks have a representation's roles, by what plays them (its `sources`)."""
    role_of = {played: role for role, played_by in sources.items() for played in played_by}
    tracks = tuple(replace(t, role=role_of.get(t.role, t.role)) for t in entry.piece.tracks)
    return replace(entry, piece=replace(entry.piece, tracks=tracks))


def played_roles(piece: Piece) -> set[str]:
    """The roles that have notes."""
    return {piece.tracks[number].role for number in np.unique(piece.notes["track"]).tolist()}


def heard_chords(piece: Piece) -> Piece:
    """A piece with a chord role: its chord symbols, else the chords of `estimate_chords`."""
    if any(sign.kind == "chord" for sign in piece.annotations):
        return with_chord_role(piece)[0]
    chords = estimate_chords(piece)
    return with_chords(piece, chords) if chords else piece


def spread(
    parts: Iterable[Part], registers: Mapping[str, Sequence[int]], mix: Mix
) -> Iterator[Part]:
    """Every training part as often as its weight, each time in a key drawn by the seed; all others
    once, as they are.

    registers: by role, its lowest and highest pitch.
    """
    for part in parts:
        if part.entry.split != "train":
            yield replace(part, copies=1)
            continue
        low, high = _room(part.quantized, registers, mix.transpose)
        piece = part.entry.piece
        rng = np.random.default_rng(seed_of("keys", piece.id, mix.seed))
        for number in range(1, part.copies + 1):
            semitones = int(rng.integers(low, high + 1))
            name = piece.id if number == 1 else f"{piece.id}~{number}"
            entry = replace(part.entry, piece=replace(moved(piece, semitones), id=name))
            yield Part(entry, moved(part.quantized, semitones), 1)


def moved(piece: Piece, semitones: int) -> Piece:
    """A piece with pitched tracks, its tonic and its chords moved; the chord role keeps its octaves
    (see `Chord.pitches`).
    """
    notes, number = piece.notes.copy(), piece.notes["track"]
    pitched = np.array([not t.is_drum for t in piece.tracks], dtype=bool)[number]
    chords = np.array([t.role == ROLE for t in piece.tracks], dtype=bool)[number]
    up = notes["pitch"] + np.where(pitched, semitones, 0).astype(notes["pitch"].dtype)
    base = notes["pitch"] - notes["pitch"] % OCTAVE
    notes["pitch"] = np.where(chords, base + up % OCTAVE, up)
    labels = dict(piece.labels)
    if "tonic" in labels:
        labels["tonic"] = TONICS[(TONICS.index(labels["tonic"]) + semitones) % OCTAVE]
    signs = tuple(sign for sign in piece.annotations if sign.kind != "chord")
    moved_notes = sort_notes(notes)
    return replace(piece, notes=moved_notes, labels=labels, keys=(), annotations=signs)


def _room(
    piece: Piece, registers: Mapping[str, Sequence[int]], within: tuple[int, int]
) -> tuple[int, int]:
    """How far a part can be moved within the registers of its roles."""
    low, high = within
    for track in piece.tracks:
        pitches = piece.voice(track.role)["pitch"]
        if track.role in registers and track.role != ROLE and not track.is_drum and len(pitches):
            low = max(low, int(registers[track.role][0] - pitches.min()))
            high = min(high, int(registers[track.role][1] - pitches.max()))
    return min(low, 0), max(high, 0)


def levelled(
    parts: Sequence[Part], roles: Sequence[str]
) -> tuple[list[Part], dict[str, list[float]]]:
    """The parts with labels of density (notes a quarter) and register (mean pitch) of some roles,
    and the limits between LEVELS by label.
    """
    values = [levels_of(part.quantized, roles) for part in parts]
    limits: dict[str, list[float]] = {}
    shares = np.linspace(0, 1, len(LEVELS) + 1)[1:-1]
    for name in sorted({name for row in values for name in row}):
        train = [
            row[name]
            for row, part in zip(values, parts, strict=True)
            if name in row and part.entry.split == "train"
        ]
        if train:
            limits[name] = [round(x, 3) for x in np.quantile(train, shares).tolist()]
    out = []
    for part, row in zip(parts, values, strict=True):
        labels = {
            name: LEVELS[int(np.searchsorted(limits[name], value, side="right"))]
            for name, value in row.items()
            if name in limits
        }
        piece = part.entry.piece
        labelled = replace(piece, labels=dict(piece.labels) | labels)
        out.append(replace(part, entry=replace(part.entry, piece=labelled)))
    return out, limits


def counted(parts: Sequence[Part]) -> dict[str, Any]:
    """Pieces by style, before they were cut; parts by dataset, and by style and role."""
    styles = {part.name: part.entry.piece.labels.get("style", NO_STYLE) for part in parts}
    roles: dict[str, Counter[str]] = {}
    for part in parts:
        roles.setdefault(styles[part.name], Counter()).update(
            {"parts", *played_roles(part.quantized)}
        )
    return {
        "pieces_by_style": dict(sorted(Counter(styles.values()).items())),
        "parts_by_dataset": dict(sorted(Counter(p.name.split("/")[0] for p in parts).items())),
        "parts_by_style_and_role": {s: dict(sorted(c.items())) for s, c in sorted(roles.items())},
    }


def describe(counts: Mapping[str, Any]) -> str:
    """Pieces by style, and parts by style and role, as a table of Markdown."""
    rows = counts["parts_by_style_and_role"]
    roles = sorted({role for row in rows.values() for role in row} - {"parts"})
    lines = [
        "| style | pieces | parts | " + " | ".join(roles) + " |",
        "|---" * (len(roles) + 3) + "|",
    ]
    for style, pieces in counts["pieces_by_style"].items():
        cells = [style, pieces, *(rows[style].get(name, 0) for name in ("parts", *roles))]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def warnings_of(counts: Mapping[str, Any]) -> list[str]:
    """One line for each style that has too few pieces to be learned."""
    return [
        f"style {style} has {pieces} pieces, fewer than {FEW_PIECES}: expect little of it"
        for style, pieces in counts["pieces_by_style"].items()
        if pieces < FEW_PIECES and style != NO_STYLE
    ]


def _named_alike(name: str, piece: Piece, source: Source, mix: Mix) -> Piece:
    """The piece with names of the mix and one tempo."""
    every = source.roles.get("all")
    tracks = tuple(
        replace(track, role=every or source.roles.get(track.role, track.role))
        for track in piece.tracks
    )
    seconds = duration_seconds(piece)
    qpm = round(60 * piece.quarters / seconds, 3) if seconds else 120.0
    labels = {}
    if style := mix.style_of.get(piece.labels.get(source.style, "").lower()):
        labels["style"] = style
    return replace(
        piece, id=f"{name}/{piece.id}", tracks=tracks, tempos=(Tempo(0, qpm),), labels=labels
    )
