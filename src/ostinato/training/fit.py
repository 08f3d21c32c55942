"""Trains one model from an encoding to a model folder."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ostinato.loading.batches import Batch, Crops, CropSettings, conditions_of, whole_pieces
from ostinato.loading.tokens import TokenSet
from ostinato.models.autoregressive.parts.config import TokenShape
from ostinato.models.registry import build
from ostinato.seeds import seed_of
from ostinato.training.autoregressive import AutoregressiveTraining
from ostinato.training.devices import Devices, devices_from, precision_note, precision_on
from ostinato.training.export import export
from ostinato.training.identity import Identity, fingerprint, identity
from ostinato.training.patience import Patience
from ostinato.training.progress import Progress, Record
from ostinato.training.resume import Resume
from ostinato.training.settings import Settings, TrainingSettings

Track = Callable[[str], AbstractContextManager[Record]]


class StepSampler(Sampler[int]):
    """The numbers of the steps of one stretch between validations, from where the run stands.

    `position` is asked whenever a stretch begins: Lightning's epoch counter is not yet restored
    when it opens the first iterator after a resume. A step has `parts` numbers, one after the
    other.
    """

    def __init__(self, steps: int, parts: int, position: Callable[[], int]) -> None:
        self.steps, self.parts, self.position = steps, parts, position

    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return iter(range(start * self.parts, (start + self.steps) * self.parts))

    def __len__(self) -> int:
        return self.steps * self.parts


class EncodingModule(pl.LightningDataModule):
    """Crops for training, whole pieces for validation; each device takes its rows of the global
    batch.
    """

    def __init__(self, tokens: TokenSet, settings: Settings) -> None:
        super().__init__()
        self.tokens = tokens
        self.crops = CropSettings(
            batch=settings.training.batch,
            crop=settings.training.crop,
            transpose=settings.training.transpose,
            bucket_by_length=settings.training.bucket_by_length,
            seed=seed_of("crops", settings.seed),
        )
        self.stretch = settings.training.validate_every

    def train_dataloader(self) -> DataLoader[Batch]:
        """One item is one batch, or a part of one: the order is a function of the step alone."""
        trainer = self.trainer
        assert trainer is not None
        rank, parts = trainer.global_rank, trainer.accumulate_grad_batches
        crops = Crops(self.tokens, self.crops, rank=rank, world=trainer.world_size, parts=parts)
        # own generator: otherwise the loader draws its base seed from the global one, once more
        # on the first epoch after a resume than without it
        generator = torch.Generator().manual_seed(0)
        steps = StepSampler(self.stretch, parts, lambda: trainer.global_step)
        return DataLoader(crops, batch_size=None, sampler=steps, generator=generator)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Every device scores all of it: it is small, and the number is then exact."""
        part = self.tokens.splits["valid"]
        batches = [
            (batch, conditions_of(part, numbers))
            for numbers, batch in whole_pieces(self.tokens, "valid")
        ]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def fit(
    settings: Settings,
    tokens: TokenSet,
    out: Path,
    *,
    trainer_options: Mapping[str, Any],
    resume_root: Path,
    track: Track | None = None,
) -> dict[str, Any]:
    """Train, or go on with, one model; write its folder and return its `model.json`.

    With several devices every process calls this; those that are not the first return an empty
    dict.

    Args:
        settings: all that decides the weights. tokens: what to learn from. out: the model folder.
        trainer_options: how to run, the fields of Devices: never changes a result. resume_root:
        where the states of unfinished trainings lie. track: opens the record of this training,
        given its fingerprint.

    Raises:
        ValueError: settings, data or devices that contradict each other, or an unfinished training
            of this model folder under other settings.
    """
    run_on = devices_from(trainer_options)
    torch.set_num_threads(settings.training.threads)
    torch.manual_seed(seed_of("init", settings.seed))
    shape = TokenShape.of(tokens.codec)
    model = build(settings.family, settings.model, shape)
    if not len(tokens.splits["valid"]):
        raise ValueError(f"encoding {tokens.name} has no piece to validate on")
    module = AutoregressiveTraining(model, settings)
    data = EncodingModule(tokens, settings)
    trainer = make_trainer(settings, run_on)
    resume = Resume(resume_root, _identity(settings, tokens, trainer), out)
    state = resume.last_state()
    if trainer.is_global_zero:
        _announce(settings, trainer, resume)
    with ExitStack() as stack:
        mark = fingerprint(resume.what)
        run = stack.enter_context(track(mark)) if track and trainer.is_global_zero else None
        callbacks = [Progress(run), resume, Patience(settings.training.patience)]
        trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]
        try:
            trainer.fit(module, datamodule=data, ckpt_path=state, weights_only=True)
        except SystemExit as error:  # Lightning (2.6.6) makes Ctrl-C exit status 1
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise
        card: dict[str, Any] = {}
        if trainer.is_global_zero:
            used = {key: resume.what[key] for key in ("device", "precision")}
            card = export(out, settings, tokens, resume.best_weights(), module.history, used)
            if run:
                run.finish_weights(card["weights_sha256"])
            resume.forget()
    return card


def _identity(settings: Settings, tokens: TokenSet, trainer: pl.Trainer) -> Identity:
    return identity(
        settings,
        tokens,
        device=trainer.strategy.root_device.type,
        precision=str(trainer.precision),
        world=trainer.world_size,
        parts=trainer.accumulate_grad_batches,
        sharded=isinstance(trainer.strategy, ModelParallelStrategy),
    )


def _announce(settings: Settings, trainer: pl.Trainer, resume: Resume) -> None:
    """Say what a reader of the terminal would not expect."""
    if resume.record:
        print(f"{settings.system}: going on from step {resume.record['step']}")  # noqa: T201
    note = precision_note(settings.training.precision, trainer.strategy.root_device.type)
    if note:
        print(note, file=sys.stderr)  # noqa: T201


def make_trainer(settings: Settings, run_on: Devices) -> pl.Trainer:
    """A Trainer that writes nothing of its own, validates between stretches and stops at
    `steps`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # of FSDP2, for outputs that are views: nothing here changes one in place
    warnings.filterwarnings("ignore", message=".*returned a view tensor.*")
    # torch lets cuDNN round to ten bits in full precision, in which validation is to be
    torch.backends.cudnn.allow_tf32 = False
    # new memory need not be filled for a result to be the same: nothing here reads it unwritten
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    training = settings.training
    try:
        trainer = _trainer(training, run_on)
    except MisconfigurationException as error:
        raise ValueError(
            f"this machine cannot run trainer {asdict(run_on)}: {error}; choose another with "
            "OSTINATO_TRAINER=cpu, auto, gpu, ddp, ddp_cpu, fsdp or slurm"
        ) from error
    trainer.accumulate_grad_batches = run_on.parts(training.batch, trainer.world_size)
    return trainer


def _trainer(training: TrainingSettings, run_on: Devices) -> pl.Trainer:
    return pl.Trainer(
        **run_on.for_trainer(),
        precision=precision_on(training.precision, run_on.kind()),  # type: ignore[arg-type]
        # the budget is counted in stretches: with max_steps Lightning (2.6.6) ends the last stretch
        # a second time when it resumes, and skips the next one
        max_epochs=training.steps // training.validate_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        deterministic="warn" if torch.cuda.is_available() else False,
    )
