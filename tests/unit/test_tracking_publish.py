"""The store rebuilt from files, by the script that does it."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from ostinato.tracking.store import PARENT_RUN, SWITCH, open_store

pytestmark = [
    pytest.mark.starts,  # a database of MLflow takes seconds
    pytest.mark.filterwarnings(
        "ignore:unclosed database:ResourceWarning",  # mlflow keeps its engines for the process
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", SWITCH, PARENT_RUN, "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return tmp_path


def runs():
    store = open_store()
    return store.client.search_runs([store.experiment], order_by=["attributes.start_time ASC"])


def history(run_id, name):
    return [(row.step, row.value) for row in open_store().client.get_metric_history(run_id, name)]


def system_files(root, system="lstm"):
    model = root / "models" / system
    model.mkdir(parents=True)
    (model / "weights.safetensors").write_bytes(system.encode())
    card = {"format": 1, "family": "lstm", "size": "small", "seed": 1, "encoding": "bach-grid"}
    card |= {"model": {"hidden": 8}, "codec": {"kind": "grid"}}
    (model / "model.json").write_text(json.dumps(card))
    with (model / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "train_loss", "valid_loss", "learning_rate"])
        writer.writerows([[10, 2.5, 2.75, 0.001], [20, 1.5, 1.75, 0.0]])


@pytest.fixture
def publish(root, run_script):
    """Run the script in a project of two systems: (exit status, stdout, stderr)."""

    def publish():
        (root / "params.yaml").write_text(
            "systems:\n"
            + "".join(
                f"  {family}: {{paradigm: autoregressive, family: {family}, size: small, "
                "encoding: bach-grid, seed: 1}\n"
                for family in ("lstm", "gpt")
            )
        )
        return run_script("publish")

    return publish


def test_publishing_twice_rebuilds_the_store_once_and_nothing_says_what_makes_it(
    root, publish, empty_store
):
    shutil.copyfile(empty_store, root / "mlflow.db")
    code, out, _ = publish()
    assert code == 1
    assert "dvc repro train@lstm" in out
    system_files(root)
    (root / "samples/lstm").mkdir(parents=True)
    (root / "samples/lstm/0.mid").write_bytes(b"MThd")
    (root / "samples/lstm/tokens.npz").write_bytes(b"no preview")
    (root / "evaluation/lstm").mkdir(parents=True)
    metrics = {"format": 1, "test": {"nats_per_token": {"value": 2.0, "low": 1.5, "high": 2.5}}}
    (root / "evaluation/lstm/details.json").write_text(json.dumps(metrics))
    (root / "evaluation/lstm/metrics.json").write_text('{"test": 2.0}')
    (code, out, err), again = publish(), publish()
    assert (code, again[0]) == (0, 0), err
    assert out == again[1]
    assert "no renders/lstm; make it with: python pipelines/render.py" in out
    assert "not published, without a folder in models/: gpt; fetch them with: dvc pull" in out
    (run,) = runs()
    assert run.data.tags["restored"] == "true"
    assert (run.data.tags["family"], run.data.tags["seed"]) == ("lstm", "1")
    assert run.data.params["model.hidden"] == "8"
    assert history(run.info.run_id, "valid/loss") == [(10, 2.75), (20, 1.75)]
    assert history(run.info.run_id, "test") == [(0, 2.0)]
    assert set(run.data.metrics) == {"train/loss", "valid/loss", "learning_rate", "test"}
    client = open_store().client
    listed = [file.path for file in client.list_artifacts(run.info.run_id)]
    files = ["config.yaml", "curve.png", "evaluation.csv", "history.csv", "model", "model.json"]
    assert listed == [*files, "samples"]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "samples")] == ["samples/0.mid"]
    table = Path(client.download_artifacts(run.info.run_id, "evaluation.csv")).read_text()
    assert "test/nats_per_token/high,2.5\n" in table
    assert 'load_model("models:/lstm/1")' in run.data.tags["mlflow.note.content"]
    assert len(client.search_model_versions("name = 'lstm'")) == 1
