"""The training settings of a file in conf/model, checked before anything is loaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ostinato.settings import checked

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW with a linear warm-up over `warmup` steps, then a cosine down to
    `final_lr_ratio` × lr.

    clip: largest norm of the whole gradient; 0 does not clip.
    muon: submodules whose matrices take orthogonalized steps (training.muon), such as `blocks`;
        their peak rate is `muon_lr`.
    """

    lr: float
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 50
    final_lr_ratio: float = 0.02
    clip: float = 1.0
    muon: tuple[str, ...] = ()
    muon_lr: float = 0.02

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.muon_lr <= 0:
            raise ValueError(f"optimizer.lr={self.lr} and muon_lr={self.muon_lr} must be above 0")
        if self.warmup < 0 or self.clip < 0 or self.weight_decay < 0:
            raise ValueError(
                f"optimizer.warmup={self.warmup}, clip={self.clip} and "
                f"weight_decay={self.weight_decay} cannot be negative"
            )
        if not 0 <= self.final_lr_ratio <= 1:
            raise ValueError(
                f"optimizer.final_lr_ratio={self.final_lr_ratio} must lie in [0, 1], a share of lr"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimizer.betas={list(self.betas)} must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Budget and batches, in optimizer steps, never in seconds.

    batch: pieces in a global batch, over all devices. crop: positions of each.
    validate_every: steps between validations; an interrupted run resumes from the last one.
    ema_decay: decay of the exponential moving average of weights, which is validated and exported;
        0: no averaging.
    transpose: range of semitones for augmentation.
    threads: torch's threads on a CPU; their number changes rounding.
    patience: validations without improvement after which training stops; 0: never stop early.
    bucket_by_length: make each batch of pieces of similar length, which saves padding where pieces
        are shorter than a crop.
    """

    steps: int
    batch: int
    crop: int
    validate_every: int
    ema_decay: float = 0.0
    transpose: tuple[int, int] = (0, 0)
    precision: str = "32-true"
    threads: int = 2
    compile: bool = False
    patience: int = 0
    bucket_by_length: bool = False

    def __post_init__(self) -> None:
        if self.validate_every < 1 or self.threads < 1:
            raise ValueError(
                f"training.validate_every={self.validate_every} and threads={self.threads} "
                "must be at least 1"
            )
        if self.steps < 1 or self.steps % self.validate_every:
            raise ValueError(
                f"training.steps={self.steps} must be at least 1 and a multiple of "
                f"training.validate_every={self.validate_every}"
            )
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"training.ema_decay={self.ema_decay} must lie in [0, 1)")
        if self.patience < 0:
            raise ValueError(
                f"training.patience={self.patience} cannot be negative; 0: never stop early"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"training.precision={self.precision!r} is none of {', '.join(PRECISIONS)}"
            )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides a model's weights, apart from the data."""

    system: str
    family: str
    size: str
    encoding: str
    seed: int
    model: Mapping[str, Any]
    optimizer: OptimizerSettings
    training: TrainingSettings

    def plain(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)


def _system_of(config: Mapping[str, Any], family: str, size: str) -> tuple[str, Mapping[str, Any]]:
    """The name of the system that is trained, and its line of params.yaml, or one for a trial."""
    systems, given = config["systems"], config["system"]
    if given is not None:
        if str(given) not in systems:
            known = ", ".join(sorted(systems))
            raise ValueError(f"params.yaml has no system {str(given)!r}; it has: {known}")
        return str(given), systems[str(given)]
    for name, item in systems.items():
        if item["family"] == family:
            return str(name), item
    encoding = next(iter(config["encodings"]), None)
    return f"{family}-{size}", {"family": family, "encoding": encoding, "seed": 1}


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Settings from the composed config of conf/train.yaml.

    By hand a system may be left out; then the first one of the model's family lends its encoding
    and seed. A family that has none yet is tried on the first encoding, with seed 1.

    Raises:
        ValueError: a system or encoding that is not in params.yaml, or a model of another family.
    """
    family, size = config["choices"]["model"].split("/")
    encodings = config["encodings"]
    system, item = _system_of(config, family, size)
    if item["family"] != family:
        raise ValueError(
            f"system={system} is of family {item['family']}, model={family}/{size} is not; "
            f"leave system out or give model={item['family']}/{item['size']}"
        )
    encoding = config["encoding"] or item["encoding"]
    if encoding not in encodings:
        known = ", ".join(sorted(encodings))
        raise ValueError(f"unknown encoding {encoding!r}; params.yaml has: {known}")
    return Settings(
        system=system,
        family=family,
        size=size,
        encoding=encoding,
        seed=item["seed"] if config["seed"] is None else config["seed"],
        model=config["model"],
        optimizer=checked(OptimizerSettings, "optimizer", config["optimizer"]),
        training=checked(TrainingSettings, "training", config["training"]),
    )
