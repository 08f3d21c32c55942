"""How a training is run: on which devices, how many, and how many pieces fit on one at once.

None of this changes results except for rounding, so none of it is tracked: the batch is global, and
the number of parts of a step whose gradients are accumulated follows from it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ostinato.settings import checked

CORES = "CPU cores"
ALL = (-1, "-1", "auto")
CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of x86, x86 and ARM


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The settings of conf/trainer, checked against this machine.

    accelerator, devices (of each node; -1 is all there are, a list names them), num_nodes and
    strategy are those of Lightning's Trainer, except that "fsdp" is FSDP2, which also runs on CPUs.
    micro_batch: pieces that fit on a device at once; None: all of its share of the batch.
    """

    accelerator: str = "cpu"
    devices: int | str | tuple[int, ...] = 1
    num_nodes: int = 1
    strategy: str = "auto"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        if self.num_nodes < 1 or (self.micro_batch is not None and self.micro_batch < 1):
            raise ValueError(
                f"trainer.num_nodes={self.num_nodes} and micro_batch={self.micro_batch} must be at "
                "least 1; micro_batch=null: a device's whole share"
            )
        here = present(self.accelerator)
        if here is None:
            return
        kind, there = here
        if max(1, self.count()) > there:
            fewer = f"set trainer.devices to at most {there}, or " if there else ""
            raise ValueError(
                f"trainer.accelerator={self.accelerator} with trainer.devices={self.devices} needs "
                f"{max(1, self.count())} {kind}, this machine has {there}; {fewer}choose another "
                "trainer, as with OSTINATO_TRAINER=cpu or auto"
            )

    def count(self) -> int:
        """Devices of one node; for a list of numbers, one more than its highest."""
        if isinstance(self.devices, tuple):
            return max(self.devices, default=0) + 1
        if self.devices in ALL:
            here = present(self.accelerator)
            return here[1] if here and here[0] != CORES else 1
        return int(self.devices)

    def kind(self) -> str:
        """The name that torch has for such a device."""
        chosen = self.accelerator
        if chosen in ("gpu", "auto"):  # what Lightning takes
            mps = torch.backends.mps.is_available()
            chosen = "mps" if mps else "cuda" if torch.cuda.device_count() else "cpu"
        return chosen

    def parts(self, batch: int, world: int) -> int:
        """How many micro batches make a device's share of the global batch.

        Raises:
            ValueError: it is no whole number of them.
        """
        if self.micro_batch is None:
            return 1
        share, left = divmod(batch, world)
        if left or share % self.micro_batch:
            fitting = [str(n) for n in range(1, share + 1) if share % n == 0]
            remedy = (
                f"other devices or a batch that is a multiple of {world}"
                if left
                else f"trainer.micro_batch={' or '.join(fitting)}"
            )
            raise ValueError(
                f"training.batch={batch} cannot be shared equally by {world} devices in micro "
                f"batches of trainer.micro_batch={self.micro_batch}; choose {remedy}"
            )
        return share // self.micro_batch

    def for_trainer(self) -> dict[str, Any]:
        """Arguments of Lightning's Trainer, which is imported here: checks must not wait for it."""
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from pytorch_lightning.strategies import ModelParallelStrategy

        devices = list(self.devices) if isinstance(self.devices, tuple) else self.devices
        strategy: Any = self.strategy
        if strategy == "fsdp":
            world = self.num_nodes * (len(devices) if isinstance(devices, list) else self.count())
            strategy = ModelParallelStrategy(
                data_parallel_size=world, tensor_parallel_size=1, save_distributed_checkpoint=False
            )
        # Lightning's own requeueing saves between validations, where ours cannot resume
        slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
        plugins = [SLURMEnvironment(auto_requeue=False)] if slurm else []
        return {
            "accelerator": self.accelerator,
            "devices": devices,
            "num_nodes": self.num_nodes,
            "strategy": strategy,
            "plugins": plugins,
        }


def present(accelerator: str) -> tuple[str, int] | None:
    """What an accelerator is counted in and how many there are here; None: only Lightning knows."""
    gpus = torch.cuda.device_count()
    if accelerator == "gpu" or (accelerator == "auto" and gpus):
        return "GPUs", gpus or int(torch.backends.mps.is_available())
    if accelerator == "cuda":
        return "GPUs", gpus
    return (CORES, os.cpu_count() or 1) if accelerator == "cpu" else None


def devices_from(options: Mapping[str, Any]) -> Devices:
    """Devices from the settings of conf/trainer/<name>.yaml.

    Raises:
        ValueError: an unknown setting, or more devices than there are.
    """
    return checked(Devices, "trainer", options)


def precision_on(precision: str, device: str) -> str:
    """The precision that a kind of device trains in: full instead of mixed where bf16 is emulated.

    An emulated product takes several times as long as one in full precision.
    """
    return "32-true" if precision == "bf16-mixed" and not has_bf16(device) else precision


def precision_note(precision: str, device: str) -> str:
    """Warning if bf16 is emulated on this machine; empty otherwise."""
    if not precision.startswith("bf16") or has_bf16(device):
        return ""
    name = "this GPU" if device == "cuda" else "this CPU"
    why = f"training.precision={precision}, but {name} has no bf16 arithmetic"
    if precision_on(precision, device) == precision:
        return f"{why} and emulates it, which is slow; training.precision=32-true is faster here"
    return (
        f"{why}: this trains in full precision, 32-true, and ends with somewhat other weights than "
        "on a machine that has it"
    )


def has_bf16(device: str) -> bool:
    """Whether a kind of device has bf16 arithmetic; True where that is unknown."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not CPUINFO.exists():
        return True
    words = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    return bool(BF16_FLAGS & set(words))
