"""A user's own files as a dataset: a folder of MIDI, MusicXML, ABC and kern becomes
conf/dataset/<name>.yaml.

The folder is read in place and never written to. Its digest covers the music, and the tables that
the dataset's own rules name, so that another text file changes nothing; other files are counted by
their suffix.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ostinato.datasets.contents import config_file, difference, earlier_download
from ostinato.datasets.kinds import FolderSource
from ostinato.datasets.own_tables import Tables, find_tables, wanted
from ostinato.datasets.unpack import decoded
from ostinato.datasets.web import SAY, Say
from ostinato.files import require, sha256_file, sha256_json, write_text

KINDS_OF_MUSIC = {  # a test compares them with readers/read.py, which is slow to import
    ".mid": "MIDI",
    ".midi": "MIDI",
    ".kar": "MIDI",
    ".rmi": "MIDI",
    ".smf": "MIDI",
    ".musicxml": "MusicXML",
    ".mxl": "MusicXML",
    ".xml": "MusicXML",
    ".abc": "ABC",
    ".krn": "kern",
    ".kern": "kern",
}
NAME = re.compile(r"[a-z0-9_]+")
# words that YAML or the command line would not read as text
NO_NAMES = re.compile(
    r"null|true|false|yes|no|on|off|y|n|nan|inf|[0-9_]+(e[0-9_]+)?|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+"
)
ABSOLUTE = "The path is absolute: change it on another machine."
RELATIVE = "The path is relative to the project's folder."
TEMPLATE = """\
# Your own files. {kept}
# After a change in it: python pipelines/download.py update={name}
source:
  kind: folder
  path: {path}
  digest: "{digest}"
  licence: "not stated yet; write here what others may do with these files"
  citation: "not stated yet; write here who made them"
  url: ""
normalize:
  ticks_per_quarter: 480
  pedal: keep # or fold: into the durations, or ignore
  split: {{train: 0.8, valid: 0.1, test: 0.1, seed: 1}} # of melodies, never of files
  drop_copies: false # true leaves out near copies of a piece
  limits: {{seconds: 60, megabytes: 4096}} # for each file
"""


@dataclass(frozen=True)
class Contents:
    """Contents of a folder. music: files by name in the dataset; left_out: counts by reason;
    tables: those that the dataset's rules name.
    """

    music: Mapping[str, Path]
    left_out: Mapping[str, int]
    tables: Tables = field(default_factory=Tables)

    @property
    def files(self) -> dict[str, Path]:
        """Music and tables, which are copied and make up the digest."""
        return {**self.music, **self.tables.files}

    def counts(self) -> str:
        """Number of files of each kind of music, and of tables, as text."""
        kinds = Counter(KINDS_OF_MUSIC[Path(name).suffix.lower()] for name in self.music)
        words = [f"{number} {kind}" for kind, number in sorted(kinds.items())]
        if number := len(self.tables.files):
            words.append(f"{number} table{'s' * (number > 1)}")
        return ", ".join(words)


def add(name: object, path: object, say: Say = SAY) -> None:
    """Write conf/dataset/<name>.yaml for a folder, and print the next steps.

    Raises:
        ValueError: the name or folder cannot be used, or the name is taken.
    """
    if name is None or path is None:
        raise ValueError("a dataset of your own files needs both: add=<name> path=<folder>")
    name, given = str(name), Path(str(path)).expanduser()
    if not NAME.fullmatch(name) or NO_NAMES.fullmatch(name):
        raise ValueError(
            f"add: {name!r} must consist of a-z, 0-9 and _, with a letter, and not be a YAML word"
        )
    target = config_file(name)
    if not target.parent.is_dir():
        raise ValueError(f"there is no {target.parent} here; run this in the project's folder")
    taken = target.exists() and _section(target, "source").get("kind")
    if taken and taken != "folder":
        raise ValueError(f"{target} exists already, of other files; choose another name")
    stored = _stored(given)
    contents = read_folder(name, given)
    text = TEMPLATE.format(
        name=name,
        kept=ABSOLUTE if given.is_absolute() else RELATIVE,
        path=json.dumps(stored, ensure_ascii=False),
        digest=sha256_json(_checksums(contents)),
    )
    if target.exists() and target.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"{target} exists already with other contents; choose another name, or, if its folder "
            f"has changed: python pipelines/download.py update={name}"
        )
    write_text(target, text)
    say(f"{target}: {contents.counts()}")
    _say_left_out(contents, say)
    if given.is_absolute():
        say(f"  its path is absolute, so the file works on this machine only: {stored}")
    _keep_out_of_git(given, say)
    _say_next(name, contents, say)


def _section(target: Path, name: str) -> dict[str, Any]:
    """A section of a dataset's file."""
    return (yaml.safe_load(target.read_text(encoding="utf-8")) or {}).get(name) or {}


def _keep_out_of_git(folder: Path, say: Say) -> None:
    """Add a folder of this project to .gitignore: its files may not be anybody's to publish."""
    place = folder.resolve()
    if not Path(".git").exists() or not place.is_relative_to(Path.cwd()) or place == Path.cwd():
        return
    asked = subprocess.run(["git", "check-ignore", "-q", str(place)], check=False)
    if asked.returncode != 1:  # ignored already, or git cannot say
        return
    line = "/" + re.sub(r"([\\*?\[\] ])", r"\\\1", place.relative_to(Path.cwd()).as_posix()) + "/"
    ignored = Path(".gitignore")
    text = ignored.read_text(encoding="utf-8") if ignored.exists() else ""
    write_text(ignored, text + ("" if text.endswith("\n") or not text else "\n") + line + "\n")
    say(f"  git ignores its files: {line} is in .gitignore")


def _stored(folder: Path) -> str:
    path = str(folder.resolve()) if folder.is_absolute() else folder.as_posix()
    if "${" in path or not path.isprintable():
        raise ValueError(f"path: {path!r} holds '${{' or characters that do not print; rename it")
    return path


def update(name: str, say: Say = SAY) -> None:
    """Write the digest of a folder's present contents into its dataset's file."""
    target = require(config_file(name), f"python pipelines/download.py add={name} path=<folder>")
    text = target.read_text(encoding="utf-8")
    source = _section(target, "source")
    if source.get("kind") != "folder":
        raise ValueError(f"{target} is of kind {source.get('kind')!r}; only a folder is updated")
    old = str(source.get("digest"))
    folder = Path(str(source.get("path"))).expanduser()
    contents = read_folder(name, folder, _section(target, "normalize"))
    found = _checksums(contents)
    digest = sha256_json(found)
    if digest == old:
        say(f"{target}: nothing has changed ({contents.counts()})")
        return
    line = re.compile(r"^( *digest: *)\S+(.*)$", re.MULTILINE)
    if len(line.findall(text)) != 1:
        raise ValueError(
            f"{target} does not have exactly one line `digest:`; write it by hand: {digest}"
        )
    write_text(target, line.sub(rf'\g<1>"{digest}"\g<2>', text))
    before = earlier_download(Path("data/raw") / name, old)
    say(f"{target}: {contents.counts()}")
    if before is not None:
        say(f"  compared with the last download: {difference(before, found)}")
    _say_left_out(contents, say)
    say(f"next: dvc repro download@{name}, or dvc repro for all stages that use it")


def copy_files(
    name: str,
    source: FolderSource,
    out: Path,
    say: Say = SAY,
    normalize: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, str]]:
    """Copy a folder's music and the tables that `normalize` names; the manifest gets names only.

    Raises:
        ValueError: the folder is missing or holds no music, or a table is not in it.
    """
    contents = read_folder(name, Path(source.path).expanduser(), normalize)
    for file, path in contents.files.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / file)
    say(f"  found: {contents.counts()}")
    _say_left_out(contents, say)
    return {file: {} for file in contents.files}


def read_folder(name: str, folder: Path, normalize: Mapping[str, Any] | None = None) -> Contents:
    """The music in a folder and its subfolders, with file names decoded to text, and the tables
    that the dataset's section `normalize` names.

    Hidden files and folders are skipped, links to folders are not followed.

    Raises:
        ValueError: not a folder, no music in it, a part of it is not readable, or a table is not in
            it.
    """
    if not folder.is_dir():
        raise ValueError(f"dataset {name}: {folder} is not a folder; correct path or restore it")
    _refuse_own_output(name, folder)
    music: dict[str, Path] = {}
    others: dict[Path, str] = {}
    left_out: Counter[str] = Counter()
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        for inner in folders:
            if reason := _skipped(Path(place, inner)):
                left_out[f"{reason} folders"] += 1
        folders[:] = sorted(f for f in folders if not _skipped(Path(place, f)))
        for path in (Path(place, file) for file in sorted(files)):
            if path.name.startswith("."):
                others[path] = "hidden files"
            elif path.suffix.lower() not in KINDS_OF_MUSIC or not path.is_file():
                others[path] = path.suffix.lower() or "without suffix"
            else:
                music[decoded(os.fsencode(path.relative_to(folder)))] = path
    if not music:
        raise ValueError(
            f"dataset {name}: no music in {folder}; looked for {', '.join(KINDS_OF_MUSIC)}"
        )
    music, rules = dict(sorted(music.items())), normalize or {}
    tables = find_tables(name, folder, wanted(music, rules), rules)
    for path in tables.files.values():
        others.pop(path, None)
    left_out.update(others.values())
    return Contents(music, left_out, tables)


def _skipped(folder: Path) -> str:
    if folder.name.startswith("."):
        return "hidden"
    return "linked" if folder.is_symlink() else ""


def _unreadable(error: OSError) -> None:
    raise ValueError(f"{error.filename} cannot be read ({error.strerror})") from error


def _refuse_own_output(name: str, folder: Path) -> None:
    """Refuse a folder that overlaps with its own download folder, which is replaced."""
    source, out = folder.resolve(), (Path("data/raw") / name).resolve()
    if source in (out, *out.parents) or out in source.parents:
        raise ValueError(
            f"dataset {name}: {folder} overlaps with data/raw/{name}, the folder of its copy; "
            "move the files to a folder of their own"
        )


def _checksums(contents: Contents) -> dict[str, str]:
    return {name: sha256_file(path) for name, path in contents.files.items()}


def _say_left_out(contents: Contents, say: Say) -> None:
    counts = [f"{number} {what}" for what, number in sorted(contents.left_out.items()) if number]
    if counts:
        say(f"  left out: {', '.join(counts)}")
    if missing := contents.tables.missing:
        say(
            f"  tables of beats or chords that are not there: {len(missing)}, the first is "
            f"{missing[0].resolve()}; normalize rejects their music"
        )


def _say_next(name: str, contents: Contents, say: Say) -> None:
    """The lines to write next, with the representation that keeps most notes of the folder."""
    known = config_file(name).parent.parent / "representation"
    best, form, *lines = _recommended([known, *contents.music.values()])
    for line in lines:
        say(f"  {line}")
    say(f"next: state the licence and citation in {config_file(name)}, and write into params.yaml")
    say(f"  datasets: [..., {name}]")
    chosen = f"{{dataset: {name}, form: {form}, representation: {best}}}"
    say(f"  encodings: {{..., {name}-{best}: {chosen}}}")
    say(f"then: dvc repro encode@{name}-{best}")


def _recommended(paths: list[Path]) -> list[str]:
    """What `datasets/recommend.py` prints. It is run and not imported: else the stage that
    downloads would depend on all readers.
    """
    script = "from ostinato.datasets.recommend import main; main()"
    wanted = b"\0".join(os.fsencode(path) for path in paths)
    found = subprocess.run(
        [sys.executable, "-c", script], input=wanted, capture_output=True, check=False
    )
    if found.returncode:
        words = (found.stderr.decode(errors="replace").splitlines() or ["it was killed"])[-1]
        return [
            "tracks",
            "events",
            f"representations could not be compared on these files: {words}",
        ]
    return found.stdout.decode().splitlines()
