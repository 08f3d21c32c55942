"""Music that was made elsewhere, measured as the samples of our own systems are.

Each file is read, its tracks are named after the encoding's voices, and it is encoded and decoded
once: the real music of an encoding is compared as the encoding holds it, and so is this.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ostinato.evaluation.excerpts import EvaluationSettings, cut_to, sample_excerpts
from ostinato.evaluation.measures.protocol import Context, Result
from ostinato.evaluation.measures.registry import found, unfit
from ostinato.evaluation.reference import read_real_music, read_reference
from ostinato.evaluation.system import checked, piece_rows
from ostinato.evaluation.trivial import FILE as TRIVIAL
from ostinato.evaluation.trivial import with_trivial
from ostinato.evaluation.written import PIECES, as_csv
from ostinato.files import DamagedFile, atomic_folder, write_json, write_text
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import Interval
from ostinato.music.piece import Piece
from ostinato.readers.read import SUFFIXES, read_piece
from ostinato.representations.protocol import Representation, Unencodable
from ostinato.representations.registry import build
from ostinato.sampling.by_hand import voiced

FORMAT = 1
FOUND = "measures.json"
FEWEST = 2  # pieces: a classifier is tried on others than those that it learned from
OF_MODELS = ("labels", "latents", "learning", "likelihood", "requests", "tuning")


@dataclass(frozen=True)
class Music:
    """Pieces as an encoding holds them. aside: files that cannot be used, with the reason. lost:
    notes of the used ones that it does not hold, of `notes`.
    """

    pieces: Sequence[Piece]
    aside: Mapping[str, str]
    lost: int
    notes: int


def read_music(folder: Path, representation: Representation) -> Music:
    """All music of a folder and its subfolders, in the order of the names.

    Raises:
        ValueError: it is no folder, or fewer than FEWEST of its files can be used.
    """
    if not folder.is_dir():
        raise ValueError(f"folder={folder} is no folder: give one of {', '.join(SUFFIXES)} files")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    pieces, aside, lost, notes = [], {}, 0, 0
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            piece = voiced(read_piece(path), representation)
            held = representation.decode(representation.encode(piece))
        except (DamagedFile, Unencodable, ValueError) as error:
            aside[name] = str(error).removeprefix(f"{path} cannot be read: ")
            continue
        notes += len(piece.notes)
        lost += max(0, len(piece.notes) - len(held.notes))
        pieces.append(replace(held, id=name))
    if len(pieces) < FEWEST:
        why = ", ".join(f"{n} {reason}" for reason, n in Counter(aside.values()).most_common(3))
        raise ValueError(
            f"{folder} has {len(paths)} files of music, of which {len(pieces)} can be used, and a "
            f"comparison needs {FEWEST}" + (f". Set aside: {why}" if why else "")
        )
    return Music(pieces, aside, lost, notes)


def check_out(out: Path, folder: Path) -> None:
    """Raise ValueError for a folder whose contents `write_music` would replace, unless they are its
    own. folder: of the music.
    """
    if out.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise ValueError(f"out={out} holds the music itself: give another out=…")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / FOUND).is_file())):
        raise ValueError(f"out={out} holds other files, which would be lost: give another out=…")


def measure_music(
    music: Music, tokens: TokenSet, reference: Path, settings: EvaluationSettings
) -> tuple[dict[str, Result], Context]:
    """The results of all measures that ask nothing of a model, and their context.

    Raises:
        MissingInput, DamagedFile: reference@ of the encoding was not run; names the command.
        ValueError: no piece is as long as what is compared.
    """
    real = read_real_music(reference, tokens, build(tokens.codec["representation"]))
    whole = sample_excerpts(music.pieces, [True] * len(music.pieces))
    samples = cut_to(whole, real.quarters)
    if len(samples) < FEWEST:
        raise ValueError(
            f"{len(samples)} of {len(whole)} pieces have the {real.quarters} quarters that real "
            f"music of {tokens.name} is cut to, and a comparison needs {FEWEST}: give longer pieces"
        )
    context = Context(
        **vars(real),
        samples=samples,
        samples_whole=whole,
        reference={},
        seed=settings.seed,
        resamples=settings.resamples,
        tokens=tokens,
        scorer=None,
        card={},
        history=(),
    )
    results = {}
    for name, module in found().items():
        if name not in OF_MODELS and not unfit(name, "tokens"):
            own = replace(context, reference=read_reference(reference, name, tokens.name))
            results[name] = checked(name, module.measure(own), context)
    made_by = f"dvc repro reference@{tokens.name}"
    return with_trivial(reference / TRIVIAL, results, made_by), context


def write_music(
    out: Path, music: Music, results: Mapping[str, Result], context: Context
) -> dict[str, Any]:
    """Write measures.json, pieces.csv and what was set aside; returns what is in measures.json."""
    found = {
        "format": FORMAT,
        "encoding": context.tokens.name,
        "tokens_digest": context.tokens.digest,
        "pieces": {
            "used": len(music.pieces),
            "compared": len(context.samples),
            "too_short": len(context.samples_whole) - len(context.samples),
            "set_aside": dict(music.aside),
        },
        "quarters": context.quarters,
        "notes": {"read": music.notes, "not_held": music.lost},
        "measures": {name: result.plain() for name, result in results.items() if result.values},
    }
    with atomic_folder(out) as folder:
        write_json(folder / FOUND, found)
        write_text(folder / "pieces.csv", as_csv(PIECES, piece_rows(results, context)))
    return found


def table(results: Mapping[str, Result]) -> list[str]:
    """One line for each headline figure: of these pieces, of held-out music, and what as many
    pieces of real music get; with 95 % intervals.
    """
    rows = [("", "these pieces", "held-out music", "as many training pieces")]
    for _, result in sorted(results.items(), key=lambda row: (row[1].order, row[0])):
        rows += [
            (
                figure.label or name,
                _cell(figure.interval),
                _cell(figure.reference),
                _cell(figure.floor),
            )
            for name, figure in result.values.items()
            if figure.is_headline
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cell(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.value):
        return ""
    bounds = f" [{interval.low:.3g}, {interval.high:.3g}]" if math.isfinite(interval.low) else ""
    return f"{interval.value:.3g}{bounds}"


def as_line(found: Mapping[str, Any]) -> str:
    """What was compared, as text for people."""
    pieces, notes = found["pieces"], found["notes"]
    aside = len(pieces["set_aside"])
    return (
        f"{pieces['compared']} pieces are compared in their first {found['quarters']} quarters; "
        f"{pieces['too_short']} shorter ones are counted where length does not matter, {aside} "
        f"files are set aside. Of {notes['read']} notes the encoding does not hold "
        f"{notes['not_held']}."
    )
