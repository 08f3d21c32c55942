"""What can be refused by settings, prompts and a model.json alone, before torch is imported.

A model may be able to do less than its family, by its encoding: its own `Capabilities` refuse that
later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ostinato.audio.formats import check_sounds
from ostinato.execution.machine import has_gpu_driver
from ostinato.files import DamagedFile, model_made_by, read_json, require
from ostinato.models.spec import ArraySpec, ConditionSpec
from ostinato.music.piece import Piece
from ostinato.representations.registry import build
from ostinato.sampling import registry
from ostinato.sampling.by_hand import OPTIONS, SHORTHANDS, gap_of, named, prepared
from ostinato.sampling.candidates import count_of, of_one
from ostinato.sampling.idle import refuse_idle, value_at
from ostinato.sampling.registry import asked_of, families_that
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    EncodedPiece,
    Fill,
    Region,
    Request,
    Task,
    Unconditional,
)
from ostinato.sampling.tasks import HARMONIZE
from ostinato.sampling.wording import named_settings
from ostinato.settings import checked

CARD_FORMAT = 1  # of model.json
CARD = {"family": str, "system": str, "weights_sha256": str, "model": dict, "codec": dict}
UNREAD = EncodedPiece("prompt", np.zeros((0, 1), "i8"), {})  # stands for a file not read yet


def check_early(config: Mapping[str, Any], files: Collection[str], folder: Path) -> dict[str, Any]:
    """Refuse what conf/generate.yaml shows to be wrong; the model.json of the folder.

    files: which of `prompt` and `end` are given. folder: the model's, whose paradigm has options of
    its own.

    Raises:
        ValueError: settings that contradict each other, counts that are none, options out of range.
        MissingInput, DamagedFile: the folder holds no model.
        FileNotFoundError: a file of `prompt` or `end` is not there.
    """
    if missing := [key for key in files if not Path(config[key]).exists()]:
        raise FileNotFoundError(f"{missing[0]}={config[missing[0]]} does not exist")
    _check_whole(config)
    if (out := Path(config["out"])).exists() and not out.is_dir():
        raise ValueError(f"out={out} is a file; give a folder")
    task: Task = Unconditional()
    name, gap = named(config, files), gap_of(config)
    if name == Continue.name:
        task = Continue(UNREAD, config["prompt_bars"])
    if name == Fill.name and gap["bars"] is not None:
        task = Fill(UNREAD, Region(tuple(gap["bars"])))
    Request(task=task, **{key: config[key] for key in ("bars", "n", "seed")})
    if (config["min_bars"] or 1) > config["bars"]:
        raise ValueError(f"min_bars={config['min_bars']} is more than bars={config['bars']}")
    card = read_json(
        folder / "model.json", expect_format=CARD_FORMAT, made_by=model_made_by(folder)
    )
    if missing := [key for key, kind in CARD.items() if not isinstance(card.get(key), kind)]:
        raise DamagedFile(
            f"{folder / 'model.json'} lacks {', '.join(missing)}; make it again with: "
            f"{model_made_by(folder)}"
        )
    require(folder / "weights.safetensors", model_made_by(folder))
    if config["device"] == "cuda" and not has_gpu_driver():
        raise ValueError(
            "device=cuda needs a GPU, and there is no driver of one here: take device=cpu"
        )
    _check_able(config, card, name)
    refuse_idle(config, name)
    if card["codec"].get("kind") == "mel":
        check_sounds(config["formats"], card["system"])
    if config["reward"]:
        count_of(config)
    return card


def _check_whole(config: Mapping[str, Any]) -> None:
    for key in ("bars", "min_bars", "n", "seed"):
        value = config[key]
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{key}={value} must be a whole number")


def _check_able(config: Mapping[str, Any], card: Mapping[str, Any], task: str) -> None:
    """`check_able` of what conf/generate.yaml asks for."""
    specs = [spec.name for spec in conditions_of(card)]
    short = {k: config[k] for k in SHORTHANDS if config.get(k) not in (None, [])}
    words = named_settings(config)
    given = {key: value for key in OPTIONS if (value := value_at(config, key)) is not None}
    options = {OPTIONS[key]: value for key, value in given.items() if key in words}
    usual = {OPTIONS[key]: value for key, value in given.items() if key not in words}
    conditions = {k: v for k, v in short.items() if k in specs} | config["conditions"]
    check_able(card, task, conditions, options | config["options"], usual, list(short))


def check_request(
    config: Mapping[str, Any], read: Mapping[str, Piece], card: Mapping[str, Any]
) -> None:
    """Refuse what a model's representation and its counts of pieces show to be wrong.

    read: the files of `prompt` and `end`, as they were read. card: model.json.

    Raises:
        ValueError: unknown roles, chords or keys, too many bars, a prompt that cannot be heard,
            options that contradict each other.
    """
    family, codec = card["family"], card["codec"]
    home = asked_of(family)
    if home is None or not codec.get("representation"):
        return
    representation = build(codec["representation"])
    kind = _options_of(home, family)
    able = Capabilities(
        **_tasks_of(home, card),
        conditions=tuple(conditions_of(card)),
        options=home.options_on(representation) if hasattr(home, "options_on") else asdict(kind()),
        roles=tuple(getattr(representation, "voices", ())),
    )
    one = of_one(config) if config["reward"] else config
    request, _ = prepared(one, read, able, representation, codec)
    asked = checked(kind, "options", {**able.options, **request.options})
    registry.check_request(family, request, asked, representation)


def check_able(
    card: Mapping[str, Any],
    task: str,
    conditions: Mapping[str, Any],
    options: Mapping[str, Any],
    usual: Mapping[str, Any],
    short: Sequence[str],
) -> None:
    """Refuse what no model of this family and encoding can do; of options also their values.

    card: model.json. usual: options that nobody named, which models may lack. short: names of
    settings that are an option or a condition.

    Raises:
        ValueError: names what there is.
    """
    family, system, home = card["family"], card["system"], asked_of(card["family"])
    specs = conditions_of(card)
    if home is not None:
        _check_task(task, home, card)
        kind = _options_of(home, family)
        _check_options(kind, options, short, specs, system)
        chosen = {k: v for k, v in usual.items() if k in names_of(kind)} | dict(options)
        decoding = checked(kind, "options", chosen)
        process = card["model"].get("diffusion_steps")
        if process and hasattr(home, "check_steps"):
            home.check_steps(decoding.scheduler, decoding.steps, process)
    Capabilities(tasks=(), conditions=tuple(specs)).check_conditions(conditions, system)


def conditions_of(card: Mapping[str, Any]) -> list[ConditionSpec]:
    """The conditions that a model uses: those its settings, or a tuned model's base, name."""
    settings = card["model"].get("base", {}).get("model", card["model"])
    names = settings.get("conditions", ())
    return [spec for spec in ArraySpec.of(card["codec"]).conditions if spec.name in names]


def _check_task(task: str, home: ModuleType, card: Mapping[str, Any]) -> None:
    able = Capabilities(**_tasks_of(home, card))
    if task == HARMONIZE:
        _check_harmonize(able, card["system"])
        return
    try:
        able.check_task(task, card["system"])
    except ValueError as error:
        others = ", ".join(families_that(task)) or "none yet"
        raise ValueError(f"{error}; families that can, on some encodings: {others}") from error


def _check_harmonize(able: Capabilities, system: str) -> None:
    """Refuse a model that cannot fill single voices."""
    why = able.missing.get(HARMONIZE, able.missing.get(Fill.name, ""))
    if Fill.name in able.tasks and HARMONIZE not in able.missing:
        return
    others = [
        family
        for family in families_that(Fill.name)
        if (home := asked_of(family)) and HARMONIZE not in _missing_of(home, family)
    ]
    raise ValueError(
        f"{system} cannot do task {HARMONIZE!r}{': ' * bool(why)}{why}; families that can, on some "
        f"encodings: {', '.join(others) or 'none yet'}"
    )


def _tasks_of(home: ModuleType, card: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks of a family on an encoding, and why it lacks others, as `Capabilities` has them."""
    family, known = card["family"], card["codec"].get("representation")
    if hasattr(home, "tasks_on") and known:
        tasks, missing = home.tasks_on(build(known))
        return {"tasks": tasks, "missing": missing}
    tasks = getattr(home, "FEWER", {}).get(family, home.TASKS)
    return {"tasks": tasks, "missing": _missing_of(home, family)}


def _missing_of(home: ModuleType, family: str) -> Mapping[str, str]:
    """Why a family lacks tasks."""
    found: Mapping[str, str] = getattr(home, "FEWER_BECAUSE", {}).get(
        family, getattr(home, "MISSING", {})
    )
    return found


def _options_of(home: ModuleType, family: str) -> Any:
    """The dataclass of a family's options; OTHER_OPTIONS names those of families that have others
    than their paradigm.
    """
    others = getattr(home, "OTHER_OPTIONS", {})
    return others.get(family, getattr(home, "OPTIONS", home.Decoding))


def _check_options(
    kind: Any,
    options: Mapping[str, Any],
    short: Sequence[str],
    specs: Sequence[ConditionSpec],
    system: str,
) -> None:
    known, conditions = names_of(kind), [spec.name for spec in specs]
    unknown = [name for name in options if name not in known]
    unknown += [name for name in short if name not in (*known, *conditions)]
    if unknown:
        raise ValueError(
            f"{system} has no {', '.join(unknown)}; options of its family, some on some encodings "
            f"only: {', '.join(known)}; its conditions: "
            f"{', '.join(conditions) or 'none'}"
        )


def names_of(kind: Any) -> list[str]:
    """Names of a dataclass's fields."""
    return [field.name for field in fields(kind)]
