"""One training on one process, on two, in parts and in shares: the same curve, the same weights."""

import csv
import json
import os
import signal
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
ALONE = ("trainer=cpu",)
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
def begin(forked, project):
    """Begin a training in a process, or in two that are told what torchrun tells its two."""

    def begin(family, trainer, out, cwd=project):
        given = arguments(family, trainer, out)
        if trainer == ALONE:
            return [forked("train", *given, cwd=cwd)]
        same = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
        same |= {"TORCHELASTIC_RUN_ID": "here", "MASTER_ADDR": "127.0.0.1"}
        same["MASTER_PORT"] = free_port()
        return [
            forked("train", *given, cwd=cwd, RANK=rank, LOCAL_RANK=rank, **same) for rank in "01"
        ]

    return begin


def ended(processes, folder):
    """The curve and the weights of a training, once all of its processes have ended."""
    ends = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), ends
    assert sum(printed.count("best ") for printed, _ in ends) == 1, "one process reports"
    return result(folder)


@pytest.fixture
def launched(script, project):
    """Train to the end as a user starts it; the curve and the weights."""

    def train(trainer, name, **options):
        out = f"models/{name}"
        folder = ended(
            [script("train", *arguments("lstm", trainer, out), **options)], project / out
        )
        assert list((project / ".cache" / "resume").iterdir()) == []
        return folder

    return train


@pytest.fixture(scope="module")
def alone(make_project, tmp_path_factory):
    """Where the model of one process is, trained for the first test that asks for it."""
    return make_project(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def one(begin, alone):
    """The result of one process."""
    if not (alone / "models/lstm").exists():
        ended(begin("lstm", ALONE, "models/lstm", cwd=alone), alone / "models/lstm")
    return result(alone / "models/lstm")


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


def test_weights_in_shares_end_with_the_loss_curve_of_one_process(launched, one):
    """In parts as well, its second process started by Lightning; gpt's are in the test of kills."""
    assert_same(one, launched((*FSDP, "trainer.micro_batch=1"), "shares"))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def test_torchrun_starts_the_same_training(launched, one):
    """In two parts a process; in one part for each: the test of SLURM."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert_same(one, launched(PARTS, "torchrun", wrapper=torchrun))


def test_slurm_starts_the_same_training(one, forked, project):
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
    tasks = [forked("train", *given, **job, SLURM_PROCID=rank, SLURM_LOCALID=rank) for rank in "01"]
    assert_same(one, ended(tasks, project / "m"))
    assert [task.communicate()[0].count("best ") for task in tasks] == [1, 0]


@pytest.mark.parametrize("trainer", [PARTS, FSDP], ids=["ddp", "fsdp"])
def test_several_processes_go_on_from_a_kill_to_the_very_same_model(begin, project, trainer):
    whole, expected = ended(begin("gpt", trainer, "models/whole"), project / "models/whole")
    processes = begin("gpt", trainer, "models/killed")
    deadline, found = time.monotonic() + 120, []
    while not found and time.monotonic() < deadline and processes[0].is_alive():
        time.sleep(0.005)
        found = list((project / ".cache" / "resume").glob("*/resume.json"))
    for process in processes:
        process.kill()
        process.join()
    assert processes[0].exitcode == -signal.SIGKILL, "it ended before it could be killed"
    reached = json.loads(found[0].read_text())["step"]
    assert 0 < reached < STEPS
    curve, weights = ended(begin("gpt", trainer, "models/killed"), project / "models/killed")
    assert list((project / ".cache" / "resume").iterdir()) == []
    assert curve == whole
    assert all((weights[name] == value).all() for name, value in expected.items())
