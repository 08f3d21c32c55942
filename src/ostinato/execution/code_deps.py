"""Which files of code each DVC stage reaches, read from the source; writes them into dvc.yaml.

`python -m ostinato.execution.code_deps` compares every dvc.yaml of this repository with the imports
of its scripts; with --write it rewrites the code dependencies. Dependencies are single files, so a
new file makes no stage stale. Templates that a file names (report/*.html) count, too. Files of one
paradigm, family or form of representation are listed through `${item.…}`. Imports inside functions
count. Modules found by name are in FOUND.
"""

import argparse
import ast
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ostinato.execution.commands import run_command
from ostinato.files import sha256_file, write_json

# how to run: never changes a result, apart from the guard, which says why a file was rejected
UNTRACKED = ("arguments.py", "config.py", "usage.py", "__main__.py", "execution/", "tracking/")
GUARD = "execution/guard"  # guard.py, guarded_child.py, guarded_process.py
# what a registry imports by name, relative to the package
FOUND: dict[str, tuple[str, ...]] = {
    "models/registry.py": ("models/{paradigm}/{family}.py",),
    "representations/registry.py": ("representations/*/",),
    "training/fit.py": ("training/{paradigm}.py",),
    "sampling/registry.py": ("sampling/{paradigm}",),
    "evaluation/registry.py": ("evaluation/likelihood/{paradigm}.py",),
    "evaluation/measures/registry.py": ("evaluation/measures/*.py",),
}
STUDIES = "ostinato.feedback"  # what trainings import that learn from a study
OF_ITEMS = ("${systems}", "${encodings}", "${studies}")  # each of which names its form
TEMPLATES = (".html", ".css", ".js")
PACKAGE = Path("src/ostinato")
SOURCE = Path(__file__).resolve().parents[2]  # the folder that the package lies in
SHARED_MODELS = "layers"
BORROWED = "borrowed.json"
FORM_DEPTH = 2  # representations/<form>/<file>: what lies deeper than the shared files


def repository() -> Path:
    """The folder that holds src/ and dvc.yaml."""
    return Path(__file__).resolve().parents[3]


@cache
def family_files(root: Path) -> dict[str, str]:
    """The paradigm of every family, by the folder that its file lies in."""
    files = sorted((root / PACKAGE / "models").glob("*/*.py"))
    return {
        file.stem: file.parent.name
        for file in files
        if file.parent.name != SHARED_MODELS and file.stem != "__init__"
    }


@cache
def families_of(folder: Path) -> dict[str, str]:
    """The families of a reproduction's systems with their paradigms: others are none of its code.

    Raises:
        FileNotFoundError: the folder has no params.yaml.
    """
    from ruamel.yaml import YAML

    systems = YAML(typ="safe").load(folder / "params.yaml").get("systems", {})
    return {item["family"]: item["paradigm"] for item in systems.values()}


@cache
def paradigms(root: Path) -> frozenset[str]:
    """The paradigms, and names of what only some of them share, such as `grids`."""
    files = (root / PACKAGE / "models").glob("*/__init__.py")
    return frozenset(file.parent.name for file in files) - {SHARED_MODELS}


@cache
def learn_from_studies(root: Path) -> frozenset[str]:
    """Paradigms whose trainings depend on a study, which names the code that made it: so what only
    they import is no dependency of other trainings.
    """
    folder = root / PACKAGE / "training"
    return frozenset(
        paradigm
        for paradigm in family_files(root).values()
        if (file := folder / f"{paradigm}.py").is_file()
        and any(name.startswith(STUDIES) for name in imported(file))
    )


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Dotted names that a file imports anywhere in it; `from a import b` names a and a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            assert node.module
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


@cache
def holds_code(path: Path) -> bool:
    """Whether a file is more than its docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not all(isinstance(node, ast.Expr) for node in body)


@cache
def files_of(name: str, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files that importing a dotted name runs: its packages' and its own."""
    parts = name.split(".")
    stems = [folder.joinpath(*parts[: n + 1]) for folder in folders for n in range(len(parts))]
    files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return tuple(file for file in files if file.is_file())


def reached(script: Path, families: Mapping[str, str], source: Path = SOURCE) -> set[Path]:
    """Files of ours that a script runs, itself included; of the families, found by name, these.

    families: their paradigms by name. source: the folder that the package lies in. Files that only
    say how to run are left out, and so is what only they import.
    """
    package = source / PACKAGE.name
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in found or (path.is_relative_to(package) and _untracked(path, package)):
            continue
        found.add(path)
        names = imported(path)
        waiting += [file for name in names for file in files_of(name, (source, script.parent))]
        if path.is_relative_to(package):
            for pattern in FOUND.get(path.relative_to(package).as_posix(), ()):
                wanted = {pattern.format(family=f, paradigm=p) for f, p in families.items()}
                for made in (made for each in sorted(wanted) for made in package.glob(each)):
                    waiting += sorted(made.rglob("*.py")) if made.is_dir() else [made]
    return {path for path in found if holds_code(path)}


def _untracked(path: Path, package: Path) -> bool:
    """Whether a file of the package only says how to run."""
    name = path.relative_to(package).as_posix()
    return name.startswith(UNTRACKED) and not name.startswith(GUARD)


def code_checksums(script: Path, families: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of every file that a script or module runs, by its name within the package."""
    package = SOURCE / PACKAGE.name
    files = sorted(reached(script, families))
    return {path.relative_to(package).as_posix(): sha256_file(path) for path in files}


def as_dependency(path: Path, root: Path, folder: Path, each: str) -> str:
    """How dvc.yaml of `folder` names a file; of one paradigm or form, by a template in stages for
    `each` of the systems or encodings.
    """
    if path.parent == folder:
        return path.name
    if not path.is_relative_to(root / PACKAGE):
        up = "../" * len(folder.relative_to(root).parts)
        return up + path.relative_to(root).as_posix()
    parts = path.relative_to(root / PACKAGE).with_suffix("").parts
    known = paradigms(root)
    paradigm = "${item.paradigm}" if each in ("${systems}", "${studies}") else None
    if parts[0] == "models" and parts[1] in known:
        own = [paradigm or parts[1]]
        if parts[2] == "parts":
            return f"{PACKAGE}/models/{own[0]}/parts"
        family = "${item.family}" if paradigm else parts[2]
        return f"{PACKAGE}/models/{own[0]}/{family}.py"
    if parts[0] == "sampling" and parts[1] in known:
        return f"{PACKAGE}/sampling/{paradigm or parts[1]}"
    if parts[0] == "representations" and len(parts) > FORM_DEPTH:
        form = "${item.form}" if each in OF_ITEMS else parts[1]
        return f"{PACKAGE}/representations/{form}"
    if parts[-1] in known and parts[0] in ("training", "evaluation"):
        name = f"{paradigm or parts[-1]}.py"
        return "/".join([str(PACKAGE), *parts[:-1], name])
    return f"{PACKAGE}/{'/'.join(parts)}{path.suffix}"


def _lent(files: Iterable[Path], paradigm: str, root: Path) -> dict[str, str]:
    """SHA-256 of the files of other paradigms that files of one import, by their names."""
    package, others = root / PACKAGE, paradigms(root) - {paradigm}
    found = {path for file in files for path in reached(file, {}, root / "src")}
    names = {path: path.relative_to(package).with_suffix("").parts for path in found}
    lent = sorted(path for path, parts in names.items() if others & set(parts))
    return {path.relative_to(package).as_posix(): sha256_file(path) for path in lent}


def loans(root: Path) -> dict[Path, dict[str, str]]:
    """What each borrowed.json must hold: that in models/<paradigm>/parts what the paradigm's
    models, training and scorer borrow, that in sampling/<paradigm> what only its sampler borrows.

    There is none where nothing is borrowed.
    """
    package, found = root / PACKAGE, {}
    for paradigm in sorted(paradigms(root)):
        models, sampling = package / "models" / paradigm, package / "sampling" / paradigm
        alone = (package / "training", package / "evaluation" / "likelihood")
        learns = [file for folder in alone if (file := folder / f"{paradigm}.py").is_file()]
        learned = _lent([*learns, *models.rglob("*.py")], paradigm, root)
        made = _lent(sampling.rglob("*.py"), paradigm, root)
        found[models / "parts" / BORROWED] = learned
        found[sampling / BORROWED] = {k: v for k, v in made.items() if k not in learned}
    return {path: files for path, files in found.items() if files}


def stale_loans(root: Path) -> list[Path]:
    """The files borrowed.json that are missing, hold other checksums, or have nothing to hold."""
    right = loans(root)
    there = set((root / PACKAGE).rglob(BORROWED))
    stale = there - right.keys()
    for path, files in right.items():
        if path not in there or json.loads(path.read_text(encoding="utf-8")) != files:
            stale.add(path)
    return sorted(stale)


def templates_of(found: Iterable[Path]) -> set[Path]:
    """Templates, styles and scripts of pages that files name, in their folders, and that these
    name in turn.
    """
    templates: set[Path] = set()
    waiting = list(found)
    while waiting:
        path = waiting.pop()
        beside = {file for end in TEMPLATES for file in path.parent.glob(f"*{end}")} - templates
        text = path.read_text(encoding="utf-8") if beside else ""
        named = {file for file in beside if file.name in text}
        templates |= named
        waiting += named
    return templates


def is_code(dependency: str) -> bool:
    """Whether an entry of `deps` is code, not data."""
    return dependency.endswith(".py") or dependency.removeprefix("../../").startswith("src/")


def code_of(stage: Mapping[str, Any], folder: Path, root: Path) -> list[str]:
    """The code dependencies of a stage of the dvc.yaml in `folder`, sorted."""
    body = stage.get("do", stage)
    name = next(word for word in body["cmd"].split() if word.endswith(".py"))
    script = (folder / name).resolve()
    each = str(stage.get("foreach", ""))
    from_studies = learn_from_studies(root)
    own = family_files(root) if folder == root else families_of(folder)
    known = {f: p for f, p in own.items() if p not in from_studies}
    found = reached(script, known, root / "src")
    found |= templates_of(path for path in found if path.is_relative_to(root / PACKAGE))
    named = {as_dependency(path, root, folder, each) for path in found}
    return sorted(named, key=lambda name: (name.startswith("src/"), name))


def differences(folder: Path, root: Path) -> dict[str, tuple[list[str], list[str]]]:
    """For every stage whose code dependencies are not its imports: what to add, what to take."""
    found = {}
    for name, stage in _read(folder)[1]["stages"].items():
        deps = [dep for dep in stage.get("do", stage)["deps"] if is_code(dep)]
        right = code_of(stage, folder, root)
        add, take = sorted(set(right) - set(deps)), sorted(set(deps) - set(right))
        if add or take:
            found[name] = (add, take)
    return found


def write(folder: Path, root: Path) -> None:
    """Rewrite the code dependencies of a dvc.yaml; all else, comments included, stays."""
    yaml, pipeline = _read(folder)
    for stage in pipeline["stages"].values():
        deps = stage.get("do", stage)["deps"]
        data = [dep for dep in deps if not is_code(dep)]
        deps[:] = [*code_of(stage, folder, root), *data]
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(pipeline, file)


def _read(folder: Path) -> tuple[Any, Any]:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml, yaml.load(folder / "dvc.yaml")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite dvc.yaml")
    writes, root, status = parser.parse_args().write, repository(), 0
    right = loans(root)
    for path in stale_loans(root):
        if writes and path in right:
            write_json(path, right[path])
        elif writes:
            path.unlink()
        else:
            status = 1
            print(f"{path.relative_to(root)} is out of date: --write updates it")  # noqa: T201
    for folder in (root, *sorted(p.parent for p in root.glob("reproductions/*/dvc.yaml"))):
        if writes:
            write(folder, root)
        for name, (add, take) in differences(folder, root).items():
            status = 1
            print(f"{folder.name}/dvc.yaml, {name}: add {add}, take away {take}")  # noqa: T201
    return status


if __name__ == "__main__":
    run_command(main)
