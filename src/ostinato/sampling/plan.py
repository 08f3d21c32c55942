"""The section `sampling` of params.yaml: what the sample stage makes, and options of samplers.

It is checked before torch is imported. One section serves all systems, so a system is given those
options that its sampler has.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ostinato.models.registry import families
from ostinato.sampling.registry import asked_of
from ostinato.settings import refuse_unknown

# settings that are no options
PLAN = ("unconditional", "continue", "bars", "min_bars", "prompt_bars", "seed")


def check_plan(sampling: Mapping[str, Any] | None) -> None:
    """Refuse a section that lacks a setting, or has an option that no family knows.

    Raises:
        ValueError: names the settings.
    """
    found = dict(sampling or {})
    if missing := [name for name in PLAN if name not in found]:
        raise ValueError(f"params.yaml: the section sampling lacks {', '.join(missing)}")
    kinds: set[Any] = set()
    for home in map(asked_of, families()):
        if home is None:  # a paradigm of one's own that does not say
            return
        kinds |= {
            getattr(home, "OPTIONS", home.Decoding),
            *getattr(home, "OTHER_OPTIONS", {}).values(),
        }
    options = {field.name for kind in kinds for field in fields(kind)}
    refuse_unknown("params.yaml: sampling", found, [*PLAN, *sorted(options)])
