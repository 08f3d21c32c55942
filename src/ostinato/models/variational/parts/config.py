"""Settings of the family `vae`."""

from dataclasses import dataclass

from ostinato.models.grids.parts.voices import GridConfig
from ostinato.models.variational.parts.attributes import ATTRIBUTES


@dataclass(frozen=True, kw_only=True)
class Config(GridConfig):
    """Settings of the family, besides those of GridConfig.

    latent: Z, of a segment. width: D. encoder_hidden: of each direction of the encoder.
    voice_hidden: of the predictor of a cell. order: of the voices of a row, from 0, as they are
    chosen; empty: as in the encoding. span: steps of a segment. free_nats: what vectors may say
    about 64 cells at no cost (free bits: Kingma 2016). kl_warmup: steps until the cost of saying
    more has risen from 0 to 1 (Bowman 2016). attribute_weight: nats for each squared standard
    deviation by which the first numbers of a vector miss the attributes (parts/attributes.py).
    forget: how often the decoder is not told in training what was before a segment. hide: how often
    it does not see a row, or a voice of its row, in training.
    """

    latent: int = 16
    width: int = 192
    encoder_hidden: int = 96
    voice_hidden: int = 96
    order: tuple[int, ...] = ()
    span: int = 4
    free_nats: float = 16.0
    kl_warmup: int = 0
    attribute_weight: float = 2.0
    forget: float = 0.5
    hide: float = 0.3

    def __post_init__(self) -> None:
        GridConfig.__post_init__(self)
        self.check_at_least(1, "latent", "width", "encoder_hidden", "voice_hidden", "span")
        self.check_shares("forget", "hide")
        for name in ("free_nats", "kl_warmup", "attribute_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} cannot be negative")
        if self.latent < len(ATTRIBUTES):
            raise ValueError(
                f"latent={self.latent} must be at least {len(ATTRIBUTES)}, one number for each of "
                f"{', '.join(ATTRIBUTES)}"
            )
