"""Bad items cost themselves alone, over any number of workers, and nothing is left behind."""

import os
import signal
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.execution.guard import Failure, Guard, GuardError, Limits
from ostinato.execution.parallel import (
    OPEN_CHUNKS,
    Executor,
    WorkersLost,
    executor_from,
    map_guarded,
)

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS))
import poison  # noqa: E402 - children import it by this name

LIMITS = Limits(seconds=30, megabytes=300)
HASTY = Limits(seconds=0.3, megabytes=300)  # where something computes without end
WAITS = Limits(seconds=1, megabytes=300, wall_seconds=2)  # where something sleeps without end
HERE, TWO = Executor(workers=1), Executor(workers=2)
LATE = "more than 2 s by the clock"
BAD = {
    "hang": ("time limit", LATE),
    "hang_in_c": ("time limit", LATE),
    "hang_in_regex": ("time limit", "more than 0.3 s of processor time"),
    "leave": ("crash", "exit status 7"),
    "leave_politely": ("error", "SystemExit: enough"),
    "segfault": ("crash", "SIGSEGV"),
    "killed": ("crash", "SIGKILL"),
    "orphan": ("crash", "exit status 8"),
    "ten_gigabytes": ("memory limit", "more than 300 MB: MemoryError"),
    "many_small": ("memory limit", "more than 300 MB: MemoryError"),
    "hidden_memory_error": (
        "memory limit",
        "more than 300 MB: ValueError: the file cannot be read",
    ),
    "abort_for_memory": (
        "memory limit",
        "more than 300 MB: SIGABRT: memory allocation of 1073741824 bytes failed",
    ),
    "unpicklable": (
        "error",
        "AttributeError: Can't pickle local object 'unpicklable.<locals>.<lambda>'",
    ),
    "broken": ("error", "LookupError: no such thing as <object object at 0x…> anywhere"),
    "not_utf8": ("error", "ValueError: name \\udcff"),
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory need Linux")


pytestmark = pytest.mark.starts  # processes


@pytest.fixture
def guard():
    with Guard() as guard:
        yield guard


@linux
@pytest.mark.parametrize("name", BAD)
def test_a_bad_item_costs_itself_alone(guard, name):
    limits = HASTY if name == "hang_in_regex" else WAITS if "hang" in name else LIMITS
    found = list(guard.run(poison.act, [2, name, 3], limits))
    if name == "unpicklable":  # Python 3.14 says it in other words
        assert (found[1].kind, found[1].detail[:14]) == ("error", BAD[name][1][:14])
        found[1] = Failure(*BAD[name])
    assert found == [4, Failure(*BAD[name]), 9]


def test_the_limit_is_processor_time_so_that_a_busy_machine_changes_no_result(guard):
    """A sleep longer than the limit stands for a machine that lets others compute."""
    assert list(guard.run(poison.act, ["rest", 3], HASTY)) == ["rested", 9]


@linux
def test_many_bad_items_in_a_row_are_each_their_own_fault(guard):
    names = [name for name in BAD if "hang" not in name and name != "unpicklable"]
    found = list(guard.run(poison.act, [*names, 5, *names], LIMITS))
    assert found == [*(failures := [Failure(*BAD[name]) for name in names]), 25, *failures]


def test_the_channel_survives_what_items_print_and_close(guard):
    found = list(guard.run(poison.act, ["chatter", "close_everything", "chatter", 2], LIMITS))
    assert [found[0], *found[2:]] == ["spoken", "spoken", 4]
    assert found[1].kind == "crash"


def test_nobody_is_punished_for_what_an_earlier_item_has_broken(guard):
    """Else the result would hang on which items happened to share a process."""
    assert list(guard.run(poison.once, range(6), LIMITS)) == list(range(6))


@linux
def test_a_process_that_leaks_is_replaced_and_its_items_are_not_blamed(guard):
    leak = poison.act
    for _ in range(4):
        found = list(guard.run(leak, [("leak", 60)] * 3, LIMITS))
        assert all(isinstance(count, int) for count in found)
    assert list(guard.run(leak, [("leak", 400), 3], LIMITS))[1] == 9


def test_a_child_serves_call_after_call_under_any_limits_and_function(guard):
    assert list(guard.run(poison.act, [], LIMITS)) == []
    (first,) = guard.run(poison.act, ["pid"], LIMITS)
    assert list(guard.run(poison.square, [3], Limits())) == [9]
    assert list(guard.run(partial(pow, 2), [3], LIMITS)) == [8]
    assert list(guard.run(poison.act, ["pid"], Limits(5, 500))) == [first]
    (failure,) = guard.run(poison.act, ["ten_gigabytes"], Limits(5, 500))
    assert failure.detail.startswith("more than 500 MB")
    assert list(guard.run(poison.act, ["pid"], LIMITS)) != [first]


def test_a_child_that_was_killed_while_idle_is_replaced(guard):
    (first,) = guard.run(poison.act, ["pid"], LIMITS)
    os.kill(first, signal.SIGKILL)
    assert list(guard.run(poison.act, [4], LIMITS)) == [16]


def test_a_run_that_is_given_up_half_way_does_not_spoil_the_next(guard):
    run = guard.run(poison.act, range(100), LIMITS)
    assert next(run) == 0
    with pytest.raises(RuntimeError, match="busy with another run"):
        next(guard.run(poison.act, [1], LIMITS))
    del run
    assert list(guard.run(poison.act, [7], LIMITS)) == [49]


def test_a_child_works_where_its_parent_is_now(guard, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert list(guard.run(poison.act, ["folder"], LIMITS)) == [name]


def test_all_children_hash_alike(guard):
    found = {*guard.run(poison.act, ["hash_seed", "hash_seed"], LIMITS)}
    guard.close()
    assert len(found | {*guard.run(poison.act, ["hash_seed"], LIMITS)}) == 1


def test_what_cannot_be_sent_or_found_is_said_before_items_are_blamed(guard, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="at the top of a module that can be imported"):
        guard.run(lambda item: item, [1], LIMITS)
    monkeypatch.setattr(poison.square, "__module__", "__main__")
    with pytest.raises(ValueError, match="defined in the script that was started"):
        guard.run(partial(poison.square), [1], LIMITS)
    (tmp_path / "fleeting.py").write_text("def work(item):\n    return item\n")
    monkeypatch.syspath_prepend(tmp_path)
    work = __import__("fleeting").work
    (tmp_path / "fleeting.py").write_text("import nowhere_at_all\n")
    for executor in (HERE, TWO):
        with pytest.raises(GuardError, match="No module named 'nowhere_at_all'"):
            list(map_guarded(work, [1], executor=executor, limits=LIMITS))
    with pytest.raises(GuardError, match="cannot be run"):
        list(guard.run(work, [1], LIMITS))


@pytest.mark.parametrize(
    "options",
    [{"seconds": value} for value in (0, -1, float("inf"), float("nan"))]
    + [{"megabytes": value} for value in (0, -5, 0.5)]
    + [{"wall_seconds": value} for value in (0, 59, float("inf"), float("nan"))],
)
def test_limits_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=f"limits.{next(iter(options))}="):
        Limits(**options)


def test_settings_of_executors_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="unknown backend 'spark'; valid: loky, dask, ray"):
        Executor("spark")
    with pytest.raises(ValueError, match="workers=0 must be at least 1"):
        Executor(workers=0)
    with pytest.raises(ValueError, match="use dask or ray"):
        Executor("loky", address="tcp://host:8786")
    with pytest.raises(ValueError, match="no setting threads; its settings are backend"):
        executor_from({"backend": "dask", "threads": 2})
    assert executor_from({"backend": "ray", "workers": None}) == Executor("ray")
    with pytest.raises(ValueError, match="chunk=0"):
        map_guarded(poison.square, [1], executor=HERE, limits=LIMITS, chunk=0)
    with pytest.raises(ValueError, match="unknown kind 'late'"):
        Failure("late", "")


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    executor = Executor(backend, workers=2)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'ostinato\[{backend}\]'"):
        list(map_guarded(poison.square, [1], executor=executor, limits=LIMITS))


@settings(max_examples=min(15, settings.default.max_examples), deadline=None)
@given(
    items=st.lists(st.integers(0, 99) | st.sampled_from(["broken", "leave_politely"]), max_size=40),
    chunk=st.integers(1, 50),
    lazy=st.booleans(),
)
def test_results_come_in_the_order_of_the_items_in_any_chunks(items, chunk, lazy):
    given_items = iter(items) if lazy else items
    found = map_guarded(poison.act, given_items, executor=HERE, limits=LIMITS, chunk=chunk)
    expected = [i * i if isinstance(i, int) else Failure(*BAD[i]) for i in items]
    assert list(found) == expected


@linux
def test_results_do_not_depend_on_the_number_of_workers():
    items = [
        *range(50),
        "leave",
        *range(20),
        "ten_gigabytes",
        "hang_in_regex",
        "segfault",
        *range(50),
    ]
    one, two, many = (
        list(map_guarded(poison.act, items, executor=executor, limits=HASTY, chunk=chunk))
        for executor, chunk in ((HERE, 32), (TWO, 8), (Executor(workers=3), 1))
    )
    assert one == two == many
    assert [kind.kind for kind in one if isinstance(kind, Failure)] == [
        "crash",
        "memory limit",
        "time limit",
        "crash",
    ]


@pytest.mark.parametrize("executor", [HERE, TWO], ids=["here", "loky"])
def test_a_slow_consumer_is_not_buried_under_results(executor):
    """Items are taken as results are: 2000 results of 1 MB would not fit into 40 MB."""
    taken, chunk, done = 0, 2, 0

    def items():
        nonlocal taken
        for number in range(2000):
            taken = number + 1
            yield number

    ahead = (OPEN_CHUNKS * executor.workers + 1) * chunk
    tracemalloc.start()
    try:
        found = map_guarded(
            poison.megabytes, items(), executor=executor, limits=LIMITS, chunk=chunk
        )
        for result in found:
            done += 1
            assert len(result) == 1 << 20
            assert taken <= done + ahead
            time.sleep(0.005)  # slower than the workers
            if done == 60:
                break
        found.close()
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def test_workers_that_die_for_reasons_of_their_own_end_the_run_and_the_next_one_works():
    items = [*range(40), "kill_worker", *range(40)]
    found, results = map_guarded(poison.act, items, executor=TWO, limits=LIMITS, chunk=4), []
    with pytest.raises(WorkersLost, match=r"loky is lost; run again"):
        results += found
    assert results == [n * n for n in range(len(results))]
    assert list(map_guarded(poison.act, [2, 3], executor=TWO, limits=LIMITS)) == [4, 9]


def test_an_error_of_the_items_themselves_reaches_the_caller_and_ends_the_workers():
    def items():
        yield from range(10)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(map_guarded(poison.act, items(), executor=TWO, limits=LIMITS, chunk=1))
