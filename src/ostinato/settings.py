"""Settings of files and command lines, checked once: old and unknown names, kinds of values."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

RENAMED = {
    "model.head": "model.voice_hidden",
    "model.ages": "model.held_steps",
    "model.echo": "model.repetition_memory",
    "model.near": "model.max_distance",
    "model.moments": "model.max_time_distance",
    "model.pitches": "model.pitch_range",
    "optimizer.floor": "optimizer.final_lr_ratio",
    "training.average": "training.ema_decay",
    "training.packing": "training.bucket_by_length (true or false)",
}
KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
}
Built = TypeVar("Built")
Keys = Mapping[str, str]  # of fields whose keys in files have other names


def checked(cls: type[Built], section: str, values: Mapping[str, Any], keys: Keys = {}) -> Built:  # noqa: B006
    """Build a dataclass from plain settings; lists become tuples.

    section: what messages call the settings, such as `optimizer`.

    Raises:
        ValueError: a setting with an old name, an unknown or missing one, with the valid names, or
            a value of another kind than its field's annotation.
    """
    refuse_renamed(section, values)
    known = {keys.get(field.name, field.name): field for field in fields(cls)}  # type: ignore[arg-type]
    refuse_unknown(section, values, known)
    needed = (k for k, f in known.items() if f.default is MISSING and f.default_factory is MISSING)
    if missing := [key for key in needed if key not in values]:
        raise ValueError(
            f"{section} lacks {', '.join(missing)}; its settings are {', '.join(known)}"
        )
    hints = get_type_hints(cls)
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for key, value in plain.items():
        kind = hints[known[key].name]
        if not fits(value, kind):
            shown = list(value) if isinstance(value, tuple) else value
            raise ValueError(f"{section}.{key}={shown!r} must be {described(kind)}")
    return cls(**{known[key].name: value for key, value in plain.items()})


def refuse_unknown(section: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for names that are not known, with the nearest and all valid ones."""
    valid = list(known)
    unknown = [str(name) for name in names if name not in valid]
    if not unknown:
        return
    near = get_close_matches(unknown[0], valid, n=1, cutoff=0.7)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(
        f"{section} has no setting {', '.join(unknown)}{hint}; "
        f"its settings are {', '.join(valid) or 'none'}"
    )


def refuse_renamed(section: str, names: Iterable[str]) -> None:
    """Raise ValueError if a setting of a section has an old name, with the new one."""
    old = [f"{section}.{name}" for name in names if f"{section}.{name}" in RENAMED]
    if old:
        raise ValueError("; ".join(f"{name} is now {RENAMED[name]}" for name in old))


def fits(value: object, kind: Any) -> bool:
    """Whether a plain value has an annotated type.

    A whole number is a number; true and false are neither.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple) or (Ellipsis not in inner and len(value) != len(inner)):
            return False
        kinds = inner[:1] * len(value) if Ellipsis in inner else inner
        return all(fits(item, each) for item, each in zip(value, kinds, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(item, each)
            for pair in value.items()
            for item, each in zip(pair, inner, strict=True)
        )
    if kind in (int, float):
        number = (int, float) if kind is float else int
        return isinstance(value, number) and not isinstance(value, bool)
    return kind is Any or isinstance(value, origin or kind)


def described(kind: Any) -> str:
    """An annotated type in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(described(each) for each in inner)
    if origin is tuple:
        size = "" if Ellipsis in inner else f" of {len(inner)} values"
        return f"a list{size}, each {described(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping"
    return "null" if kind is type(None) else KINDS.get(kind, f"a {kind.__name__}")
