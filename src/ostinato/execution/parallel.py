"""One function over many items, on as many processes as the machine has cores."""

import os
from collections.abc import Callable, Sequence
from typing import Any


def map_items(
    function: Callable[..., Any], *columns: Sequence[Any], workers: int | None = None
) -> list[Any]:
    """Results in the order of the items, whatever the number of workers (default: all cores)."""
    from joblib import Parallel, delayed

    workers = workers or int(os.environ.get("OSTINATO_WORKERS", os.cpu_count() or 1))
    items = list(zip(*columns, strict=True))
    if workers == 1 or len(items) < 2 * workers:
        return [function(*item) for item in items]
    chunk = max(1, len(items) // (workers * 8))
    return list(
        Parallel(n_jobs=workers, batch_size=chunk)(delayed(function)(*item) for item in items)
    )
