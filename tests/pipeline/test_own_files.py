"""A user's own folder: a dataset like any other, added and removed by lines of params.yaml."""

import json

import pytest

from ostinato.music.write import write_midi

pytestmark = pytest.mark.slow

ABC = (
    "X:1\nT:A reel\nM:4/4\nL:1/8\nK:D\nDEFG ABcd|dcBA GFED|\n\nX:2\nT:A jig\nM:6/8\nK:G\nGAB cde|\n"
)


@pytest.fixture
def mine(laboratory, chorale, score):
    """Six MIDI files (one of them twice), a score, two tunes and a file that is not music."""
    folder = laboratory.root / "mine"
    for seed in range(6):
        write_midi(folder / f"{seed}.mid", chorale(seed))
    (folder / "again.mid").write_bytes((folder / "0.mid").read_bytes())
    (folder / "broken.mid").write_bytes(b"MThd nonsense")
    (folder / "tunes.abc").write_text(ABC)
    (folder / "notes.txt").write_text("not music")
    return folder


def stages_run(printed):
    return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


def test_a_folder_becomes_a_corpus_and_goes_again_without_touching_the_rest(laboratory, mine):
    before = (laboratory.root / "dvc.lock").read_text()
    params = (laboratory.root / "params.yaml").read_text()
    printed = laboratory.run("pipelines/download.py", "add=mine", "path=mine")
    assert "params.yaml" in printed
    laboratory.edit("params.yaml", "datasets: [micro]", "datasets: [micro, mine]")
    line = "  micro-remi: {dataset: micro, form: events, representation: remi}\n"
    laboratory.edit(
        "params.yaml",
        line,
        line + "  mine-remi: {dataset: mine, form: events, representation: midi_like}\n",
    )
    printed = laboratory.run("-m", "dvc", "repro")
    wanted = ["download@mine", "normalize@mine", "encode@mine-remi", "reference@mine-remi"]
    assert stages_run(printed) == wanted
    summary = json.loads((laboratory.root / "data/corpus/mine/summary.json").read_text())
    assert summary["pieces"] == 9  # seven MIDI files and two tunes
    assert summary["rejected"] == {"unreadable": 1}
    assert summary["copies"] == {"clusters": 1, "pieces": 2}
    laboratory.write("params.yaml", params)
    assert not stages_run(laboratory.run("-m", "dvc", "repro"))
    kept = [line for line in before.splitlines() if "md5:" in line]
    after = (laboratory.root / "dvc.lock").read_text()
    assert all(line in after for line in kept)


def test_a_folder_that_has_changed_is_refused_with_the_command_that_updates_it(laboratory, mine):
    laboratory.run("pipelines/download.py", "add=mine", "path=mine")
    (mine / "0.mid").unlink()
    printed = laboratory.run("pipelines/download.py", "dataset=mine", fails=True)
    assert "update=mine" in printed
    laboratory.run("pipelines/download.py", "update=mine")
    laboratory.run("pipelines/download.py", "dataset=mine")
    assert not (laboratory.root / "data/raw/mine/0.mid").exists()
