"""Tasks by the names that users give them, and what each takes; for the shell and for MLflow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from ostinato.models.registry import paradigm_of
from ostinato.music.piece import Notes, Piece, Track
from ostinato.representations.protocol import NO_LIMIT, Representation
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.registry import families_that
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Interpolate,
    Prompt,
    Region,
    Task,
    Unconditional,
    Vary,
)

HARMONIZE = "harmonize"  # fills all voices but the first
NEEDS: Mapping[str, tuple[str, ...]] = {
    Unconditional.name: (),
    Continue.name: ("prompt",),
    Fill.name: ("prompt", "infill"),
    HARMONIZE: ("prompt",),
    Interpolate.name: ("prompt", "end"),
    Vary.name: ("prompt",),
}
MAY_HAVE = {Vary.name: ("vary",)}
IMPLIED_BY = {"infill": Fill.name, "vary": Vary.name, "end": Interpolate.name}
SHELL = {  # how settings are written on the command line
    "prompt": "prompt=<file>",
    "end": "end=<file>",
    "infill": "infill.bars=[first,end] or infill.voices=[…] (or both)",
    "vary": "vary=<0 to 1>",
}
MELODIES = ("soprano", "melody")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Settings of a task. bars, voices: the part to fill; strength: of a variation."""

    prompt: Piece | None = None
    end: Piece | None = None
    prompt_bars: float = Continue.bars
    bars: tuple[int, int] | None = None
    voices: tuple[str, ...] = ()
    strength: float | None = None


def task_named(name: str | None, given: Collection[str], written: Mapping[str, str] = SHELL) -> str:
    """The task that is asked for, or that follows from what is given.

    given: which of `prompt`, `end`, `infill`, `vary`. written: how messages write these.

    Raises:
        ValueError: an unknown task, or settings that it lacks or does not take.
    """
    if name is None:
        implied = [task for key, task in IMPLIED_BY.items() if key in given]
        if len(implied) > 1:
            raise ValueError(
                f"what is given asks for {' and '.join(implied)} at once: leave one out"
            )
        name = (implied or [Continue.name if "prompt" in given else Unconditional.name])[0]
    if name not in NEEDS:
        raise ValueError(f"task={name} is none of {', '.join(NEEDS)}")
    missing = [key for key in NEEDS[name] if key not in given]
    known = (*NEEDS[name], *MAY_HAVE.get(name, ()))
    surplus = [key for key in written if key in given and key not in known]
    if missing:
        wanted = " and ".join(written[key] for key in missing)
        raise ValueError(f"task {name} needs {', '.join(NEEDS[name])}: give {wanted}")
    if surplus:
        raise ValueError(
            f"task {name} does not take {', '.join(surplus)}: leave that out, or name another "
            f"task, of {', '.join(NEEDS)}"
        )
    return name


def task_of(name: str, asked: Asked, able: Capabilities) -> Task:
    """A task of `task_named`, for prompts with the model's voices.

    Raises:
        ValueError: settings out of their range, or a model without voices to fill.
    """
    if name == Unconditional.name:
        return Unconditional()
    assert asked.prompt is not None
    if name == Continue.name:
        return Continue(asked.prompt, asked.prompt_bars)
    if name == Vary.name:
        strength = Vary.strength if asked.strength is None else asked.strength
        if strength == 0:
            raise ValueError(
                f"vary={strength} keeps all of prompt {asked.prompt.source or asked.prompt.id}: "
                "give more, up to vary=1, which keeps nothing"
            )
        return Vary(asked.prompt, strength)
    if name == Fill.name:
        return Fill(asked.prompt, Region(asked.bars, asked.voices))
    if name == HARMONIZE:
        fills = Fill.name in able.tasks and HARMONIZE not in able.missing
        if not fills or len(able.roles) < 2:
            why = able.missing.get(HARMONIZE, able.missing.get(Fill.name, "it has no voices"))
            raise ValueError(
                f"this model cannot do task {HARMONIZE!r}: {why}; families that can, on some "
                f"encodings: {', '.join(that_fill_voices()) or 'none yet'}"
            )
        return Fill(asked.prompt, Region(roles=tuple(able.roles[1:])))
    assert asked.end is not None
    return Interpolate(asked.prompt, asked.end)


def that_fill_voices() -> list[str]:
    """The families that can fill single voices, on some encodings."""
    samplers = {
        family: import_module(f"ostinato.sampling.{paradigm_of(family)}.sampler").Sampler
        for family in families_that(Fill.name)
    }
    return [
        family
        for family, sampler in samplers.items()
        if HARMONIZE not in getattr(sampler, "missing", {})
    ]


def melody_alone(piece: Piece, voices: Sequence[str]) -> tuple[Piece, str]:
    """A piece with its melody as the first of some voices and nothing in the others; which track
    that is.

    It is the track that bears the voice's name, else one that is called soprano or melody, else the
    highest by its mean pitch. Of notes at once, the encoding keeps the highest.

    Raises:
        ValueError: no track has pitched notes.
    """
    played = {
        number: piece.notes[piece.notes["track"] == number]
        for number, track in enumerate(piece.tracks)
        if not track.is_drum
    }
    sounding = {number: notes for number, notes in played.items() if len(notes)}
    if not sounding:
        raise ValueError(
            f"prompt {piece.source or piece.id} has no pitched notes, so no melody to harmonize"
        )
    best = max(
        sounding, key=lambda number: _likeness(piece.tracks[number], sounding[number], voices)
    )
    notes = sounding[best].copy()
    notes["track"] = 0
    tracks = tuple(Track(name=voice.capitalize(), role=voice) for voice in voices)
    tracks = (replace(tracks[0], program=piece.tracks[best].program), *tracks[1:])
    name = piece.tracks[best].name or piece.tracks[best].role or f"track {best + 1}"
    others = len(sounding) - 1
    return replace(piece, notes=notes, tracks=tracks), (
        f"the melody is {name} ({len(notes)} notes), kept as the {voices[0]}"
        + (f"; {others} other track{'s' * (others > 1)} left out" if others else "")
    )


def _likeness(track: Track, notes: Notes, voices: Sequence[str]) -> tuple[bool, bool, float]:
    role = track.role
    return role == voices[0], role in MELODIES, float(np.mean(notes["pitch"]))


def check_prompt(representation: Representation, task: Task, limit: int) -> list[str]:
    """What a request of at most `limit` bars leaves out of its prompts.

    Raises:
        ValueError: a prompt without music, or with fewer bars than are to be continued.
    """
    if isinstance(task, Unconditional):
        return []
    if isinstance(task, Interpolate):
        return [line for one in (task.start, task.end) for line in _cut(representation, one, limit)]
    if not isinstance(task, Continue):
        return _cut(representation, task.piece, limit)
    name, bars = _named_bars(representation, task.prompt)
    if bars < task.bars:
        raise ValueError(
            f"prompt {name} has {bars} bar{'s' * (bars > 1)}, prompt_bars={task.bars:g}: give "
            f"prompt_bars={bars} or less, or a longer prompt"
        )
    return []


def _cut(representation: Representation, prompt: Prompt, limit: int) -> list[str]:
    name, bars = _named_bars(representation, prompt)
    if bars <= limit:
        return []
    return [f"prompt {name} has {bars} bars; bars={limit} takes the first {limit}"]


def _named_bars(representation: Representation, prompt: Prompt) -> tuple[str, int]:
    """A prompt's name and how many bars it has; raises ValueError where it has none."""
    assert isinstance(prompt, Piece)
    name = prompt.source or prompt.id
    tokens = prompt_of(representation, prompt, NO_LIMIT)
    bars = max(representation.bar_starts(tokens), default=0)
    if not bars:
        raise ValueError(f"prompt {name} holds no full bar of music: give one that does")
    return name, bars
