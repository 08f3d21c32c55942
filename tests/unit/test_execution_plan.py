"""The order in which stages start, what their build is expected to take, and the sorted lock."""

import io
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ostinato.execution.dvc_stage import written_fast
from ostinato.execution.leftovers import leftovers, size_of
from ostinato.execution.leftovers import main as remove_leftovers
from ostinato.execution.plan import (
    Schedule,
    Task,
    clock,
    expected_seconds,
    read_times,
    threads_of,
    write_times,
)
from ostinato.execution.repro import explained, sort_lock

ROOT = Path(__file__).parents[2]


def chain(system, threads=1):
    """train, sample and evaluate of a system."""
    train, sample = f"train@{system}", f"sample@{system}"
    return [
        Task(train, frozenset(), threads),
        Task(sample, frozenset({train}), threads),
        Task(f"evaluate@{system}", frozenset({train, sample}), threads),
    ]


TASKS = [*chain("a"), *chain("b"), Task("compare", frozenset({"evaluate@a", "evaluate@b"}))]
SECONDS = {"train@a": 10.0, "train@b": 60.0, "sample@a": 5.0, "sample@b": 5.0, "compare": 1.0}


def names(tasks):
    return [task.name for task in tasks]


def test_the_longest_chain_starts_first_and_no_more_run_than_there_are_cores():
    assert names(Schedule(TASKS, 1, SECONDS).startable()) == ["train@b"]
    schedule = Schedule(TASKS, 2, SECONDS)
    assert names(schedule.startable()) == ["train@b", "train@a"]
    schedule.running |= {"train@b", "train@a"}
    assert schedule.startable() == []
    schedule.running.remove("train@a")
    schedule.done.add("train@a")
    assert names(schedule.startable()) == ["sample@a"]
    assert schedule.left() == ["sample@a", "evaluate@a", "sample@b", "evaluate@b", "compare"]


def test_a_task_with_more_threads_than_cores_runs_alone():
    schedule = Schedule([*chain("wide", threads=4), *chain("a")], 2)
    assert names(schedule.startable()) == ["train@a"]  # of equal chains the first by name
    schedule.running.add("train@a")
    assert schedule.startable() == []
    schedule.running.clear()
    schedule.done |= {"train@a", "sample@a", "evaluate@a"}
    assert names(schedule.startable()) == ["train@wide"]


@pytest.mark.parametrize(("cores", "seconds"), [(1, 81.0), (2, 66.0), (8, 66.0)])
def test_the_expected_time_follows_the_schedule(cores, seconds):
    assert Schedule(TASKS, cores, SECONDS).expected() == seconds


def test_times_are_those_of_the_stage_or_of_its_kind(tmp_path):
    path = tmp_path / "times.csv"
    assert expected_seconds(TASKS, read_times(path)) == (
        dict.fromkeys(names(TASKS), 0.0),
        names(TASKS),
    )
    write_times(path, {"train@a": 71.4, "sample@a": 9.0})
    write_times(path, {"train@a": 75.0})
    rows = read_times(path)
    assert [(row["stage"], row["seconds"]) for row in rows] == [
        ("sample@a", "9"),
        ("train@a", "75"),
    ]
    assert "torch" in rows[0]["machine"]
    found, untimed = expected_seconds(TASKS, rows)
    assert (found["train@b"], found["sample@b"]) == (75.0, 9.0)
    assert untimed == ["evaluate@a", "evaluate@b", "compare"]
    assert clock(75.4) == "1 min 15 s"


def test_a_stage_takes_the_threads_of_its_model(tmp_path, monkeypatch):
    (tmp_path / "conf/model/gpt").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("systems: {a: {family: gpt, size: small}}\n")
    (tmp_path / "conf/model/gpt/small.yaml").write_text("training: {threads: 3}\n")
    monkeypatch.setenv("OSTINATO_WORKERS", "5")
    stages = ("train@a", "evaluate@a", "train@b", "encode@a", "normalize@a", "compare")
    assert [threads_of(stage, tmp_path) for stage in stages] == [3, 3, 1, 1, 5, 1]


def test_the_lock_is_sorted_and_otherwise_as_dvc_writes_it(tmp_path):
    from dvc.utils.serialize import dump_yaml

    def write(path, names):
        cmd = "python pipelines/train.py system={} model=gpt/small encoding=bach-grid seed=1"
        outs = [{"path": "models", "md5": "0" * 32}]  # quoted, as DVC has to
        stages = {name: {"cmd": cmd.format(name), "outs": outs[:]} for name in names}
        dump_yaml(str(path), {"schema": "2.0", "stages": stages})

    write(tmp_path / "sorted.lock", ["a", "b@x", "c"])
    write(tmp_path / "dvc.lock", ["c", "a", "b@x"])
    sort_lock(tmp_path / "dvc.lock")
    assert (tmp_path / "dvc.lock").read_text() == (tmp_path / "sorted.lock").read_text()


def test_a_lock_written_fast_ends_with_the_bytes_of_dvc(tmp_path):
    shutil.copy(ROOT / "dvc.lock", tmp_path)
    path = tmp_path / "dvc.lock"
    written = path.read_bytes()
    with written_fast(str(path)) as lock:
        first = min(lock["stages"])
        lock["stages"][first] = lock["stages"].pop(first)
    assert list(YAML(typ="safe").load(path)["stages"])[-1] == first
    assert path.read_bytes() != written
    sort_lock(path)
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ("x: [a]\nx: [b]\n", 'line 2: found duplicate key "x"'),
        ("x:\n\t- a\n", "line 2: found character that cannot start any token"),
        ("y: [a]\n", "Could not find 'x'"),
    ],
)
def test_a_mistake_in_params_is_explained_and_no_other_command_is_blamed(tmp_path, params, line):
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    stages = "stages: {a: {foreach: '${x}', do: {cmd: 'echo ${item}'}}}\n"
    (tmp_path / "dvc.yaml").write_text(stages)
    (tmp_path / "params.yaml").write_text(params)
    Repo.init(str(tmp_path), no_scm=True).close()
    with pytest.raises(DvcException) as caught, Repo(str(tmp_path)) as repo:
        _ = repo.index.graph
    assert line in explained(caught.value)
    assert "another dvc" not in explained(caught.value)


def test_leftovers_are_what_params_no_longer_name(tmp_path):
    params = {"systems": {"a": {}}, "encodings": {"e": {}}, "datasets": ["d"]}
    for name in ("models/a", "models/old", "data/tokens/e", "data/raw/gone", "renders/corpora"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("models/.gitignore", "made_on/a.json", "made_on/old.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in leftovers(tmp_path, params)]
    assert found == ["data/raw/gone", "models/old", "made_on/old.json"]
    assert size_of(tmp_path / "made_on") == 2


@pytest.mark.parametrize(("answer", "kept"), [("n", True), ("", True), ("y", False)])
def test_leftovers_are_removed_after_a_yes_alone(tmp_path, monkeypatch, capsys, answer, kept):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("systems: {a: {}}\n")
    for name in ("models/a", "models/old"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    assert remove_leftovers() == 0
    assert (tmp_path / "models/old").exists() == kept
    assert (tmp_path / "models/a").exists()
    assert "models/old   0.0 MB" in capsys.readouterr().out
