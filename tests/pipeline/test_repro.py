"""The pipeline as a user runs it, on a micro corpus: same bytes anywhere, and nothing stale or
re-run without cause.
"""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ostinato.files import checksums

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:unclosed database:ResourceWarning",  # mlflow keeps its engines for the process
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]
SYSTEMS = ("tiny-lstm", "tiny-gpt")
GPT = {"train@tiny-gpt", "sample@tiny-gpt", "evaluate@tiny-gpt", "compare"}
MODEL_FILE = "conf/model/gpt/micro.yaml"


def changed(laboratory):
    """Stages that DVC finds changed themselves, and those and all that follow from them."""
    import networkx
    from dvc.repo import Repo

    with Repo(str(laboratory.root)) as repo:
        names = {stage.addressing: stage.name for stage in repo.index.stages}
        direct = {names[address] for address in repo.status()}
        graph = repo.index.graph  # from a stage to what it needs
        stale = {
            after.name
            for stage in graph
            if stage.name in direct
            for after in (stage, *networkx.ancestors(graph, stage))
        }
    return direct, stale


def stale(laboratory):
    return changed(laboratory)[1]


def notes_of(path):
    """(onset in quarters, pitch) of every note of a MIDI file, sorted."""
    from ostinato.readers.read import read_piece

    piece = read_piece(path)
    onsets = piece.notes["onset"] / piece.ticks_per_quarter
    return sorted(zip(onsets.tolist(), piece.notes["pitch"].tolist(), strict=True))


def test_two_folders_end_with_the_same_bytes(built, laboratory):
    """Built stage by stage and tracked in the one, side by side in the other; and the report."""
    whole, part = (YAML(typ="safe").load(one.root / "dvc.lock")["stages"] for one in built)
    assert part == {name: whole[name] for name in part}
    assert set(whole) - set(part) == {
        *("train@tiny-lstm", "sample@tiny-lstm", "evaluate@tiny-lstm"),
        *("reference@micro-remi", "compare"),
    }
    assert list(part) == sorted(part)
    before = checksums(laboratory.root / "report")
    for path in (laboratory.root / "report").glob("[!.]*"):  # .gitignore is DVC's
        path.unlink()
    laboratory.run("pipelines/compare.py")
    assert checksums(laboratory.root / "report") == before


def test_the_package_of_the_laboratory_ran_not_the_installed_one(laboratory):
    printed = laboratory.run("-c", "import ostinato; print(ostinato.__file__)")
    assert printed.startswith(str(laboratory.root))


def test_a_second_repro_runs_nothing(laboratory):
    printed = laboratory.run("-m", "dvc", "repro")
    assert "Running stage" not in printed
    assert "up to date" in printed


def test_one_value_of_one_model_concerns_that_model_alone(laboratory):
    laboratory.edit(MODEL_FILE, "lr: 0.01", "lr: 0.02")
    assert changed(laboratory) == ({"train@tiny-gpt"}, GPT)


def test_a_comment_concerns_nothing(laboratory):
    for name in (MODEL_FILE, "conf/dataset/micro.yaml", "conf/representation/grid.yaml"):
        laboratory.edit(name, text := (laboratory.root / name).read_text(), text + "# a remark\n")
    assert not stale(laboratory)


def test_how_to_run_concerns_nothing(laboratory, monkeypatch):
    monkeypatch.setenv("OSTINATO_TRAINER", "auto")
    laboratory.write("conf/trainer/cpu.yaml", "accelerator: auto\ndevices: 1\n")
    laboratory.write("src/ostinato/tracking/store.py", '"""Another store."""\n')
    assert not stale(laboratory)


def test_a_further_system_concerns_itself_and_the_comparison(laboratory):
    line = (
        "  tiny-gpt: {paradigm: autoregressive, family: gpt, size: micro,\n"
        "    form: grid, encoding: micro-grid, learns_from: data/tokens/micro-grid, seed: 1}\n"
    )
    more = line.replace("tiny-gpt", "second").replace("seed: 1", "seed: 2")
    laboratory.edit("params.yaml", line, more + line)
    new = {"train@second", "sample@second", "evaluate@second", "compare"}
    assert stale(laboratory) == new


def test_a_further_encoding_concerns_itself(laboratory):
    line = "  micro-remi: {dataset: micro, form: events, representation: remi}\n"
    more = line.replace("remi", "pitch").replace("events", "pitch")
    laboratory.edit("params.yaml", line, more + line)
    assert stale(laboratory) == {"encode@micro-pitch", "reference@micro-pitch"}


# one new file, or more, of each kind of thing that one adds
ADDED = {
    "paradigm": {
        "src/ostinato/models/toy/__init__.py": "",
        "src/ostinato/models/toy/counts.py": "from ostinato.models.toy.parts.table import SIZE\n",
        "src/ostinato/models/toy/parts/__init__.py": "",
        "src/ostinato/models/toy/parts/table.py": "SIZE = 3\n",
        "src/ostinato/training/toy.py": "STEPS = 1\n",
        "src/ostinato/evaluation/likelihood/toy.py": "KIND = 'bound'\n",
        "src/ostinato/sampling/toy/__init__.py": "",
        "src/ostinato/sampling/toy/sampler.py": "DRAWS = 1\n",
        "conf/model/counts/small.yaml": "# @package _global_\nmodel: {width: 1}\n",
    },
    "family": {
        "src/ostinato/models/autoregressive/foo.py": "WIDTH = 1\n",
        "conf/model/foo/small.yaml": "# @package _global_\nmodel: {width: 1}\n",
    },
    "shared layer": {"src/ostinato/models/layers/conv.py": "KERNEL = 3\n"},
    "representation": {
        "src/ostinato/representations/chords/__init__.py": "",
        "src/ostinato/representations/chords/chords.py": "KIND = 'chords'\n",
        "conf/representation/chords.yaml": "kind: chords\n",
    },
    "reader": {"src/ostinato/readers/tracker.py": "SUFFIXES = ('.mod',)\n"},
    "dataset": {"conf/dataset/other.yaml": "source: {kind: folder, path: x, digest: y}\n"},
    "page": {"docs/new.md": "# New\n"},
}


MEASURE = """
from ostinato.evaluation.measures.protocol import Figure, Result


def measure(context):
    return Result({"bins": Figure(12.0)})
"""


def test_adding_a_file_of_any_kind_concerns_nothing_built(laboratory):
    """Once it is listed as a dependency of the stages that may find it by its name, only a measure
    does: what measures run again, and nothing is trained or sampled again.
    """
    for files in ADDED.values():
        for name, text in files.items():
            laboratory.write(name, text)
    laboratory.write("src/ostinato/evaluation/measures/chroma.py", MEASURE)
    assert not changed(laboratory)[0]
    laboratory.run("-m", "ostinato.execution.code_deps", "--write")
    assert stale(laboratory) == {
        *(f"reference@{name}" for name in ("micro-grid", "micro-remi")),
        *(f"evaluate@{name}" for name in SYSTEMS),
        "compare",
    }
    laboratory.run("-m", "dvc", "repro", "--single-item", "evaluate@tiny-gpt")
    details = json.loads((laboratory.root / "evaluation/tiny-gpt/details.json").read_text())
    assert details["measures"]["chroma"]["values"]["bins"]["value"] == 12


def test_an_edit_of_one_representation_concerns_its_own_encodings_and_systems(laboratory):
    file = laboratory.root / "src/ostinato/representations/events/events.py"
    file.write_text(file.read_text() + "\nNEW = 1\n")
    assert stale(laboratory) == {"encode@micro-remi", "reference@micro-remi"}


def test_an_edit_of_another_format_s_reader_re_runs_no_system(laboratory):
    file = laboratory.root / "src/ostinato/readers/kern.py"
    file.write_text(file.read_text() + "\nNEW = 1\n")
    assert changed(laboratory)[0] == {"normalize@micro"}


def test_the_comparison_depends_on_no_model(laboratory):
    shutil.rmtree(laboratory.root / "models")
    assert "compare" not in changed(laboratory)[0]


def test_dvc_shows_few_numbers_and_draws_every_system(laboratory):
    shown = laboratory.run("-m", "dvc", "metrics", "show")
    lines = [line.rstrip() for line in shown.splitlines()]
    assert len(lines) == 1 + len(SYSTEMS)
    numbers = json.loads((laboratory.root / "evaluation/tiny-gpt/metrics.json").read_text())
    assert set(numbers) <= set(lines[0].split()[1:])
    assert {"failed", "nats"} <= set(numbers)
    assert len(numbers) < 8
    printed = laboratory.run("-m", "dvc", "plots", "show", "--json")
    plots = json.loads(printed[printed.index("{") :])  # warnings come first
    assert "errors" not in plots
    drawn = {Path(name).parts[-2:] for name, found in plots["data"].items() if found}
    # bars of untrained models are shorter than those of real music: no sample is long enough for
    # distances.csv to have a row
    assert drawn >= {(system, "curve.csv") for system in SYSTEMS}


def test_missing_sound_and_pictures_come_back(laboratory):
    folder = laboratory.root / "renders/tiny-lstm"
    shutil.rmtree(laboratory.root / "renders", ignore_errors=True)
    printed = laboratory.run("pipelines/render.py", "system=tiny-lstm")
    assert "renders/tiny-lstm: 3 made" in printed
    made = {path.suffix for path in folder.iterdir()}
    assert made == {".mp3", ".png", ".html"}
    samples = {path.stem for path in (laboratory.root / "samples/tiny-lstm").glob("*.mid")}
    assert samples == {path.stem for path in folder.glob("*.mp3")}, "one name for both"
    (folder / "continue-0.mp3").unlink()
    assert "1 made, 2 were there" in laboratory.run("pipelines/render.py", "system=tiny-lstm")


def test_every_stage_of_a_system_says_on_what_it_was_made(laboratory):
    from ostinato.execution.machine import this_kind
    from ostinato.execution.portable import make_portable

    make_portable("train", environment := {})
    kind = this_kind() | ({"arithmetic": "portable"} if environment else {})
    for system in SYSTEMS:
        made = json.loads((laboratory.root / f"made_on/{system}.json").read_text())
        assert made["evaluate"] == made["sample"] == kind
        assert made["train"] == kind | {"device": "cpu", "precision": "32-true"}


def test_one_familys_code_concerns_that_family_alone(laboratory):
    file = laboratory.root / "src/ostinato/models/autoregressive/gpt.py"
    file.write_text(file.read_text() + "\nNEW = 1\n")
    direct, after = changed(laboratory)
    assert (direct, after) == (GPT - {"compare"}, GPT)


def test_the_order_in_which_systems_were_built_concerns_nothing(laboratory):
    """DVC lists outputs in .gitignore in the order they were made, inside folders we depend on."""
    for folder in ("models", "samples"):
        ignored = laboratory.root / folder / ".gitignore"
        lines = ignored.read_text().splitlines()
        assert len(lines) == len(SYSTEMS)
        ignored.write_text("\n".join(reversed(lines)) + "\n")
    assert not stale(laboratory)


def test_importing_everything_and_asking_for_help_concerns_nothing(laboratory):
    everything = (
        "import importlib, pkgutil, ostinato\n"
        "for module in pkgutil.walk_packages(ostinato.__path__, 'ostinato.'):\n"
        "    if '__main__' not in module.name and '.migrations.' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
    )
    laboratory.run("-c", everything)
    assert "usage: ostinato train" in laboratory.run("pipelines/train.py", "--help")
    assert list((laboratory.root / "src").rglob("*.pyc"))
    assert not stale(laboratory)


def test_the_report_stands_alone(laboratory):
    page = (laboratory.root / "report/index.html").read_text(encoding="utf-8")
    outside = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            for name, value in attributes:
                loads = name in ("src", "srcset", "poster", "data", "action")
                loads |= name == "href" and tag != "a"
                if loads and not (value or "").startswith(("data:", "#")):
                    outside.append((tag, name, value))

    Links().feed(page)
    urls = [url for url in re.findall(r"url\(([^)]*)\)", page) if "data:" not in url]
    assert not outside + urls
    assert "@import" not in page
    for system in SYSTEMS:
        assert system in page
    assert str(laboratory.root.parent) not in page
    with (laboratory.root / "report/leaderboard.csv").open() as file:
        assert {row["name"] for row in csv.DictReader(file)} >= set(SYSTEMS)


def test_every_sample_decoded(laboratory):
    for system in SYSTEMS:
        folder = laboratory.root / "samples" / system
        rows = json.loads((folder / "samples.json").read_text())["samples"]
        assert [row["task"] for row in rows] == ["unconditional", "unconditional", "continue"]
        assert [row["failed"] for row in rows] == [None] * 3
        assert {path.name for path in folder.glob("*.mid")} == {row["file"] for row in rows}
        metrics = json.loads((laboratory.root / f"evaluation/{system}/details.json").read_text())
        counts = metrics["samples"]
        assert (counts["count"], counts["failed"]) == (3, 0)
        assert counts["compared"] + counts["too_short"] == 2


def test_a_copied_model_makes_music_in_an_empty_folder(laboratory, tmp_path):
    model = shutil.copytree(laboratory.root / "models/tiny-gpt", tmp_path / "copied model")
    prompt = laboratory.root / "samples/tiny-lstm/unconditional-0.mid"
    script = laboratory.root / "pipelines/generate.py"
    given = (script, f"weights={model}", "bars=3", "n=1", "formats=[musicxml,mid]")
    asked = {"new": given, "continued": (*given, f"prompt={prompt}", "prompt_bars=1")}
    processes = {}
    for name, command in asked.items():
        (tmp_path / name).mkdir()
        processes[name] = laboratory.start(*command, "out=out", cwd=tmp_path / name)
    for process in processes.values():
        printed = process.communicate()[0]
        assert process.returncode == 0, printed
    again = laboratory.run(*given, "out=out", cwd=tmp_path / "new", fails=True)
    assert "out/000.musicxml exists: give another out=…; overwrite=true replaces it" in again
    for name in asked:
        made = sorted(path.name for path in (tmp_path / name / "out").iterdir())
        assert made == ["000.mid", "000.musicxml"]
        assert notes_of(tmp_path / name / "out/000.mid")
    begun = [note for note in notes_of(prompt) if note[0] < 4]
    going_on = notes_of(tmp_path / "continued/out/000.mid")
    assert [note for note in going_on if note[0] < 4] == begun
    assert going_on != notes_of(prompt)


def test_lost_samples_are_named_with_the_command_that_makes_them(laboratory):
    """What else may be lost is in test_faults.py."""
    shutil.rmtree(laboratory.root / "samples/tiny-gpt")
    printed = laboratory.run("pipelines/evaluate.py", "system=tiny-gpt", fails=True)
    assert "Traceback" not in printed
    assert "samples/tiny-gpt" in printed
    assert "dvc repro sample@tiny-gpt" in printed


def test_tracking_holds_one_run_of_each_system(built, store_uri, monkeypatch):
    """That it changes no byte is known already: only the first of the two builds was tracked."""
    from ostinato.tracking import open_store

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri)
    monkeypatch.setenv("OSTINATO_TRACKING", "on")
    store = open_store()
    runs = store.client.search_runs([store.experiment], "tags.family = 'gpt'")
    found = store.client.search_runs([store.experiment])
    assert len(found) == len(SYSTEMS)  # the page of tiny-lstm restored its run
    assert ["restored" in run.data.tags for run in found].count(True) == 1
    (run,) = runs
    assert (run.info.status, run.info.run_name) == ("FINISHED", "tiny-gpt")
    assert run.data.tags["dvc.stage"] == "train@tiny-gpt"
    assert run.data.params["training.steps"] == "20"
    curve = store.client.get_metric_history(run.info.run_id, "valid/loss")
    assert [row.step for row in curve] == [10, 20], sorted(run.data.metrics)
    card = json.loads((built[0].root / "models/tiny-gpt/model.json").read_text())
    assert run.data.tags["weights"] == card["weights_sha256"]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, len(dataset.dataset.digest)) == ("micro", 36)
    samples = {item.path for item in store.client.list_artifacts(run.info.run_id, "samples")}
    names = ("unconditional-0", "unconditional-1", "continue-0")
    midi = {f"samples/{name}.mid" for name in names}
    assert {*midi, "samples/unconditional-0.mp3", "samples/listen.html"} <= samples
    metrics = json.loads((built[0].root / "evaluation/tiny-gpt/metrics.json").read_text())
    assert metrics.items() <= run.data.metrics.items()
    assert len([name for name in run.data.metrics if not name.startswith("system/")]) < 30
    (version,) = store.client.search_model_versions("name = 'tiny-gpt'")
    assert version.run_id == run.info.run_id
