"""Finds samplers by name: `sampling/<paradigm>/sampler.py` has the class Sampler."""

import importlib
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ostinato.models.registry import families, paradigm_of
from ostinato.representations.protocol import Representation
from ostinato.sampling.request import Request
from ostinato.sampling.sampler import Sampler

if TYPE_CHECKING:  # what a user asks for is refused before torch is imported
    from torch import nn


def sampler_of(model: "nn.Module", representation: Representation, family: str) -> Sampler:
    """The sampler of a model of this family."""
    sampler: Sampler = _class_of(family)(model, representation)
    return sampler


def families_that(task: str) -> list[str]:
    """The families that can do a task, some perhaps on some encodings only."""
    return [family for family in families() if task in _tasks_of(family)]


def asked_of(family: str) -> ModuleType | None:
    """What a family's paradigm can be asked for, `sampling/<paradigm>/decoding.py`, without torch.

    It has TASKS, the names of its tasks; FEWER, those of families that can do fewer; MISSING, why
    it lacks others; and the dataclass of its options, OPTIONS or else Decoding. Where tasks or
    options depend on the encoding: `tasks_on` and `options_on`, of a representation. None: no such
    file.
    """
    name = f"ostinato.sampling.{paradigm_of(family)}.decoding"
    return None if find_spec(name) is None else importlib.import_module(name)


def check_request(family: str, request: Request, asked: Any, known: Representation) -> None:
    """Raise ValueError for what cannot be asked together of any model of this family, without
    torch: `check_request` of `sampling/<paradigm>/asked.py`, where there is one.

    asked: the options, of the dataclass that `asked_of` names. known: the model's representation.
    """
    name = f"ostinato.sampling.{paradigm_of(family)}.asked"
    if find_spec(name) is not None:
        importlib.import_module(name).check_request(request, asked, known)


def _tasks_of(family: str) -> tuple[str, ...]:
    home = asked_of(family)
    tasks: tuple[str, ...] = (
        getattr(home, "FEWER", {}).get(family, home.TASKS) if home else _class_of(family).tasks
    )
    return tasks


def _class_of(family: str) -> Any:
    return importlib.import_module(f"ostinato.sampling.{paradigm_of(family)}.sampler").Sampler
