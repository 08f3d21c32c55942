"""A user's mistake, a damaged file, a full disk: one readable message and nothing half-written."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ostinato.files import checksums
from ostinato.music.piece import VOICES
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

pytestmark = pytest.mark.slow
SCRIPTS = sorted((Path(__file__).parents[2] / "pipelines").glob("*.py"))
SMALL = ("training.steps=2", "training.validate_every=1", "training.batch=2", "training.crop=16")
TINY = (
    "model.width=16",
    "model.voice_hidden=4",
    "model.layers=1",
    "model.order=[]",
    *SMALL,
    "training.threads=1",
)
TINY += ("training.precision=32-true",)  # others may be noted before the message that is awaited
FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def refused(found, *words):
    """One message with all the words, no traceback, exit status 1, and nothing was done before."""
    code, out, err = found
    err = "".join(line + "\n" for line in err.splitlines() if line and "step/s" not in line)
    assert code == 1, err
    assert "Traceback" not in err, err
    assert err.count("error: ") == 1, err
    assert err.startswith("error: "), err
    assert len(err.splitlines()) <= 6, err
    assert len(set(err.splitlines())) == len(err.splitlines()), err
    for word in words:
        assert word in err, err
    return out


@pytest.fixture
def corpus(project, chorale):
    """data/corpus/bach of six chorales."""
    for seed in range(6):
        write_midi(project / "raw" / f"{seed}.mid", chorale(seed))
    folder = project / "data" / "corpus" / "bach"
    origin = {"licence": "none", "citation": "none", "url": "none"}
    build_corpus(project / "raw", folder, NormalizeOptions(voices=VOICES), origin=origin)
    return folder


@pytest.fixture
def model(project, model_folder):
    """models/lstm, trained on the project's tokens."""
    shutil.copytree(model_folder, project / "models" / "lstm")
    return project / "models" / "lstm"


HELP = """
import runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code, script
"""


def test_every_script_explains_itself(project):
    """In one process: what a script says of itself depends on no other."""
    done = subprocess.run(
        [sys.executable, "-c", HELP, *map(str, SCRIPTS)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("usage: ")]
    assert said == [path.stem for path in SCRIPTS]


MISTAKES = {
    "an unknown model": ("train", ["model=lstm/huge"], ["lstm/huge", "lstm/small", "gpt/small"]),
    "an unknown setting": ("train", ["optimizer.rate=1"], ["rate", "lr", "weight_decay"]),
    "an unknown group": ("train", ["dataset=bach"], ["dataset", "system", "encoding"]),
    "a setting of the wrong kind": (
        "train",
        ["training.steps=many"],
        ["training.steps='many'", "a whole number"],
    ),
    "a list for a number": ("train", ["optimizer.lr=[1,2]"], ["optimizer.lr=[1, 2]", "a number"]),
    "a malformed override": ("train", ["optimizer.lr"], ["optimizer.lr"]),
    "a contradiction": ("train", ["training.steps=7"], ["steps=7", "validate_every=250"]),
    "an unknown system": ("train", ["system=nobody"], ["'nobody'", "gpt, ", "lstm"]),
    "an unknown system to sample": ("sample", ["system=nobody"], ["'nobody'", "lstm"]),
    "an unknown dataset": ("download", ["dataset=mozart"], ["mozart", "bach"]),
    "an unknown encoding": ("encode", ["encoding=x"], ["'x'", "bach-grid, ", "bach-remi"]),
    "an unknown representation": ("encode", ["representation=x"], ["x", "grid", "remi"]),
    "another representation": ("encode", ["representation=remi"], ["remi", "representation=grid"]),
    "an unknown trainer": ("train", ["trainer=tpu"], ["tpu", "cpu", "gpu"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_what_is_valid(run_script, project, mistake):
    name, arguments, words = MISTAKES[mistake]
    before = checksums(project / "data")
    refused(run_script(name, *arguments), *words)
    assert checksums(project / "data") == before
    assert not (project / "models").exists()


MISSING = {
    "train": (["encoding=bach-remi"], "data/tokens/bach-remi", "dvc repro encode@bach-remi"),
    "normalize": ([], "data/raw/bach/manifest.json", "download@bach"),
    "encode": ([], "data/corpus/bach/summary.json", "dvc repro normalize"),
    "sample": ([], "models/lstm/model.json", "dvc repro train@lstm"),
    "evaluate": ([], "models/lstm/model.json", "dvc repro train@lstm"),
    "compare": ([], "evaluation/lstm/details.json", "dvc repro evaluate@lstm"),
    "generate": (["weights=nowhere"], "nowhere/model.json", "train"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_stage_is_named_with_the_command_that_makes_it(run_script, name):
    arguments, path, command = MISSING[name]
    refused(run_script(name, *arguments), path, command)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_corpus_is_named_before_any_work(run_script, project, corpus, flip_byte, damage):
    path = corpus / "notes-00000.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        flip_byte(path)
    before = checksums(project / "data" / "tokens")
    out = refused(run_script("encode"), "data/corpus/bach/notes-00000.parquet", "normalize")
    assert out == ""
    assert checksums(project / "data" / "tokens") == before


def test_damaged_tokens_are_named_before_any_work(run_script, project):
    path = project / "data" / "tokens" / "bach-grid" / "train" / "tokens.npy"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    out = refused(
        run_script("train", "system=lstm", "out=models/lstm", *TINY),
        "data/tokens/bach-grid/train/tokens.npy",
        "dvc repro encode@bach-grid",
    )
    assert out == ""
    assert not (project / "models").exists()
    assert not (project / ".cache").exists()


@pytest.mark.parametrize("name", ["sample", "generate"])
def test_damaged_weights_are_named_before_any_work(run_script, project, model, flip_byte, name):
    flip_byte(model / "weights.safetensors")
    arguments = ["weights=models/lstm"] if name == "generate" else []
    out = refused(
        run_script(name, *arguments), "models/lstm/weights.safetensors", "dvc repro train@lstm"
    )
    assert out == ""
    assert not (project / "samples").exists()
    assert not (project / "evaluation").exists()
    assert list(project.rglob("*.mid")) == []


def test_a_damaged_prompt_is_named(run_script, project, model, chorale):
    write_midi(project / "prompt.mid", chorale(1))
    whole = (project / "prompt.mid").read_bytes()
    (project / "prompt.mid").write_bytes(whole[:70])
    refused(run_script("generate", "weights=models/lstm", "prompt=prompt.mid"), "prompt.mid")


FULL = {
    "normalize": ([], 2_000, "data/corpus/bach"),
    "encode": ([], 2_000, "data/tokens/bach-grid"),
    "train": (["system=lstm", "out=models/lstm", "overwrite=true", *TINY], 30_000, "models/lstm"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    run_script, project, corpus, model, name
):
    arguments, size, out = FULL[name]
    raw = project / "data" / "raw" / "bach"
    if name == "normalize":
        raw.mkdir(parents=True)
        for path in (project / "raw").iterdir():
            shutil.copy(path, raw)
        files = {file: {"sha256": digest} for file, digest in checksums(raw).items()}
        card = {"format": 1, "files": files, "licence": "", "citation": "", "url": ""}
        (raw / "manifest.json").write_text(json.dumps(card))
    before = checksums(project / out) if (project / out).exists() else {}
    wrapper = ("-c", FULL_DISK.format(size=size))
    refused(run_script(name, *arguments, wrapper=wrapper), "the disk is full")
    assert (checksums(project / out) if (project / out).exists() else {}) == before
    leftovers = [path.name for path in project.rglob("*") if re.search("partial|old$", path.name)]
    assert leftovers == []
