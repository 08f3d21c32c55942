"""One MLflow run per trained system: its curve, parameters, metrics, pictures, sound and model.

The only package that imports mlflow, when a store is first opened: importing this package is fast
and works without mlflow. With `OSTINATO_TRACKING=off` every function does nothing. No result
depends on tracking: if a store fails, one line goes to stderr and training continues.
"""

from ostinato.tracking.handle import RunHandle
from ostinato.tracking.publish import (
    Published,
    log_evaluation,
    model_run,
    publish_system,
    system_run,
)
from ostinato.tracking.runs import (
    RestoredRun,
    run_for_weights,
    sweep_run,
    tagged_run,
    training_run,
)
from ostinato.tracking.serve import check_port, serve
from ostinato.tracking.store import PARENT_RUN, Store, open_store, public

__all__ = [
    "PARENT_RUN",
    "Published",
    "RestoredRun",
    "RunHandle",
    "Store",
    "check_port",
    "log_evaluation",
    "model_run",
    "open_store",
    "public",
    "publish_system",
    "run_for_weights",
    "serve",
    "sweep_run",
    "system_run",
    "tagged_run",
    "training_run",
]
