"""Hydra launcher `process`: every job of a multirun (`-m`) is its own process of the same script.

Hydra's default launcher runs the jobs inside one process, where Lightning's ranks re-enter the
whole sweep and the environment of one job leaks into the next. Here each job is a command, as one
would type it:

    python pipelines/train.py -m hydra/launcher=process optimizer.lr=1e-3,3e-4 \
        hydra.launcher.max_parallel=2 hydra.launcher.devices=[0,1]

The result of a job is `objective` in the objective.json that it writes into its folder; lower is
better. Hydra imports this module on every start, so heavy modules are imported where they are used.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.hydra_ostinato_process._jobs import Job, child_environment, command, run_jobs
from hydra_plugins.hydra_ostinato_process._results import differing, table, write_results

log = logging.getLogger(__name__)


@dataclass
class ProcessLauncherConfig:
    """Options of the launcher.

    max_parallel: jobs that run at once.
    devices: values of CUDA_VISIBLE_DEVICES for the jobs in turn: [0, 1], or several per job,
        ["0,1", "2,3"]; empty: the variable is not set.
    """

    _target_: str = "hydra_plugins.hydra_ostinato_process.ProcessLauncher"
    max_parallel: int = 1
    devices: list[Any] = field(default_factory=list)


ConfigStore.instance().store(
    group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="ostinato"
)


class ProcessLauncher(Launcher):
    """Runs each job of a sweep in its own process; see the module."""

    def __init__(self, max_parallel: int = 1, devices: Sequence[Any] = ()) -> None:
        if max_parallel < 1:
            raise ValueError(
                f"hydra.launcher.max_parallel={max_parallel} must be at least 1: "
                "the number of jobs that run at once"
            )
        self.max_parallel = max_parallel
        self.devices = tuple(str(device) for device in devices)
        self.jobs: list[Job] = []  # of all batches of the sweeper
        self.parent_run = ""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Store Hydra's context and config; the children run the task function."""
        self.hydra_context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run one batch of jobs; a failure is part of the job's result and not raised here."""
        from ostinato.tracking import PARENT_RUN, sweep_run

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        folder = Path(str(self.config.hydra.sweep.dir))
        prepared = [
            self._prepare(number, list(overrides), folder)
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        batch = [job for job, _ in prepared]
        for job in batch:
            job.name = differing(job, batch)
        self.jobs += batch
        given = OmegaConf.to_container(self.config.hydra.overrides.task)
        assert isinstance(given, list)
        log.info(f"{len(batch)} jobs, {self.max_parallel} at once, in {folder}")
        with sweep_run(f"{Path(sys.argv[0]).stem} sweep", given, self.parent_run) as parent:
            self.parent_run = parent.id
            try:
                parents = {PARENT_RUN: parent.id} if parent.id else {}
                run_jobs(
                    batch, self.max_parallel, self.devices, child_environment(parents), log.info
                )
            finally:
                write_results(folder / "results.csv", self.jobs)
                log.info("\n" + table(self.jobs))
            objectives = [value for job in self.jobs if (value := job.value()) is not None]
            if objectives:
                parent.set_metrics({"best_objective": min(objectives)})
        return [self._result(job, config) for job, config in prepared]

    def _prepare(self, number: int, overrides: list[str], folder: Path) -> tuple[Job, DictConfig]:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        subfolder = folder / str(config.hydra.sweep.subdir)
        given = OmegaConf.to_container(self.config.hydra.overrides.hydra)
        assert isinstance(given, list)
        return Job(number, overrides, subfolder, command(overrides, given, subfolder)), config

    def _result(self, job: Job, config: DictConfig) -> JobReturn:
        task = {key: value for key, value in config.items_ex(resolve=False) if key != "hydra"}
        result = JobReturn(
            overrides=job.overrides,
            cfg=OmegaConf.create(task),
            hydra_cfg=OmegaConf.create({"hydra": config.hydra}),
            working_dir=str(Path.cwd()),
            task_name=str(self.config.hydra.job.name),
            status=JobStatus.FAILED if job.problem else JobStatus.COMPLETED,
        )
        result.return_value = RuntimeError(job.problem) if job.problem else job.objective
        return result


__all__ = ["ProcessLauncher", "ProcessLauncherConfig"]
