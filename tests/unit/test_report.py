import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from outline import Outline

from ostinato.files import DamagedFile, MissingInput, write_json
from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write import write_midi
from ostinato.player.recorded import _note
from ostinato.report.data import ReportData, StoredSample
from ostinato.report.leaderboard import (
    differences,
    leaderboard_csv,
    leaderboard_tex,
    overviews,
    text_table,
)
from ostinato.report.listeners import load_listeners
from ostinato.report.load import load, load_samples
from ostinato.report.page import build_page, listen_page
from ostinato.report.steps import load_steps

SYSTEMS = {
    "lstm": {"family": "lstm", "size": "small", "encoding": "bach-grid", "seed": 1},
    "gpt": {"family": "gpt", "size": "small", "encoding": "bach-grid", "seed": 1},
    "gpt-2": {"family": "gpt", "size": "small", "encoding": "bach-grid", "seed": 2, "simulated": 1},
    "remi": {"family": "gpt", "size": "small", "encoding": "bach-remi", "seed": 1},
}
BITS = {"lstm": 5.6, "gpt": 5.2, "gpt-2": 5.4, "remi": 5.0}
HOSTILE = "</script><b>x"


def interval(value):
    return {"value": value, "low": value * 0.9, "high": value * 1.1}


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def measures(name):
    """Results of invented measures, one for each view."""
    nats = interval(BITS[name] / 20) | {"unit": "nats", "direction": "lower", "is_headline": True}
    nats |= {"label": "Nats, test", "beside": {"uniform": interval(4.5), "bigram": interval(0.7)}}
    width = interval(30.0) | {"unit": "semitones", "label": "Pitch range", "is_headline": True}
    width |= {"note": "Highest minus lowest.", "reference": interval(29.0)}
    width |= {"trivial": {"random pitches": interval(60.0), "copies": interval(29.0)}}
    apart = interval(1.5) | {"direction": "lower", "floor": interval(0.5)}
    texts = {"note": "What it is."}
    return {
        "odds": texts
        | {"title": "Odds", "view": "forest", "order": 1, "values": {"test/nats": nats}},
        "shape": texts
        | {"title": "Shape", "view": "density", "order": 2}
        | {"values": {"width": width, "apart": apart}},
        "growth": texts | {"title": "Growth", "view": "curve", "order": 3, "values": {}},
        "kinship": texts | {"title": "Kinship", "view": "gallery", "order": 4, "values": {}},
    }


def write_metrics(root, name, given, rng):
    details = given | {
        "format": 2,
        "system": name,
        "dataset": "bach",
        "parameters": 1200,
        "weights_sha256": "a1" * 32,
        "tokens_digest": "b2" * 32,
        "origin": {
            "licence": "public domain",
            "citation": "Bach 1750",
            "pieces": {"train": 300, "test": 40},
        },
        "samples": {"count": 3, "failed": 1, "quarters": 32, "compared": 1, "too_short": 0},
        "measures": measures(name),
    }
    folder = root / "evaluation" / name
    rows = [
        ("shape", kind, "width", f"{kind} {n}", f"group {n // 2}", x, 1)
        for kind in ("samples", "held_out", "train")
        for n, x in enumerate(rng.normal(30, 3, 8))
    ]
    rows += [
        ("odds", "test", "nats", f"piece {n}", f"group {n // 2}", BITS[name] / 20 + 0.001 * n, 7)
        for n in range(8)
    ]
    header = ("measure", "set", "name", "piece", "group", "value", "weight")
    write_csv(folder / "pieces.csv", header, rows)
    points = [("growth", series, s, 3 / (1 + s)) for series in "ab" for s in range(0, 90, 10)]
    write_csv(folder / "plots" / "series.csv", ("measure", "series", "x", "y"), points)
    shown = {
        "measure": "kinship",
        "sample": f"{name}-0",
        "caption": "near <it>",
        "is_flagged": True,
    }
    write_midi(folder / "plots" / "near.mid", music(rng))
    gallery = {"format": 1, "shown": [shown | {"beside": "near.mid"}]}
    (folder / "plots" / "gallery.json").write_text(json.dumps(gallery))
    (folder / "details.json").write_text(json.dumps(details))


def write_samples(root, name, rng):
    folder = root / "samples" / name
    folder.mkdir(parents=True)
    rows = []
    for i in range(3):
        failed = HOSTILE if i == 2 else None
        row = {"id": f"{name}-{i}", "file": f"{i:03}.mid", "task": "unconditional", "seed": 1}
        row |= {"index": i, "nats": 300.5, "bars": 4, "failed": failed, "prompt": None}
        row |= {"prompt_bars": 0}
        if i == 1:
            row |= {"task": "continue", "prompt": "bwv253", "prompt_bars": 1}
        if not failed:
            write_midi(folder / row["file"], music(rng))
        rows.append(row)
    listed = {"format": 1, "system": name, "samples": rows}
    (folder / "samples.json").write_text(json.dumps(listed))


def music(rng):
    pitches = rng.integers(48, 76, size=(4, 16))
    rows = [(v, 24 * t, 24, int(pitches[v, t]), 80) for v in range(4) for t in range(16)]
    names = ("Soprano", "Alto", "Tenor", "Bass")
    tracks = tuple(Track(name, name.lower()) for name in names)
    return Piece("", 24, make_notes(rows), tracks, (Tempo(0, 60.0),), (Meter(0, 4, 4),))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(1)
    for name, given in SYSTEMS.items():
        write_metrics(root, name, given, rng)
        write_samples(root, name, rng)
    return root


@pytest.fixture(scope="module")
def data(root):
    return load(SYSTEMS, root, title="Title & more", evaluation={"resamples": 50, "seed": 1})


@pytest.fixture(scope="module")
def page(data):
    return build_page(data)


def rolls(html):
    found = [json.loads(text) for kind, text in Outline(html).scripts if kind == "application/json"]
    return [value for value in found if "notes" in value]


def test_every_sample_has_its_place_and_its_player(data, page):
    outline = Outline(page)
    assert not outline.open
    samples = [sample for system in data.systems for sample in system.samples]
    assert set(outline.ids) >= {sample.id for sample in samples}
    assert len(set(outline.ids)) == len(outline.ids)
    playable = [sample for sample in samples if sample.piece]
    pairs = 2 * len(data.systems)  # a sample and its neighbour
    assert len(playable) == 8
    assert len(rolls(page)) == outline.classes.count("play") == len(playable) + pairs
    assert outline.classes.count("failed") == 4


def test_players_hold_the_notes_of_the_samples(data, page):
    piece, found = data.systems[0].samples[0].piece, rolls(page)[2]
    notes = np.array(found["notes"]).reshape(-1, 4)
    assert notes[:, 2].tolist() == piece.notes["pitch"].tolist()
    assert notes[:, 0].tolist() == [round(1000 * int(x) / 480) for x in piece.notes["onset"]]
    assert found["length"] == 16000
    assert found["bars"] == [0, 4000, 8000, 12000]
    assert [roll["prompt"] for roll in rolls(page)[2:4]] == [0, 4000]


def test_pages_ask_no_network_for_anything(data, page):
    for html in (page, listen_page(data.systems[0].samples, "lstm")):
        assert not re.search(r"(https?:)?//\w", re.sub(r"[\w+/=]{200,}", "", html))
        assert "url(" not in html
        assert "@import" not in html
        assert all(link.startswith("#") for link in Outline(html).links)
        assert "default-src 'none'" in html


def test_pages_repeat_their_bytes(root, data, page):
    rows = [
        (f"train@{name}", 987.5, "a Xeon") for name in SYSTEMS
    ]  # of one build, not of the systems
    write_csv(root / "docs" / "build_times.csv", ("stage", "seconds", "machine"), rows)
    again = load(SYSTEMS, root, title=data.title, evaluation={"resamples": 50, "seed": 1})
    _note.cache_clear()
    assert build_page(again) == page
    assert str(root) not in page


def test_text_from_files_cannot_become_markup(page):
    assert HOSTILE not in page
    assert "Title &amp; more" in page


def test_the_page_draws_every_measure_by_its_view(page):
    outline = Outline(page)
    assert {"bach-grid", "bach-remi", "systems", "system-lstm"} <= set(outline.ids)
    assert 'class="whisker"' in page  # forest
    assert "density" in page
    assert "valid" in page  # curves
    for text in ("public domain", "300 train", "Pitch range (semitones)", "What it is.", "Odds"):
        assert text in page
    assert "near &lt;it&gt;" in page
    assert "Growth</summary>" in page
    assert "Kinship</summary>" not in page  # it has no figure and no chart
    assert "dvc repro evaluate@lstm" in page
    assert "a1a1a1a1a1a1a1a1" in page


def test_a_listening_page_holds_its_samples_alone(data):
    system = data.systems[1]
    outline = Outline(listen_page(system.samples, system.name))
    assert {sample.id for sample in system.samples} <= set(outline.ids)
    assert not any(sample.id in outline.ids for sample in data.systems[0].samples)


def test_an_overview_has_an_encoding_s_systems_and_what_stands_beside_them(data):
    grid, remi = overviews(data)
    assert [system.name for system in grid.systems] == ["lstm", "gpt", "gpt-2"]
    assert [system.name for system in remi.systems] == ["remi"]
    assert [(c.measure, c.name) for c in grid.columns] == [
        ("odds", "test/nats"),
        ("shape", "width"),
    ]
    rows = dict(grid.beside)
    trivial = {"trivial: random pitches", "trivial: copies"}
    assert set(rows) == {"held-out music", "strongest baseline", *trivial}
    assert [note for note, _ in rows["trivial: random pitches"]] == ["", "caught"]
    assert [note for note, _ in rows["trivial: copies"]] == ["", ""]
    assert rows["trivial: random pitches"][1][1].value == 60.0
    assert rows["held-out music"][1][1].value == 29.0
    note, found = rows["strongest baseline"][0]
    assert (note, found.value) == ("bigram", 0.7)


def test_differences_are_of_pairs_within_an_encoding(data):
    found = differences(data)
    assert [(row["a"].name, row["b"].name) for row in found["bach-grid"][::2]] == [
        ("lstm", "gpt"),
        ("lstm", "gpt-2"),
        ("gpt", "gpt-2"),
    ]
    assert found["bach-remi"] == []
    first = found["bach-grid"][0]
    assert first["found"].is_paired
    assert first["found"].interval.value == pytest.approx((5.6 - 5.2) / 20)
    assert not found["bach-grid"][1]["found"].is_paired or first["p"] <= 1


def test_a_bound_is_not_tested_against_an_exact_value(data):
    def bounded(system):
        odds = system.measures[0]
        nats = replace(odds.figures["test/nats"], is_bound=True)
        first = replace(odds, figures={"test/nats": nats})
        return replace(system, measures=(first, *system.measures[1:]))

    lstm, gpt, other = (s for s in data.systems if s.encoding == "bach-grid")
    mixed = replace(data, systems=(lstm, bounded(gpt), bounded(other)))
    found = [
        (row["a"].name, row["b"].name)
        for row in differences(mixed)["bach-grid"]
        if row["figure"].label == "Nats, test"
    ]
    assert found == [("gpt", "gpt-2")]


def test_the_terminal_shows_every_headline(data):
    text = text_table(data)
    (line,) = [line for line in text.splitlines() if "odds/test/nats" in line and "0.280" in line]
    assert line.split() == [
        "odds/test/nats",
        "0.280",
        "0.260",
        "0.270",
        "–",
        "0.700",
        "bigram",
        "–",
        "–",
    ]


def test_the_table_file_has_every_figure(data):
    back = list(csv.DictReader(io.StringIO(leaderboard_csv(data))))
    systems = [row for row in back if row["kind"] == "system"]
    assert len(systems) == 3 * len(SYSTEMS)
    (row,) = [r for r in systems if r["name"] == "gpt" and r["figure"] == "apart"]
    assert (row["value"], row["floor_value"], row["reference_value"]) == ("1.5", "0.5", "")
    baselines = [(row["encoding"], row["name"]) for row in back if row["kind"] == "baseline"]
    assert baselines == [(e, n) for e in ("bach-grid", "bach-remi") for n in ("uniform", "bigram")]
    trivial = {
        (row["name"], row["figure"], row["value"]) for row in back if row["kind"] == "trivial"
    }
    assert trivial == {("random pitches", "width", "60"), ("copies", "width", "29")}


def test_latex_has_a_table_for_each_encoding(data):
    text = leaderboard_tex(data)
    assert text.count("\\begin{tabular}{lrr}") == text.count("\\bottomrule") == 2
    assert "lstm & $0.280$ [0.252, 0.308] & $30.00$ [27.00, 33.00] \\\\" in text
    assert "–" not in text


def test_who_was_not_asked_stands_beside_the_name(data, page):
    name, remark = "gpt-2", "tuned on simulated listeners"
    for text in (text_table(data), leaderboard_tex(data)):
        assert f"{name} ({remark})" in text
    assert page.count(remark) >= 3  # overview, figures, the system's own part
    rows = csv.DictReader(io.StringIO(leaderboard_csv(data)))
    assert {(r["name"], r["remark"]) for r in rows if r["remark"]} == {(name, remark)}


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("evaluation/gpt/details.json", "evaluate@gpt"),
        ("evaluation/gpt/pieces.csv", "evaluate@gpt"),
        ("evaluation/gpt/plots/series.csv", "evaluate@gpt"),
        ("evaluation/gpt/plots/gallery.json", "evaluate@gpt"),
        ("evaluation/gpt/plots/near.mid", "evaluate@gpt"),
        ("samples/gpt/samples.json", "sample@gpt"),
        ("samples/gpt/000.mid", "sample@gpt"),
    ],
)
def test_a_missing_file_names_its_stage(root, file, stage):
    kept = (root / file).rename(root / "aside")
    try:
        with pytest.raises(MissingInput, match=f"dvc repro {stage}$"):
            load({"gpt": SYSTEMS["gpt"]}, root)
    finally:
        kept.rename(root / file)


def test_metrics_of_another_configuration_are_refused(root):
    with pytest.raises(DamagedFile, match=r"seed=1, params\.yaml says 7.*evaluate@gpt"):
        load({"gpt": SYSTEMS["gpt"] | {"seed": 7}}, root)


def test_a_system_that_lacks_a_measure_is_shown_with_dashes(data):
    silent = replace(data.systems[0], measures=(), columns={}, series={})
    bare = replace(data, systems=(silent, *data.systems[1:]))
    assert not Outline(build_page(bare)).open
    assert "–" in text_table(bare)


def test_samples_have_music_or_a_reason(root):
    samples = load_samples("lstm", root)
    assert [sample.piece is None for sample in samples] == [False, False, True]
    with pytest.raises(ValueError, match="neither"):
        StoredSample(id="x", task="unconditional", seed=1, index=0, nats=1.0)


def test_reports_refuse_to_be_empty_or_ambiguous(data):
    with pytest.raises(ValueError, match="needs a system"):
        ReportData(())
    with pytest.raises(ValueError, match="share a name"):
        ReportData((data.systems[0], data.systems[0]))


def test_steps_against_quality_are_drawn_where_they_were_measured(data, tmp_path):
    assert load_steps(tmp_path) is None
    shares = {"pieces": 4, "triads": [0.3, 0.02], "held": [0.7, 0.01], "restarts": 0}
    rows = [{"scheduler": n, "steps": k} | shares for n in ("ddpm", "dpm") for k in (10, 25)]
    write_json(path := tmp_path / "benchmarks/results/schedulers.json", {"format": 1, "rows": rows})
    page = build_page(replace(data, steps=load_steps(tmp_path)))
    assert "4 samples for each point, restarts=0" in page
    assert page.split('id="steps"')[1].split("</section>")[0].count('<path class="valid"') == 4
    write_json(path, {"format": 1, "rows": [{"scheduler": "dpm"}]})
    with pytest.raises(DamagedFile, match=r"benchmarks\.schedulers"):
        load_steps(tmp_path)


def test_listening_tests_are_shown_and_simulated_ones_marked(data, tmp_path):
    rows = [{"label": "share of <gpt>", "value": 0.6, "low": 0.5, "high": 0.7, "p": 0.01}]
    rows.append({"label": "strength", "value": -0.2, "low": None, "high": None, "p": None})
    about = {"format": 1, "study": "x", "title": "Which?", "design": "ab", "complete": True}
    for name, simulated in (("x", False), ("x-simulated", True)):
        test = about | {"simulated": simulated, "listeners": 32, "rows": rows}
        write_json(tmp_path / "listeners" / f"{name}.json", test)
    page = build_page(replace(data, listeners=load_listeners(tmp_path)))
    assert page.count("no results about people") == 1
    assert page.count("share of &lt;gpt&gt;") == 2
    assert "32 listeners" in page
    (tmp_path / "listeners" / "x.json").write_text('{"format": 1}')
    with pytest.raises(DamagedFile, match="mode=analyse"):
        load_listeners(tmp_path)
