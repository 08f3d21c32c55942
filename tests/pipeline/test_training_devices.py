"""One training on one process, on two, in parts and in shares: the same curve, the same weights."""

import csv
import json
import os
import socket
import time

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes want two cores"),
]
STEPS, EVERY = 24, 4
TRAINING = (
    *("training.precision=32-true", "training.threads=1", "training.batch=4", "training.crop=16"),
    *(f"training.steps={STEPS}", f"training.validate_every={EVERY}", "training.ema_decay=0.8"),
    *(
        "optimizer.warmup=4",
        "model.width=16",
        "model.voice_hidden=4",
        "model.layers=2",
        "model.order=[]",
        "model.dropout=0",
    ),
)
MODELS = {
    "lstm": ("model=lstm/small",),
    "gpt": ("model=gpt/small", "model.heads=2"),
}
FSDP = ("trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2")
PARTS = ("trainer=ddp_cpu", "trainer.micro_batch=1")
# sums are taken in another order: losses may differ in the last digits that are written
NEAR = 2e-5


def arguments(family, trainer, out):
    return (*MODELS[family], *TRAINING, *trainer, f"out={out}")


def result(folder):
    """The curve and the weights of a model."""
    from safetensors.numpy import load_file

    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file)), load_file(folder / "weights.safetensors")


@pytest.fixture
def trained(run_script, project):
    """Train to the end; the curve and the weights."""

    def train(family, trainer, name, cwd=project, **options):
        out = f"models/{name}"
        given = arguments(family, trainer, out)
        code, printed, err = run_script("train", *given, cwd=cwd, **options)
        assert code == 0, f"exit status {code}\n{err}"
        assert printed.count("best ") == 1, "one process reports"
        assert list((cwd / ".cache" / "resume").iterdir()) == []
        return result(cwd / out)

    return train


@pytest.fixture(scope="module")
def alone(make_project, tmp_path_factory):
    """Where the models of one process are, each trained for the first test that asks for it."""
    return make_project(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def one(trained, alone):
    """The result of one process."""

    def one(family):
        if not (alone / "models" / family).exists():
            trained(family, ("trainer=cpu",), family, cwd=alone)
        return result(alone / "models" / family)

    return one


def assert_same(one, other):
    """The whole curve to the last digits, the weights closely."""
    (curve, weights), (other_curve, other_weights) = one, other
    assert [int(row["step"]) for row in curve] == list(range(EVERY, STEPS + 1, EVERY))
    for key in ("step", "learning_rate", "train_loss", "valid_loss", "valid_accuracy"):
        ours, theirs = ([float(row[key]) for row in rows] for rows in (curve, other_curve))
        assert ours == pytest.approx(theirs, abs=NEAR), key
    assert float(curve[-1]["train_loss"]) < float(curve[0]["train_loss"]) - 0.1, "nothing learned"
    assert list(weights) == list(other_weights)
    for name, value in weights.items():
        assert other_weights[name] == pytest.approx(value, abs=1e-3), name


def test_weights_in_shares_end_with_the_loss_curve_of_one_process(trained, one):
    """In parts as well; gpt's shares are in the test of kills."""
    shares = trained("lstm", (*FSDP, "trainer.micro_batch=1"), "shares")
    assert_same(one("lstm"), shares)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def test_torchrun_starts_the_same_training(trained, one):
    """In two parts a process; in one part for each: the test of SLURM."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert_same(one("lstm"), trained("lstm", PARTS, "torchrun", wrapper=torchrun))


def test_slurm_starts_the_same_training(one, script, project):
    """What srun tells its tasks, told to two processes."""
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
    }
    given = arguments(
        "lstm", ("trainer=slurm", "trainer.accelerator=cpu", "trainer.devices=2"), "m"
    )
    tasks = [script("train", *given, **job, SLURM_PROCID=rank, SLURM_LOCALID=rank) for rank in "01"]
    ends = [task.communicate(timeout=300) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], ends
    assert [printed.count("best ") for printed, _ in ends] == [1, 0]
    assert_same(one("lstm"), result(project / "m"))


def kill_all(process):
    import psutil

    for one in (*psutil.Process(process.pid).children(recursive=True), process):
        one.kill()
    process.communicate(timeout=60)


@pytest.mark.parametrize("trainer", [PARTS, FSDP], ids=["ddp", "fsdp"])
def test_several_processes_go_on_from_a_kill_to_the_very_same_model(
    trained, script, project, trainer
):
    whole, expected = trained("gpt", trainer, "whole")
    process = script("train", *arguments("gpt", trainer, "models/killed"))
    deadline, found = time.monotonic() + 120, []
    while not found and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
        found = list((project / ".cache" / "resume").glob("*/resume.json"))
    assert process.poll() is None, "the training ended before it could be killed"
    kill_all(process)
    reached = json.loads(found[0].read_text())["step"]
    assert 0 < reached < STEPS
    curve, weights = trained("gpt", trainer, "killed")
    assert curve == whole
    assert all((weights[name] == value).all() for name, value in expected.items())
