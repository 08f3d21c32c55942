"""Datasets: verified contents or nothing, and a manifest that names what has changed since."""

import re
from dataclasses import replace

import pytest

from ostinato.datasets.manifest import read_manifest
from ostinato.datasets.music21_corpus import stated_origin
from ostinato.datasets.source import download, source_from
from ostinato.execution.files import DamagedFile, MissingInput

SETTINGS = {
    "kind": "music21",
    "include": ["bach/bwv1.6.mxl", "bach/bwv10.7.mxl"],
    "exclude": {"bach/bwv10.7.mxl": "a reason"},
    "digest": "0" * 64,
    "licence": "none",
    "citation": "none",
    "url": "none",
}


@pytest.fixture
def bach(tmp_path):
    """One file of the corpus inside the installed package."""
    source = source_from("bach", SETTINGS)
    with pytest.raises(ValueError, match="promises 0000") as refused:
        download("bach", source, tmp_path / "bach")
    assert list(tmp_path.iterdir()) == [], "a download that is not what was promised left files"
    digest = re.search("digest ([0-9a-f]{64})", str(refused.value)).group(1)
    download("bach", replace(source, digest=digest), tmp_path / "bach")
    return tmp_path / "bach"


def test_a_download_says_of_every_file_where_it_is_from(bach):
    manifest = read_manifest(bach)
    assert list(manifest["files"]) == ["bwv1.6.mxl"]
    assert manifest["files"]["bwv1.6.mxl"]["path"] == "music21/corpus/bach/bwv1.6.mxl"
    assert manifest["left_out"] == {"bach/bwv10.7.mxl": "a reason"}
    assert str(bach) not in (bach / "manifest.json").read_text()


def test_a_changed_or_missing_file_is_named_with_the_command_that_brings_it(bach, flip_byte):
    flip_byte(bach / "bwv1.6.mxl")
    with pytest.raises(DamagedFile, match=r"bwv1\.6\.mxl is damaged.*download@bach"):
        read_manifest(bach)
    (bach / "bwv1.6.mxl").unlink()
    with pytest.raises(MissingInput, match=r"bwv1\.6\.mxl is missing.*download@bach"):
        read_manifest(bach)


def test_what_a_source_does_not_know_or_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"source has no mirror; known: kind, include"):
        source_from("bach", SETTINGS | {"mirror": "x"})
    with pytest.raises(ValueError, match="digest"):
        source_from("bach", {key: value for key, value in SETTINGS.items() if key != "digest"})
    unknown = source_from("bach", SETTINGS | {"kind": "tape"})
    with pytest.raises(ValueError, match="unknown source kind 'tape'; known: music21"):
        download("bach", unknown, tmp_path / "bach")
    nothing = source_from("bach", SETTINGS | {"include": ["bach/*.tape"]})
    with pytest.raises(ValueError, match=r"no file matches bach/\*\.tape"):
        download("bach", nothing, tmp_path / "bach")
    assert list(tmp_path.iterdir()) == []


def test_credits_and_rights_are_repeated_and_a_silent_or_broken_file_says_nothing(tmp_path, score):
    head = (
        "<identification><encoding><software>Finale</software></encoding>"
        "<rights>(c)  nobody</rights></identification>"
        "<credit><credit-words>Encoded by A</credit-words></credit>"
        "<credit><credit-words>Choral</credit-words></credit>"
    )
    path = tmp_path / "a.xml"
    path.write_text(score([("Alto", "x", [""])], head))
    assert stated_origin(path) == {"encoding": "Encoded by A; Finale", "rights": "(c) nobody"}
    path.write_text("<score")
    assert stated_origin(path) == {"encoding": "", "rights": ""}
