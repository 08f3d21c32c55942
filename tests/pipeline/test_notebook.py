"""The notebook of results runs, whatever has been built."""

import base64
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "results.ipynb"
READ = ("params.yaml", "conf", "evaluation", "report", "notebooks")

pytestmark = pytest.mark.slow


def execute(source, folder, without=()):
    """What the notebook shows in a copy of what it reads: texts, and the number of pictures."""
    folder.mkdir()
    for name in READ:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    for name in without:
        shutil.rmtree(folder / name)
    path = folder / "notebooks" / NOTEBOOK.name
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "stream"], "warnings"
    shown = [output["data"] for output in outputs if "data" in output]
    texts = [data.get("text/markdown", data.get("text/html", "")) for data in shown]
    pictures = [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]
    assert all(len(picture) > 5000 for picture in pictures)
    return "\n".join(texts), len(pictures)


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def test_it_shows_every_system(laboratory, tmp_path):
    text, pictures = execute(laboratory.root, tmp_path / "copy")
    assert "2 of 2 systems" in text
    assert pictures == 2
    for shown in ("tiny-lstm", "tiny-gpt", "uniform", "Pitch range (semitones)", "held-out"):
        assert shown in text


def test_it_names_the_command_for_a_system_that_is_not_built(laboratory, tmp_path):
    lost = ("evaluation/tiny-gpt", "report")
    text, pictures = execute(laboratory.root, tmp_path / "copy", without=lost)
    assert "1 of 2 systems" in text
    assert "dvc repro evaluate@tiny-gpt" in text
    assert "dvc repro compare" in text
    assert pictures == 2


def test_it_says_what_to_run_when_nothing_is_built(laboratory, tmp_path):
    text, pictures = execute(laboratory.root, tmp_path / "copy", without=("evaluation", "report"))
    assert "make repro" in text
    assert pictures == 0


def test_it_runs_on_this_projects_own_results(tmp_path):
    text, _ = execute(ROOT, tmp_path / "copy")
    assert "systems are evaluated" in text
