"""Who imports whom, read from the source: the rules, and the `deps` of every stage.

The walk sees imports inside functions too. A dependency of a stage that its imports do not reach
re-runs it for nothing; one that is missing leaves a stale result.
"""

import ast
import sys
from pathlib import Path

import pytest

from ostinato.execution import code_deps
from ostinato.execution.code_deps import imported

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
FOLDERS = (ROOT, *sorted(p.parent for p in ROOT.glob("reproductions/*/dvc.yaml")))

# the packages, and what of ours each may import besides itself and BASE
PACKAGES = {
    "files": set(),
    "seeds": set(),
    "arithmetic": {"execution"},
    "execution": {"files"},
    "tracking": set(),
    "settings": set(),
    "ranges": set(),
    "arguments": {"settings", "ranges"},
    "usage": set(),
    "__main__": set(),
    "discovery": set(),
    "config": {
        "arguments",
        "execution",
        "feedback",
        "loading",
        "ranges",
        "sampling",
        "settings",
        "usage",
    },
    "models": {"settings", "discovery"},
    "music": set(),
    "samples": set(),
    "readers": {"music"},
    "corpus": {"music", "readers"},
    "normalization": {"corpus", "music", "readers"},
    "loading": {"models"},
    "datasets": {"music", "readers", "normalization", "representations"},
    "representations": {"audio", "corpus", "music", "discovery"},
    "metrics": {"music", "normalization"},
    "audio": {"music"},
    "feedback": {"listening", "loading", "metrics", "models", "music", "readers"}
    | {"representations", "samples", "sampling"},
    "listening": {"audio", "corpus", "music", "readers", "samples"},
    "player": {"audio", "music"},
    "report": {"audio", "corpus", "metrics", "music", "normalization", "player", "readers"}
    | {"samples"},
    "training": {"arithmetic", "models", "loading", "metrics", "feedback", "sampling"},
    "sampling": {"audio", "metrics", "models", "loading", "ranges", "representations", "music"},
    "generator": {"sampling", "models", "representations", "music"},
    "serving": {"generator", "music", "readers", "sampling"},
    "precision": {"models", "sampling"},
    "live": {"generator", "listening", "models", "music", "precision", "representations"}
    | {"sampling"},
    "studio": {"audio", "live", "music", "player", "precision", "readers", "representations"}
    | {"sampling"},
    "evaluation": {
        "audio",
        "corpus",
        "generator",
        "loading",
        "metrics",
        "models",
        "music",
        "readers",
        "representations",
        "samples",
        "sampling",
    },
    "reproduction": {"corpus", "evaluation", "loading", "metrics", "models", "sampling"}
    | {"arithmetic", "music", "normalization"},
}
ENSEMBLE = SOURCE / "ostinato/models/ensemble/parts/borrowed.json"
ENSEMBLE_SAMPLING = SOURCE / "ostinato/sampling/ensemble/borrowed.json"
BASE = {"files", "seeds", "execution", "settings"}
ALONE = {
    "files",
    "seeds",
    "settings",
    "tracking",
    "config",
    "models",
}  # these do without the base as well
IMPORTERS = {  # libraries that only some packages may import; a whole line each
    "mlflow": {"tracking"},
    "hydra": {"pipelines", "config", "hydra_plugins"},
    "omegaconf": {"pipelines", "config", "hydra_plugins"},
    "muspy": {"music", "readers", "corpus", "datasets", "metrics"},
    "pretty_midi": {"music", "audio"},  # audio asks where its SoundFont lies
    "music21": {"readers"},
    "chardet": {"readers"},
    "pytorch_lightning": {"training"},
    "lightning": set(),
    "fastapi": {"listening", "studio"},
    "sqlalchemy": {"listening"},
    "onnx": {"precision"},
    "onnxruntime": {"precision"},
    "statsmodels": {"listening"},
    "torch": {
        "arithmetic",
        "feedback",
        "models",
        "loading",
        "training",
        "sampling",
        "metrics",
        "evaluation",
        "precision",
        "live",
        "pipelines",
    }
    | {"reproduction"},
}
LIBRARIES = {  # all that these packages may import: they run on machines that have no more
    "models": {"torch"},
    "loading": {"torch", "numpy"},
    "training": {"torch", "numpy", "pytorch_lightning", "torchmetrics", "safetensors", "tqdm"}
    | {"lightning_fabric"},  # a part of pytorch_lightning
    "execution": {"numpy", "joblib", "dask", "distributed", "ray", "ruamel", "dvc", "networkx"},
}


def modules():
    """Every Python file of ours by its dotted name; packages by their own."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    scripts = sorted((ROOT / "pipelines").glob("*.py"))
    return found | {f"pipelines.{path.stem}": path for path in scripts}


MODULES = modules()


def package_of(name):
    """The package of a dotted name of ours."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ostinato" and len(parts) > 1 else parts[0]


def libraries(path):
    """Top names of what a file imports that is neither ours nor the standard library's."""
    tops = {name.split(".")[0] for name in imported(path)}
    return tops - sys.stdlib_module_names - {"ostinato", "hydra_plugins"}


def test_a_package_imports_only_those_below_it():
    wrong = []
    for name, path in MODULES.items():
        own = package_of(name)
        if own not in PACKAGES:
            continue
        allowed = {own, *PACKAGES[own]} | (set() if own in ALONE else BASE)
        ours = {package_of(n) for n in imported(path) if n in MODULES and n != "ostinato"}
        if ours - allowed:
            wrong.append(f"{name} imports {sorted(ours - allowed)}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_its_rule():
    found = {package_of(name) for name in MODULES if name.startswith("ostinato.")}
    assert found <= set(PACKAGES), "write the rule of the new package into PACKAGES"


@pytest.mark.parametrize("library", IMPORTERS)
def test_only_some_packages_import_a_library(library):
    found = {name for name, path in MODULES.items() if library in libraries(path)}
    wrong = sorted(name for name in found if package_of(name) not in IMPORTERS[library])
    assert not wrong, f"only {sorted(IMPORTERS[library])} may import {library}"


@pytest.mark.parametrize("own", LIBRARIES)
def test_packages_for_bare_machines_import_little(own):
    for name, path in MODULES.items():
        if package_of(name) == own:
            assert libraries(path) <= LIBRARIES[own], name


def test_what_a_paradigm_borrows_from_another_one_is_written_down():
    found = code_deps.loans(ROOT)
    assert "models/autoregressive/gpt.py" in found[ENSEMBLE]
    assert "sampling/autoregressive/decode.py" in found[ENSEMBLE_SAMPLING]
    assert not set(found[ENSEMBLE]) & set(found[ENSEMBLE_SAMPLING])
    assert not code_deps.stale_loans(ROOT), "python -m ostinato.execution.code_deps --write"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_dependencies_of_every_stage_are_its_imports(folder):
    wrong = code_deps.differences(folder, ROOT)
    assert not wrong, f"python -m ostinato.execution.code_deps --write; {wrong}"


def test_the_walk_sees_imports_inside_functions_and_families_by_name():
    script = ROOT / "pipelines" / "sample.py"
    found = code_deps.reached(script, {"gpt": "autoregressive"})
    assert MODULES["ostinato.audio.render"] in found
    assert MODULES["ostinato.models.autoregressive.gpt"] in found
    assert MODULES["ostinato.models.autoregressive.lstm"] not in found


def test_what_a_page_is_made_of_is_a_dependency_of_its_stage():
    stages = code_deps._read(ROOT)[1]["stages"]
    deps = code_deps.code_of(stages["compare"], ROOT, ROOT)
    report = {dep.rpartition("/")[2] for dep in deps if not dep.endswith(".py")}
    # listen.html is named by page.py, macros.html and the rest by page.html
    page = {"page.html", "listen.html", "macros.html", "style.css", "player.js"}
    assert report == page | {"sounding.js"}


def test_the_guard_is_tracked_and_what_only_says_how_to_run_is_not():
    found = code_deps.reached(ROOT / "pipelines" / "normalize.py", {})
    assert MODULES["ostinato.execution.guard"] in found  # it says why a file was rejected
    for name in ("config", "execution.parallel", "execution.engines", "execution.machine"):
        assert MODULES[f"ostinato.{name}"] not in found


def test_what_every_paradigm_shares_names_none_of_them():
    """Nor a family: both are found by name, so that adding one changes nothing else."""
    families = code_deps.family_files(ROOT)
    paradigms = set(families.values())
    for name, path in MODULES.items():
        parts = name.split(".")
        if parts[1:2] in (["reproduction"], ["live"]) or paradigms & set(parts):
            continue  # exact likelihoods are what reproductions are about; live has other policies
        words = {part for found in imported(path) for part in found.split(".")}
        texts = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        named = (words | texts) & (paradigms | set(families))
        assert not named, f"{name} names {sorted(named)}"


def test_what_no_stage_depends_on_computes_nothing():
    """`tracking` and `execution` are left out of deps: neither may import what computes."""
    for name, path in MODULES.items():
        if package_of(name) in ("tracking", "execution"):
            assert not libraries(path) & {"torch", "muspy", "miditok", "scipy"}, name


def circles(graph):
    """Strongly connected groups of two files or more (Tarjan 1972), and files in themselves."""
    index, low, stack, found = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1 or name in graph[name]:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def test_no_import_circle():
    """Imports inside functions count: a circle that only runs late is one, too."""
    graph = {
        name: sorted({other for other in imported(path) if other in MODULES})
        for name, path in MODULES.items()
        if name != "ostinato"
    }
    graph = {name: [o for o in others if o in graph] for name, others in graph.items()}
    assert circles(graph) == []
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
