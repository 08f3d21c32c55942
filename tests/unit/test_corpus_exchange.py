"""A corpus opens as muspy.Music and is exported to files that MusPy's own classes open."""

import json
from dataclasses import replace

import muspy
import numpy as np
import pytest

from ostinato.corpus import export
from ostinato.corpus.exchange import MuspyCorpus
from ostinato.corpus.export import FORMATS, export_corpus, unsaid
from ostinato.corpus.store import read_corpus
from ostinato.execution.parallel import Executor
from ostinato.files import MissingInput, sha256_file
from ostinato.music.convert_muspy import from_muspy
from ostinato.music.piece import Annotation, Key, Tempo
from ostinato.music.write import write_midi
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import NormalizeOptions

NAMES = ("a", "b.1", "c (live)", "c #live#", "d", "e", "f", "g")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, chorale):
    folder = tmp_path_factory.mktemp("exchange")
    for seed, name in enumerate(NAMES):
        write_midi(folder / "raw" / f"{name}.mid", replace(chorale(seed), title="Ach & Weh"))
    build_corpus(
        folder / "raw",
        folder / "songs",
        NormalizeOptions(),
        origin={"licence": "CC0", "citation": "nobody", "url": "none"},
        executor=Executor(workers=1),
        workspace=folder / "work",
    )
    return folder / "songs"


@pytest.mark.long
def test_it_iterates_as_often_as_one_likes(corpus):
    entries = read_corpus(corpus)
    opened = MuspyCorpus(corpus)
    assert len(opened) == len(NAMES)
    for _ in range(2):
        found = list(opened)
        assert all(isinstance(music, muspy.Music) for music in found)
        assert [from_muspy(music).id for music in found] == [e.piece.id for e in entries]
    train = [e.piece.id for e in entries if e.split == "train"]
    assert [from_muspy(music).id for music in MuspyCorpus(corpus, "train")] == train
    assert len(MuspyCorpus(corpus, "train")) == len(train)
    with pytest.raises(ValueError, match=r"no split 'dev'; it has .*train"):
        MuspyCorpus(corpus, "dev")
    with pytest.raises(MissingInput, match="normalize@nothing"):
        MuspyCorpus(corpus.parent / "nothing")


def test_muspys_own_dataset_opens_every_split_with_nothing_lost(corpus, tmp_path):
    manifest = export_corpus(corpus, tmp_path / "out", "muspy")
    assert (manifest["unsaid"], manifest["set_aside"]) == ({}, {})
    assert manifest["licence"] == "CC0"
    entries = {entry.piece.id: entry for entry in read_corpus(corpus)}
    total = 0
    for split, number in manifest["pieces"].items():
        dataset = muspy.MusicDataset(tmp_path / "out" / "pieces" / split)
        assert len(dataset) == number
        for music in dataset:
            piece = from_muspy(music)
            assert entries[piece.id].split == split
            assert unsaid(entries[piece.id].piece, piece) == {}
            assert np.array_equal(piece.notes, entries[piece.id].piece.notes)
        total += number
    assert total == len(entries)
    assert len(muspy.MusicDataset(tmp_path / "out" / "pieces")) == total


class MidiFolder(muspy.FolderDataset):
    """As MusPy's own datasets of MIDI files are written."""

    _extension = "mid"

    def read(self, filename):
        return muspy.read_midi(self.root / filename)


def test_muspys_folder_dataset_opens_the_midi_files(corpus, tmp_path):
    manifest = export_corpus(corpus, tmp_path / "out", "midi")
    dataset = MidiFolder(tmp_path / "out" / "pieces")
    pieces = {entry.piece.id: entry.piece for entry in read_corpus(corpus)}
    assert len(dataset) == len(pieces)
    notes = sum(len(track) for music in dataset for track in music.tracks)
    assert notes == sum(len(piece.notes) for piece in pieces.values())
    assert "notes" not in manifest["unsaid"]
    # the name of the file says the source again, where it could be kept
    assert manifest["unsaid"]["source"] == {"items": 2, "pieces": 2}


@pytest.mark.parametrize("written_as", FORMATS)
def test_every_file_is_in_the_manifest_and_a_second_run_gives_the_same_bytes(
    corpus, tmp_path, written_as
):
    out = tmp_path / "out"
    manifest = export_corpus(corpus, out, written_as)
    files = {p.relative_to(out).as_posix() for p in out.rglob("*.*") if p.is_file()}
    assert files == {*manifest["files"], "manifest.json"}
    assert len(manifest["files"]) == len(NAMES)
    assert len({name.lower() for name in manifest["files"]}) == len(NAMES)
    for name, digest in manifest["files"].items():
        assert sha256_file(out / name) == digest
    before = (out / "manifest.json").read_bytes()
    export_corpus(corpus, out, written_as)
    assert (out / "manifest.json").read_bytes() == before
    assert json.loads(before)["written_as"] == written_as


def test_an_unknown_format_is_refused_with_the_valid_ones(corpus, tmp_path):
    with pytest.raises(ValueError, match="format=abc is unknown; valid: muspy, midi, musicxml"):
        export_corpus(corpus, tmp_path / "out", "abc")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_export_is_kept(corpus, tmp_path):
    mine = tmp_path / "mine" / "song.mid"
    mine.parent.mkdir()
    mine.write_text("mine")
    for out in (mine.parent, mine):
        with pytest.raises(ValueError, match="exists and is no export; an export would replace"):
            export_corpus(corpus, out, "midi")
    assert mine.read_text() == "mine"


def test_what_cannot_be_written_is_set_aside_and_an_error_leaves_the_old_folder(
    corpus, tmp_path, monkeypatch
):
    def refusing(path, piece):
        if piece.id.startswith(refused):
            raise ValueError(f"{path} holds a pitch of 300")
        write_midi(path, piece)

    refused = "a"
    kind = replace(FORMATS["midi"], write=refusing)
    monkeypatch.setattr(export, "FORMATS", {"midi": kind})
    manifest = export_corpus(corpus, tmp_path / "out", "midi")
    assert manifest["set_aside"] == {"a": "a.mid holds a pitch of 300"}
    assert sum(manifest["pieces"].values()) == len(NAMES) - 1
    refused = ""
    with pytest.raises(ValueError, match=r"no piece of .* could be written"):
        export_corpus(corpus, tmp_path / "out", "midi")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["pieces"]


def test_each_kind_of_loss_is_counted(chorale):
    piece = replace(
        chorale(1),
        tempos=(Tempo(0, 90.0),),
        keys=(Key(0, 9, "major"),),
        annotations=(Annotation(0, "bar"), Annotation(0, "fermata"), Annotation(9, "fermata")),
        labels={"style": "chorale"},
        title="Ach",
    )
    notes = piece.notes[1:].copy()
    notes["velocity"][:3] = 1
    back = replace(
        piece,
        id="other",
        notes=notes,
        tempos=(Tempo(0, 90.001),),
        keys=(),
        annotations=(Annotation(0, "bar"),),
        labels={},
        title="",
        tracks=(replace(piece.tracks[0], role=""), *piece.tracks[1:]),
    )
    assert unsaid(piece, back) == {
        "notes": 1, "velocities": 3, "roles": 1, "keys": 1, "labels": 1, "title": 1, "id": 1,
        "annotations: fermata": 2,
    }  # fmt: skip
    assert unsaid(piece, piece) == {}


@pytest.mark.slow
def test_the_script_says_what_it_wrote_and_what_is_wrong(corpus, project, run_script):
    (project / "data" / "corpus").mkdir()
    (project / "data" / "corpus" / "bach").symlink_to(corpus)
    code, out, err = run_script("export", "dataset=bach", "format=midi")
    assert code == 0, err
    assert "licence: CC0\nexports/bach/midi: " in out
    assert "not in the files: source (2 in 2 pieces)" in out
    assert len(list((project / "exports/bach/midi/pieces").rglob("*.mid"))) == len(NAMES)
    _, _, err = run_script("export", "format=abc")
    assert err == "error: format='abc' must be muspy, midi or musicxml\n"
    _, _, err = run_script("export", "dataset=pop909")
    assert "make it with: dvc repro normalize@pop909" in err
