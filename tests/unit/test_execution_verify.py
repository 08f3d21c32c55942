"""Two levels of reproducibility: equal bytes, or figures within stated tolerances."""

import copy
import json
import subprocess
from pathlib import Path

import pytest

from ostinato.execution import machine
from ostinato.execution.machine import described, made_on, note_stage, this_kind
from ostinato.execution.tolerances import TOLERANCES, deviations, tolerance_of
from ostinato.execution.verify import differences, outputs, report

ROOT = Path(__file__).resolve().parents[2]
LOCK = """
schema: '2.0'
stages:
  one: {cmd: x, outs: [{path: a, md5: '1'}, {path: b, md5: '2'}]}
  two: {cmd: y, deps: [{path: a, md5: '1'}], outs: [{path: c, md5: '3'}]}
  three: {cmd: z}
"""
LIKELIHOOD = "measures.likelihood.values.test/nats_per_token"
METRICS = {
    "measures": {
        "likelihood": {
            "values": {"test/nats_per_token": {"value": 0.44, "low": 0.41, "high": 0.47}}
        },
        "features": {
            "values": {
                "groove": {"value": 0.85, "low": 0.84, "high": 0.86},
                "apart": {"value": 3, "low": None, "high": None},
            }
        },
    },
    "samples": {"compared": 30},
    "parameters": 100,
}
EPYC = {"processor": "x86_64 AMD family 25 model 1", "vector": "AVX2", "torch": "2.13.0+cpu"}
XEON = {"processor": "x86_64 Intel family 6 model 207", "vector": "AMX", "torch": "2.13.0+cpu"}


def test_differences_of_two_locks():
    ours = outputs(LOCK)
    assert ours == {"a": "1", "b": "2", "c": "3"}
    assert differences(ours, ours) == []
    assert differences(ours, {"a": "1", "b": "9", "d": "4"}) == [
        "b: 2 here, 9 committed",
        "c: built here, not in the committed dvc.lock",
        "d: in the committed dvc.lock, not built here",
    ]


def moved(path, by):
    """The metrics with one figure changed."""
    metrics = copy.deepcopy(METRICS)
    *folders, last = path.split(".")
    place = metrics
    for name in folders:
        place = place[name]
    if isinstance(place[last], dict):
        place[last] = {key: value + by for key, value in place[last].items()}
    else:
        place[last] += by
    return metrics


@pytest.mark.parametrize(
    ("path", "near", "far"),
    [
        (LIKELIHOOD, 0.0130, 0.0134),  # 3 % of 0.44 is 0.0132
        ("measures.features.values.groove", 0.028, 0.0284),  # 2 √2 0.01 is 0.02828
        ("parameters", 0, 1),
    ],
)
def test_a_figure_is_held_to_its_tolerance(path, near, far):
    assert not deviations("lstm", METRICS, moved(path, near))
    (found,) = deviations("lstm", METRICS, moved(path, far))
    assert (found.system, found.figure) == ("lstm", path)


def test_what_only_one_side_has_deviates_and_a_count_of_samples_never_does():
    assert not deviations("lstm", METRICS, moved("samples.compared", 9))
    less = copy.deepcopy(METRICS)
    less["measures"]["features"]["values"]["apart"]["value"] = 5  # it has no interval
    assert not deviations("lstm", METRICS, less)
    del less["samples"]["compared"]
    (found,) = deviations("lstm", METRICS, less)
    assert (found.committed, found.here) == ("30", "missing")


def test_words_and_the_features_that_tell_samples_are_not_compared():
    here, there = copy.deepcopy(METRICS), copy.deepcopy(METRICS)
    for metrics, count, clue in ((here, 29, "clue_leaps"), (there, 31, "clue_triads")):
        metrics["measures"]["two_sample"] = {
            "note": f"{count} samples",
            "values": {clue: {"value": 0.1, "low": 0.0, "high": 0.2}},
        }
    assert not deviations("lstm", here, there)
    del here["measures"]["two_sample"]["note"]
    assert [found.figure for found in deviations("lstm", here, there)] == [
        "measures.two_sample.note"
    ]


def test_frames_of_sound_may_have_other_bytes_and_symbols_may_not():
    here, there = ({"tokens_digest": digest, "samples": {"seconds": 8}} for digest in "ab")
    assert not deviations("audio", here, there)
    here, there = ({"tokens_digest": digest, "samples": {"quarters": 8}} for digest in "ab")
    assert [found.figure for found in deviations("lstm", here, there)] == ["tokens_digest"]


def test_the_documentation_states_every_tolerance():
    text = (ROOT / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    for tolerance in TOLERANCES:
        assert f"| `{tolerance.pattern}` | {tolerance} | {tolerance.reason} |" in text
    assert tolerance_of(LIKELIHOOD).rule == "share"


@pytest.fixture
def repository(tmp_path):
    """A committed build of one system."""

    def write(lock=LOCK, metrics=METRICS, kind=EPYC):
        for name, text in {
            "dvc.lock": lock,
            "evaluation/lstm/details.json": json.dumps(metrics),
            "made_on/lstm.json": json.dumps({"format": 1, "train": kind}),
        }.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    write()
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "built"]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    return tmp_path, write


OTHER = LOCK.replace("'2'", "'9'")


def test_the_first_level_is_equal_bytes(repository, capsys):
    root, _ = repository
    assert report(root) == 0
    assert capsys.readouterr().out == "All 3 outputs equal the committed dvc.lock, byte for byte.\n"


def test_the_second_level_names_both_machines(repository, capsys):
    root, write = repository
    write(OTHER, moved(LIKELIHOOD, 0.008), XEON)
    assert report(root) == 0
    printed = capsys.readouterr().out
    assert "1 of 3 outputs have other bytes than the committed ones, as expected" in printed
    assert f"committed: {described(EPYC)}" in printed
    assert f"here:      {described(XEON)}" in printed
    assert "All 5 figures agree within their tolerances" in printed


def test_a_figure_outside_of_its_tolerance_fails_and_is_shown(repository, capsys):
    root, write = repository
    write(OTHER, moved(LIKELIHOOD, 0.02), XEON)
    assert report(root) == 1
    printed = capsys.readouterr().out
    assert "1 of 5 figures are outside of their tolerance" in printed
    assert f"lstm    {LIKELIHOOD}  0.44       0.46  within 0.03" in printed


def test_other_bytes_on_one_kind_of_machine_or_after_an_edit_are_not_expected(repository, capsys):
    root, write = repository
    write(OTHER)
    assert report(root) == 1
    printed = capsys.readouterr().out
    assert "although both were made on one kind of machine" in printed
    assert "b: 9 here, 2 committed" in printed
    write(OTHER, kind=XEON)
    (root / "params.yaml").write_text("seed: 2\n")
    assert report(root) == 1
    assert "edited here (params.yaml)" in capsys.readouterr().out


def test_without_a_committed_lock_nothing_is_compared(tmp_path, capsys):
    (tmp_path / "dvc.lock").write_text(LOCK)
    assert report(tmp_path) == 0
    assert "nothing to compare with" in capsys.readouterr().out


def test_a_stage_of_a_system_is_noted_without_host_or_time(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n"
        "flags\t\t: fpu avx avx2 sse\n\nprocessor\t: 1\nmodel\t\t: 9\n"
    )
    (tmp_path / "models/lstm").mkdir(parents=True)
    card = {"format": 1, "training": {"precision": "32-true"}}
    (tmp_path / "models/lstm/model.json").write_text(json.dumps(card))
    for stage in ("encode@bach-grid", "compare", "train@lstm", "sample@lstm"):
        note_stage(tmp_path, stage)
    assert [path.name for path in (tmp_path / "made_on").iterdir()] == ["lstm.json"]
    made = made_on((tmp_path / "made_on/lstm.json").read_text())
    assert made["sample"] == this_kind()
    assert (made["sample"]["vector"], made["sample"]["processor"].split(" ", 1)[1]) == (
        "AVX2",
        "AMD family 25 model 1",
    )
    assert made["train"] == this_kind() | {"device": "cpu", "precision": "32-true"}
