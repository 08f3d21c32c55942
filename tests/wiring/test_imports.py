"""Who imports whom, read from the source: the rules of the house, and the `deps` of every stage.

The walk sees imports inside functions too. A dependency of a stage that its imports do not reach
re-runs it for nothing; one that is missing leaves a stale result.
"""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

# our rooms, and what of ours each may import besides itself and `execution`
ROOMS = {
    "execution": set(),
    "tracking": set(),
    "config": set(),
    "models": set(),
    "music": set(),
    "data": set(),
    "datasets": {"music"},
    "representations": {"music"},
    "metrics": {"music"},
    "audio": {"music"},
    "report": {"audio", "music"},
    "training": {"models", "data"},
    "sampling": {"models", "data", "representations", "music"},
    "generator": {"sampling", "models", "representations", "music"},
    "evaluation": {
        "data",
        "metrics",
        "models",
        "music",
        "representations",
        "sampling",
        "generator",
    },
    "listening": {"generator", "audio", "data", "metrics", "music", "representations", "sampling"},
    "feedback": {"generator", "audio", "data", "evaluation", "metrics", "models", "music"}
    | {"representations", "sampling", "training"},
    "live": {"generator", "audio", "music", "representations", "sampling"},
}
ALONE = {"execution", "tracking", "config", "models"}  # these do without `execution` as well
HOMES = {  # libraries that only some rooms may import; a whole line each
    "mlflow": {"tracking"},
    "hydra": {"pipelines", "config", "hydra_plugins"},
    "omegaconf": {"pipelines", "config", "hydra_plugins"},
    "muspy": {"music"},
    "pretty_midi": {"music", "audio"},  # audio asks where its SoundFont lies
    "music21": {"music"},
    "pytorch_lightning": {"training", "data"},
    "lightning": set(),
    "torch": {"models", "data", "training", "sampling", "metrics", "evaluation", "pipelines"}
    | {"feedback"},
}
LIBRARIES = {  # all that these rooms may import: they run on boxes that have no more
    "models": {"torch"},
    "data": {"torch", "numpy", "pytorch_lightning"},
    "training": {"torch", "numpy", "pytorch_lightning", "torchmetrics", "safetensors", "tqdm"}
    | {"lightning_fabric"},  # a part of pytorch_lightning
    "execution": {"numpy", "joblib", "dask", "distributed", "ray", "ruamel"},
}
UNTRACKED = ("ostinato/tracking", "ostinato/execution")  # they never change a result


def modules():
    """Every Python file of ours by its dotted name; packages by their own."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    scripts = sorted((ROOT / "pipelines").glob("*.py"))
    return found | {f"pipelines.{path.stem}": path for path in scripts}


MODULES = modules()


@cache
def imported(path):
    """Dotted names that a file imports anywhere in it; `from a import b` names a and a.b."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def room(name):
    """The room of a dotted name of ours."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ostinato" and len(parts) > 1 else parts[0]


def libraries(path):
    """Top names of what a file imports that is neither ours nor the standard library's."""
    tops = {name.split(".")[0] for name in imported(path)}
    return tops - sys.stdlib_module_names - {"ostinato", "hydra_plugins"}


def holds_code(path):
    """Whether a file is more than its docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not all(isinstance(node, ast.Expr) for node in body)


def closure(path, family):
    """All files of ours that running this one imports; of the families, which are found by name,
    only the given one.
    """
    reached, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        names = [name for name in imported(path) if name in MODULES]
        if path == MODULES["ostinato.models"] and family:
            names.append(f"ostinato.models.{family}")
        for name in names:
            parts = name.split(".")
            packages = [".".join(parts[: end + 1]) for end in range(len(parts))]
            waiting += [MODULES[package] for package in packages if package in MODULES]
    return {path for path in reached if holds_code(path)}


def stages():
    """The stages as DVC expands them: address, script, family, dependencies on code."""
    from dvc.repo import Repo
    from ruamel.yaml import YAML

    systems = YAML(typ="safe").load(ROOT / "params.yaml")["systems"]
    with Repo(str(ROOT)) as repo:
        for stage in repo.index.stages:
            name, _, key = stage.name.partition("@")
            family = systems[key]["family"] if key in systems else None
            deps = {Path(str(dep.fs_path)) for dep in stage.deps if not hasattr(dep, "params")}
            code = {dep for dep in deps if dep.relative_to(ROOT).parts[0] in ("src", "pipelines")}
            yield stage.name, ROOT / "pipelines" / f"{name}.py", family, code


STAGES = list(stages())


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in ROOMS])
def test_a_room_imports_only_the_rooms_below_it(name):
    own = room(name)
    allowed = {own, *ROOMS[own]} | (set() if own in ALONE else {"execution"})
    ours = {room(n) for n in imported(MODULES[name]) if n in MODULES and n != "ostinato"}
    assert ours <= allowed, f"{name} imports {sorted(ours - allowed)}"


def test_every_room_has_its_rule():
    rooms = {room(name) for name in MODULES if name.startswith("ostinato.")}
    assert rooms <= set(ROOMS), "write the new room's rule into ROOMS"


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_at_home(library):
    guests = {name for name, path in MODULES.items() if library in libraries(path)}
    strangers = sorted(name for name in guests if room(name) not in HOMES[library])
    assert not strangers, f"only {sorted(HOMES[library])} may import {library}"


@pytest.mark.parametrize("own", LIBRARIES)
def test_rooms_for_bare_machines_import_little(own):
    for name, path in MODULES.items():
        if room(name) == own:
            assert libraries(path) <= LIBRARIES[own], name


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage[0])
def test_the_dependencies_of_a_stage_are_its_imports(stage):
    _, script, family, code = stage
    files = {
        path
        for path in closure(script, family)
        if not path.relative_to(SOURCE if SOURCE in path.parents else ROOT)
        .as_posix()
        .startswith(UNTRACKED)
    }
    uncovered = {path for path in files if not ({path, *path.parents} & code)}
    unreached = {dep for dep in code if not any(dep in (path, *path.parents) for path in files)}
    assert not uncovered, f"add to deps: {sorted(str(p.relative_to(ROOT)) for p in uncovered)}"
    assert not unreached, f"take from deps: {sorted(str(p.relative_to(ROOT)) for p in unreached)}"


def test_the_walk_sees_imports_inside_functions():
    reached = closure(ROOT / "pipelines" / "sample.py", "gpt")
    assert MODULES["ostinato.audio.render"] in reached
    assert MODULES["ostinato.models.gpt"] in reached
    assert MODULES["ostinato.models.lstm"] not in reached


def test_what_no_stage_depends_on_computes_nothing():
    """`tracking` and `execution` are left out of deps: neither may import what computes."""
    for name, path in MODULES.items():
        if room(name) in ("tracking", "execution"):
            assert not libraries(path) & {"torch", "muspy", "miditok", "scipy"}, name
