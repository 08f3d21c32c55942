"""Several corpora as one: parts of pieces, with common names of roles, styles, chords and levels.

Every piece is cut into parts of at most some bars. Its styles and roles get the names that the mix
has for them; its chord symbols, or chords estimated by `music/chord_estimate.py`, become a chord
role; and how dense and how high every role plays becomes a label with the values of LEVELS, whose
limits are quantiles of the training parts.
"""

# P parts

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ostinato.corpus.store import Entry
from ostinato.music.chord_estimate import estimate_chords
from ostinato.music.chords import ROLE, with_chord_role, with_chords
from ostinato.music.keys import key_of_piece
from ostinato.music.piece import Piece, Tempo, cut
from ostinato.music.roles import DRUMS
from ostinato.music.timing import bar_onsets, duration_seconds
from ostinato.seeds import seed_of

LEVELS = ("lowest", "low", "medium", "high", "highest")
FEWEST = 4  # notes of a role without which it has no level
FEW_PIECES = 20  # of a style: fewer draw a warning
NO_STYLE = "none"


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
    get levels.
    """

    bars: int = 32
    parts: int = 3
    without_chords: float = 0.15
    styles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if self.bars < 1 or self.parts < 1 or not 0 <= self.without_chords <= 1:
            raise ValueError(
                f"bars={self.bars} and parts={self.parts} must be at least 1, "
                f"without_chords={self.without_chords} from 0 to 1"
            )

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


def levelled(
    parts: Sequence[Part], roles: Sequence[str]
) -> tuple[list[Part], dict[str, list[float]]]:
    """The parts with labels of density (notes a quarter) and register (mean pitch) of some roles,
    and the limits between LEVELS by label.
    """
    values = [_measured(part.quantized, roles) for part in parts]
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


def weighted(parts: Iterable[Part]) -> Iterator[Entry]:
    """Every training part as often as its weight, all others once."""
    for part in parts:
        yield part.entry
        for number in range(1, part.copies if part.entry.split == "train" else 1):
            piece = replace(part.entry.piece, id=f"{part.entry.piece.id}~{number + 1}")
            yield replace(part.entry, piece=piece)


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


def warnings_of(counts: Mapping[str, Any]) -> list[str]:
    """One line for each style that has too few pieces to be learned."""
    return [
        f"style {style} has {pieces} pieces, fewer than {FEW_PIECES}: expect little of it"
        for style, pieces in counts["pieces_by_style"].items()
        if pieces < FEW_PIECES and style != NO_STYLE
    ]


def _named_alike(name: str, piece: Piece, source: Source, mix: Mix) -> Piece:
    """The piece with names of the mix, one tempo, and its mode."""
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
    if key := key_of_piece(replace(piece, tracks=tracks)):
        labels["mode"] = key[1]
    return replace(
        piece, id=f"{name}/{piece.id}", tracks=tracks, tempos=(Tempo(0, qpm),), labels=labels
    )


def _measured(piece: Piece, roles: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for role in roles:
        notes = piece.voice(role)
        if len(notes) < FEWEST or not piece.quarters:
            continue
        found[f"density_{role}"] = len(notes) / piece.quarters
        if role != DRUMS:
            found[f"register_{role}"] = float(notes["pitch"].mean())
    return found
