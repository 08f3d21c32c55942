"""From files as published to a clean, split corpus in which nothing vanishes without a reason.

Every file ends in `pieces` or in `rejected`, once; for every piece, notes read = notes kept + notes
dropped by named reason. The split is decided here and nowhere else: by melody, from a hash, so that
neither the order of files nor a new file moves a piece that was there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ostinato.execution.files import DamagedFile, seed_of
from ostinato.execution.parallel import map_items
from ostinato.music import melody
from ostinato.music.piece import Piece, sort_notes
from ostinato.music.read import MIDI_SUFFIXES, XML_SUFFIXES, ReadOptions, read_piece
from ostinato.music.silence import close_silences

SPLITS = ("train", "valid", "test")
REASONS = {
    "unreadable": "the reader failed; its own words are in `detail`",
    "no notes": "the file holds no note",
    "voices missing": "not every voice the dataset asks for is named in the score",
    "voices not clear": "a voice sounds several notes at once in more than a few places",
}


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """Shares of the splits, and the seed that decides who goes where."""

    train: float = 0.8
    valid: float = 0.1
    test: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        shares = (self.train, self.valid, self.test)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(
                f"split shares train={self.train}, valid={self.valid}, test={self.test} "
                "must add up to 1, none below 0"
            )


@dataclass(frozen=True, kw_only=True)
class NormalizeOptions:
    """What a dataset asks of its pieces.

    voices: roles that every piece must have, one line each; other parts are left out and counted.
    max_divisi: share of a voice's notes that may sound together with another of the same voice.
    longest_silence: quarter notes; whole bars are cut out of a longer rest of all voices.
    """

    ticks_per_quarter: int = 480
    expand_repeats: bool = False
    voices: tuple[str, ...] = ()
    max_divisi: float = 0.05
    longest_silence: float = 4.0
    split: SplitRule = field(default_factory=SplitRule)


@dataclass(frozen=True)
class Rejected:
    """A file that is not in the corpus: a reason from REASONS, and what was found."""

    file: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Normalized:
    """One piece of the corpus with its split, its melody and what was left out of it."""

    piece: Piece
    split: str
    fingerprint: str
    group: str
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class _Kept:
    piece: Piece
    dropped: Mapping[str, int]


def normalize_folder(
    folder: Path, options: NormalizeOptions
) -> tuple[list[Normalized], list[Rejected]]:
    """Read, clean and split every music file below `folder`, sorted by name."""
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in XML_SUFFIXES + MIDI_SUFFIXES
    )
    names = [path.relative_to(folder).as_posix() for path in files]
    results = map_items(_normalize_file, files, names, ids_of(names), [options] * len(files))
    kept = [result for result in results if isinstance(result, _Kept)]
    rejected = [result for result in results if isinstance(result, Rejected)]
    return _split(kept, options.split), rejected


def ids_of(names: Sequence[str]) -> list[str]:
    """File names without suffix, with it where two files differ in nothing else: ids are unique."""
    short = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    counts = Counter(short)
    return [name if counts[stem] > 1 else stem for name, stem in zip(names, short, strict=True)]


def _normalize_file(
    path: Path, name: str, piece_id: str, options: NormalizeOptions
) -> _Kept | Rejected:
    reading = ReadOptions(
        ticks_per_quarter=options.ticks_per_quarter, expand_repeats=options.expand_repeats
    )
    try:
        piece = read_piece(path, reading)
    except (DamagedFile, ValueError) as error:
        return Rejected(name, "unreadable", str(error).replace(str(path), name))
    if not len(piece.notes):
        return Rejected(name, "no notes", "")
    piece = replace(piece, id=piece_id, source=name)
    return keep_voices(piece, options) if options.voices else _Kept(piece, {})


def keep_voices(piece: Piece, options: NormalizeOptions) -> _Kept | Rejected:
    """Reduce a score to the voices asked for, in their order, or say why that cannot be."""
    numbers = {
        role: [i for i, track in enumerate(piece.tracks) if track.role == role]
        for role in options.voices
    }
    missing = [role for role, found in numbers.items() if not found]
    if missing:
        names = ", ".join(track.name for track in piece.tracks)
        return Rejected(piece.source, "voices missing", f"no {', '.join(missing)} among: {names}")
    warnings, parts, dropped = list(piece.warnings), [], Counter[str]()
    for new, role in enumerate(options.voices):
        first, *others = numbers[role]
        notes = piece.notes[piece.notes["track"] == first].copy()
        notes["track"] = new
        parts.append(notes)
        dropped["second part of a voice"] += int(np.isin(piece.notes["track"], others).sum())
        shared = simultaneous(notes["onset"], notes["duration"])
        if shared > options.max_divisi * len(notes):
            return Rejected(
                piece.source, "voices not clear", f"{role}: {shared} of {len(notes)} notes overlap"
            )
        if shared:
            warnings.append(f"{role} divides: {shared} of its notes sound together with another")
    wanted = [number for found in numbers.values() for number in found]
    dropped["part is not one of the voices"] = int((~np.isin(piece.notes["track"], wanted)).sum())
    voiced = replace(
        piece,
        notes=sort_notes(np.concatenate(parts)),
        tracks=tuple(piece.tracks[numbers[role][0]] for role in options.voices),
    )
    closed, cut = close_silences(voiced, options.longest_silence)
    if cut:
        warnings.append(f"{cut:g} quarter notes of rests in all voices cut")
    counted = {reason: count for reason, count in dropped.items() if count}
    return _Kept(replace(closed, warnings=tuple(warnings)), counted)


def simultaneous(onsets: np.ndarray, durations: np.ndarray) -> int:
    """How many notes of one line begin before an earlier one has ended."""
    order = np.argsort(onsets, kind="stable")
    ends = np.maximum.accumulate(onsets[order] + durations[order])
    return int((onsets[order][1:] < ends[:-1]).sum())


def _split(kept: Sequence[_Kept], rule: SplitRule) -> list[Normalized]:
    lines = [melody.intervals(item.piece) for item in kept]
    prints = [melody.fingerprint(item.piece) for item in kept]
    groups = melody.group_by_melody(lines)
    # a group is named by its smallest fingerprint, which no order of files changes
    names = {
        group: min(p for p, g in zip(prints, groups, strict=True) if g == group) for group in groups
    }
    return [
        Normalized(item.piece, split_of(names[group], rule), mark, names[group], item.dropped)
        for item, mark, group in zip(kept, prints, groups, strict=True)
    ]


def split_of(group: str, rule: SplitRule) -> str:
    """The split of a melody group: a pure function of its name and the rule."""
    position = seed_of("split", rule.seed, group) / 2**63
    if position < rule.train:
        return "train"
    return "valid" if position < rule.train + rule.valid else "test"


def options_from(dataset: str, settings: Mapping[str, Any]) -> NormalizeOptions:
    """Options from a dataset's file, naming what they do not know.

    Raises:
        ValueError: an unknown option or split rule, with the valid names.
    """
    known = [item.name for item in fields(NormalizeOptions)]
    unknown = sorted(set(settings) - set(known))
    rule = dict(settings.get("split", {}))
    shares = [item.name for item in fields(SplitRule)]
    strange = sorted(set(rule) - set(shares))
    if unknown or strange:
        raise ValueError(
            f"dataset {dataset}: normalize has no option {', '.join(unknown + strange)}; "
            f"its options are {', '.join(known)}; of split: {', '.join(shares)}"
        )
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    return NormalizeOptions(**(plain | {"split": SplitRule(**rule)}))
