"""Resuming an interrupted training from its last validation.

The folder `<root>/<fingerprint>/` holds `resume.json`, written last and atomically, which names the
state and the best weights with their SHA-256. Other files in it are leftovers of an interruption
and are removed. It also keeps what was hashed into the fingerprint, and the model folder of the
run: a run into the same folder under other settings is refused, with both values.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from safetensors.torch import save_file

from ostinato.files import (
    DamagedFile,
    MissingInput,
    atomic_file,
    read_json,
    sha256_file,
    write_json,
)
from ostinato.training.identity import Identity, differences, fingerprint
from ostinato.training.module import Training, trained_weights

FORMAT = 2


class Resume(pl.Callback):
    """Saves the state after every validation and keeps the best weights beside it.

    root: folder of the states of all trainings; what: all that decides this one; out: its model
    folder.
    """

    def __init__(self, root: Path, what: Identity, out: Path) -> None:
        self.root, self.what = root, what
        self.folder = root / fingerprint(what)[:16]
        # relative to the states, so that both can be moved together
        self.out = Path(os.path.relpath(out.resolve(), root.resolve())).as_posix()
        self.record: dict[str, Any] = {}

    def last_state(self) -> Path | None:
        """The state to resume from, or None.

        Raises:
            DamagedFile: the state has changed since it was written; it names the folder to delete.
            ValueError: the model folder has an unfinished training under other settings; it names
                each with both values.
        """
        path = self.folder / "resume.json"
        if not path.exists():
            self._refuse_changed()
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        remedy = f"rm -r {self.folder}  (training then starts again)"
        self.record = read_json(path, expect_format=FORMAT, made_by=remedy)
        for name, digest in self.record["files"].items():
            file = self.folder / name
            if not file.exists() or sha256_file(file) != digest:
                raise DamagedFile(f"{file} is damaged or missing; remove the state with: {remedy}")
        return self.folder / self.record["state"]

    def _refuse_changed(self) -> None:
        for path in sorted(self.root.glob("*/resume.json")):
            try:
                found = read_json(path, expect_format=FORMAT, made_by="")
            except (MissingInput, DamagedFile):
                continue  # finished meanwhile, or of another version
            if found["out"] != self.out or not (changed := differences(found["what"], self.what)):
                continue
            raise ValueError(
                f"{Path(self.out).name} has an unfinished training, saved at step {found['step']}, "
                "that differs:\n  " + "\n  ".join(changed) + "\n"
                "undo these changes to resume it, or remove its state to start again: "
                f"rm -r {path.parent}"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save, then point to what was saved, then remove older files."""
        assert isinstance(module, Training)
        row = module.history[-1]
        state = self.folder / f"state-{row['step']}.ckpt"
        trainer.save_checkpoint(state)  # every rank takes part
        weights = trained_weights(module.average)  # in this as well
        if not trainer.is_global_zero:
            return
        best = self.record.get("best")
        if best is None or row["valid_loss"] < best["valid_loss"]:
            best = {"file": f"best-{row['step']}.safetensors"} | row
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.folder / best["file"]) as partial:
                save_file(weights, partial)
        names = (state.name, best["file"])
        self.record = {
            "format": FORMAT,
            "what": self.what,
            "out": self.out,
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
