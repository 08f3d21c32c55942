"""The sampler of Gaussian diffusion: one class for each kind of array that is made."""

from typing import Any

from ostinato.representations.protocol import Representation
from ostinato.sampling.diffusion.decoding import TASKS
from ostinato.sampling.diffusion.rolls import Rolls
from ostinato.sampling.diffusion.sounds import Sounds

KINDS: dict[str, Any] = {"tokens": Rolls, "mel": Sounds}  # by ArraySpec.kind


class Sampler:
    """The sampler of a model by what its encoding holds.

    tasks: all that one of them can do; FEWER and its own `capabilities` say which.
    """

    tasks = TASKS

    def __new__(cls, model: Any, representation: Representation) -> Any:
        """An object of one of the KINDS."""
        return KINDS[model.shape.kind](model, representation)
