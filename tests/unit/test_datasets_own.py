"""A user's own files as a dataset: added, copied, refused after a change, updated."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from ostinato.arguments import prepared
from ostinato.datasets import own
from ostinato.datasets.manifest import read_manifest
from ostinato.datasets.source import download, source_from

FILES = {
    "one.mid": b"1",
    "Deep/er/Two.MID": b"2",
    "score.mxl": b"3",
    "score.musicxml": b"4",
    "tune.abc": b"5",
    "Lied.krn": b"6",
    "song.kar": b"a",
    "Deep/er/Chant.kern": b"b",
    "notes.txt": b"7",
    "sound.rmi": b"c",
    "loop.RMI": b"d",
    "Deep/readme": b"8",
    ".hidden.mid": b"9",
    ".git/x.mid": b"0",
}
MUSIC = sorted(name for name in FILES if name[0] != "." and name[-3:] not in ("txt", "dme"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder, beside it a folder of a user's files."""
    (tmp_path / "project" / "conf" / "dataset").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    for name, content in FILES.items():
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).write_bytes(content)
    return tmp_path / "project"


def added(name="mine", path="../music"):
    said = []
    own.add(name, path, said.append)
    return "\n".join(said)


def bring(name="mine", say=print):
    settings = yaml.safe_load(Path(f"conf/dataset/{name}.yaml").read_text())
    source, out = source_from(name, settings["source"]), Path("data/raw") / name
    return download(name, source, out, say, settings["normalize"])


def with_rules(**rules):
    """Add rules to the dataset's section `normalize`, which is the last of its file."""
    target = Path("conf/dataset/mine.yaml")
    lines = [f"  {key}: {json.dumps(value)}\n" for key, value in rules.items()]
    target.write_text(target.read_text() + "".join(lines))


@pytest.mark.long
@pytest.mark.parametrize("name", ["my songs", "a[1]*", "plain"])
def test_a_folder_of_the_project_is_ignored_by_git_once_it_is_added(project, name):
    def git(*arguments):
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "-q")
    (project / "music" / name).mkdir(parents=True)
    (project / "music" / name / "one.mid").write_bytes(b"1")
    (project / ".gitignore").write_text("*.pyc")
    said = added(path=f"music/{name}")
    assert "is in .gitignore" in said
    assert git("status", "--short", "-uall").splitlines() == [
        "?? .gitignore",
        "?? conf/dataset/mine.yaml",
    ]
    text = (project / ".gitignore").read_text()
    assert text.startswith("*.pyc\n/music/")
    assert ".gitignore" not in added(path=f"music/{name}")
    assert (project / ".gitignore").read_text() == text


@pytest.mark.long
def test_a_folder_outside_of_the_project_changes_no_gitignore(project):
    (project / ".git").mkdir()
    added()
    assert not (project / ".gitignore").exists()


def test_what_is_added_is_what_can_be_read():
    from ostinato.readers.read import SUFFIXES

    assert set(own.KINDS_OF_MUSIC) == set(SUFFIXES)


@pytest.mark.long
def test_a_folder_becomes_a_dataset_of_its_music_alone(project):
    said = added()
    assert "conf/dataset/mine.yaml: 1 ABC, 5 MIDI, 2 MusicXML, 2 kern" in said
    assert "left out: 1 .txt, 1 hidden files, 1 hidden folders, 1 without suffix" in said
    assert "looked at 10 of 10 files, 10 hold no music that can be read" in said
    assert (
        "encodings: {..., mine-tracks: {dataset: mine, form: events, representation: tracks}}"
        in said
    )
    assert "dvc repro encode@mine-tracks" in said
    manifest = bring()
    assert sorted(manifest["files"]) == MUSIC
    assert read_manifest(project / "data" / "raw" / "mine") == manifest
    assert (project / "data" / "raw" / "mine" / "Deep" / "er" / "Two.MID").read_bytes() == b"2"
    assert (project.parent / "music" / "one.mid").stat().st_nlink == 1, "a copy, no link"


@pytest.mark.long
def test_the_file_says_the_same_in_both_dialects_of_yaml(project):
    (project.parent / "music").rename(project.parent / 'été: "a" #1')
    added(path='../été: "a" #1')
    text = Path("conf/dataset/mine.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == YAML(typ="safe").load(text)
    assert yaml.safe_load(text)["source"]["path"] == '../été: "a" #1'
    bring()


@pytest.mark.long
def test_an_absolute_path_is_said_to_be_of_this_machine(project):
    assert "works on this machine only" in added(
        "here", str(project.parent / "music" / "Deep" / "..")
    )
    text = Path("conf/dataset/here.yaml").read_text()
    assert yaml.safe_load(text)["source"]["path"] == str(project.parent / "music")
    assert "The path is absolute" in text
    bring("here")


@pytest.mark.long
def test_a_change_is_refused_with_its_remedy_and_updated(project):
    added()
    bring()
    before = Path("conf/dataset/mine.yaml").read_text()
    Path("conf/dataset/mine.yaml").write_text(before.replace("not stated yet", "CC0"))
    music = project.parent / "music"
    (music / "one.mid").write_bytes(b"changed")
    (music / "tune.abc").rename(music / "song.abc")
    with pytest.raises(ValueError, match=r"python pipelines/download\.py update=mine$") as refused:
        bring()
    changes = r"1 new (song.abc), 1 missing (tune.abc), 1 changed (one.mid)"
    assert changes in str(refused.value)
    assert "the folder ../music has changed since" in str(refused.value)
    said = []
    own.update("mine", said.append)
    assert changes in "\n".join(said)
    assert "CC0" in Path("conf/dataset/mine.yaml").read_text(), "what the user wrote stays"
    assert bring()["files"]["song.abc"]
    own.update("mine", said.append)
    assert said[-1].startswith("conf/dataset/mine.yaml: nothing has changed")


@pytest.mark.long
def test_what_is_no_music_may_change(project):
    added()
    first = bring()
    (project.parent / "music" / "notes.txt").unlink()
    (project.parent / "music" / "cover.jpg").write_bytes(b"")
    assert bring() == first


LABELS = {"table": "tables/labels.csv", "key": "file", "columns": {"style": "style"}}
BEATS = {"table": "../beats/{stem}.txt", "chords": "{stem}.chords"}


@pytest.fixture
def labelled(project, monkeypatch):
    """A dataset with rules for tables in its folder; what `add` compares is left out."""
    monkeypatch.setattr(own, "_recommended", lambda _: ["tracks", "events"])
    music = project.parent / "music"
    added()
    bring()
    (music / "tables").mkdir()
    (music / "tables" / "labels.csv").write_text("file,style\none.mid,reel\n")
    (music / "works.db").write_bytes(b"db")
    (music / "Deep" / "beats").mkdir()
    (music / "Deep" / "beats" / "Two.txt").write_text("0 1\n1 0\n")
    (music / "Deep" / "er" / "Two.chords").write_text("0 1 C:maj\n")
    database = {"database": "works.db", "query": "select 1", "columns": {}}
    elsewhere = LABELS | {"table": str(project.parent / "elsewhere.csv")}
    with_rules(facts=[LABELS, database, elsewhere], beats=BEATS, files=["Deep/er/*"])
    return music


TABLES = {"tables/labels.csv", "works.db", "Deep/beats/Two.txt", "Deep/er/Two.chords"}


@pytest.mark.long
def test_tables_that_the_rules_name_are_copied_and_are_part_of_the_digest(project, labelled):
    with pytest.raises(ValueError, match=r"normalize names other tables .*update=mine$") as refused:
        bring()
    assert "4 new (Deep/beats/Two.txt, " in str(refused.value)
    said = []
    own.update("mine", said.append)
    assert said[0].endswith("1 ABC, 5 MIDI, 2 MusicXML, 2 kern, 4 tables")
    manifest = bring(say=said.append)
    assert set(manifest["files"]) == {*MUSIC, *TABLES}
    assert any("found: 1 ABC, 5 MIDI, 2 MusicXML, 2 kern, 4 tables" in line for line in said)
    assert "  left out: 1 .txt, 1 hidden files, 1 hidden folders, 1 without suffix" in said
    assert "normalize rejects their music" in said[-1]
    assert str(labelled / "Deep" / "beats" / "Chant.txt") in said[-1]
    raw = project / "data" / "raw" / "mine"
    assert read_manifest(raw) == manifest
    for name in TABLES:
        assert (raw / name).read_bytes() == (labelled / name).read_bytes()
    (labelled / "cover.csv").write_text("no rule names it")
    assert bring() == manifest


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(TABLES))
def test_an_edited_table_is_refused_and_updated_as_edited_music_is(project, labelled, name):
    own.update("mine")
    bring()
    (labelled / name).write_bytes(b"edited")
    with pytest.raises(ValueError, match=rf"1 changed \({name}\)\n.*update=mine$"):
        bring()
    own.update("mine")
    bring()
    assert (project / "data" / "raw" / "mine" / name).read_bytes() == b"edited"


@pytest.mark.long
@pytest.mark.parametrize("name", ["tables/labels.csv", "works.db"])
def test_a_table_that_is_named_and_not_there_is_refused_with_its_full_path(labelled, name):
    (labelled / name).unlink()
    for doing in (bring, lambda: own.update("mine")):
        with pytest.raises(ValueError, match=r"normalize\.facts names") as refused:
            doing()
        assert f"{labelled / name}, but there is no such file; put it there" in str(refused.value)
        assert "correct its name in conf/dataset/mine.yaml" in str(refused.value)


@pytest.mark.long
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"beats": {"table": "{stem}_beats.txt"}}, "beats.table names .*/Deep/er/Chant_beats.txt,"),
        ({"beats": {"table": "/{stem}", "chords": "x"}}, "beats.chords names .*/Deep/er/x, but"),
        ({"beats": {"table": "{name}.txt"}}, r"beats.table: .* only \{stem\} can stand in braces"),
        ({"facts": [LABELS | {"table": "../labels.csv"}]}, "lies outside .* give its whole path"),
    ],
)
def test_rules_that_name_no_table_of_the_folder_are_refused(project, monkeypatch, rules, words):
    monkeypatch.setattr(own, "_recommended", lambda _: ["tracks", "events"])
    added()
    with_rules(**rules)
    with pytest.raises(ValueError, match=words):
        bring()


@pytest.mark.long
def test_a_database_whose_changes_are_not_written_yet_is_refused(labelled):
    (labelled / "works.db-wal").write_bytes(b"changes")
    with pytest.raises(ValueError, match=r"works\.db-wal holds changes"):
        own.update("mine")


@pytest.mark.long
def test_a_folder_without_rules_for_tables_keeps_its_digest(project, monkeypatch):
    monkeypatch.setattr(own, "_recommended", lambda _: ["tracks", "events"])
    added()
    known = yaml.safe_load(Path("conf/dataset/mine.yaml").read_text())["source"]["digest"]
    assert known == (
        "e8d324885a161e42dac590506fff5dca8aa387fc14cf3aced06d7557aa2eaa51"
    )  # from before tables were copied
    (project.parent / "music" / "labels.csv").write_text("file,style\n")
    assert bring()["digest"] == known
    with_rules(facts=[{"set": {"style": "reel"}}, {"match": "(?P<style>e)"}], beats=None)
    assert bring()["digest"] == known


@pytest.mark.long
def test_adding_again_changes_nothing_and_another_folder_is_refused(project):
    added()
    text = Path("conf/dataset/mine.yaml").read_text()
    added()
    assert Path("conf/dataset/mine.yaml").read_text() == text
    with pytest.raises(ValueError, match=r"conf/dataset/mine\.yaml exists already.* update=mine"):
        added(path="../music/Deep")
    assert Path("conf/dataset/mine.yaml").read_text() == text
    Path("conf/dataset/mine.yaml").write_text("source: {kind: archives}\n")
    with pytest.raises(ValueError, match=r"choose another name$"):  # nothing to update
        added()


@pytest.mark.parametrize(
    "name", ["Mine", "my-music", "../mine", "", "é", "a b", "a\n", "null", "1", "1e5", "0x1f", "on"]
)
def test_a_name_that_a_file_or_yaml_could_not_bear_is_refused(project, name):
    with pytest.raises(ValueError, match=r"must consist of a-z, 0-9 and _"):
        added(name)
    assert not list(Path("conf/dataset").iterdir())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../nowhere", "nowhere is not a folder"),
        ("../music/one.mid", "one.mid is not a folder"),
        ("../music/.git/empty", "no music in .*looked for .mid"),
        ("..", "overlaps with data/raw/mine"),
        (".", "overlaps with data/raw/mine"),
        ("data/raw/mine/x", "overlaps with data/raw/mine"),
        ("../music/${HOME}", "rename it"),
        (None, "needs both: add=<name> path=<folder>"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(project, path, message):
    for folder in ("data/raw/mine/x", "../music/.git/empty"):
        Path(folder).mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        added(path=path)
    assert not list(Path("conf/dataset").iterdir())


def test_elsewhere_than_in_a_project_nothing_is_written(project, monkeypatch):
    monkeypatch.chdir(project.parent)
    with pytest.raises(ValueError, match="run this in the project's folder"):
        added(path="music")


@pytest.mark.long
def test_links_to_folders_are_not_followed_and_names_are_text(project):
    music = project.parent / "music"
    (music / "loop").symlink_to(music)
    (music / "linked.mid").symlink_to(music / "one.mid")
    Path(os.fsdecode(os.fsencode(music) + b"/\x82t\x82.mid")).write_bytes(b"dos")
    assert "1 linked folders" in added()
    files = bring()["files"]
    assert sorted(files) == sorted([*MUSIC, "linked.mid", "été.mid"])
    assert not (project / "data" / "raw" / "mine" / "linked.mid").is_symlink()


def test_only_a_dataset_of_a_folder_is_updated(project):
    with pytest.raises(FileNotFoundError, match="add=mine path=<folder>"):
        own.update("mine")
    Path("conf/dataset/mine.yaml").write_text("source: {kind: music21}")
    with pytest.raises(ValueError, match="of kind 'music21'; only a folder is updated"):
        own.update("mine")


@pytest.mark.parametrize(
    "name", ["a (1), b", "it's", "[x]", "a=b", "null", "12", "back\\", "a\\'b"]
)
def test_a_folder_may_have_any_name(name):
    """Quoted for Hydra, whose own parser must read it back."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(prepared([f"path={name}"])[0])
    assert override.value() == name
    assert prepared(['path="a"']) == ['path="a"']
    assert prepared(["dataset=it's"]) == ["dataset=it's"]


def test_the_script_adds_and_updates(project, run_script, tmp_path):
    """Through Hydra, as a user types it."""
    rc, out, err = run_script("download", "add=typed", "path=../music")
    assert (rc, err) == (0, "")
    assert "dvc repro encode@typed-tracks" in out
    (tmp_path / "music" / "one.mid").unlink()
    assert run_script("download", "update=typed")[0] == 0
    rc, _, err = run_script("download", "add=typed")
    assert rc == 1
    assert err.startswith("error: a dataset of your own files needs both")
