"""Files that are whole or absent, seeds that never change, results in the order of the items."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from ostinato.execution.parallel import map_items
from ostinato.files import (
    DamagedFile,
    MissingInput,
    atomic_file,
    atomic_folder,
    checksums,
    read_json,
    require,
    sha256_file,
    sha256_json,
    verify,
    write_json,
    write_npz,
    write_text,
)
from ostinato.seeds import seed_of

INTERRUPTIONS = [RuntimeError, KeyboardInterrupt, SystemExit]


@pytest.mark.parametrize("error", INTERRUPTIONS)
@pytest.mark.parametrize("old", [None, "old"])
def test_an_interrupted_file_leaves_what_was_there(tmp_path, error, old):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)
    with pytest.raises(error), atomic_file(path) as partial:
        partial.write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == (["a.txt"] if old else [])
    assert not old or path.read_text() == old


@pytest.mark.parametrize("error", INTERRUPTIONS)
@pytest.mark.parametrize("old", [None, "old"])
def test_an_interrupted_folder_leaves_what_was_there(tmp_path, error, old):
    path = tmp_path / "out"
    if old:
        path.mkdir()
        (path / "a.txt").write_text(old)
    with pytest.raises(error), atomic_folder(path) as partial:
        (partial / "a.txt").write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if old else [])
    assert not old or (path / "a.txt").read_text() == old


@pytest.mark.parametrize("moment", [1, 2])
def test_a_folder_is_whole_whenever_its_replacement_is_interrupted(tmp_path, monkeypatch, moment):
    """Ctrl-C can fall between taking the old folder away and putting the new one there."""
    from pathlib import Path

    path, moves, real = tmp_path / "out", [], Path.replace

    def interrupted(self, target):
        moves.append(target)
        if len(moves) == moment:
            raise KeyboardInterrupt
        return real(self, target)

    for number in range(3):
        with atomic_folder(path) as partial:
            for name in "abc":
                (partial / name).write_text(str(number))
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(path) as partial:
        (partial / "a").write_text("new")
    assert {p.name: p.read_text() for p in path.iterdir()} == {"a": "2", "b": "2", "c": "2"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_new_folder_replaces_the_old_one_and_leftovers_of_a_kill(tmp_path):
    for name in ("out", ".out.partial", ".out.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").write_text("x")
    with atomic_folder(tmp_path / "out") as partial:
        (partial / "new").write_text("y")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


FULL = """
import resource, signal, sys
from pathlib import Path
from ostinato.files import atomic_folder, write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    if sys.argv[1] == "file":
        write_text(Path("a.txt"), "x" * 10_000)
    else:
        with atomic_folder(Path("out")) as partial:
            (partial / "small").write_text("fits")
            (partial / "large").write_text("x" * 10_000)
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_disk_that_is_full_leaves_the_old_version(tmp_path, kind):
    import errno

    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small").write_text("old")
    found = subprocess.run([sys.executable, "-c", FULL, kind], cwd=tmp_path, check=False)
    assert found.returncode == errno.EFBIG
    assert sorted(checksums(tmp_path)) == ["a.txt", "out/small"]
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "out" / "small").read_text() == "old"


def test_checksums_name_the_file_that_changed_shrank_or_went(tmp_path, flip_byte):
    with atomic_folder(tmp_path / "out") as folder:
        for name in ("a", "b", "sub/c"):
            write_text(folder / name, name * 100)
    folder = tmp_path / "out"
    known = checksums(folder)
    assert list(known) == ["a", "b", "sub/c"]
    verify(folder, known, "dvc repro x")
    flip_byte(folder / "sub/c")
    with pytest.raises(DamagedFile, match=r"sub/c is damaged.*dvc repro x"):
        verify(folder, known, "dvc repro x")
    (folder / "b").write_bytes((folder / "b").read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"/b is damaged"):
        verify(folder, known, "dvc repro x")
    (folder / "a").unlink()
    with pytest.raises(MissingInput, match=r"/a is missing; make it with: dvc repro x"):
        verify(folder, known, "dvc repro x")


def test_json_is_the_same_bytes_for_the_same_value_and_knows_numpy(tmp_path):
    first = {"b": np.float32(0.5), "a": np.arange(3), "ä": [np.int64(1), True]}
    write_json(tmp_path / "a.json", first)
    write_json(tmp_path / "b.json", dict(reversed(first.items())))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": [0, 1, 2],
        "b": 0.5,
        "ä": [1, True],
    }
    with pytest.raises(TypeError, match="cannot write set as JSON"):
        write_json(tmp_path / "a.json", {1, 2})
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("text", ['{"format": 1', "\ufeff", "[1]", "{}", '{"format": 2}', "null"])
def test_json_of_ours_that_is_cut_or_of_another_format_is_named(tmp_path, text):
    path = tmp_path / "a.json"
    with pytest.raises(MissingInput, match=r"a\.json is missing; make it with: dvc repro x"):
        read_json(path, expect_format=1, made_by="dvc repro x")
    path.write_text(text)
    with pytest.raises(DamagedFile, match=r"a\.json .*make it again with: dvc repro x"):
        read_json(path, expect_format=1, made_by="dvc repro x")


def test_require_gives_the_path_back(tmp_path):
    assert require(tmp_path, "x") == tmp_path


def test_hashes_do_not_depend_on_the_order_of_keys(tmp_path):
    assert sha256_json({"a": 1, "b": [2]}) == sha256_json({"b": [2], "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": "1"})
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")  # FIPS 180-2, example 1


def test_seeds_never_change():
    """Every split and every sample hangs on these; a change would silently move them all."""
    assert seed_of("split", 1, "0123456789abcdef") == 8431488788787556930
    assert seed_of(1, "lstm", "unconditional", 0) == 7271366439242499357
    assert seed_of() == 8203414616412130826
    seeds = [seed_of("a", n) for n in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of("a", 11) != seed_of("a", 1, 1)
    assert np.mean(seeds) / 2**63 == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert map_items(divmod, range(20), [3] * 20, workers=workers) == [
        (n // 3, n % 3) for n in range(20)
    ]
    assert map_items(abs, [], workers=workers) == []


def test_columns_of_unlike_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        map_items(divmod, [1, 2], [3])


def test_an_archive_of_arrays_has_the_plainest_headers_and_reads_back(tmp_path):
    arrays = {"name": np.array(["a", "bc"]), "value": np.arange(6.0).reshape(2, 3)}
    write_npz(tmp_path / "x.npz", arrays)
    write_npz(tmp_path / "y.npz", arrays)
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert all(item.extract_version == 20 and not item.extra for item in archive.infolist())
    back = np.load(tmp_path / "x.npz")
    assert all(np.array_equal(back[key], value) for key, value in arrays.items())
