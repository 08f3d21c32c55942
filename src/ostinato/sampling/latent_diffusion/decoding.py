"""Settings of sampling with latent diffusion."""

from dataclasses import dataclass

from ostinato.sampling.diffusion.decoding import check_guidance, check_steps
from ostinato.sampling.request import Continue, Fill, Interpolate, Unconditional, Vary
from ostinato.sampling.variational.decoding import Decoding as Cells

TASKS = (Unconditional.name, Continue.name, Fill.name, Vary.name)
MISSING = {
    "harmonize": "a vector stands for all voices of a beat",
    Interpolate.name: "its vectors are those of a vae, which interpolates them itself",
}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How noise becomes vectors, and vectors cells.

    scheduler: `ddpm`, `ddim` or `dpm`. steps: passes of the network, at most as many as its process
        has. guidance: as in `sampling/diffusion`, which has equations for all three.
    temperature, move_temperature: of cells. end_on: the last sonority of a piece that ends itself.
        These are as in `sampling/variational`.
    """

    scheduler: str = "ddpm"
    steps: int = 25
    guidance: float = 1.0
    temperature: float = 1.0
    move_temperature: float = 0.5
    end_on: str = "tonic"

    def __post_init__(self) -> None:
        check_steps(self.scheduler, self.steps)
        check_guidance(self.guidance)
        Cells(
            temperature=self.temperature,
            move_temperature=self.move_temperature,
            end_on=self.end_on,
        )
