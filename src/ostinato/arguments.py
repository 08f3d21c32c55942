"""Arguments of the command line, before Hydra reads them: file names, open sections, kinds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ostinato.settings import described, fits, refuse_unknown

PATHS = ("end", "out", "path", "prompt", "weights")  # settings whose values are names of files
TEXTS = ("chords", "key")  # settings whose values have signs that Hydra reads as its own
OPEN = ("conditions", "options", "taste")  # sections that take any key; what a model has decides
SWEEP = ("-m", "--multirun")
QUOTES = ("'", '"')
LEAST = {"seed": 0, "model.width": 1, "model.voice_hidden": 0, "model.periods": 1}
MOST = {"seed": 2**32 - 1}


def prepared(arguments: Sequence[str]) -> list[str]:
    """Arguments as Hydra wants them: the flag of a sweep first (argparse takes no settings after it
    where others stand before it), file names and texts quoted, keys of open sections added.
    """
    settings = [_added(_quoted(argument)) for argument in arguments if argument not in SWEEP]
    return [argument for argument in arguments if argument in SWEEP] + settings


def _quoted(argument: str) -> str:
    key, found, value = argument.partition("=")
    if not found or key not in (*PATHS, *TEXTS) or not value or value[0] in QUOTES or "${" in value:
        return argument
    return f"{key}='" + re.sub(r"(\\*)('|$)", _escaped, value) + "'"


def _escaped(found: re.Match[str]) -> str:
    """Double the backslashes before a quote or the end, and escape the quote."""
    return 2 * found[1] + (r"\'" if found[2] else "")


def _added(argument: str) -> str:
    section = argument.partition("=")[0].partition(".")
    return f"++{argument}" if section[0] in OPEN and section[2] else argument


def check(overrides: Sequence[Any], base: Mapping[str, Any], groups: Sequence[str]) -> None:
    """Raise ValueError for an override of a setting that does not exist or is of another kind.

    overrides: as Hydra parsed them. base: the configuration without them. groups: names of Hydra's
    groups, which Hydra checks.
    """
    for override in overrides:
        key = override.key_or_group
        if key in groups or key.startswith("hydra") or key.partition(".")[0] in OPEN:
            continue
        parent, name = _place(base, key)
        if override.is_delete():
            continue
        _refuse_unknown(base, parent, name)
        default = _value(base, key)
        for value in _values(override):
            if default is None or isinstance(default, dict):
                continue
            plain, kind = _plain(value), type(default)
            if not fits(plain, kind) and not _names_something(kind, plain):
                raise ValueError(f"{key}={plain!r} must be {described(kind)}, such as {default!r}")
            _check_range(key, plain)


def _check_range(key: str, value: Any) -> None:
    """Refuse numbers on which torch or Lightning stumble without naming the setting; all other
    ranges are checked where a setting is used.
    """
    numbers = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
    if numbers and min(numbers) < LEAST.get(key, min(numbers)):
        raise ValueError(f"{key}={value} must be at least {LEAST[key]}")
    if numbers and max(numbers) > MOST.get(key, max(numbers)):
        raise ValueError(f"{key}={value} must be at most {MOST[key]}")


def _refuse_unknown(base: Mapping[str, Any], parent: str, name: str) -> None:
    """As `refuse_unknown`; a name that another section has is named with it."""
    keys, section = _keys(base, parent), f"the setting {parent}" if parent else "the command"
    elsewhere = [f"{key}.{name}" for key, values in base.items()
                 if isinstance(values, dict) and name in values and key != "hydra"]  # fmt: skip
    if name not in keys and elsewhere:
        raise ValueError(f"{section} has no setting {name}; did you mean {' or '.join(elsewhere)}?")
    refuse_unknown(section, [name], keys)


def check_sweep(overrides: Sequence[Any]) -> None:
    """Raise ValueError where the jobs of a sweep would all write to one place."""
    for override in overrides:
        value = None if override.is_sweep_override() else _plain(override.value())
        if override.key_or_group == "out" and value is not None and "${" not in str(value):
            raise ValueError(
                f"out={value} is one folder for all jobs of a sweep, so the last would replace the "
                "others: leave it out, or name it by job: out='models/trial-${hydra:job.num}'"
            )


def _values(override: Any) -> Iterator[Any]:
    if override.is_sweep_override():
        if override.is_choice_sweep():
            yield from override.sweep_iterator()
        return
    yield override.value()


def _names_something(kind: type, value: Any) -> bool:
    """Whether a number stands where a text is wanted: a file or a system may have such a name."""
    return kind is str and isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return getattr(value, "text", value) if type(value).__name__ == "QuotedString" else value


def _place(base: Mapping[str, Any], key: str) -> tuple[str, str]:
    """The nearest section that exists, and the next name of the key in it."""
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if isinstance(_value(base, ".".join(parts[:end])), dict):
            return ".".join(parts[:end]), parts[end]
    return "", parts[0]


def _keys(base: Mapping[str, Any], section: str) -> list[str]:
    found = _value(base, section) if section else base
    return sorted(str(key) for key in found if key != "hydra")


def _value(base: Mapping[str, Any], key: str) -> Any:
    found: Any = base
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found
