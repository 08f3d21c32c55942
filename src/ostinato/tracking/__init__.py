"""One MLflow run per trained system: its curve, parameters, metrics, pictures and sound.

The only package that imports mlflow, when a store is first opened: importing this package is fast
and works without mlflow. With `OSTINATO_TRACKING=off` every function does nothing. No result
depends on tracking: if a store fails, one line goes to stderr and training continues.
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
