"""The settings, data, code and machine of a training, and how two of them differ.

A state is resumed only under those that made it: otherwise the result would not be that of an
uninterrupted run.
"""

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ostinato.execution.code_deps import code_checksums
from ostinato.files import sha256_json
from ostinato.loading.tokens import TokenSet
from ostinato.models.registry import paradigm_of
from ostinato.training.settings import Settings

TRAINING = Path(__file__).with_name("fit.py")
HASH = 64
Identity = dict[str, Any]


def identity(
    settings: Settings,
    tokens: TokenSet,
    *,
    device: str,
    precision: str,
    world: int,
    parts: int = 1,
    sharded: bool = False,
) -> Identity:
    """Config, codec, data, code of the train stage, torch, and how it is run, as plain JSON.

    precision: what such a device trains in. world: devices; parts: micro batches of a step on each;
    sharded: whether weights lie in shares.
    """
    import torch  # here, because comparing identities needs none of it

    family = {settings.family: paradigm_of(settings.family)}
    found = {
        "settings": settings.plain(),
        "tokens": tokens.digest,
        "codec": tokens.codec_digest,
        "code": code_checksums(TRAINING, family),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "device": device,
        "precision": precision,
        "world": world,
        "parts": parts,
        "sharded": sharded,
    }
    plain: Identity = json.loads(json.dumps(found))
    return plain


def fingerprint(what: Identity) -> str:
    """The hash by which a state is found."""
    return sha256_json(what)


def differences(saved: Identity, wanted: Identity, there: str = "in the state") -> list[str]:
    """A line for each setting, file or property that differs, with both values; hashes are
    shortened.

    there: where the saved ones are, in words.
    """
    theirs, ours = (dict(_flat(what)) for what in (saved, wanted))
    return [
        f"{name}: {_shown(theirs, name)} {there}, {_shown(ours, name)} now"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name, _flat) != ours.get(name, _flat)
    ]


def _flat(what: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in what.items():
        name = key if prefix in ("", "settings.") else f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _shown(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "nothing"
    value = values[name]
    return f"{value[:8]}…" if isinstance(value, str) and len(value) == HASH else str(value)
