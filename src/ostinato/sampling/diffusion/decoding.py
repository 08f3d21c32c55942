"""Settings of sampling rolls and sounds with Gaussian diffusion."""

from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.sampling.request import Continue, Fill, Interpolate, Unconditional, Vary

TASKS = (Unconditional.name, Continue.name, Fill.name, Vary.name)
SCHEDULERS = ("ddpm", "ddim", "dpm")
LONGEST = 600  # seconds; more would fill the memory
KEPT = (Continue.name, Fill.name, Interpolate.name, Vary.name)
NOT_OF_SOUND = dict.fromkeys(KEPT, "a spectrogram has no notes or bars to keep")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How noise becomes rolls.

    scheduler: `ddpm` (ancestral), `ddim` or `dpm` (DPM-Solver++ 2M). steps: passes of the model, at
        most as many as its process has. guidance: 1 follows the conditions as learned, more
        exaggerates what they change (Ho & Salimans 2022, eq. 6), 0 ignores them.
    restarts: how often the finished piece is noised again, up to the share `restart` of the
        process, falling to nothing, and brought back, which mends what early steps got wrong
        (Xu 2023).
    resample: in gaps and continuations, how often each step is taken, so that what is made agrees
        with what is kept (RePaint); not with dpm.
    sharpness: multiplies the logits of the keys: above 1 more predictable, below 1 more surprising;
        only for models that predict `cells`.
    """

    scheduler: str = "ddpm"
    steps: int = 40
    guidance: float = 1.0
    restarts: int = 8
    restart: float = 0.6
    resample: int = 1
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        check_steps(self.scheduler, self.steps)
        check_guidance(self.guidance)
        if self.restarts < 0:
            raise ValueError(f"restarts={self.restarts} cannot be negative")
        if not 0 < self.restart <= 1:
            raise ValueError(f"restart={self.restart} must lie in (0, 1], a share of the process")
        if self.resample < 1:
            raise ValueError(f"resample={self.resample} must be at least 1")
        if self.resample > 1 and self.scheduler == "dpm":
            raise ValueError(
                f"resample={self.resample} goes back a step, and scheduler=dpm learns from the "
                "steps before: take scheduler=ddpm or ddim, or resample=1"
            )
        if not self.sharpness > 0:
            raise ValueError(f"sharpness={self.sharpness} must be above 0")

    def counts(self, strength: float) -> list[int]:
        """How many steps of the process each pass from noise takes; the first begins at `strength`,
        1 for pure noise.
        """
        again = (self.restart * (1 - number / self.restarts) for number in range(self.restarts))
        shares = [strength, *(min(strength, share) for share in again)]
        return [count for share in shares if (count := round(share * self.steps))]


@dataclass(frozen=True, kw_only=True)
class SoundDecoding:
    """seconds: length of a sample; bars do not count here. steps: of `scheduler`, one pass of the
    model each.
    """

    seconds: float = 8.192
    steps: int = 50
    scheduler: str = "dpm"

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"seconds={self.seconds} must be above 0 and at most {LONGEST}")
        check_steps(self.scheduler, self.steps)


# of the family that differs from the others
FEWER = {"audio_ddpm": (Unconditional.name,)}
FEWER_BECAUSE = {"audio_ddpm": NOT_OF_SOUND}
OTHER_OPTIONS = {"audio_ddpm": SoundDecoding}


def check_steps(scheduler: str, steps: int, process: int | None = None) -> None:
    """Raise ValueError for an unknown scheduler, or more steps than the process has."""
    if scheduler not in SCHEDULERS:
        raise ValueError(f"scheduler={scheduler!r} is none of {', '.join(SCHEDULERS)}")
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1")
    if process is not None and steps > process:
        raise ValueError(
            f"steps={steps} are more than the {process} of the process that the model was trained "
            f"on: give steps={process} or fewer"
        )


def check_guidance(guidance: float, conditions: Sequence[object] | None = None) -> None:
    """Raise ValueError for a negative weight, or one of a model that knows no conditions."""
    if guidance < 0:
        raise ValueError(f"guidance={guidance} cannot be negative")
    if guidance != 1 and conditions is not None and not conditions:
        raise ValueError(
            f"guidance={guidance} needs a model with conditions, and this one was "
            "trained without (model.conditions=[]): leave guidance out, or train with "
            "model.conditions=[density] or other conditions of the encoding"
        )
