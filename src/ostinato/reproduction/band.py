"""Likelihoods of a band by role and style, and what its chords and conditions are worth."""

# B batch, T positions, R roles

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ostinato.loading.batches import conditions_of
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import ratio_interval
from ostinato.models.ensemble.band import Model
from ostinato.models.ensemble.parts.layout import DURATION, OPEN, PITCH, POSITION
from ostinato.models.spec import Given
from ostinato.music.chords import ROLE
from ostinato.seeds import seed_of

NO_STYLE = "none"
TOTAL = "all"
STRUCTURE = "bars and ends"  # of parts and pieces, roles that play, meters
Array = np.ndarray[Any, Any]
WAYS = {
    "full": "as it is",
    "without conditions": "no condition is given",
    "without chords": "the chord role is taken out",
}


def chosen_pieces(tokens: TokenSet, count: int, seed: int) -> list[int]:
    """At most so many pieces of the split `test`, by the seed."""
    part = tokens.splits["test"]
    rng = np.random.default_rng(seed_of("pieces", seed))
    return sorted(rng.permutation(len(part))[:count].tolist())


def score_band(
    model: Model, tokens: TokenSet, numbers: Sequence[int], resamples: int, seed: int
) -> dict[str, Any]:
    """Nats a note of every role, by style and over all, with intervals over pieces.

    `without chords` compares pieces that have chords with the same pieces without them, in the
    roles that both have.
    """
    part, form = tokens.splits["test"], tokens.codec["representation"]
    roles = list(form["order"] or form["roles"])
    chords, names = roles.index(ROLE), [*roles, STRUCTURE]
    paid, notes = _paid(model, tokens, numbers, chords)
    groups = np.array([part.piece[number].split("#")[0] for number in numbers])

    def row(way: str, pieces: Array, *, but: int = -1) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for place, name in enumerate(names):
            divided = notes[pieces, place]
            if place == but or not divided.sum():
                found[name] = None
                continue
            value = ratio_interval(
                paid[way][pieces, place],
                divided,
                groups=groups[pieces],
                resamples=resamples,
                seed=seed,
            )
            known = int((divided > 0).sum())
            ends = {"low": value.low, "high": value.high}
            found[name] = {"value": value.value} | ends | {"pieces": known}
        return found

    everything, styles = np.ones(len(numbers), dtype=bool), _styles(tokens, numbers)
    of_style: dict[str, Array] = {TOTAL: everything}
    of_style |= {
        name: np.array([style == name for style in styles]) for name in sorted(set(styles.tolist()))
    }
    has_chords: Array = np.asarray(~np.isnan(paid["without chords"]).any(axis=1))
    return {
        "unit": "nats per note",
        "pieces": len(numbers),
        "by_style": {name: row("full", rows) for name, rows in of_style.items()},
        "without_conditions": row("without conditions", everything),
        "with_chords": {
            way: row(way, has_chords, but=chords) for way in ("full", "without chords")
        },
    }


def _paid(
    model: Model, tokens: TokenSet, numbers: Sequence[int], chords: int
) -> tuple[dict[str, Array], Array]:
    """Nats of every piece by role in each of WAYS, NaN where it cannot be told, and its notes."""
    part, layout = tokens.splits["test"], model.layout
    roles = len(layout.blocks)
    paid = {way: np.full((len(numbers), roles + 1), np.nan) for way in WAYS}
    notes = np.zeros((len(numbers), roles + 1))
    model.eval()
    for row, number in enumerate(numbers):
        piece = torch.from_numpy(part.tokens_of(number)[:, 0].astype(np.int64))
        given = model.given(conditions_of(part, [number]))
        notes[row] = _by_role(layout, piece, (layout.kinds[piece] == PITCH).double(), roles)
        notes[row, -1] = notes[row, :-1].sum()
        paid["full"][row] = _costs(model, piece, given, roles)
        paid["without conditions"][row] = _costs(model, piece, None, roles)
        if 0 < notes[row, chords] < notes[row, -1]:
            bare = piece[layout.roles[piece] != chords]
            paid["without chords"][row] = _costs(model, bare, given, roles)
    return paid, notes


def _styles(tokens: TokenSet, numbers: Sequence[int]) -> Array:
    """The style of every piece."""
    column, style = next(
        (place, spec)
        for place, spec in enumerate(tokens.codec["conditions"])
        if spec["name"] == "style"
    )
    codes = tokens.splits["test"].conditions[np.array(numbers), column]
    return np.array([*style["values"], NO_STYLE])[codes]


def table(scores: Mapping[str, Any]) -> str:
    """The figures as tables of Markdown."""
    names = list(scores["by_style"][TOTAL])
    lines = [
        f"Nats a note on {scores['pieces']} held-out parts of pieces; in brackets, how many have "
        "the role. `bars and ends`: bars, meters, named roles and ends of parts, for each note.",
        "",
        "| style | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for style, row in scores["by_style"].items():
        lines.append(f"| {style} | " + " | ".join(_shown(row[name]) for name in names) + " |")
    compared = {
        "all pieces, as they are": scores["by_style"][TOTAL],
        "all pieces, no condition given": scores["without_conditions"],
        "pieces with chords, as they are": scores["with_chords"]["full"],
        "the same pieces, their chords taken out": scores["with_chords"]["without chords"],
    }
    lines += ["", "| what is given | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for label, row in compared.items():
        cells = [_shown(row.get(name), interval=True) for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(figure: Mapping[str, Any] | None, *, interval: bool = False) -> str:
    if figure is None:
        return "–"
    if interval:
        return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.2f} ({figure['pieces']})"


def _costs(model: Model, piece: torch.Tensor, given: Given | None, roles: int) -> Array:
    """Nats of a piece's tokens by role; the last entry: of all others."""
    with torch.inference_mode():
        nats = model.score(piece[None, :, None], given)[0, :, 0].double()
    return _by_role(model.layout, piece, nats, roles)


def _by_role(layout: Any, piece: torch.Tensor, values: torch.Tensor, roles: int) -> Array:
    kinds = layout.kinds[piece]
    own = (kinds == POSITION) | (kinds == PITCH) | (kinds == DURATION)
    assert OPEN not in kinds[own]
    where = torch.where(own, layout.roles[piece], roles)
    sums = torch.zeros(roles + 1, dtype=torch.float64).index_add(0, where, values)
    found: Array = sums.numpy()
    return found
