"""Archives: nothing leaves the folder, nothing is written twice or without end, and what comes out
depends on names and bytes alone.
"""

import contextlib
import io
import random
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.datasets import unpack as module
from ostinato.datasets.source import download, source_from
from ostinato.datasets.unpack import Layout, UnsafeArchive, unpack
from ostinato.files import DamagedFile, checksums

LIMIT = 100_000


def zipped(path, members):
    """A zip of (name, bytes) pairs; a name may be a ZipInfo."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tarred(path, members):
    """A tar of (name, bytes) pairs; a name may be a TarInfo that has no content."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = {"x.zip": zipped, "x.tar": tarred, "x.tar.gz": tarred, "x.tgz": tarred}


@pytest.fixture(params=MAKERS)
def attempt(request, tmp_path):
    """Pack members in one kind of archive, and unpack it."""

    def run(members, **layout):
        archive = MAKERS[request.param](tmp_path / request.param, members)
        out = tmp_path / "folder" / "out"
        out.mkdir(parents=True, exist_ok=True)
        before = set(tmp_path.rglob("*"))
        try:
            unpack(archive, archive.name, out, Layout(**({"limit": LIMIT} | layout)))
        finally:
            outside = {
                path for path in set(tmp_path.rglob("*")) - before if out not in path.parents
            }
            assert not outside, "a file outside the folder"
        return {name: (out / name).read_bytes() for name in checksums(out)}

    return run


@pytest.mark.parametrize(
    "name",
    ["../x.mid", "a/../../x.mid", "/x.mid", "..\\x.mid", "a/..", "C:\\x.mid", "C:/x.mid", "//a/b"],
)
def test_a_name_that_leaves_the_folder_refuses_the_archive(attempt, name):
    with pytest.raises(UnsafeArchive, match="leaves the folder"):
        attempt([("a.mid", b"a"), (name, b"evil")])


def test_an_unwanted_name_that_leaves_the_folder_refuses_it_too(attempt):
    with pytest.raises(UnsafeArchive, match="leaves the folder"):
        attempt([("a.mid", b"a"), ("../b.txt", b"evil")], include=("*.mid",))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.mid", "A.MID"),
        ("é.mid", "e\u0301.mid"),
        ("d/a.mid", "D/a.mid"),
        ("a", "a/b"),
        ("a/b", "a"),
    ],
)
def test_names_that_some_disks_take_for_one_are_refused(attempt, first, second):
    with pytest.raises(UnsafeArchive, match="are one file"):
        attempt([(first, b"1"), (second, b"2")])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused(attempt):
    with pytest.raises(UnsafeArchive, match="are one file"):
        attempt([("a.mid", b"1"), ("a.mid", b"2")])


def test_names_that_strip_makes_one_are_refused(attempt):
    with pytest.raises(UnsafeArchive, match="are one file"):
        attempt([("one/a.mid", b"1"), ("two/a.mid", b"2")], strip=1)


def test_bytes_are_counted_over_all_files(attempt):
    files = [(f"{n}.mid", bytes(LIMIT // 4)) for n in range(4)]
    assert len(attempt(files)) == 4
    with pytest.raises(UnsafeArchive, match=r"at '4\.mid'"):
        attempt([*files, ("4.mid", b"1")])


def test_a_bomb_is_refused(attempt):
    with pytest.raises(UnsafeArchive, match=r"the contents exceed limit_mb.*b\.mid"):
        attempt([("a.mid", bytes(LIMIT // 2)), ("b.mid", bytes(10 * LIMIT))])


def test_what_is_not_wanted_does_not_count(attempt):
    files = [("a.mid", b"a"), ("b.wav", bytes(10 * LIMIT))]
    assert attempt(files, include=("*.mid",)) == {"a.mid": b"a"}


def test_a_zip_that_lies_about_its_size_is_damaged_or_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", [("a.mid", bytes(10 * LIMIT))])
    content = bytearray(path.read_bytes())
    true, claimed = (10 * LIMIT).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert content.count(true) == 2
    path.write_bytes(bytes(content).replace(true, claimed))
    with pytest.raises(DamagedFile, match=r"x\.zip is not a readable archive"):
        unpack(path, path.name, tmp_path, Layout(limit=LIMIT))


def test_too_many_members_are_refused(attempt, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    assert len(attempt([(f"{n}.mid", b"") for n in range(3)])) == 3
    monkeypatch.setattr(module, "MAX_MEMBERS", 2)
    with pytest.raises(UnsafeArchive, match="more than 2 members"):
        attempt([(f"{n}.mid", b"") for n in range(3)])


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd"])
def test_a_link_that_leaves_the_folder_refuses_the_tar(tmp_path, kind, target):
    path = tarred(tmp_path / "x.tar", [("a.mid", b"a"), link("d/b.txt", target, kind)])
    with pytest.raises(UnsafeArchive, match=r"link to .* leaves the folder"):
        unpack(path, path.name, tmp_path / "out", Layout(limit=LIMIT, include=("*.mid",)))


def test_a_write_through_a_link_is_impossible(tmp_path):
    (tmp_path / "victim").mkdir()
    path = tarred(tmp_path / "x.tar", [link("d", "victim"), ("d/b.mid", b"evil")])
    with pytest.raises(UnsafeArchive, match="'d' is a symbolic link; leave it out with exclude"):
        unpack(path, path.name, tmp_path / "out", Layout(limit=LIMIT))
    layout = Layout(limit=LIMIT, exclude={"d": "a link"})
    unpack(path, path.name, tmp_path / "out", layout)
    assert (tmp_path / "out" / "d" / "b.mid").read_bytes() == b"evil"
    assert not list((tmp_path / "victim").iterdir())


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path, kind):
    path = tarred(tmp_path / "x.tar", [link("a.mid", "", kind)])
    with pytest.raises(UnsafeArchive, match="is a device or pipe"):
        unpack(path, path.name, tmp_path / "out", Layout(limit=LIMIT))


def test_a_file_that_a_tar_stores_once_under_two_names_has_both(tmp_path):
    members = [("a.mid", b"same"), link("d/b.mid", "./a.mid", tarfile.LNKTYPE)]
    path = tarred(tmp_path / "x.tar.gz", members)
    unpack(path, path.name, tmp_path / "out", Layout(limit=LIMIT))
    assert (tmp_path / "out" / "d" / "b.mid").read_bytes() == b"same"
    lost = tarred(tmp_path / "x.tar", members[1:])
    with pytest.raises(UnsafeArchive, match="which is not an earlier file"):
        unpack(lost, lost.name, tmp_path / "lost", Layout(limit=LIMIT))


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


def test_links_in_a_zip_are_refused(tmp_path):
    inside = zipped(tmp_path / "x.zip", [("a.mid", b"a"), zip_link("b.mid", "a.mid")])
    with pytest.raises(UnsafeArchive, match="is a symbolic link"):
        unpack(inside, "x.zip", tmp_path / "out", Layout(limit=LIMIT))
    outside = zipped(tmp_path / "y.zip", [("a.mid", b"a"), zip_link("b.txt", "../secret")])
    with pytest.raises(UnsafeArchive, match="leaves the folder"):
        unpack(outside, "y.zip", tmp_path / "out", Layout(limit=LIMIT, include=("*.mid",)))


def test_encrypted_members_are_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", [("a.mid", b"a")])
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flags of the local header and of the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UnsafeArchive, match=r"'a\.mid' is encrypted; leave it out"):
        unpack(path, "x.zip", tmp_path / "out", Layout(limit=LIMIT))


def test_names_that_are_not_utf8_are_text_and_alike_in_zip_and_tar(tmp_path):
    raw = b"\x82t\x82.mid"  # "été.mid" as DOS wrote it; no UTF-8
    path = zipped(tmp_path / "x.zip", [("ABC.mid", b"x")])
    path.write_bytes(path.read_bytes().replace(b"ABC.mid", raw))
    out = tmp_path / "zip"
    unpack(path, "x.zip", out, Layout(limit=LIMIT))
    with tarfile.open(tmp_path / "x.tar", "w", errors="surrogateescape") as archive:
        info = tarfile.TarInfo(raw.decode("utf-8", "surrogateescape"))
        archive.addfile(info)
    unpack(tmp_path / "x.tar", "x.tar", tmp_path / "tar", Layout(limit=LIMIT))
    assert [path.name for path in out.iterdir()] == ["été.mid"]
    assert [path.name for path in (tmp_path / "tar").iterdir()] == ["été.mid"]


def test_utf8_names_without_the_flag_of_it_are_not_garbled(tmp_path):
    path = zipped(tmp_path / "x.zip", [("ABCDt.mid", b"x")])
    path.write_bytes(path.read_bytes().replace(b"ABCDt", "éét".encode()))
    unpack(path, "x.zip", tmp_path / "out", Layout(limit=LIMIT))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["éét.mid"]


def test_strip_include_and_exclude(attempt):
    names = ("top/a/x.mid", "top/a/x.txt", "top/b/deep/y.MID", "top/b/y.mid", "readme.mid")
    files = attempt(
        [(name, name.encode()) for name in names],
        strip=1,
        include=("a/*", "b*.mid"),
        exclude={"*.txt": "no music"},
    )
    assert files == {"a/x.mid": b"top/a/x.mid", "b/y.mid": b"top/b/y.mid"}


def test_a_pattern_that_matches_nothing_is_an_error(attempt):
    with pytest.raises(ValueError, match=r"no file in x\.\S+ matches \*\.abc \(strip: 0\)"):
        attempt([("a.mid", b"a")], include=("*.mid", "*.abc"))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_that_is_no_archive_or_half_of_one_is_damaged(tmp_path, kind):
    whole = MAKERS[kind](tmp_path / kind, [("a.mid", random.Random(1).randbytes(9000))])
    content = whole.read_bytes()
    for broken in (b"", b"<html>", content[:5000], content[:20]):
        whole.write_bytes(broken)
        with pytest.raises(DamagedFile, match="not a readable archive of its kind"):
            unpack(whole, kind, tmp_path / "out", Layout(limit=LIMIT))


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples // 2, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(MAKERS)))
def test_no_damage_to_an_archive_is_a_crash(data, kind):
    """Any flipped bytes and any cut end in files below the folder or in one of two errors."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / kind
        MAKERS[kind](path, [("a/x.mid", b"one" * 50), ("a/y.mid", b"two" * 50)])
        content = bytearray(path.read_bytes())
        spots = st.integers(0, len(content) - 1)
        for spot in data.draw(st.lists(spots, max_size=6)):
            content[spot] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        out = Path(scratch) / "out"
        with contextlib.suppress(DamagedFile, UnsafeArchive):
            try:
                unpack(path, kind, out, Layout(limit=LIMIT))
            except ValueError as error:  # nothing is left that `*` would match
                if not str(error).startswith("no file in"):
                    raise
        assert {p.name for p in Path(scratch).iterdir()} <= {kind, "out"}


NAMES = st.text("abcé-_ (", min_size=1, max_size=4).map(lambda name: f"{name.strip() or 'x'}.mid")


@pytest.mark.long
@settings(max_examples=min(20, settings.default.max_examples), deadline=None)
@given(
    files=st.dictionaries(st.tuples(st.sampled_from(["p", "q/r"]), NAMES), st.binary(max_size=50)),
    data=st.data(),
)
def test_the_same_files_packed_in_any_way_are_the_same_dataset(files, data):
    """Same digest and byte for byte the same manifest, whatever the archive's kind and order."""
    files = {f"{folder}/{name}": content for (folder, name), content in files.items()} or {"a": b""}
    manifests = set()
    for kind, strip in (("s.zip", 0), ("s.tar", 1), ("s.tgz", 2)):
        top = ["top", "inner"][:strip]
        members = data.draw(st.permutations(sorted(files.items())))
        with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
            (Path(scratch) / "m").mkdir()
            patch.setenv("OSTINATO_MIRROR", scratch)
            named = [("/".join([*top, name]), content) for name, content in members]
            maker = zipped if kind.endswith("zip") else tarred
            maker(Path(scratch) / "m" / kind, named)
            source = {
                "kind": "archives",
                "digest": "",
                "licence": "none",
                "citation": "none",
                "url": "none",
                "parts": [{"into": "d", "copies": [{"mirror": f"m/{kind}", "strip": strip}]}],
            }
            out = Path(scratch) / "raw" / "set"
            with pytest.raises(ValueError, match="contents have digest") as refused:
                download("set", source_from("set", source), out, lambda _: None)
            source["digest"] = str(refused.value).partition("digest ")[2][:64]
            download("set", source_from("set", source), out, lambda _: None)
            manifests.add((out / "manifest.json").read_bytes())
    assert len(manifests) == 1
