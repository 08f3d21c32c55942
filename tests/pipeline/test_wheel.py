"""A wheel and a model folder are enough to make music, far from any checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
WITHOUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


def run(*command, cwd, **variables):
    environment = os.environ | {"PYTHONWARNINGS": "ignore", **variables}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without a network from a copy of the sources."""
    root = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        shutil.copyfile(ROOT / name, root / name)
    for name in ("src", "conf", "pipelines"):
        shutil.copytree(ROOT / name, root / name, ignore=WITHOUT)
    built = run("-c", BUILD, root / "dist", cwd=root)
    assert built.returncode == 0, built.stderr
    (path,) = (root / "dist").glob("ostinato-*.whl")
    return path


@pytest.mark.starts
def test_a_wheel_holds_every_script_setting_and_template(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    wanted = [*ROOT.glob("pipelines/*.py"), *ROOT.glob("conf/**/*.yaml")]
    assert len(wanted) > len(list(ROOT.glob("pipelines/*.py"))) + 50
    for path in wanted:
        assert held[f"ostinato/{path.relative_to(ROOT).as_posix()}"] == path.read_bytes()
    for path in ROOT.glob("src/**/*"):
        if path.is_file() and path.suffix in (".py", ".html", ".css", ".js"):
            assert path.relative_to(ROOT / "src").as_posix() in held
    (points,) = (text for name, text in held.items() if name.endswith("entry_points.txt"))
    assert b"ostinato = ostinato.__main__:main" in points


def test_a_wheel_makes_music_from_a_model_folder(wheel, model_folder, tmp_path):
    site, folder = tmp_path / "site", tmp_path / "my models (1)"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    shutil.copytree(model_folder, folder)
    given = [f"weights={folder}", "bars=1", "n=1", "out=made"]
    (tmp_path / "empty").mkdir()
    done = run("-m", "ostinato", "generate", *given, cwd=tmp_path / "empty", PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "empty" / "made" / "000.mid").read_bytes().startswith(b"MThd")
    refused = run("-m", "ostinato", "train", cwd=tmp_path / "empty", PYTHONPATH=str(site))
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: params.yaml is not in this folder; run this in a project, as in a checkout\n"
    )
