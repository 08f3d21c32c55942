"""Verb: draw what each condition does, and four bands, by `pretrained`: python pictures.py.

Writes ../../docs/band_conditions.png and ../../docs/band.png. Panels side by side differ in one
setting; all pieces have the same seed.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ostinato.audio.pianoroll import COLORS
from ostinato.files import atomic_file
from ostinato.generator import Generator
from ostinato.music.piece import Piece
from ostinato.music.timing import bar_onsets
from ostinato.sampling.request import Fill, Region, Request

ROLES = ("melody", "piano", "guitar", "strings", "bass", "drums")
ALL = ("melody", "piano", "bass", "drums")
BARS, SEED = 4, 2
STEADY = {"temperature": 0.9, "top_p": 0.9}
Panel = tuple[str, dict[str, Any], dict[str, Any]]  # title, conditions, options
CONDITIONS: list[list[Panel]] = [
    [
        (f"density_{role}={level}", {f"density_{role}": level}, {"roles": ALL, "guidance": 2.5})
        for level in ("lowest", "medium", "highest")
    ]
    for role in ("drums", "bass")
]
CONDITIONS += [
    [
        (f"register_{role}={level}", {f"register_{role}": level}, {"roles": ALL, "guidance": 2.5})
        for level in ("lowest", "medium", "highest")
    ]
    for role in ("melody",)
]
CONDITIONS += [
    [
        (f"style={style}", {"style": style}, {"roles": ALL, "guidance": 2.5})
        for style in ("jazz", "rock", "classical")
    ],
    [(f"key={key}", {}, {"roles": ALL, "key": key}) for key in ("C", "Am", "F#")],
    [(f"meter={meter}", {}, {"roles": ALL, "meter": meter}) for meter in ("4/4", "3/4", "6/8")],
    [
        (f"chords={chords}", {}, {"roles": ALL, "chords": chords})
        for chords in ("C", "C | F | G | C", "Am7 D7 | Gmaj7")
    ],
    [
        (f"roles={'+'.join(roles)}", {}, {"roles": roles})
        for roles in (("piano",), ("guitar", "bass", "drums"), ("melody", "strings"))
    ],
]


def pictures(model: str = "pretrained") -> None:
    """Make the pieces and draw them."""
    torch.set_num_threads(1)
    generator = Generator.load(model)
    rows = [
        [(title, made(generator, BARS, conditions, options)) for title, conditions, options in row]
        for row in CONDITIONS
    ]
    draw(rows, Path("../../docs/band_conditions.png"))
    band = ("piano", "bass", "strings", "drums")
    tune = made(generator, BARS, {}, {"roles": ("melody",), "key": "C"})
    task = Fill(tune, Region(roles=("bass", "drums")))
    under = "bass and drums for the melody"
    four = [
        [
            ("jazz", made(generator, 8, {"style": "jazz"}, {"roles": band})),
            ("pop", made(generator, 8, {"style": "pop"}, {"roles": ALL})),
        ],
        [
            ("rock", made(generator, 8, {"style": "rock"}, {"roles": ("guitar", "bass", "drums")})),
            (under, made(generator, BARS, {}, {}, task=task)),
        ],
    ]
    draw(four, Path("../../docs/band.png"))


def made(
    generator: Generator,
    bars: int,
    conditions: Mapping[str, str],
    options: Mapping[str, Any],
    **more: Any,
) -> Piece:
    """One piece."""
    settings: dict[str, Any] = {"bars": bars, "min_bars": bars, "seed": SEED} | more
    [sample] = generator.generate(
        Request(conditions=dict(conditions), options=STEADY | dict(options), **settings)
    )
    if sample.piece is None:
        raise ValueError(f"{conditions} {options}: {sample.row['failed']}")
    return sample.piece


def draw(rows: Sequence[Sequence[tuple[str, Piece]]], path: Path) -> None:
    """Piano rolls side by side, a colour for each role; drums lie below the others."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = max(map(len, rows))
    figure = Figure(figsize=(15 / 3 * across, 1.9 * len(rows)), dpi=75, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), across, squeeze=False)
    known = {}
    for panels, row in zip(grid, rows, strict=True):
        for axes, (title, piece) in zip(panels, row, strict=True):
            for onset in bar_onsets(piece):
                axes.axvline(onset / piece.ticks_per_quarter, color="#D5D5D0", linewidth=0.7)
            for role in (role for role in ROLES if len(piece.voice(role))):
                notes, drums = piece.voice(role), role == "drums"
                known[role] = axes.barh(
                    y=notes["pitch"] - 30 * drums,
                    left=notes["onset"] / piece.ticks_per_quarter,
                    width=notes["duration"] / piece.ticks_per_quarter - 0.04,
                    height=0.9,
                    color=COLORS[ROLES.index(role)],
                )
            for sign in (s for s in piece.annotations if s.kind == "chord"):
                axes.text(sign.onset / piece.ticks_per_quarter, 97, sign.value, fontsize=7)
            axes.set_ylim(0, 104)
            axes.set_yticks([24, 36, 48, 60, 72, 84], ["", "C2", "", "C4", "", "C6"], fontsize=7)
            axes.set_xticks([])
            axes.set_title(title, loc="left", fontsize=9)
    figure.legend(known.values(), known, loc="outside upper right", ncols=len(known), frameon=False)
    with atomic_file(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None}, facecolor="white")


if __name__ == "__main__":
    pictures(*sys.argv[1:])
