"""Settings of sampling with latent diffusion."""

from dataclasses import dataclass

from ostinato.sampling.diffusion.decoding import check_steps
from ostinato.sampling.request import Continue, Fill, Interpolate, Unconditional, Vary

TASKS = (Unconditional.name, Continue.name, Vary.name)
MISSING = {
    Fill.name: "a vector stands for all voices of a beat, and the row before it decides with",
    Interpolate.name: "its vectors are those of a vae, which interpolates them itself",
}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How noise becomes vectors, and vectors cells.

    scheduler: `ddpm`, `ddim` or `dpm`. steps: passes of the network, at most as many as its process
        has. temperature: of cells; 0 takes the likeliest.
    """

    scheduler: str = "ddpm"
    steps: int = 100
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_steps(self.scheduler, self.steps)
        if not self.temperature >= 0:
            raise ValueError(f"temperature={self.temperature} must be at least 0")
