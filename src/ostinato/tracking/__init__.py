"""One MLflow run per trained system: its curve, parameters, metrics, pictures and sound.

The only package that imports mlflow, and it does so when a store is first opened: importing this is
quick and works where mlflow is not installed, and `OSTINATO_TRACKING=off` makes every function here
do nothing. No result may depend on it: a store that fails costs a line on stderr, never a training.
"""

from ostinato.tracking.handle import RunHandle
from ostinato.tracking.publish import Published, publish_system, system_run
from ostinato.tracking.runs import (
    RestoredRun,
    log_metrics,
    log_samples,
    run_for_weights,
    sweep_run,
    training_run,
)
from ostinato.tracking.store import PARENT_RUN, Store, open_store, public

__all__ = [
    "PARENT_RUN",
    "Published",
    "RestoredRun",
    "RunHandle",
    "Store",
    "log_metrics",
    "log_samples",
    "open_store",
    "public",
    "publish_system",
    "run_for_weights",
    "sweep_run",
    "system_run",
    "training_run",
]
