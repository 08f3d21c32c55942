"""What the page asks for, and the pieces that answer it."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ostinato.live.composer import Composer, Prepared, prompt_bars
from ostinato.music.chords import ROLE, chords_as_annotations
from ostinato.music.piece import Piece, Tempo, cut
from ostinato.music.timing import numbered_bars
from ostinato.representations.protocol import Unencodable
from ostinato.sampling.by_hand import moved, voiced
from ostinato.sampling.kept import heard_of, in_tempo_of, sounding_as, with_signs
from ostinato.sampling.left_out import not_held, outside
from ostinato.sampling.prompts import REMEDIES
from ostinato.sampling.request import Fill
from ostinato.studio.locks import regions
from ostinato.studio.longer import heard_from, joined
from ostinato.studio.models import Models
from ostinato.studio.music import from_json, to_json


class Asked(BaseModel):
    """A request of the page; a link holds the same.

    free: [role, bar] pairs to compose again, for task=fill. weights: start of the hash of the
    weights that a link was made with. options, conditions: those of the model, by name.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    task: Literal["generate", "continue", "fill", "vary"] = "generate"
    bars: int = Field(8, ge=1, le=128)
    seed: int = Field(1, ge=0, lt=2**31)
    n: int = Field(1, ge=1, le=8)
    prompt_bars: int | None = Field(None, ge=1, le=1000)
    strength: float = Field(0.3, ge=0, le=1)
    qpm: float | None = Field(None, ge=20, le=400)
    piece: dict[str, Any] | None = None
    free: list[tuple[str, int]] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)
    conditions: dict[str, Any] = Field(default_factory=dict)
    weights: str | None = None


def make(models: Models, asked: Asked) -> list[dict[str, Any]]:
    """The pieces of a request, as the page draws them, with remarks.

    Raises:
        ValueError: what the model cannot do or hold, or other weights than those of a link.
    """
    *_, last = making(models, asked)
    found: list[dict[str, Any]] = last["made"]
    return found


def making(
    models: Models, asked: Asked, stopped: Callable[[], bool] = lambda: False
) -> Iterator[dict[str, Any]]:
    """How far a request is, and at the end what `make` returns, as `made`.

    Before: take (from 1), takes, and done and of: how many bars, or regions to fill, are there and
    will be; of is 0 where a model makes the piece at once. stopped: whether it is not wanted any
    more.

    Raises:
        ValueError: as `make`.
        Cancelled: it is not wanted any more.
    """
    composer = models.get(asked.model)
    if asked.weights and not composer.weights.startswith(asked.weights):
        raise ValueError(
            f"the link was made with weights {asked.weights}…, {asked.model} has "
            f"{composer.weights[:12]}…; the piece would be another one"
        )
    prompt = from_json(asked.piece) if asked.piece is not None else None
    with models.turn:
        made = []
        for index in range(asked.n):
            one = yield from _one(composer, asked, prompt, index, stopped)
            made.append(one)
    yield {"made": made}


def fitted(models: Models, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """A piece with the roles of a model, as its encoding holds it.

    Raises:
        ValueError: the model's encoding cannot hold it; says why.
    """
    representation = models.get(name).representation
    given = from_json(data)
    piece = voiced(given, representation)
    try:
        held = representation.quantize(piece)
    except Unencodable as error:
        found = outside(piece, representation) if error.reason == "pitch out of range" else ""
        words = str(error).removeprefix(f"{piece.id}: ") + (f" ({found})" if found else "")
        raise ValueError(f"the piece cannot be held: {words}: {REMEDIES[error.reason]}") from error
    said = [f"{count} notes are changed or left out: {why}" for why, count in held.dropped.items()]
    if held.dropped and (lost := not_held(piece, held.piece)):
        said.append(f"left out: {lost}")
    joined = len(piece.notes) - len(held.piece.notes) - sum(held.dropped.values())
    if joined > 0 and not getattr(representation, "hold", True):
        said.append(f"repeated notes become held ones, which leaves {joined} notes fewer")
    said += moved(held)
    fitting = with_signs(piece, sounding_as(given, without_chords(held.piece)))
    return {"piece": to_json(in_tempo_of(piece, fitting)), "remarks": said}


def without_chords(piece: Piece) -> Piece:
    """A piece with its chord role as symbols; one without a chord has no such track, in which a
    model would hear that there are none.
    """
    piece = chords_as_annotations(piece)
    numbers = [number for number, track in enumerate(piece.tracks) if track.role != ROLE]
    if len(numbers) == len(piece.tracks):
        return piece
    notes = piece.notes[np.isin(piece.notes["track"], numbers)].copy()
    notes["track"] = np.searchsorted(numbers, notes["track"])
    return replace(piece, notes=notes, tracks=tuple(piece.tracks[number] for number in numbers))


def _one(
    composer: Composer,
    asked: Asked,
    prompt: Piece | None,
    index: int,
    stopped: Callable[[], bool],
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """One piece of `making`."""
    said: list[str] = []
    start, whole, given = 0, prompt, prompt
    if asked.task == "continue" and prompt is not None and asked.prompt_bars is None:
        whole = voiced(prompt, composer.representation)
        if start := heard_from(composer, whole):
            prompt = cut(whole, start, whole.length)
            heard = prompt_bars(prompt, composer.representation)
            said.append(f"the model hears the last {heard} bars of the piece")
    piece, far = prompt, {"take": index + 1, "takes": asked.n}
    every = list(_steps(composer, asked, prompt, index))
    for number, prepared in enumerate(every):
        yield far | {"done": number, "of": len(every) if len(every) > 1 else 0}
        if piece is not prompt and isinstance(prepared.request.task, Fill):
            assert piece is not None  # the next region of what was filled before
            task = replace(prepared.request.task, piece=piece)
            prepared = Prepared(replace(prepared.request, task=task), prepared.remarks)
        said += [remark for remark in prepared.remarks if remark not in said]
        for step in composer.compose(prepared.request, stopped):
            if step.failed:
                raise ValueError(f"the piece failed: {step.failed}; take another seed")
            piece = step.piece
            if not step.done:
                heard = prepared.request.bars - asked.bars
                yield far | {"done": max(0, step.bars - heard), "of": asked.bars}
    assert piece is not None
    if start and whole is not None:
        piece = joined(whole, start, piece)
    if given is not None:
        piece = _like(given, piece, asked, composer)
    if asked.qpm is not None and not asked.options.get("tempo"):
        piece = replace(piece, tempos=(Tempo(0, asked.qpm),))
    return {"piece": to_json(piece), "remarks": said, "index": index, "seed": asked.seed}


def _like(given: Piece, piece: Piece, asked: Asked, composer: Composer) -> Piece:
    """What was made of a piece, with what encodings do not hold of that piece; an own tempo of a
    band stays.
    """
    if asked.task == "continue" and asked.prompt_bars is not None:
        given = heard_of(given, asked.prompt_bars)
    piece = sounding_as(given, piece)
    if not asked.options.get("tempo"):
        piece = in_tempo_of(given, piece)
    is_band = ROLE in getattr(composer.representation, "voices", ())
    return piece if is_band else with_signs(given, piece)


def _steps(
    composer: Composer, asked: Asked, prompt: Piece | None, index: int
) -> Iterator[Prepared]:
    """One request, or one for each region to fill.

    Over events a pickup is bar 1, on a grid and in a score it is bar 0.
    """
    able = composer.capabilities()
    known = {*able.options, *(spec.name for spec in able.conditions)}
    if unknown := sorted({*asked.options, *asked.conditions} - known):
        raise ValueError(
            f"{asked.model} has no option {unknown[0]!r}; it has: {', '.join(sorted(known))}"
        )
    values: dict[str, Any] = {
        **asked.options,
        **asked.conditions,
        "bars": asked.bars,
        "seed": asked.seed,
        "first_piece": index,
        "strength": asked.strength,
    }
    if asked.prompt_bars is not None:
        values["prompt_bars"] = asked.prompt_bars
    if asked.task != "fill":
        yield composer.prepare(asked.task, values, prompt)
        return
    if prompt is None:
        raise ValueError("fill changes a piece: make, draw or upload one first")
    bars = numbered_bars(prompt)
    numbers = sorted({number for _, number in bars})
    free, moved = asked.free, 0
    if numbers == [0]:  # less than a bar counts as a pickup, which an empty piece numbers 1
        free = [(role, 0) for role, bar in free if bar in (0, 1)]
    if bars and bars[0] != (0, 1):  # a pickup
        with contextlib.suppress(Unencodable):  # prepare says what is wrong, with the remedy
            held = composer.representation.quantize(voiced(prompt, composer.representation))
            moved = numbered_bars(held.piece)[0][1]
    for region in regions(free, able.roles, numbers):
        assert region.bars is not None
        first, end = region.bars
        place = {"first": first + moved, "last": end - 1 + moved, "roles": ",".join(region.roles)}
        yield composer.prepare("fill", values | place, prompt)
