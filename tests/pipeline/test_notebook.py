"""The notebook of results runs, whatever has been built; the tutorial runs on any model."""

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


@pytest.fixture(scope="module")
def run():
    """Run a notebook in its folder and give its outputs; all have one kernel, emptied before."""
    manager = NotebookClient(nbformat.v4.new_notebook()).create_kernel_manager()
    clients = []

    def run(path):
        notebook = nbformat.read(path, as_version=4)
        begin = f"%reset -f\nimport os\nos.chdir({str(path.parent)!r})"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(begin))
        clients.append(NotebookClient(notebook, km=manager, timeout=180, kernel_name="python3"))
        clients[-1].execute()
        clients[-1].kc.stop_channels()
        return [output for cell in notebook.cells for output in cell.get("outputs", [])]

    yield run
    if clients:
        clients[-1]._cleanup_kernel()


def shown_in(run, source, folder, without=()):
    """What the notebook shows in a copy of what it reads: texts, and the number of pictures."""
    folder.mkdir()
    for name in READ:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    for name in without:
        shutil.rmtree(folder / name)
    outputs = run(folder / "notebooks" / NOTEBOOK.name)
    assert not [output for output in outputs if output["output_type"] == "stream"], "warnings"
    shown = [output["data"] for output in outputs if "data" in output]
    texts = [data.get("text/markdown", data.get("text/html", "")) for data in shown]
    pictures = [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]
    assert all(len(picture) > 5000 for picture in pictures)
    return "\n".join(texts), len(pictures)


@pytest.mark.parametrize("path", sorted(NOTEBOOK.parent.glob("*.ipynb")), ids=lambda p: p.stem)
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def test_it_shows_every_system(run, laboratory, tmp_path):
    text, pictures = shown_in(run, laboratory.root, tmp_path / "copy")
    assert "2 of 2 systems" in text
    assert pictures == 2
    for shown in ("tiny-lstm", "tiny-gpt", "uniform", "nats_per_token", "held-out"):
        assert shown in text


def test_it_names_the_command_for_a_system_that_is_not_built(run, laboratory, tmp_path):
    lost = ("evaluation/tiny-gpt", "report")
    text, pictures = shown_in(run, laboratory.root, tmp_path / "copy", without=lost)
    assert "1 of 2 systems" in text
    assert "dvc repro evaluate@tiny-gpt" in text
    assert "dvc repro compare" in text
    assert pictures == 0  # they are drawn from the report's table


def test_it_says_what_to_run_when_nothing_is_built(run, tmp_path):
    text, pictures = shown_in(run, ROOT, tmp_path / "copy", without=("evaluation", "report"))
    assert "make repro" in text
    assert pictures == 0


def test_it_runs_on_this_projects_own_results(run, tmp_path):
    text, _ = shown_in(run, ROOT, tmp_path / "copy")
    assert "systems are evaluated" in text


def test_the_tutorial_runs_on_a_model_of_the_pipeline(run, laboratory):
    outputs = run(laboratory.root / "notebooks" / "tutorial.ipynb")
    shown = [output["data"] for output in outputs if "data" in output]
    texts = [data.get("text/plain", "") for data in shown]
    assert any("tiny-" in text for text in texts)
    assert any(text == "True" or text == "np.True_" for text in texts), (
        "session and whole piece differ"
    )
    assert sum("image/png" in data for data in shown) == 3
