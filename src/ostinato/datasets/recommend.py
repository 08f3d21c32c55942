"""Which representation keeps most notes of some files, and what each one leaves out.

`main`, run in a process of its own, reads from its input, separated by NULs, the folder of the
representations' settings and the files; it prints the best one's name and form, then lines to show.

A sample of the files is read as normalize would, and every representation of conf/representation
quantizes the pieces. Notes are counted as they come out: repeated notes that a grid joins are lost
there. Files are read behind a guard, since any of them may hang or crash a reader.
"""

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ostinato.execution.guard import Guard, Limits
from ostinato.files import DamagedFile
from ostinato.music.piece import Piece
from ostinato.music.roles import DRUMS
from ostinato.readers.read import keys_in, read
from ostinato.representations.protocol import Representation, Unencodable
from ostinato.representations.registry import build, form_of

MOST_FILES, MOST_PIECES = 60, 20  # of a folder, and of one file that holds many
LIMITS = Limits(seconds=30, megabytes=2048)
# `pitch` keeps no durations and `mel` no notes, which a count of notes does not show; those of the
# kind `roles` are for one kind of corpus each
NOT_OFFERED = ("pitch", "mel", "roles")
USUAL = ("tracks", "events")
SHOWN = 5  # representations, and reasons of each


@dataclass
class Fit:
    """What a representation makes of some pieces.

    notes: kept; lines: tracks they are kept in; moved: sum over notes of the change of their onset
    (quarter notes); left_out: notes by reason.
    """

    notes: int = 0
    lines: int = 0
    moved: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Fit") -> None:
        """Count more pieces."""
        self.notes += other.notes
        self.lines += other.lines
        self.moved += other.moved
        self.left_out.update(other.left_out)

    @property
    def total(self) -> int:
        """Notes of the pieces."""
        return self.notes + self.left_out.total()


def look(files: Sequence[Path], folder: Path) -> tuple[dict[str, Fit], int, int]:
    """The fits of all representations in a folder of their files, the best first; and how many of
    the files were looked at, and how many of these hold no music that can be read.

    Equal shares of notes (to a thousandth) are ordered by how little onsets move (to a hundredth of
    a quarter note), then by how many tracks stay apart.
    """
    chosen = [files[n * len(files) // MOST_FILES] for n in range(MOST_FILES)]
    chosen = list(files) if len(files) <= MOST_FILES else chosen
    settings = [(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.yaml"))]
    offered = tuple(item for item in settings if yaml.safe_load(item[1])["kind"] not in NOT_OFFERED)
    fits = {name: Fit() for name, _ in offered}
    unread = 0
    with Guard() as guard:
        for found in guard.run(partial(fits_of_file, offered), chosen, LIMITS):
            if not isinstance(found, dict):
                unread += 1
                continue
            for name, fit in found.items():
                fits[name].add(fit)
    return dict(sorted(fits.items(), key=_order)), len(chosen), unread


def _order(item: tuple[str, Fit]) -> tuple[Any, ...]:
    name, fit = item
    share, moved = fit.notes / max(fit.total, 1), fit.moved / max(fit.notes, 1)
    return -round(share, 3), round(moved, 2), -fit.lines, name != USUAL[0], name


def fits_of_file(settings: tuple[tuple[str, str], ...], path: Path) -> dict[str, Fit] | None:
    """The fits of one file; None where it holds no note or cannot be read."""
    try:
        pieces = [read(path, key).piece for key in keys_in(path)[:MOST_PIECES]]
    except (DamagedFile, ValueError):
        return None
    fits = {name: Fit() for name, _ in settings}
    for name, text in settings:
        for piece in pieces:
            fits[name].add(fit_of(piece, *_built(text)))
    return fits if any(len(piece.notes) for piece in pieces) else None


@cache
def _built(text: str) -> tuple[Representation, tuple[str, ...]]:
    settings: Mapping[str, Any] = yaml.safe_load(text)
    return build(settings), tuple(settings.get("voices") or ())


def fit_of(piece: Piece, representation: Representation, voices: Sequence[str]) -> Fit:
    """What a representation of some voices (none means all but drums) makes of a piece."""
    total = len(piece.notes)
    try:
        quantized = representation.quantize(piece)
    except Unencodable as error:
        return Fit(left_out=Counter({f"file set aside, {error.reason}": total}))
    notes = quantized.piece.notes
    left_out: Counter[str] = Counter()
    for number, track in enumerate(piece.tracks):
        if track.role not in voices if voices else track.is_drum:
            role = DRUMS if track.is_drum else track.role
            left_out[role] += int((piece.notes["track"] == number).sum())
    rest = total - len(notes) - left_out.total()
    left_out["struck or joined with another"] += max(rest, 0)
    return Fit(
        total - left_out.total(),
        len(np.unique(notes["track"])),
        quantized.moved * len(notes),
        +left_out,
    )


def describe(files: Sequence[Path], folder: Path) -> list[str]:
    """The name and form of the best representation, then lines that compare it with others."""
    fits, looked, unread = look(files, folder)
    kept = [name for name in fits if fits[name].notes]
    unreadable = f", {unread} hold no music that can be read" if unread else ""
    lines = [f"looked at {looked} of {len(files)} files{unreadable}"]
    lines += ["notes that representations keep of them:"] * bool(kept)
    for name in kept[:SHOWN]:
        fit = fits[name]
        reasons = [f"{why} {count:,}" for why, count in fit.left_out.most_common(SHOWN)]
        reasons += ["others"] * (len(fit.left_out) > SHOWN)
        left_out = f"; leaves out: {', '.join(reasons)}" if reasons else ""
        lines.append(f"  {name}: {fit.notes:,} of {fit.total:,}{left_out}")
    if not kept:
        return [*USUAL, *lines]
    settings = yaml.safe_load((folder / f"{kept[0]}.yaml").read_text("utf-8"))
    return [kept[0], form_of(settings["kind"]), *lines]


def main() -> None:
    """Read the paths, print the lines."""
    conf, *music = (Path(os.fsdecode(path)) for path in sys.stdin.buffer.read().split(b"\0"))
    sys.stdout.buffer.write("\n".join(describe(music, conf)).encode() + b"\n")
