"""Requests from settings of the command line, and remarks on their prompts.

A prompt is a user's own file. What a model does not hear of it is said before anything is made.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.music.piece import VOICES, Piece
from ostinato.music.roles import DRUMS
from ostinato.music.voices import with_voices
from ostinato.representations.protocol import Quantized, Representation, Unencodable
from ostinato.sampling.known import check_known, counting_meters
from ostinato.sampling.left_out import not_held, outside
from ostinato.sampling.prompts import REMEDIES, prompt_of
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    Fill,
    Interpolate,
    Request,
    Vary,
)
from ostinato.sampling.tasks import (
    HARMONIZE,
    Asked,
    check_prompt,
    melody_alone,
    task_named,
    task_of,
    that_fill_voices,
)

LEFT_OUT = "left out of the prompt"
SMALL = 0.0005  # quarters that nobody hears
NO_FILL: Mapping[str, Any] = {"bars": None, "roles": []}
SHORTHANDS = ("style", "tempo", "meter", "key", "chords", "roles")
# settings of conf/generate.yaml that some models' samplers lack, with their names as options
OPTIONS = {"infill.particles": "particles"} | {
    key: key
    for key in (
        *("temperature", "top_k", "top_p", "min_p", "split", "motion"),
        *("no_parallels", "end_on", "best_of", "no_repeat"),
    )
}


def free_names(
    out: Path, count: int, formats: Sequence[str], *, overwrite: bool = False
) -> list[str]:
    """Names of so many pieces; raises ValueError for a file that must not be replaced, and for a
    folder that cannot be written.
    """
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written" if there.is_dir() else "is a file"
        raise ValueError(f"out={out}: {there} {why}; give another out=…")
    names = [f"{number:03}" for number in range(count)]
    taken = [path for name in names for f in formats if (path := out / f"{name}.{f}").exists()]
    if taken and not overwrite:
        raise ValueError(f"{taken[0]} exists: give another out=…; overwrite=true replaces it")
    return names


def prepared(
    config: Mapping[str, Any],
    read: Mapping[str, Piece],
    able: Capabilities,
    representation: Representation,
    codec: Mapping[str, Any],
) -> tuple[Request, list[str]]:
    """The request of conf/generate.yaml, and remarks on its prompts.

    read: the files of `prompt` and `end`, as they were read. codec: the encoding's codec.json.

    Raises:
        ValueError: settings that contradict each other, or what a prompt lacks.
    """
    said = [f"{piece.source}: {line}" for piece in read.values() for line in warnings_of(piece)]
    config = with_shorthands(config, able)
    if named(config, read) == HARMONIZE and able.roles:
        melody, remark = melody_alone(read["prompt"], able.roles)
        read, said = {"prompt": melody}, [*said, remark]
    heard = {key: voiced(piece, representation) for key, piece in read.items()}
    request = request_of(config, able, heard.get("prompt"), heard.get("end"))
    check_known(request, able, codec)
    if request.task.name in able.tasks:
        with counting_meters(codec):
            for piece in read.values():
                said += remarks(piece, request, able, representation)
            try:
                said += check_prompt(representation, request.task, request.bars)
            except ValueError as error:
                if not (left := [line for line in said if line.startswith(LEFT_OUT)]):
                    raise
                raise ValueError(f"{error} ({'; '.join(left)})") from error
    return request, said


def with_shorthands(config: Mapping[str, Any], able: Capabilities) -> dict[str, Any]:
    """conf/generate.yaml with what is said in short in its long form.

    Each of SHORTHANDS is an option of a model's sampler, else a condition; `fill` is `infill`;
    config may lack them. A band makes exactly `bars` bars where `min_bars` is not given.

    Raises:
        ValueError: something that this model does not know, or that is said twice.
    """
    options, conditions = dict(config["options"]), dict(config["conditions"])
    for name in SHORTHANDS:
        value = config.get(name)
        if value is None or value == []:
            continue
        names = [spec.name for spec in able.conditions]
        if name not in able.options and name not in names:
            raise ValueError(
                f"this model has no {name}; its options: {', '.join(able.options) or 'none'}; its "
                f"conditions: {', '.join(names) or 'none'}"
            )
        home = options if name in able.options else conditions
        if home.get(name, value) != value:
            raise ValueError(f"{name}={value} contradicts {home[name]}: say it once")
        home[name] = value
    gap, least = gap_of(config), config["min_bars"]
    if least is None:
        least = config["bars"] if "roles" in able.options else 1
    said = {"options": options, "conditions": conditions, "infill": gap, "min_bars": least}
    return dict(config) | said


def gap_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `infill`, with what `fill` says in short."""
    gap, fill = dict(config["infill"]), config.get("fill", NO_FILL)
    return gap | {"bars": fill["bars"] or gap["bars"], "voices": fill["roles"] or gap["voices"]}


def named(config: Mapping[str, Any], files: Collection[str]) -> str:
    """The task of conf/generate.yaml; raises ValueError for settings that contradict it.

    files: which of `prompt` and `end` are given.
    """
    gap, given = config["infill"], set(files)
    if config["vary"] is not None:
        given.add("vary")
    fill = config.get("fill", NO_FILL)
    if any((gap["bars"], gap["voices"], fill["bars"], fill["roles"])):
        given.add("infill")
    return task_named(config["task"], given)


def request_of(
    config: Mapping[str, Any], able: Capabilities, prompt: Piece | None, end: Piece | None = None
) -> Request:
    """The request of conf/generate.yaml. prompt, end: with the model's voices, see `voiced`.

    Raises:
        ValueError: settings that contradict each other, or options that the user names and the
            model does not have.
    """
    words = {text.lstrip("+").partition("=")[0] for text in config.get("overrides", ())}
    if unknown := [key for key in OPTIONS if key in words and OPTIONS[key] not in able.options]:
        raise ValueError(
            f"this model has no option {', '.join(unknown)}; "
            f"its options: {', '.join(able.options) or 'none'}"
        )
    for key in OPTIONS:
        twice = config["options"].get(OPTIONS[key])
        if key in words and twice is not None and twice != config.get(key, twice):
            raise ValueError(f"{key}={config[key]} contradicts options.{key}={twice}: say it once")
    gap, strength = config["infill"], config["vary"]
    if strength is not None and not isinstance(strength, int | float):
        raise ValueError(f"vary={strength!r} must be a number from 0 to 1, such as 0.3")
    asked = Asked(
        prompt=prompt,
        end=end,
        prompt_bars=config["prompt_bars"],
        bars=None if gap["bars"] is None else tuple(gap["bars"]),
        voices=tuple(gap["voices"]),
        strength=strength,
    )
    files = [key for key in ("prompt", "end") if getattr(asked, key) is not None]
    task = task_of(named(config, files), asked, able)
    named_here = [key for key in able.options if key not in SHORTHANDS]
    options = {key: config[key] for key in named_here if config.get(key) is not None}
    if isinstance(task, Fill) and "particles" in able.options and gap["particles"] is not None:
        options["particles"] = gap["particles"]
    given = {key: config[key] for key in ("bars", "min_bars", "n", "seed", "conditions")}
    return Request(task=task, options=options | config["options"], **given)


def voiced(piece: Piece, representation: Representation) -> Piece:
    """A piece with its tracks as voices of a representation, see `with_voices`.

    Where a representation needs only some of its roles, tracks keep the roles that they have. A
    choir takes tracks without a voice's name by their height; in a band such tracks play nothing.
    """
    voices: Sequence[str] = getattr(representation, "voices", ())
    known = getattr(representation, "heard_roles", voices)
    named = {track.role for track in piece.tracks} & set(known)
    if not _needs_all(representation) and (named or not set(voices) <= set(VOICES)):
        return piece
    return with_voices(piece, voices)


def remarks(
    original: Piece, request: Request, able: Capabilities, representation: Representation
) -> list[str]:
    """What the model will not hear of a prompt, and which of its voices are silent.

    original: the prompt as it was read.

    Raises:
        Unencodable: the model's encoding cannot hold the prompt; says what to do about that.
    """
    task = request.task
    if not isinstance(task, Continue | Fill | Interpolate | Vary) or task.name not in able.tasks:
        return []
    try:
        said = _left_out(original, representation)
    except Unencodable as error:
        name, words = original.source or original.id, str(error)
        if error.reason == "pitch out of range":
            found = outside(voiced(original, representation), representation)
            words += f" ({found})" if found else ""
        wrong = f"prompt {name} cannot be encoded: {words}: {REMEDIES[error.reason]}"
        raise Unencodable(error.reason, wrong) from error
    if not isinstance(task, Interpolate):
        said += _silent(request, able, representation) + _taken(original, request, representation)
    return said


def _taken(original: Piece, request: Request, representation: Representation) -> list[str]:
    """Which tracks of a prompt play which roles of a band, and which of these are made anew."""
    sources: Mapping[str, Sequence[str]] = getattr(representation, "sources", {})
    if not sources:
        return []
    free = request.task.free if isinstance(request.task, Fill) else None
    found = []
    for role in getattr(representation, "voices", ()):
        played_by = sources.get(role, [role])
        tracks = [
            _name(original, number)
            for number, track in enumerate(original.tracks)
            if (DRUMS if track.is_drum else track.role) in played_by
            and (original.notes["track"] == number).any()
        ]
        if tracks:
            anew = free is not None and free.bars is None and role in free.roles
            found.append(f"{role} by {', '.join(tracks)}" + " (made anew)" * anew)
    return [f"taken from the prompt: {'; '.join(found)}"] if found else []


def _left_out(original: Piece, representation: Representation) -> list[str]:
    notes_by_track = {
        number: original.notes[original.notes["track"] == number]
        for number in range(len(original.tracks))
    }
    silenced = [
        number
        for number, notes in notes_by_track.items()
        if len(notes) and not _holds(representation, replace(original, notes=notes))
    ]
    lines = []
    if silenced:
        names = ", ".join(
            f"{_name(original, number)} ({_count(len(notes_by_track[number]))})"
            for number in silenced
        )
        lines.append(f"{LEFT_OUT}, the model's encoding has no place for it: {names}")
    kept = original.notes[[track not in silenced for track in original.notes["track"]]]
    piece = voiced(replace(original, notes=kept), representation)
    if not len(kept):
        return lines
    held = representation.quantize(piece)
    lines += moved(held)
    lines += [
        f"changed or left out of the prompt: {_count(count)}: {reason}"
        for reason, count in held.dropped.items()
    ]
    lost = not_held(piece, held.piece) if held.dropped else ""
    return [*lines, f"not heard: {lost}"] if lost else lines


def warnings_of(piece: Piece) -> list[str]:
    """What the reader of a file warns of, without what it says of other programs."""
    return [
        line.replace("; MusPy refuses the file", "")
        for line in piece.warnings
        if "symusic" not in line and not line.startswith("MusPy")
    ]


def moved(held: Quantized) -> list[str]:
    """A remark where an encoding moves onsets."""
    if held.moved < SMALL:
        return []
    return [f"onsets are moved to the model's grid, by {held.moved:.3f} quarters on average"]


def _holds(representation: Representation, piece: Piece) -> bool:
    """Whether any note of a piece is kept."""
    try:
        return len(representation.quantize(voiced(piece, representation)).piece.notes) > 0
    except Unencodable as error:
        return error.reason != "no notes"  # other reasons are errors of the whole prompt
    except ValueError:  # more notes at once than there are voices: likewise
        return True


def _silent(request: Request, able: Capabilities, representation: Representation) -> list[str]:
    """A remark on voices without a note, where models hear all voices in training."""
    task = request.task
    if not able.roles or not _needs_all(representation):
        return []
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        heard = representation.decode(prompt_of(representation, task.prompt, task.bars))
        then, filled = "The model continues this silence", set[str]()
        place = f"in the first {task.bars:g} bars of the prompt"
    else:
        assert isinstance(task, Fill | Vary)
        assert isinstance(task.piece, Piece)
        heard, place = task.piece, "in the prompt"
        filled = set(task.free.roles) if isinstance(task, Fill) else set()
        then = "They stay silent outside of what is filled"
        if isinstance(task, Vary):
            then = "The model hears what vary keeps of this silence"
    silent = [r for r in able.roles if not len(heard.voice(r)) and r not in filled]
    if not silent or len(silent) == len(able.roles):  # a prompt without music is an error
        return []
    wanted = [r for r in able.roles if r in silent or r in filled]
    composing = f"infill.voices=[{','.join(wanted)}]"
    if wanted == list(able.roles[1:]):
        composing = f"task={HARMONIZE}"
    instead = " instead of vary" if isinstance(task, Vary) else ""
    remedy = f"To compose them: {composing}{instead}"
    if Fill.name not in able.tasks or HARMONIZE in able.missing:
        families = ", ".join(that_fill_voices()) or "none yet"
        remedy = (
            f"This model cannot compose them; families that fill, on some encodings: {families}"
        )
    return [f"voices without a note {place}: {', '.join(silent)}. {then}. {remedy}"]


def _needs_all(representation: Representation) -> bool:
    return getattr(representation, "needed", "all") == "all"


def _name(piece: Piece, number: int) -> str:
    track = piece.tracks[number]
    name = track.name or track.role or f"track {number + 1}"
    return f"{name}, drums" if track.is_drum and "drum" not in name.lower() else name


def _count(notes: int) -> str:
    return "1 note" if notes == 1 else f"{notes} notes"
