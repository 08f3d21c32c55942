"""Keeps a trained model in memory and makes pieces with it, bar by bar where it can."""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ostinato.files import DamagedFile, model_made_by, require
from ostinato.generator import Generator
from ostinato.live.kept import keep
from ostinato.music.piece import Piece
from ostinato.music.timing import numbered_bars
from ostinato.precision.apply import load_in
from ostinato.precision.choice import FULL, check_precision
from ostinato.representations.protocol import Representation, Sounding
from ostinato.sampling.by_hand import remarks, voiced
from ostinato.sampling.known import check_known
from ostinato.sampling.registry import sampler_of
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Region,
    Request,
    Task,
    Unconditional,
    Vary,
)
from ostinato.sampling.sampler import Finishing, Job
from ostinato.sampling.sounding import TRIES, is_silent, seed_of_attempt

Stamp = tuple[int, int]
ROLES = "roles"
BARS = 8  # new ones
MOST_BARS = 1024  # of a prompt
LEAST, MOST = 1e-6, 1e6  # of options that are numbers; beyond them models compute nan
WHOLE = ("chords", "key")  # options of bands that need the whole piece
USUAL = {"top_p": 0.95}  # options of conf/generate.yaml that differ from those of samplers


class Cancelled(Exception):
    """Whoever asked for a piece does not want it any more."""


@dataclass(frozen=True)
class Step:
    """A piece so far. bars: of it, with those of a prompt. done: whether it is whole. failed: why
    it is not, or None.
    """

    piece: Piece | None
    bars: int
    done: bool
    failed: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A request that this model can fulfil, and remarks on its prompt."""

    request: Request
    remarks: tuple[str, ...] = ()


class Composer:
    """A model folder; it is loaded again when its model.json was replaced.

    Raises:
        MissingInput, DamagedFile: the folder is not one of a trained model.
        ValueError: the model makes sound without notes.
    """

    def __init__(self, folder: Path, device: str = "cpu", precision: str = FULL) -> None:
        check_precision(precision, device)
        self._device, self._precision, self._lock = device, precision, threading.Lock()
        self.load(folder)

    def load(self, folder: Path) -> None:
        """Take another model; the one before stays if this fails."""
        require(folder / "model.json", model_made_by(folder))
        stamp = _stamp(folder)
        trained = load_in(self._precision, folder, self._device)
        generator = Generator(trained)
        if isinstance(generator.representation, Sounding):
            raise ValueError(
                f"{generator.system} makes sound without notes, which have no place in a clip or a "
                "piano roll; take a model of notes, or: ostinato generate"
            )
        keep(trained.model)
        with self._lock:
            self.folder, self._generator, self._stamp = folder, generator, stamp
            self._stale = ""

    def refresh(self) -> bool:
        """Load the folder again if its files were replaced; returns whether they were.

        In the middle of a replacement the model in memory goes on, and remarks say so.
        """
        try:
            if _stamp(self.folder) == self._stamp:
                self._stale = ""
                return False
            self.load(self.folder)
        except (OSError, DamagedFile) as error:
            self._stale = (
                f"{self.folder} cannot be loaded now; the model from before goes on: {error}"
            )
            return False
        return True

    @property
    def system(self) -> str:
        """The name that the model was trained under."""
        return self._generator.system

    @property
    def weights(self) -> str:
        """SHA-256 of the weights, after their precision where that is not the file's."""
        return str(self._generator.trained.card["weights_sha256"])

    @property
    def representation(self) -> Representation:
        """How the model writes music."""
        return self._generator.representation

    @property
    def context(self) -> int | None:
        """Positions that the model hears; None where it says no such number."""
        return getattr(getattr(self._generator.trained.model, "config", None), "context", None)

    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return self._generator.capabilities()

    def options(self) -> dict[str, Any]:
        """The model's options with the values that they have unless a request says otherwise.

        They are those of `generate`, so that the same seed makes the same piece.
        """
        own = self.capabilities().options
        return {key: USUAL.get(key, value) for key, value in own.items()}

    def prepare(self, task: str, values: Mapping[str, Any], prompt: Piece | None) -> Prepared:
        """A request from plain values.

        task: generate, continue, fill or vary. values: bars (new ones), seed, first_piece, options
        and conditions by name; prompt_bars, first, last and roles, strength of the tasks.

        Raises:
            ValueError: what this model cannot do; it names what it can.
        """
        generator = self._generator
        able, representation = generator.capabilities(), generator.representation
        heard = voiced(prompt, representation) if prompt is not None else None
        made, bars = _task(task, values, heard, representation)
        conditions = {spec.name for spec in able.conditions}
        own = [key for key in values if key in able.options and key not in conditions]
        if task != "generate" and ROLES in own:
            own.remove(ROLES)  # of the region, or those of the prompt
        request = Request(
            task=made,
            bars=bars,
            min_bars=_least(values, bars, ROLES in able.options),
            seed=values.get("seed", 1),
            first=values.get("first_piece", 0),
            conditions={key: values[key] for key in values if key in conditions},
            options={key: USUAL[key] for key in USUAL if key in able.options}
            | {key: _like(able.options[key], key, values[key]) for key in own},
        )
        generator.check(request)
        check_known(request, able, generator.trained.card["codec"])
        said = remarks(prompt, request, able, representation) if prompt is not None else []
        return Prepared(request, tuple([*said, self._stale] if self._stale else said))

    def compose(
        self, request: Request, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Step]:
        """The first piece of a request: after every bar where the model can stream, else once.

        It is the piece that `generate` makes of the same request; one without a note is made anew,
        as there. stopped: whether it is not wanted
        any more; asked at every bar, or at every call of a part of the model.

        Raises:
            Cancelled: it is not wanted any more.
        """
        for attempt in range(TRIES + 1):
            seed = seed_of_attempt(request, attempt) if attempt else request.seed
            for step in self._once(replace(request, seed=seed), stopped):
                if step.done and attempt < TRIES and is_silent(request, step.piece):
                    break
                yield step
                if step.done:
                    return

    def _once(self, request: Request, stopped: Callable[[], bool]) -> Iterator[Step]:
        """One attempt of `compose`."""
        generator = self._generator
        if not _streams(generator.capabilities(), request):
            with _watched(generator.trained.model, stopped):
                sample = generator.generate(replace(request, n=1))[0]
            piece = sample.piece
            assert piece is None or isinstance(piece, Piece)  # prepare refuses those of sound
            yield Step(piece, request.bars, True, sample.row["failed"])
            return
        session, before = generator.session(replace(request, n=1)), -1
        bars = int(request.task.bars) if isinstance(request.task, Continue) else 0
        while True:
            if stopped():
                raise Cancelled
            made = session.advance(1)
            bars += 1
            done = len(made.tokens) == before or made.failed is not None or bars > request.bars
            piece, failed = None, made.failed
            if failed is None:
                try:
                    piece = _decoded(generator, request, made.tokens)
                except (ValueError, IndexError, KeyError) as error:
                    failed = f"does not decode: {error}" if done else None
            if done and piece is not None:  # it may have ended before its limit
                bars = max((number for _, number in numbered_bars(piece)), default=0)
            yield Step(piece, min(bars, request.bars), done, failed)
            if done:
                return
            before = len(made.tokens)


@contextlib.contextmanager
def _watched(model: nn.Module, stopped: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile, any part of the model that this thread calls asks, and raises Cancelled."""
    own = threading.get_ident()

    def look(*_: object) -> None:
        if threading.get_ident() == own and stopped():
            raise Cancelled

    hooks = [part.register_forward_pre_hook(look) for part in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _least(values: Mapping[str, Any], bars: int, is_band: bool) -> int:
    """Bars before which a piece does not end itself; as generate.py's, a band never ends early."""
    asked = values.get("bars", BARS)
    if "min_bars" in values:
        if values["min_bars"] > asked:
            raise ValueError(f"min_bars={values['min_bars']} is more than bars={asked}")
        return int(bars - asked + values["min_bars"])
    return bars if is_band else 1


def prompt_bars(prompt: Piece, representation: Representation) -> int:
    """The number of a prompt's last bar as a model counts them: a pickup is bar 0 on a grid, and
    bar 1 over events. At least one; a last bar that is not full counts. Of more bars than can be
    heard a lower bound.
    """
    longest = max(meter.bar_quarters() for meter in prompt.meters or [prompt.first_meter()])
    least = math.ceil(prompt.length / (longest * prompt.ticks_per_quarter))
    if least > MOST_BARS:
        return least
    with contextlib.suppress(ValueError):  # what cannot be held is said later, with the remedy
        prompt = representation.quantize(prompt).piece
    return max([1, *(number for _, number in numbered_bars(prompt))])


def _decoded(generator: Generator, request: Request, tokens: Any) -> Piece:
    """The piece of a session so far, as `generate` would end it."""
    trained = generator.trained
    piece: Piece = generator.representation.decode(tokens)
    sampler = sampler_of(trained.model, trained.representation, trained.card["family"])
    if isinstance(sampler, Finishing):
        piece = sampler.finish(Job(request, request.first, request.seed), piece)
    return piece


def _streams(able: Capabilities, request: Request) -> bool:
    """Whether a model makes a piece bar by bar: not where a whole piece is changed."""
    is_whole = any(request.options.get(name) for name in WHOLE)
    return able.streams and not isinstance(request.task, Fill | Vary) and not is_whole


def _task(
    name: str, values: Mapping[str, Any], prompt: Piece | None, representation: Representation
) -> tuple[Task, int]:
    """The task and the length of the whole piece in bars."""
    bars = values.get("bars", BARS)
    if name == "generate":
        return Unconditional(), bars
    if prompt is None or not len(prompt.notes):
        raise ValueError(f"{name} needs music: the clip, or the inline notes, hold no note")
    length = prompt_bars(prompt, representation)
    heard = min(values.get("prompt_bars", length), length) if name == "continue" else length
    if heard > MOST_BARS:
        raise ValueError(
            f"the prompt has {length} bars, at most {MOST_BARS} can be heard: give a part of it"
        )
    if name == "continue":
        return Continue(prompt, heard), heard + bars
    if name == "fill":
        return Fill(prompt, _of_one_bar(_region(values, length), prompt, representation)), length
    return Vary(prompt, values.get("strength", 0.3)), length


def _region(values: Mapping[str, Any], length: int) -> Region:
    roles = tuple(filter(None, (role.strip() for role in values.get("roles", "").split(","))))
    if "first" not in values and "last" not in values:
        return Region(None, roles)
    first, last = values.get("first", 1), values.get("last", length)
    if first > last:
        end = "" if "last" in values else ", the prompt's last bar"
        raise ValueError(
            f"first={first} is after last={last}{end}; name the first and the last bar"
        )
    return Region((first, last + 1), roles)


def _of_one_bar(region: Region, prompt: Piece, representation: Representation) -> Region:
    """A region whose bar 0 or 1 is the only bar of a prompt shorter than a bar, under the number
    that it has in the encoding: a grid takes it for a pickup.
    """
    if region.bars not in ((0, 1), (1, 2)) or {n for _, n in numbered_bars(prompt)} != {0}:
        return region
    with contextlib.suppress(ValueError):  # what cannot be held is said later, with the remedy
        (number,) = representation.bar_starts(representation.encode(prompt))
        return replace(region, bars=(number, number + 1))
    return region


def _like(default: Any, key: str, value: Any) -> Any:
    """A value of the type of its default: programs that send all numbers as floats are common.

    A list is also a text with commas.
    """
    if isinstance(default, tuple | list):
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, tuple | list) or not all(isinstance(x, str) for x in parts):
            raise ValueError(f"{key}={value!r} must be names with commas, such as piano,bass")
        return tuple(part.strip() for part in parts if part.strip())
    if isinstance(default, str) and isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key}={value!r} must be like its default, {default!r}")
    if isinstance(default, bool | int):
        if not float(value).is_integer():
            raise ValueError(f"{key}={value!r} must be a whole number")
        return type(default)(value)
    if value and not LEAST <= abs(value) <= MOST:
        raise ValueError(f"{key}={value!r} must be 0 or a number from {LEAST:g} to {MOST:g}")
    return float(value)


def _stamp(folder: Path) -> Stamp:
    both = [(folder / name).stat().st_mtime_ns for name in ("model.json", "weights.safetensors")]
    return both[0], both[1]
