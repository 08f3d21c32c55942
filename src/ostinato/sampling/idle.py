"""Settings of the command line that a task would not use."""

from collections.abc import Mapping
from typing import Any

from ostinato.sampling.request import Continue, Fill
from ostinato.sampling.tasks import HARMONIZE
from ostinato.sampling.wording import named_settings

USED_BY = {"prompt_bars": (Continue.name,), "infill.particles": (Fill.name, HARMONIZE)}


def refuse_idle(config: Mapping[str, Any], task: str) -> None:
    """Raise ValueError for settings that the command line names and the task does not use."""
    words = named_settings(config)
    for key, tasks in USED_BY.items():
        if key in words and value_at(config, key) is not None and task not in tasks:
            raise ValueError(
                f"{key} is for task {' or '.join(tasks)}, this is {task}: leave it out, or give "
                "what that task needs"
            )
    if "motion" in words and not config["split"] and config["motion"] != 1:
        raise ValueError("motion needs split, such as split=0.8: leave one of them out")


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a setting such as `infill.bars`."""
    for part in key.split("."):
        config = config[part]
    return config
