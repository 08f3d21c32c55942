"""A paradigm that nothing knows: its files alone make it trained, sampled, evaluated, reported and
served, and no other result becomes stale.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

TOY = Path(__file__).with_name("toy")
LINE = """  toy: {paradigm: toy, family: frequencies, size: micro,
    form: grid, encoding: micro-grid, learns_from: data/tokens/micro-grid, seed: 1}
"""
BEFORE = "sampling: {unconditional"
OWN = {"train@toy", "sample@toy", "evaluate@toy"}
ALL = {"compare"}  # of all systems
REFUSED = """
import runpy, sys
for line in sys.argv[1:]:
    sys.argv = ["pipelines/generate.py", *line.split()]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        assert end.code == 1, line
"""


def stale(laboratory):
    """The stages that dvc would run."""
    return set(json.loads(laboratory.run("-m", "dvc", "status", "--json").splitlines()[-1]))


def test_a_paradigm_is_added_by_its_files_alone(laboratory):
    shutil.copytree(TOY, laboratory.root, dirs_exist_ok=True)
    assert not stale(laboratory)
    laboratory.edit("params.yaml", BEFORE, LINE + BEFORE)
    found = stale(laboratory)
    assert found >= OWN
    assert found <= OWN | ALL
    printed = laboratory.run("-m", "dvc", "repro")
    ran = {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}
    assert ran == OWN | ALL
    assert "toy likelihood/test/nats_per_token: at most " in printed
    assert not stale(laboratory)
    trained_sampled_evaluated(laboratory, printed)
    served(laboratory)
    without_a_likelihood(laboratory)


def trained_sampled_evaluated(laboratory, table):
    card = json.loads((laboratory.root / "models/toy/model.json").read_text())
    assert (card["paradigm"], card["family"]) == ("toy", "frequencies")
    rows = json.loads((laboratory.root / "samples/toy/samples.json").read_text())["samples"]
    assert [(row["task"], row["failed"], row["options"]) for row in rows] == [
        ("unconditional", None, {})
    ] * 2
    stored = np.load(laboratory.root / "samples/toy/tokens.npz")
    assert stored["tokens"].shape == stored["log_probability"].shape
    details = json.loads((laboratory.root / "evaluation/toy/details.json").read_text())
    found = details["measures"]["likelihood"]["values"]["test/nats_per_token"]
    assert found["is_bound"]
    nats = found["value"]
    assert nats == pytest.approx(found["beside"]["unigram"]["value"], abs=0.3)
    assert f"≤ {nats:.3f}" in table
    assert "toy" in (laboratory.root / "report/index.html").read_text()


def served(laboratory):
    weights = "weights=models/toy"
    printed = laboratory.run("pipelines/generate.py", weights, "bars=2", "n=2", "+options.heat=0.5")
    assert printed.count(".mid") == 2
    prompt = f"{weights} bars=2 prompt=samples/toy/unconditional-0.mid"
    lines = (f"{prompt} prompt_bars=1", f"{prompt} infill.bars=[0,1]")
    printed = " ".join(laboratory.run("-c", REFUSED, *lines).split())
    assert "'continue': it knows no past" in printed
    assert (
        "cannot do task 'fill'; its tasks: unconditional; families that can, on some encodings: "
        "absorbing, "
    ) in printed


def without_a_likelihood(laboratory):
    """A dash, and everything else as before."""
    laboratory.write(
        "src/ostinato/evaluation/likelihood/toy.py", '"""There is none."""\n\nScorer = None\n'
    )
    assert stale(laboratory) == {"evaluate@toy"}
    printed = laboratory.run("-m", "dvc", "repro")
    assert "models of family frequencies have no likelihood" in printed
    details = json.loads((laboratory.root / "evaluation/toy/details.json").read_text())
    assert details["measures"]["likelihood"]["values"] == {}
    (names,) = [line for line in printed.splitlines() if line.startswith("system")]
    (row,) = [line for line in printed.splitlines() if "likelihood/test/nats_per_token" in line]
    assert row.split()[1 + names.split()[1:].index("toy")] == "–"
