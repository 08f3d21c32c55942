"""Chunks go through the backends of joblib, and other users of joblib do not disturb them."""

import os
import sys
from pathlib import Path

import pytest

from ostinato.execution.guard import Limits
from ostinato.execution.parallel import Executor, map_guarded

sys.path.append(str(Path(__file__).parents[1]))
import poison  # children import it by this name

LIMITS = Limits(seconds=1, megabytes=300)
TWO = Executor(workers=2)
pytestmark = pytest.mark.starts


def test_a_consumer_that_uses_joblib_itself_does_not_take_our_workers_away():
    """The pool that joblib shares is another one after a call with other settings."""
    import joblib

    found = map_guarded(poison.act, range(60), executor=TWO, limits=LIMITS, chunk=2)
    results = [next(found)]
    for initializer in (os.getpid, os.getppid):
        with joblib.parallel_config("loky", n_jobs=2, initializer=initializer):
            assert joblib.Parallel()(joblib.delayed(abs)(-n) for n in range(4)) == [0, 1, 2, 3]
        results += [next(found) for _ in range(10)]
    assert [*results, *found] == [n * n for n in range(60)]


def test_what_comes_back_went_through_the_backend_of_joblib(monkeypatch):
    from joblib.parallel import LokyBackend

    handed, real = [], LokyBackend.submit
    monkeypatch.setattr(
        LokyBackend, "submit", lambda self, f, callback: handed.append(f) or real(self, f, callback)
    )
    found = map_guarded(poison.act, range(20), executor=TWO, limits=LIMITS, chunk=5)
    assert list(found) == [n * n for n in range(20)]
    assert len(handed) == 20  # a short list in small chunks
