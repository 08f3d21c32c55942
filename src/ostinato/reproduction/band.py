"""Likelihoods of a band, or of a rival, by role and style; what chords and conditions are worth."""

# B batch, T positions, R roles

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ostinato.loading.batches import conditions_of
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import ratio_interval
from ostinato.metrics.control import LEVELS, levels_of
from ostinato.models.ensemble.parts.layout import DURATION, OPEN, PITCH, POSITION, Layout
from ostinato.models.spec import ArraySpec, Given
from ostinato.music.chords import KINDS, ROLE, chords_as_annotations, parse_chord
from ostinato.seeds import seed_of

NO_STYLE = "none"
TOTAL = "all"
STRUCTURE = "bars and ends"  # of parts and pieces, roles that play, meters
LEVELLED = ("density_", "register_")
BEYOND = 0.25  # share of the parts of an outer level that lies beyond its end
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
    model: Any, tokens: TokenSet, numbers: Sequence[int], resamples: int, seed: int
) -> dict[str, Any]:
    """Nats a note of every role, by style and over all, with intervals over pieces; nats a token.

    model: a band, or any autoregressive model of the same tokens.

    `without chords` compares pieces that have chords with the same pieces without them, in the
    roles that both have.
    """
    part, form = tokens.splits["test"], tokens.codec["representation"]
    roles = list(form["order"] or form["roles"])
    chords, names = roles.index(ROLE), [*roles, STRUCTURE]
    paid, notes = _paid(model, tokens, numbers, chords)
    lengths = part.length[np.array(numbers)].astype(np.float64)
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
    a_token = ratio_interval(
        paid["full"].sum(axis=1), lengths, groups=groups, resamples=resamples, seed=seed
    )
    has_chords: Array = np.asarray(~np.isnan(paid["without chords"]).any(axis=1))
    return {
        "unit": "nats per note",
        "pieces": len(numbers),
        "nats_a_token": {"value": a_token.value, "low": a_token.low, "high": a_token.high},
        "by_style": {name: row("full", rows) for name, rows in of_style.items()},
        "without_conditions": row("without conditions", everything),
        "with_chords": {
            way: row(way, has_chords, but=chords) for way in ("full", "without chords")
        },
    }


def levels_in(tokens: TokenSet, form: Any) -> dict[str, Any]:
    """Of every level of a role among the training parts, copies included: Pearson's r of the level,
    0 to 4, and the density or register that the part has, which is as much as levels can tell; and
    where the outer levels end, beyond which a quarter of the parts that have them lies.

    form: the representation.
    """
    part, known = tokens.splits["train"], tokens.codec["conditions"]
    columns = {
        spec["name"]: [*spec["values"], None] for spec in known if spec["name"].startswith(LEVELLED)
    }
    names = [spec["name"] for spec in known]
    roles = sorted({name.split("_", 1)[1] for name in columns})
    pairs: dict[str, list[tuple[int, float]]] = {name: [] for name in columns}
    for number in range(len(part)):
        found = levels_of(form.decode(part.tokens_of(number)), roles)
        for name, values in columns.items():
            level = values[int(part.conditions[number, names.index(name)])]
            if level is not None and name in found:
                pairs[name].append((LEVELS.index(level), found[name]))
    levels: dict[str, Any] = {}
    for name, rows in pairs.items():
        place, value = np.array(rows).T
        outer = (value[place == 0], BEYOND), (value[place == len(LEVELS) - 1], 1 - BEYOND)
        levels[name] = {
            "parts": len(rows),
            "r": round(float(np.corrcoef(place, value)[0, 1]), 3),
            "ends": [round(float(np.quantile(values, share)), 3) for values, share in outer],
        }
    return levels


def chord_kinds(tokens: TokenSet, form: Any) -> dict[str, int]:
    """By kind of chord, such as m7, how many parts of all splits have one. form: as above."""
    found: Counter[str] = Counter()
    for part in tokens.splits.values():
        for number in range(len(part)):
            signs = chords_as_annotations(form.decode(part.tokens_of(number))).annotations
            chords = [parse_chord(sign.value) for sign in signs if sign.kind == "chord"]
            found.update({chord.kind for chord in chords if chord})
    return {kind: found[kind] for kind in KINDS if found[kind]}


def _paid(
    model: Any, tokens: TokenSet, numbers: Sequence[int], chords: int
) -> tuple[dict[str, Array], Array]:
    """Nats of every piece by role in each of WAYS, NaN where it cannot be told, and its notes."""
    part, layout = tokens.splits["test"], Layout(ArraySpec.of(tokens.codec))
    roles = len(layout.blocks)
    paid = {way: np.full((len(numbers), roles + 1), np.nan) for way in WAYS}
    notes = np.zeros((len(numbers), roles + 1))
    model.eval()
    for row, number in enumerate(numbers):
        piece = torch.from_numpy(part.tokens_of(number)[:, 0].astype(np.int64))
        given = model.given(conditions_of(part, [number]))
        notes[row] = _by_role(layout, piece, (layout.kinds[piece] == PITCH).double(), roles)
        notes[row, -1] = notes[row, :-1].sum()
        paid["full"][row] = _costs(model, layout, piece, given)
        paid["without conditions"][row] = _costs(model, layout, piece, None)
        if 0 < notes[row, chords] < notes[row, -1]:
            bare = piece[layout.roles[piece] != chords]
            paid["without chords"][row] = _costs(model, layout, bare, given)
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
    """The figures as tables of Markdown: of the band, and beside it of its rivals by name."""
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
    lines += _beside({"band": scores} | scores.get("rivals", {}), names)
    return "\n".join(lines) + "\n"


def _beside(systems: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    lines = ["", "| system | nats a token | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for name, scores in systems.items():
        row = scores["by_style"][TOTAL]
        figures = [scores["nats_a_token"], *(row[role] for role in names)]
        cells = [_shown(figure, interval=True) for figure in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _shown(figure: Mapping[str, Any] | None, *, interval: bool = False) -> str:
    if figure is None:
        return "–"
    if interval:
        return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.2f} ({figure['pieces']})"


def _costs(model: Any, layout: Layout, piece: torch.Tensor, given: Given | None) -> Array:
    """Nats of a piece's tokens by role; the last entry: of all others."""
    with torch.inference_mode():
        nats = model.score(piece[None, :, None], given)[0, :, 0].double()
    return _by_role(layout, piece, nats, len(layout.blocks))


def _by_role(layout: Any, piece: torch.Tensor, values: torch.Tensor, roles: int) -> Array:
    kinds = layout.kinds[piece]
    own = (kinds == POSITION) | (kinds == PITCH) | (kinds == DURATION)
    assert OPEN not in kinds[own]
    where = torch.where(own, layout.roles[piece], roles)
    sums = torch.zeros(roles + 1, dtype=torch.float64).index_add(0, where, values)
    found: Array = sums.numpy()
    return found
