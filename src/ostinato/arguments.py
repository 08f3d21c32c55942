"""Arguments of the command line, before Hydra reads them: file names, open sections, kinds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from ostinato.ranges import (
    CHOICES,
    METERS,
    check_heads,
    check_once,
    check_range,
    is_number,
    range_of,
)
from ostinato.settings import described, fits, refuse_unknown

PATHS = ("end", "out", "path", "prompt", "weights")  # settings whose values are names of files
TEXTS = ("chords", "key")  # settings whose values have signs that Hydra reads as its own
OPEN = ("conditions", "options", "taste")  # sections that take any key; what a model has decides
OUTPUTS = {  # settings that name what a job writes, with a name for each job of a sweep
    "out": "models/trial-${hydra:job.num}",
    "objective": "trial-${hydra:job.num}.json",
}
TABLES = ("encodings", "studies", "systems")  # of params.yaml: sections of named lines
SYSTEM = ("paradigm", "family", "size", "form", "encoding", "learns_from", "seed")  # a line's keys
SWEEP = ("-m", "--multirun")
FLAGS = (  # of Hydra
    "cfg", "config-dir", "config-name", "config-path", "experimental-rerun", "help", "hydra-help",
    "info", "multirun", "package", "resolve", "run", "shell-completion", "version",
)  # fmt: skip
QUOTES = ("'", '"')
CHECKED = ("model", "optimizer", "training")  # sections that dataclasses check, with defaults
ELSEWHERE = {  # sizes of a family whose code is a family of its own
    "absorbing/events": "absorbing_events/small",
    "ddpm/latent": "latent_ddpm/small",
}
# of settings whose default does not tell: null, or an empty list
KINDS: Mapping[str, Any] = {
    "fill.bars": tuple[int, int],
    "fill.roles": tuple[str, ...],
    "infill.bars": tuple[int, int],
    "infill.particles": int,
    "infill.voices": tuple[str, ...],
    "min_bars": int,
    "port": int,
    "roles": tuple[str, ...],
    "seed": int,
    "simulated.listeners": int,
    "tempo": float,
    "trainer.micro_batch": int,
    "vary": float,
}


def prepared(arguments: Sequence[str]) -> list[str]:
    """Arguments as Hydra wants them: the flag of a sweep first (argparse takes no settings after it
    where others stand before it), file names and texts quoted, keys of open sections added, sizes
    of ELSEWHERE by the names of their files.
    """
    settings = [
        _added(_quoted(_at_home(argument))) for argument in arguments if argument not in SWEEP
    ]
    return [argument for argument in arguments if argument in SWEEP] + settings


def check_form(arguments: Sequence[str]) -> None:
    """Raise ValueError for a word that is no setting with a value, no flag, and no flag's value."""
    for before, word in pairwise(["", *arguments]):
        name = word[2:].partition("=")[0]
        if word[:2] == "--" and name not in FLAGS:
            raise ValueError(f"{word} is no flag: settings are given as {name}=value, without --")
        is_setting = "=" in word or word[:1] in ("-", "~")
        if not is_setting and (before[:1] != "-" or before in SWEEP):
            raise ValueError(f"{word!r} is no setting: settings are given as name=value")


def _at_home(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key != "model":
        return argument
    return "model=" + ",".join(ELSEWHERE.get(size, size) for size in value.split(","))


def _quoted(argument: str) -> str:
    key, found, value = argument.partition("=")
    is_quoted = len(value) > 1 and value[0] in QUOTES and value[-1] == value[0]
    if not found or key not in (*PATHS, *TEXTS) or not value or is_quoted or "${" in value:
        return argument
    return f"{key}='" + re.sub(r"(\\*)('|$)", _escaped, value) + "'"


def _escaped(found: re.Match[str]) -> str:
    """Double the backslashes before a quote or the end, and escape the quote."""
    return 2 * found[1] + (r"\'" if found[2] else "")


def _added(argument: str) -> str:
    section = argument.partition("=")[0].partition(".")
    return f"++{argument}" if section[0] in OPEN and section[2] else argument


def check(overrides: Sequence[Any], base: Mapping[str, Any], groups: Sequence[str]) -> None:
    """Raise ValueError for an override of a setting that does not exist, is of another kind, or
    would be taken away.

    overrides: as Hydra parsed them. base: the configuration without them. groups: names of Hydra's
    groups, which Hydra checks.
    """
    for override in overrides:
        key = override.key_or_group
        if key in groups or key.startswith("hydra"):
            continue
        if key.partition(".")[0] in OPEN:
            for value in [] if override.is_delete() else _values(override):
                if key in OPEN and key in base and not isinstance(value, dict):
                    raise ValueError(f"{key}={value} must name its settings: {key}.<name>=<value>")
                check_range(key, _plain(value))
            continue
        parent, name = _place(base, key)
        _refuse_unknown(base, parent, name)
        if override.is_delete():
            if parent not in CHECKED:
                raise ValueError(f"~{key} would leave out a setting that is needed; give {key}=…")
            continue
        for value in _values(override):
            _check_value(key, _plain(value), _value(base, key))


def _check_value(key: str, value: Any, default: Any) -> None:
    if (isinstance(value, str) and "${" in value) or (value is None and default is None):
        return
    if isinstance(default, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{key}={value!r} must be a section of settings: {', '.join(default)}")
        return
    if value == "" and key in PATHS:  # as of a variable of the shell that is not set
        raise ValueError(f"{key}= is empty: give a name, or leave {key} out")
    kind = KINDS.get(key, _kind_of(default))
    if not _is_of(value, kind):
        raise ValueError(f"{key}={value!r} must be {described(kind)}{_such_as(value, default)}")
    check_range(key, value, default)


def _such_as(value: Any, default: Any) -> str:
    """An example: the default as it is written on the command line, or the value as a list."""
    if isinstance(default, bool) or default is None:
        return ""
    if isinstance(default, list) and not isinstance(value, dict | list):
        return f", in brackets: [{value},…]"
    return f", such as {default!r}" if default != [] else ""


def _kind_of(default: Any) -> Any:
    """What a default tells of other values; of lists whose items are of one kind, that as well."""
    if default is None:
        return Any
    items = {type(item) for item in default} if isinstance(default, list) else set()
    return tuple[items.pop(), ...] if len(items) == 1 else type(default)  # type: ignore[misc]


def _is_of(value: Any, kind: Any) -> bool:
    """As `fits`; a number may stand where a text is wanted: files and systems have such names."""
    if isinstance(value, list) and kind is not list:
        value = tuple(value)
        if str in get_args(kind):
            value = tuple(str(item) if is_number(item) else item for item in value)
    return fits(value, kind) or (kind is str and is_number(value))


def check_params(config: Mapping[str, Any]) -> None:
    """Raise ValueError for a line of params.yaml that is of another kind than its table wants."""
    for table in TABLES:
        lines = {} if config.get(table) is None else config[table]
        if not isinstance(lines, Mapping):
            raise ValueError(f"params.yaml: {table} must be a section of lines such as name: {{…}}")
        for name, line in lines.items():
            if not isinstance(line, Mapping):
                raise ValueError(f"params.yaml: {table}.{name}={line!r} must be settings in {{ }}")
            seed = line.get("seed", 0)
            if type(seed) is not int:
                raise ValueError(
                    f"params.yaml: {table}.{name}.seed={seed!r} must be a whole number"
                )
    for name, line in (config.get("systems") or {}).items():
        _check_system(name, line, config.get("encodings") or {})
    for section in ("sampling", "evaluation"):
        for name, value in (config.get(section) or {}).items():
            key = f"{section}.{name}"
            if range_of(key) and not is_number(value):
                raise ValueError(f"params.yaml: {key}={value!r} must be a number")


def _check_system(name: object, line: Mapping[str, Any], encodings: Mapping[str, Any]) -> None:
    """Raise ValueError for a line of `systems` that no stage obeys, or that contradicts itself: DVC
    would watch other files than those that the system is made from.
    """
    place, encoding = f"params.yaml: systems.{name}", str(line.get("encoding"))
    unknown = [str(key) for key in line if key not in SYSTEM]
    if unknown:
        raise ValueError(
            f"{place} has no setting {', '.join(unknown)}; its settings are {', '.join(SYSTEM)}. "
            "Settings of a model are in conf/model/<family>/<size>.yaml"
        )
    form = encodings.get(encoding, {}).get("form")
    if form and line.get("form", form) != form:
        raise ValueError(
            f"{place} has form {line['form']}, and its encoding {encoding} has form {form}; "
            f"write form: {form}"
        )
    learns_from = str(line.get("learns_from", ""))
    is_tokens = learns_from.startswith("data/tokens/") and encoding in encodings
    if is_tokens and learns_from != f"data/tokens/{encoding}":
        raise ValueError(
            f"{place} has learns_from: {learns_from}, and its encoding is {encoding}; "
            f"write learns_from: data/tokens/{encoding}"
        )


def check_composed(config: Mapping[str, Any], place: str = "") -> None:
    """Raise ValueError for a value out of its range that a file in conf/ has, and for settings of a
    model that no model can have together.
    """
    if not place:
        check_heads(config.get("model") or {})
        if config.get("weights") and Path(str(config["weights"])).is_file():
            raise ValueError(f"weights={config['weights']} is a file; give the folder it is in")
    for name, value in config.items():
        key = f"{place}{name}"
        if isinstance(value, Mapping):
            check_composed(value, f"{key}.")
        elif range_of(key) or key in (*CHOICES, *METERS):
            check_range(key, value)


def _refuse_unknown(base: Mapping[str, Any], parent: str, name: str) -> None:
    """As `refuse_unknown`; a name that another section has is named with it."""
    keys, section = _keys(base, parent), f"the setting {parent}" if parent else "the command"
    elsewhere = [f"{key}.{name}" for key, values in base.items()
                 if isinstance(values, dict) and name in values and key != "hydra"]  # fmt: skip
    if name not in keys and elsewhere:
        raise ValueError(f"{section} has no setting {name}; did you mean {' or '.join(elsewhere)}?")
    refuse_unknown(section, [name], keys)


def check_sweep(overrides: Sequence[Any]) -> None:
    """Raise ValueError where the jobs of a sweep would all write to one place, or two be one."""
    for override in overrides:
        if listed := getattr(override.value(), "list", None):  # not of a glob or a range
            words = ["null" if value is None else str(_plain(value)) for value in listed]
            check_once(override.key_or_group, words)
        value = None if override.is_sweep_override() else _plain(override.value())
        key = override.key_or_group
        if key in OUTPUTS and value is not None and "${" not in str(value):
            raise ValueError(
                f"{key}={value} is one place for all jobs of a sweep, so the last would replace "
                f"the others: leave it out, or name it by job: {key}='{OUTPUTS[key]}'"
            )


def _values(override: Any) -> Iterator[Any]:
    """The value, or those that a sweep names; of a range its ends and its step."""
    value = override.value()
    if override.is_choice_sweep():
        yield from override.sweep_iterator()
    elif override.is_range_sweep():
        yield from (value.start, value.stop, abs(value.step))
    elif override.is_interval_sweep():
        yield from (value.start, value.end)
    elif not override.is_sweep_override():
        yield value


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
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
