"""`--help` shows the settings that are composed, with the comments of their files; the verbs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ostinato.__main__ import listing, main, scripts
from ostinato.config import load_config
from ostinato.execution import forkserver_client
from ostinato.execution.inputs import check_inputs
from ostinato.files import MissingInput
from ostinato.music.write import write_midi
from ostinato.usage import usage

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
VERBS = sorted(path.stem for path in (ROOT / "pipelines").glob("*.py"))
# run by a process of its own: every refusal, then what is loaded
REFUSALS = """
import contextlib, io, runpy, sys
for line in {lines!r}:
    script, *arguments = line.split()
    sys.argv = ["pipelines/" + script + ".py", *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            assert end.code, line
    print(said.getvalue().splitlines()[0])
import ostinato.tracking
print(sorted({heavy!r} & set(sys.modules)))
import ostinato.training.checks
print(sorted({heavy!r} & set(sys.modules)))
"""
HEAVY = {"torch", "mlflow", "muspy", "music21", "pytorch_lightning", "lightning_fabric", "scipy"}
REFUSED = {
    "train training.stepz=7": "did you mean steps?",
    "train training.steps=7": "training.steps=7 must be at least 1 and a multiple of",
    "train optimizer.lr=-1": "optimizer.lr=-1",
    "download add=a update=mine": "give it without add and path",
    "train encoding=none": "unknown encoding 'none'",
    "sample system=nobody": "unknown system 'nobody'",
    "evaluate system=nobody": "unknown system 'nobody'",
    "pretrained system=nobody": "unknown system 'nobody'",
    "encode encoding=none": "unknown encoding 'none'",
    "render system=nobody": "unknown system 'nobody'",
    "generate weights=nowhere": "nowhere/model.json is missing",
    "generate weights=README.md": "weights=README.md is a file; give the folder",
    "generate weights=": "weights= is empty: give a name, or leave weights out",
    "generate prompt=": "prompt= is empty: give a name, or leave prompt out",
    "generate out=": "out= is empty: give a name, or leave out out",
    "generate n=1,2": "n=1,2 gives several values: a sweep needs -m, a list brackets",
    "generate +n=1": "+ is for what is not there yet, and n is: leave + out",
    "generate bars=16,": "bars=16, cannot be read (",
    "generate formats=mid,wav": "must be a list, each a text, in brackets: [mid,…]",
    "generate weights={model} prompt_bars=2": "prompt_bars is for task continue, this is uncon",
    "generate infill.particles=9": "infill.particles is for task fill or harm",
    "generate motion=0.5 split=0": "motion needs split, such as split=0.8",
    "generate weights={bare}": "bare/weights.safetensors is missing",
    "generate weights={band} key=H": "key='H' is no key; write a key such as D, Bb",
    "generate weights={band} roles=[kazoo]": "roles names kazoo; this model's roles are melody (",
    "generate weights={band} chords=H7": "'H7' is no chord symbol; write a root",
    "generate weights={band} bars=9999": "bars=9999 must be at most 1024",
    "generate weights={band} key=D chords=C": "key=D: the key is that of chords; leave key out",
    "generate weights={band} chords=C best_of=3": "a piece under given chords is made once",
    "generate weights={band} prompt={tune} vary=0.5 best_of=3": "a variation is made once",
    "generate weights={events} prompt={tune} task=harmonize": "cannot do task 'harmonize': its enc",
    "generate prompt={tune} infill.bars=[1,2] best_of=2": "best_of is for whole pieces; gaps have",
    "generate prompt={tune} prompt_bars=9": "has 4 bars, prompt_bars=9: give",
    "generate weights={band} prompt={tune} meter=3/4 fill.roles=[bass]": "a prompt has its own met",
    "generate weights={events} prompt={tune} infill.bars=[1,2]": "its encoding is a stream of",
    "generate reward=data/feedback/simulated": "chooses among candidates: add best_of=8",
    "generate weights={model} precision=int8": "precision=int8 is for gpt, lstm and families",
    "reference encoding=none": "unknown encoding 'none'",
    "generate weights={damaged}": "damaged/model.json lacks weights_sha256, codec; make it again",
    "generate weights={sound}": "audio makes sound, which has no notes: give formats=[wav]",
    "train sweep=learning_rate": "sweep is not chosen unless it is added: write +sweep=…",
    "train -m seed=1,2 objective=best.json": "objective=best.json is one place for all jobs",
    "generate weights={model} bars=-3": "bars=-3 must be at least 1 and at most 10000",
    "generate weights={model} prompt=nowhere.mid": "prompt=nowhere.mid does not exist",
    "generate weights={model} prompt=nowhere.mid bars=2": "prompt=nowhere.mid does not exist",
    "generate weights={model} task=vary": "task vary needs prompt: give prompt=<file>",
    "generate weights={model} temperature=-1": "temperature=-1 must be at least 0",
    "generate weights={model} top_k=3": "vae has no top_k; options of its family",
    "generate weights={model} conditions.emotion=Q1": "vae has no condition emotion",
    "generate weights={model} style=rock": "vae has no style",
    "generate weights={model} prompt=README.md infill.bars=[1,2]": "cannot do task 'fill': it",
    "generate weights={model} device=cuda": "device=cuda needs a GPU",
    "generate weights={model} min_bars=9 bars=8": "min_bars=9 is more than bars=8",
    "generate device=tpu": "device='tpu' must be cpu or cuda",
    "generate --bars 4": "--bars is no flag: settings are given as bars=value, without --",
    "studio weights=nowhere": "weights=nowhere is no folder with a model.json",
    "live weights=README.md": "weights=README.md is a file; give the folder it is in",
    "studio port=0": "port=0 must be at least 1 and at most 65535",
    "train trainer.devices=0": "trainer.devices=0 must be -1, or at least 1",
    "live queue=0": "queue=0 must be at least 1 and at most 10000",
    "listen mode=play": "mode='play' must be plan, serve, simulate, analyse, export or upgrade",
    "listen resamples=0": "resamples=0 must be at least 1 and at most 1000000",
    "export format=ogg": "format='ogg' must be muspy, midi or musicxml",
    "train -m model.layers=0,1": "model.layers=0 must be at least 1 and at most 1024",
    "train -m seed=1,2,1": "seed names 1 twice: name each once",
    "train -m seed=1,-1": "seed=-1 must be at least 0 and at most 4294967295",
    "generate weights={sound} options.steps=9999": "steps=9999 are more than the 500 of",
    "generate weights={sound} options.seconds=601": "options.seconds=601 must be above 0 and at",
    "generate weights={sound} options.steps=2.5": "options.steps=2.5 must be a whole number",
    "generate weights={sound} options.scheduler=fast": "scheduler='fast' is none of ddpm, ddim",
    "generate weights={sound} options.guidance=2": "audio has no guidance; options of its family",
    "generate weights={sound} top_k=3": "audio has no top_k; options of its family",
    "generate weights={sound} prompt=README.md": "a spectrogram has no notes or bars to keep",
    "generate roles=[piano,bass,piano]": "roles names piano twice: name each once",
    "generate fill.roles=[alto,alto]": "fill.roles names alto twice: name each once",
    "generate prompt=README.md fill.bars=[4,99]": "fill.bars=[4, 99] must lie within 0 to",
    "generate prompt=README.md infill.bars=[4,99]": "infill.bars=[4, 99] must lie within 0 to",
    "train model=gpt/small model.heads=5": "model.heads=5 must divide width=192",
    "train model=gpt/events model.time_heads=5": "model.time_heads=5 must be at most model.heads=4",
    "train model=ddpm/small model.heads=5": "model.heads=5 must divide the last width=",
    "generate weights=nowhere bars=two": "bars='two' must be a whole number",
    "train model=gpt/small trainer=gpu": "trainer.accelerator=gpu needs a GPU",
    "train model.order=[0,1,1]": "model.order names 1 twice: name each once",
}


@pytest.fixture
def in_project(monkeypatch):
    """The project's folder, with the usual choices of how to run."""
    monkeypatch.chdir(ROOT)
    for name in ("OSTINATO_TRAINER", "OSTINATO_EXECUTOR", "OSTINATO_DEVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_what_is_composed_with_its_comments(in_project, verb):
    chosen = ["model=gpt/small"] if verb == "train" else []
    text = usage(verb, CONF, "About.", chosen)
    assert text.startswith(f"About.\n\nusage: ostinato {verb} ")
    settings = text.split("\n\n", 2)[2].rpartition("\n\nMore: ")[0]
    assert yaml.safe_load(settings) == load_config(verb, chosen, ROOT)
    own = (CONF / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()
    said = [line for line in own[: own.index("hydra:")] if "#" in line and line[0] not in " -"]
    assert said
    assert all(line in text for line in said)


def test_help_names_the_other_choices_of_a_group(in_project, monkeypatch):
    text = usage("train", CONF, "", [])
    assert "# model=lstm/small (conf/model/lstm/small.yaml); others: " in text
    assert "music_transformer/small" in text
    monkeypatch.setenv("OSTINATO_TRAINER", "gpu")
    assert "# trainer=gpu (conf/trainer/gpu.yaml); others: auto, cpu, " in usage(
        "train", CONF, "", []
    )
    with pytest.raises(ValueError, match=r"valid names of model: .*lstm/small.*; not lstm/huge"):
        usage("train", CONF, "", ["model=lstm/huge"])


def test_help_says_where_params_are_read(in_project, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "# params.yaml: none in this folder" in usage("sample", CONF, "", [])


@pytest.mark.starts
def test_a_refusal_waits_for_nothing_heavy(tmp_path, chorale):
    """No clock: what a mistake must not wait for is not imported when it is told."""
    codec = {"width": 1, "vocabulary": ["a", "b"], "conditions": []}
    card = {"format": 1, "family": "vae", "system": "vae", "model": {}, "codec": codec}
    card["weights_sha256"] = "0"
    sound = {"family": "audio_ddpm", "system": "audio", "model": {"diffusion_steps": 500}}
    sound["codec"] = codec | {"kind": "mel"}
    damaged = {"codec": 7, "weights_sha256": None}
    events = {"family": "gpt", "codec": codec | {"representation": {"kind": "events"}}}
    kinds = {"model": {}, "sound": sound, "damaged": damaged, "bare": {}, "events": events}
    for folder, changes in kinds.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.json").write_text(json.dumps(card | changes))
        if folder != "bare":
            (tmp_path / folder / "weights.safetensors").touch()
    places = {name: tmp_path / name for name in kinds}
    places |= {"band": ROOT / "reproductions/band/pretrained", "tune": tmp_path / "tune.mid"}
    write_midi(places["tune"], chorale(1))
    lines = [line.format(**places) for line in REFUSED]
    code = REFUSALS.format(lines=lines, heavy=HEAVY)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    *told, before, after = run.stdout.splitlines()
    told = [line for line in told if line.startswith("error: ")]
    assert len(told) == len(REFUSED)
    for line, words in zip(told, REFUSED.values(), strict=True):
        assert words in line
    assert before == "[]"
    assert after == "['torch']", "a model's settings need torch to be checked, and no more"


def test_a_stage_says_what_is_missing_before_it_loads_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {
        "system": "mine",
        "encoding": "small",
        "study": "people",
        "systems": {"mine": {"encoding": "small"}},
        "encodings": {"small": {"dataset": "songs"}},
        "studies": {"people": {"base": "mine", "encoding": "small"}},
    }
    tokens = "data/tokens/small/summary.json"
    reference = "data/reference/small/excerpts.npz"
    needs = {
        "sample": ["models/mine/model.json", tokens],
        "feedback": ["models/mine/model.json", tokens],
        "evaluate": ["models/mine/model.json", tokens, "samples/mine/samples.json", reference],
        "reference": [tokens],
        "train": [],
    }
    for stage, paths in needs.items():
        for path in paths:
            with pytest.raises(MissingInput, match=f"^{path} is missing; make it with: dvc repro"):
                check_inputs(stage, config)
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        check_inputs(stage, config)
        check_inputs(stage, config | dict.fromkeys(("system", "encoding", "study"), "unknown"))
        for path in paths:
            (tmp_path / path).unlink()


def test_every_verb_is_listed_with_what_it_does(capsys, monkeypatch):
    found = scripts()
    assert sorted(found) == VERBS
    assert list(found)[:3] == ["download", "normalize", "encode"]
    monkeypatch.setattr(sys, "argv", ["ostinato", "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    printed = capsys.readouterr().out
    assert printed == listing(found) + "\n"
    lines = dict(line.split(maxsplit=1) for line in printed.splitlines() if line[:2] == "  ")
    assert sorted(lines) == VERBS
    assert lines["encode"] == "encode a corpus as the arrays data/tokens/<encoding>"
    assert all(len(line) < 120 and "\n" not in line for line in lines.values())


def test_a_verb_is_its_script(capsys, monkeypatch, in_project):
    ends = []
    for run in (main, lambda: exec_script("generate")):
        monkeypatch.setattr(sys, "argv", ["ostinato", "generate", "bars=two"])
        with pytest.raises(SystemExit) as end:
            run()
        ends.append((end.value.code, capsys.readouterr()))
    assert ends[0] == ends[1]
    assert ends[0][1].err.startswith("error: bars='two' must be a whole number")


def exec_script(name):
    """As `python pipelines/<name>.py` with the arguments that `ostinato <name>` has."""
    import runpy

    sys.argv = [f"pipelines/{name}.py", *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


def test_an_unknown_verb_names_the_nearest(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ostinato", "generat"])
    with pytest.raises(SystemExit, match="no verb 'generat'; did you mean generate"):
        main()


@pytest.mark.parametrize("asked", ["print(1)", "print(1) or sys.exit(3)", "print(1, flush=True)"])
def test_a_closed_pipe_ends_a_program_quietly(asked):
    code = (
        "import sys; from ostinato.execution.commands import run_command; sys.stdin.read();"
        f"run_command(lambda: {asked})"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe
    ) as ran:
        ran.stdout.close()  # as `| head` does when it has seen enough
        ran.stdin.close()
        assert (ran.wait(), ran.stderr.read()) == (141, b"")


def test_the_list_of_verbs_ends_quietly_when_its_pipe_closes():
    code = "import sys; sys.stdin.read(); from ostinato.__main__ import main; main()"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe
    ) as ran:
        ran.stdout.close()
        ran.stdin.close()
        assert (ran.wait(), ran.stderr.read()) == (141, b"")


def test_every_program_ends_quietly_when_its_pipe_closes():
    folders = ("src/ostinato", "benchmarks", "tests/fuzz", "tests/independent")
    programs = [
        text
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if '\nif __name__ == "__main__":' in (text := path.read_text())
    ]
    assert len(programs) > 20
    others = [t for t in programs if "run_command(main)" not in t.rpartition("__main__")[2]]
    assert others == [Path(forkserver_client.__file__).read_text()]  # it prints nothing itself
