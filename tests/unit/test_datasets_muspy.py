"""MusPy's dataset classes as sources, without a network: from a folder, or from the mirror."""

import re
import zipfile
from dataclasses import replace

import muspy
import numpy as np
import pytest

from ostinato.corpus.store import read_corpus
from ostinato.datasets.manifest import read_manifest
from ostinato.datasets.source import download, source_from
from ostinato.execution.parallel import Executor
from ostinato.files import sha256_file
from ostinato.music.convert_muspy import to_muspy
from ostinato.normalization.build import build_corpus
from ostinato.normalization.normalize import options_from

TUNE = "X:{n}\nT:{title}\nM:4/4\nL:1/4\nK:G\nG A B c|d e f g|\n"


def settings(class_name, **others):
    stated = {"licence": "CC0", "citation": "nobody", "url": "none", "digest": ""}
    return {"kind": "muspy", "class": class_name} | stated | others


def downloaded(name, wanted, out):
    """Downloads, taking the digest that the refusal states, as a user does."""
    source = source_from(name, wanted)
    with pytest.raises(ValueError, match=r"contents have digest") as refused:
        download(name, source, out / name)
    digest = re.search("digest ([0-9a-f]{64})", str(refused.value)).group(1)
    download(name, replace(source, digest=digest), out / name)
    return out / name


def corpus_of(raw, out, normalize):
    build_corpus(
        raw,
        out,
        options_from(raw.name, normalize),
        origin={"licence": "CC0", "citation": "nobody", "url": "none"},
        executor=Executor(workers=1),
        workspace=out.parent / "work",
    )
    return read_corpus(out)


@pytest.fixture
def music_folder(tmp_path, chorale):
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    for seed in range(4):
        muspy.save_json(folder / "deep" / f"{seed}.json", to_muspy(chorale(seed)))
    (folder / "broken.json").write_text('{"resolution": 4')
    return folder


def test_a_folder_of_music_becomes_a_corpus_with_every_note_and_role(
    tmp_path, music_folder, chorale
):
    wanted = settings("MusicDataset", root=str(music_folder))
    raw = downloaded("mine", wanted, tmp_path / "raw")
    manifest = read_manifest(raw)
    assert list(manifest["files"]) == [*(f"deep/{n}.json.json" for n in range(4)), "unreadable.txt"]
    assert manifest["files"]["deep/0.json.json"]["from"] == "deep/0.json"
    assert "broken.json: JSONDecodeError" in (raw / "unreadable.txt").read_text()
    assert sorted(p.name for p in music_folder.iterdir()) == ["broken.json", "deep"]
    entries = corpus_of(
        raw, tmp_path / "corpus", {"reader": "muspy", "files": ["*.json"], "ticks_per_quarter": 480}
    )
    assert len(entries) == 4
    for seed, entry in enumerate(entries):
        assert np.array_equal(entry.piece.notes, chorale(seed).notes)
        assert entry.piece.tracks == chorale(seed).tracks
        assert entry.piece.keys == chorale(seed).keys


@pytest.fixture
def nottingham(tmp_path, monkeypatch):
    """MusPy's NottinghamDatabase, with an archive of three tunes in the mirror folder."""
    archive = tmp_path / "mirror" / "folk" / "nottingham_database.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        tunes = "".join("\n" + TUNE.format(n=n, title=f"Reel {n}") for n in (1, 2, 3))
        file.writestr("nottingham_database/reels.abc", tunes + "\n")
    stated = muspy.NottinghamDatabase._sources["nmd"] | {
        "sha256": sha256_file(archive), "md5": None, "size": archive.stat().st_size,
    }  # fmt: skip
    monkeypatch.setattr(muspy.NottinghamDatabase, "_sources", {"nmd": stated})
    monkeypatch.setenv("OSTINATO_MIRROR", str(tmp_path / "mirror"))
    return archive


def test_a_remote_class_gives_the_music_that_muspy_reads(tmp_path, nottingham):
    raw = downloaded("folk", settings("NottinghamDatabase"), tmp_path / "raw")
    files = list(read_manifest(raw)["files"])
    assert len(files) == 3
    assert all(re.fullmatch(r"nottingham_database/reels\.abc@\d+\.json", file) for file in files)
    entries = corpus_of(raw, tmp_path / "corpus", {"reader": "muspy", "files": ["*.json"]})
    assert [entry.piece.title for entry in entries] == ["Reel 1", "Reel 2", "Reel 3"]
    assert entries[0].piece.notes["pitch"].tolist() == [67, 69, 71, 72, 74, 76, 78, 79]


def test_its_files_can_be_had_for_our_own_readers(tmp_path, nottingham):
    raw = downloaded("folk", settings("NottinghamDatabase", take="files"), tmp_path / "raw")
    assert list(read_manifest(raw)["files"]) == ["nottingham_database/reels.abc"]
    assert len(corpus_of(raw, tmp_path / "corpus", {})) >= 1


def test_bytes_that_muspy_does_not_promise_are_refused(tmp_path, nottingham, monkeypatch):
    stated = muspy.NottinghamDatabase._sources["nmd"] | {"sha256": "0" * 64}
    monkeypatch.setattr(muspy.NottinghamDatabase, "_sources", {"nmd": stated})
    monkeypatch.setattr("ostinato.datasets.fetch.fetch", refuse_the_network)
    source = source_from("folk", settings("NottinghamDatabase"))
    with pytest.raises(ValueError, match=r"no copy of nottingham_database\.zip is available"):
        download("folk", source, tmp_path / "folk")
    assert not (tmp_path / "folk").exists()


def refuse_the_network(*_):
    from ostinato.datasets.web import FetchError

    raise FetchError("no network here")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (settings("NottinghamDb"), "no dataset class 'NottinghamDb'; it has: .*NottinghamDatabase"),
        (settings("MusicDataset"), "MusicDataset downloads nothing; say where .* root: <folder>"),
        (settings("MusicDataset", root="nowhere"), "root: nowhere is no folder"),
        (settings("Music21Dataset", root="."), "Music21Dataset takes no root"),
        (settings("Music21Dataset", arguments={"composer": "bach"}), "getComposer"),
        (settings("Music21Dataset", arguments={"composers": "x"}), "unexpected keyword"),
        (settings("MusicDataset", licence=" "), "licence: say what others may do"),
        (settings("MusicDataset", digest=None), "kind muspy needs a digest"),
        (settings("MusicDataset", take="all"), "take: all is unknown; use one of music, files"),
        (settings("MusicDataset", klass="x"), "source has no setting klass .*class, take"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, wanted, words):
    with pytest.raises(ValueError, match=words):
        download("folk", source_from("folk", wanted), tmp_path / "folk")
    assert list(tmp_path.iterdir()) == []
