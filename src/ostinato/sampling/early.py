"""What a model's family cannot do, known from its model.json alone, before torch is imported.

A model may be able to do less than its family, by its encoding: its own `Capabilities` refuse that
later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any

from ostinato.models.spec import ArraySpec, ConditionSpec
from ostinato.sampling.registry import asked_of, families_that
from ostinato.sampling.request import Capabilities
from ostinato.settings import checked


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
        _check_task(task, home, family, system)
        kind = _options_of(home, family)
        _check_options(kind, options, short, specs, system)
        chosen = {k: v for k, v in usual.items() if k in names_of(kind)} | dict(options)
        decoding = checked(kind, "options", chosen)
        process = card["model"].get("diffusion_steps")
        if process and hasattr(home, "check_steps"):
            home.check_steps(decoding.scheduler, decoding.steps, process)
    Capabilities(tasks=(task,), conditions=tuple(specs)).check_conditions(conditions, system)


def conditions_of(card: Mapping[str, Any]) -> list[ConditionSpec]:
    """The conditions that a model uses: those its settings, or a tuned model's base, name."""
    settings = card["model"].get("base", {}).get("model", card["model"])
    names = settings.get("conditions", ())
    return [spec for spec in ArraySpec.of(card["codec"]).conditions if spec.name in names]


def _check_task(task: str, home: ModuleType, family: str, system: str) -> None:
    able = Capabilities(
        tasks=getattr(home, "FEWER", {}).get(family, home.TASKS),
        missing=getattr(home, "FEWER_BECAUSE", {}).get(family, getattr(home, "MISSING", {})),
    )
    try:
        able.check_task(task, system)
    except ValueError as error:
        others = ", ".join(families_that(task)) or "none yet"
        raise ValueError(f"{error}; families that can, on some encodings: {others}") from error


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
