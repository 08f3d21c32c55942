"""Trains one model from an encoding to a model folder."""

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import ModelParallelStrategy

from ostinato.arithmetic import use_threads
from ostinato.loading.tokens import TokenSet
from ostinato.models.registry import build, paradigm_of
from ostinato.models.spec import ArraySpec
from ostinato.seeds import seed_of
from ostinato.training.checks import check
from ostinato.training.data import EncodingModule
from ostinato.training.devices import Devices, precision_note, precision_on
from ostinato.training.export import export
from ostinato.training.identity import Identity, fingerprint, identity
from ostinato.training.module import Training
from ostinato.training.patience import EarlyStopping
from ostinato.training.progress import Progress, Record
from ostinato.training.resume import Resume
from ostinato.training.settings import Settings, TrainingSettings

Track = Callable[[str], AbstractContextManager[Record]]


def fit(
    settings: Settings,
    tokens: TokenSet,
    out: Path,
    *,
    trainer_options: Mapping[str, Any],
    resume_root: Path,
    track: Track | None = None,
) -> dict[str, Any]:
    """Train one model, or resume its training; write its folder and return its `model.json`.

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
    run_on = check(settings, tokens, trainer_options)
    use_threads(settings.training.threads)
    torch.manual_seed(seed_of("init", settings.seed))
    spec = ArraySpec.of(tokens.codec)
    model = build(settings.family, settings.model, spec)
    paradigm: Any = importlib.import_module(f"ostinato.training.{paradigm_of(settings.family)}")
    module: Training = paradigm.Module(model, settings)
    data: EncodingModule = paradigm.Data(tokens, settings)
    trainer = make_trainer(settings, run_on)
    resume = Resume(resume_root, _identity(settings, tokens, trainer), out)
    state = resume.last_state()
    if trainer.is_global_zero:
        _announce(settings, trainer, resume)
    with ExitStack() as stack:
        mark = fingerprint(resume.what)
        run = stack.enter_context(track(mark)) if track and trainer.is_global_zero else None
        values = settings.training.batch * settings.training.crop * spec.width
        callbacks = [Progress(values, run), resume, EarlyStopping(settings.training.patience)]
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
            card = export(out, module, tokens, resume.best_weights(), used)
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
    """Print that a training is resumed, and warnings about precision."""
    if resume.record:
        print(f"{settings.system}: resuming from step {resume.record['step']}")  # noqa: T201
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
    # otherwise torch lets cuDNN round to ten bits, and validation is in full precision
    torch.backends.cudnn.allow_tf32 = False
    # filling new memory costs time and changes nothing: it is never read before it is written
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
