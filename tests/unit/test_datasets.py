"""Datasets: verified contents or nothing, and a manifest that names what has changed since."""

import re
from dataclasses import replace

import pytest

from ostinato.datasets.manifest import read_manifest
from ostinato.datasets.music21_corpus import stated_origin
from ostinato.datasets.source import download, source_from
from ostinato.files import DamagedFile, MissingInput, sha256_file

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
    with pytest.raises(ValueError, match="expects 0000") as refused:
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
    known = "its settings are kind, digest, licence, citation, url, include, exclude"
    with pytest.raises(ValueError, match=f"dataset bach: source has no setting mirror; {known}"):
        source_from("bach", SETTINGS | {"mirror": "x"})
    lacking = {key: value for key, value in SETTINGS.items() if key != "digest"}
    with pytest.raises(ValueError, match=f"dataset bach: source lacks digest; {known}"):
        source_from("bach", lacking)
    with pytest.raises(ValueError, match="unknown source kind 'tape'; known: music21, archives, f"):
        source_from("bach", SETTINGS | {"kind": "tape"})
    nothing = source_from("bach", SETTINGS | {"include": ["bach/bwv1.6.mxl", "bach/*.tape"]})
    with pytest.raises(ValueError, match=r"no file matches bach/\*\.tape"):
        download("bach", nothing, tmp_path / "bach")
    assert list(tmp_path.iterdir()) == []


COPY = {"url": "https://example.org/set.zip", "sha256": "0" * 64}
ARCHIVES = {
    "kind": "archives",
    "digest": None,
    "licence": "none",
    "citation": "none",
    "url": "none",
    "parts": [{"copies": [COPY]}],
}


def part(copy=None, **settings):
    return ARCHIVES | {"parts": [{"copies": [COPY | (copy or {})]} | settings]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            part(folder="x"),
            r"source\.parts\[0\] has no setting folder; .* copies, into",
        ),
        (
            part({"hash": "x"}),
            r"copies\[0\] has no setting hash; .* are mirror, url, sha256",
        ),
        (part(include="*.mid"), r"parts\[0\]\.include='\*\.mid' must be a list"),
        (part(include=[]), r"include: \[\] selects nothing"),
        (part(exclude={"*.txt": 3}), "exclude=.* must be a mapping or null"),
        (part(into="../x"), r"into: \.\./x must be a relative path"),
        (part({"sha256": "abc"}), "sha256 'abc' must be 64 digits"),
        (part({"sha256": 64 * "A"}), "must be 64 digits of 0-9a-f"),
        (part({"sha256": None, "md5": 5}), "md5=5 must be a text or null"),
        (part({"strip": -1}), "strip: -1 must be"),
        (part({"strip": True}), "strip=True must be a whole number"),
        (part({"mirror": "a/b.zip"}), "either a mirror .* or a url"),
        (part({"url": None, "mirror": "/a/b.zip"}), "mirror: /a/b.zip must be a relative path"),
        (part({"url": "ftp://example.org/a"}), "must begin with https"),
        (part({"url": "https://example.org/"}), "does not end with a file name; add `as: <name>`"),
        (part({"as": "a/b"}), "does not end with a file name"),
        (part({"sha256": None}), "digest: null needs a sha256 or md5 of every copy"),
        (ARCHIVES | {"limit_mb": 0}, "limit_mb: 0 must be above 0"),
        (ARCHIVES | {"parts": []}, r"parts: \[\] is empty"),
        (ARCHIVES | {"parts": ["x"]}, r"parts\[0\] must be a mapping of keys to values, not 'x'"),
        (ARCHIVES | {"parts": [{"copies": []}]}, "at least one copy"),
        (ARCHIVES | {"digest": "12"}, "digest '12' must be 64 digits"),
        (
            ARCHIVES | {"kind": "folder", "path": "x", "parts": []},
            "source has no setting parts; ",
        ),
        (SETTINGS | {"digest": None}, "kind music21 needs a digest"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused_when_it_is_read(settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        source_from("tiny", settings)
    assert str(refused.value).startswith("dataset tiny: source")


def test_a_copy_is_named_by_its_url_or_as_said():
    url = "https://example.org/records/5/files/A%20set.tar.gz?download=1"
    (copy,) = source_from("tiny", part({"url": url})).parts[0].copies
    assert (copy.name, copy.is_archive) == ("A set.tar.gz", True)
    (copy,) = source_from("tiny", part({"url": url, "as": "set.db"})).parts[0].copies
    assert (copy.name, copy.is_archive) == ("set.db", False)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("OSTINATO_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


def test_plain_files_keep_their_names_and_parts_their_folders(tmp_path, mirror):
    (mirror / "info.csv").write_text("a")
    copies = [{"mirror": "info.csv"}]
    parts = [{"copies": copies}, {"into": "x/y", "copies": [copies[0] | {"as": "other.csv"}]}]
    source = source_from("tiny", ARCHIVES | {"parts": parts, "digest": ""})
    with pytest.raises(
        ValueError, match=r"digest ([0-9a-f]{64}) \(2 files\), conf\S+ expects none"
    ):
        download("tiny", source, tmp_path / "out")
    parts = [{"copies": [{"mirror": "info.csv", "sha256": sha256_file(mirror / "info.csv")}]}]
    said = []
    source = source_from("tiny", ARCHIVES | {"parts": parts})
    manifest = download("tiny", source, tmp_path / "out", said.append)
    assert list(manifest["files"]) == ["info.csv"]
    assert manifest == read_manifest(tmp_path / "out")
    assert f'digest: "{manifest["digest"]}"' in said[-1], "the digest to write is told"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.csv", "A.CSV"], "'a.csv' and 'A.CSV' are one file .* different folders"),
        (["manifest.json"], "the name manifest.json is reserved"),
    ],
)
def test_parts_that_write_over_each_other_are_refused(tmp_path, mirror, names, message):
    for name in names:
        (mirror / name).write_text(name)
    parts = [{"copies": [{"mirror": name}]} for name in names]
    source = source_from("tiny", ARCHIVES | {"parts": parts, "digest": "0" * 64})
    with pytest.raises(ValueError, match=message):
        download("tiny", source, tmp_path / "raw" / "tiny")
    assert list((tmp_path / "raw").iterdir()) == []


def test_the_limit_is_of_all_parts_together(tmp_path, mirror):
    for name in ("a", "b"):
        (mirror / name).write_bytes(bytes(600_000))
    parts = [{"copies": [{"mirror": name}]} for name in ("a", "b")]
    source = source_from("tiny", ARCHIVES | {"parts": parts, "digest": "0" * 64, "limit_mb": 1})
    with pytest.raises(ValueError, match="mirror b: b has 600000 bytes, more than limit_mb allows"):
        download("tiny", source, tmp_path / "tiny")


def test_files_of_several_folders_of_music21_keep_their_folders(tmp_path):
    """`palestrina/*.krn` beside `trecento/*.xml`: no file lands on another."""
    include = ["bach/bwv1.6.mxl", "ryansMammoth/7thRegimentReel.abc"]
    source = source_from("some", SETTINGS | {"include": include, "exclude": {}})
    with pytest.raises(ValueError, match="contents have digest") as refused:
        download("some", source, tmp_path / "some")
    digest = re.search("digest ([0-9a-f]{64})", str(refused.value)).group(1)
    manifest = download("some", replace(source, digest=digest), tmp_path / "some")
    assert sorted(manifest["files"]) == sorted(include)


def test_each_kind_of_score_states_its_encoder_and_rights_in_its_own_way(tmp_path):
    (tmp_path / "a.krn").write_bytes(
        b"!!!COM: X\n!!!ENC: A\xe9\n**kern\n!!!YEC: (c) B\n!!!EED: A\n"
    )
    assert stated_origin(tmp_path / "a.krn") == {"encoding": "A\ufffd; A", "rights": "(c) B"}
    (tmp_path / "a.abc").write_text("X:1\nZ: C\nK:C\nabc\nX:2\nZ: C\nK:C\n")
    assert stated_origin(tmp_path / "a.abc") == {"encoding": "C", "rights": ""}


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


def test_a_mirror_that_is_no_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_MIRROR", str(tmp_path / "nowhere"))
    copy = {"url": "http://127.0.0.1:9/set.zip", "sha256": "0" * 64, "strip": 0}
    part = {"into": "", "include": ["*"], "copies": [copy]}
    terms = {"licence": "none", "citation": "none", "url": "none"}
    source = source_from("tiny", {"kind": "archives", "parts": [part], "digest": None} | terms)
    with pytest.raises(ValueError, match=r"OSTINATO_MIRROR is .*nowhere, which is not a folder"):
        download("tiny", source, tmp_path / "tiny")
