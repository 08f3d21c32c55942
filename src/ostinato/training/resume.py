"""Going on after a kill: the last validation's state, found again by a fingerprint of all that
shaped it.

The folder `<root>/<fingerprint>/` holds `resume.json`, written last and atomically, which names the
state and the best weights with their SHA-256. Whatever it does not name is a leftover of a kill and
is removed.
"""

import platform
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file

from ostinato.data.tokens import TokenSet
from ostinato.execution.files import (
    DamagedFile,
    atomic_file,
    checksums,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
)
from ostinato.training.autoregressive import AutoregressiveTraining, trained_weights
from ostinato.training.settings import Settings

FORMAT = 1
SOURCE = Path(__file__).parents[1]


def fingerprint(settings: Settings, tokens: TokenSet, *, device: str, world: int) -> str:
    """Hash of config, codec, data, code of the train stage, torch, device type and world size."""
    code = {
        room: {
            name: digest
            for name, digest in checksums(SOURCE / room).items()
            if name.endswith(".py")
        }
        for room in ("data", "models/parts", "training")
    }
    family = SOURCE / "models" / f"{settings.family}.py"
    return sha256_json(
        {
            "settings": settings.plain(),
            "tokens": tokens.digest,
            "codec": tokens.codec_digest,
            "code": code | {"family": sha256_file(family)},
            "torch": torch.__version__,
            "machine": platform.machine(),
            "device": device,
            "world": world,
        }
    )


class Resume(pl.Callback):
    """Saves the state after every validation and keeps the best weights beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record: dict[str, Any] = {}

    def last_state(self) -> Path | None:
        """The state to go on from, or None.

        Raises:
            DamagedFile: the state is not what was written; it names the folder to delete.
        """
        path = self.folder / "resume.json"
        if not path.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        remedy = f"rm -r {self.folder}  (training then starts again)"
        self.record = read_json(path, expect_format=FORMAT, made_by=remedy)
        for name, digest in self.record["files"].items():
            file = self.folder / name
            if not file.exists() or sha256_file(file) != digest:
                raise DamagedFile(f"{file} is damaged or missing; remove the state with: {remedy}")
        return self.folder / self.record["state"]

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save, then point to what was saved, then forget what was before."""
        assert isinstance(module, AutoregressiveTraining)
        row = module.history[-1]
        state = self.folder / f"state-{row['step']}.ckpt"
        trainer.save_checkpoint(state)  # every rank takes part
        if not trainer.is_global_zero:
            return
        best = self.record.get("best")
        if best is None or row["valid_nats"] < best["valid_nats"]:
            best = {"file": f"best-{row['step']}.safetensors"} | row
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.folder / best["file"]) as partial:
                save_file(trained_weights(module.average), partial)
        names = (state.name, best["file"])
        self.record = {
            "format": FORMAT,
            "step": row["step"],
            "state": state.name,
            "best": best,
            "files": {name: sha256_file(self.folder / name) for name in names},
        }
        write_json(self.folder / "resume.json", self.record)
        for path in sorted(self.folder.iterdir()):
            if path.name not in (*names, "resume.json"):
                path.unlink()

    def best_weights(self) -> Path:
        """The weights of the lowest validation loss."""
        return self.folder / self.record["best"]["file"]

    def forget(self) -> None:
        """Remove the state once the weights are exported."""
        shutil.rmtree(self.folder, ignore_errors=True)
