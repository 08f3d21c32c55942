"""Every folder of reproductions/ is a DVC repository of its own whose stages are the root's, or
depend on what they import.
"""

import re
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("reproductions/*/dvc.yaml"))
folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def read(path):
    return YAML(typ="safe").load(path)


def stages(folder, foreach=None):
    """As dvc.yaml writes them, without what makes several of one; all, or those of a `foreach`."""
    found = read(folder / "dvc.yaml")["stages"]
    wanted = {n: s for n, s in found.items() if foreach in (None, s.get("foreach"))}
    return {name: stage.get("do", stage) for name, stage in wanted.items()}


def at_root(stage):
    """A stage as it would stand in the root's dvc.yaml, if no system were tuned by a study: its
    code, and all else as text.
    """
    text = repr({key: stage[key] for key in ("cmd", "deps", "params", "outs")})
    text = text.replace("../../", "").replace("${item.learns_from}", "data/tokens/${item.encoding}")
    text = text.replace("-m ostinato.training.flushed ", "")  # how the script is run
    code = re.findall(r"'src/[^']*', ", text)
    return set(code), re.sub(r"'src/[^']*', ", "", text)


@folders
def test_it_is_a_repository_of_its_own_with_the_root_s_cache_and_ignores(folder):
    config = (folder / ".dvc" / "config").read_text(encoding="utf-8")
    assert "dir = ../../../.dvc/cache" in config
    assert "autostage = false" in config
    ours, root = ((place / ".dvcignore").read_text(encoding="utf-8") for place in (folder, ROOT))
    assert ours == root
    assert (folder / "src").is_symlink()
    assert (folder / "src").resolve() == ROOT / "src"


@folders
def test_no_folder_outside_is_a_dependency(folder):
    """.dvcignore would not reach it, and a stray .pyc would re-run the stage."""
    for stage in stages(folder).values():
        outside = [dep for dep in stage["deps"] if dep.startswith("../")]
        assert all(dep.endswith(".py") for dep in outside)


@folders
def test_the_root_s_stages_are_the_root_s(folder):
    root, ours = stages(ROOT), stages(folder)
    shared = [name for name in ours if name in root]
    assert shared
    for name in shared:
        (code, rest), (all_code, all_rest) = at_root(ours[name]), at_root(root[name])
        assert rest == all_rest
        assert code <= all_code  # only that of the folder's own families


@folders
def test_its_systems_name_what_exists_and_its_scripts_shadow_nothing(folder):
    params = read(folder / "params.yaml")
    for name, item in (params["systems"] | params.get("frozen", {})).items():
        size = ROOT / "conf" / "model" / item["family"] / f"{item['size']}.yaml"
        assert size.exists(), name
        assert item["form"] == params["encodings"][item["encoding"]]["form"], name
    for item in params["encodings"].values():
        assert item["dataset"] in [*params["datasets"], *(["band"] if "mix" in params else [])]
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    assert not groups & set(params)
    assert not {path.stem for path in folder.glob("*.py")} & set(sys.stdlib_module_names)


@folders
def test_a_mixture_depends_on_its_members(folder):
    mixtures = read(folder / "params.yaml").get("mixtures", {})
    for name, item in mixtures.items():
        stage = stages(folder)[f"mixture-{name}"]
        members = {f"models/{member}" for member in item["members"]}
        assert {dep for dep in stage["deps"] if dep.startswith("models/")} == members
        assert f"data/tokens/{item['encoding']}" in stage["deps"]
        assert stage["cmd"] == f"python score.py --mixture {name}"
        assert stage["params"] == [f"mixtures.{name}", "protocol"]
        assert list(stage["metrics"][0]) == [f"scores/{name}.json"]
    there = {name for name in stages(folder) if name.startswith("mixture")}
    assert there == {f"mixture-{name}" for name in mixtures}
