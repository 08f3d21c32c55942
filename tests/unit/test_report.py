import csv
import io
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ostinato.files import DamagedFile, MissingInput
from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write import write_midi
from ostinato.report.data import DatasetNote, ReportData, StoredSample, group_by_seed
from ostinato.report.leaderboard import leaderboard_csv, leaderboard_rows, text_table
from ostinato.report.load import load, load_samples
from ostinato.report.page import build_page, listen_page
from ostinato.report.player import PITCHES, instrument
from ostinato.report.scales import Scale, number

SYSTEMS = {
    "lstm": {"family": "lstm", "size": "small", "encoding": "bach-grid", "seed": 1},
    "gpt": {"family": "gpt", "size": "small", "encoding": "bach-grid", "seed": 1},
    "gpt-2": {"family": "gpt", "size": "small", "encoding": "bach-grid", "seed": 2},
    "remi": {"family": "gpt", "size": "small", "encoding": "bach-remi", "seed": 1},
}
BITS = {"lstm": 5.6, "gpt": 5.2, "gpt-2": 5.4, "remi": 5.0}
HOSTILE = "</script><b>x"


def interval(value):
    return {"value": value, "low": value * 0.9, "high": value * 1.1}


def likelihood(bits):
    units = {"bits_per_quarter": bits, "nats_per_note": bits / 7, "nats_per_token": bits / 20}
    row = {unit: interval(value) for unit, value in units.items()} | {"pieces": 8, "tokens": 900}
    return {"valid": row, "test": row}


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_metrics(root, name, given, rng):
    sets = {kind: rng.normal(30, 3, 8) for kind in ("samples", "heldout", "train")}
    feature = {"label": "Pitch range", "unit": "semitones", "description": "Highest minus lowest."}
    feature |= {kind: interval(float(values.mean())) for kind, values in sets.items()}
    feature |= {"distance_samples": interval(1.5), "distance_train": interval(0.5)}
    longest = {"notes": 12, "quarters": 6.5, "piece": "p1", "of": "bwv253"}
    copied = {"mean_notes": interval(9.0), "longest": longest}
    metrics = given | {
        "format": 1,
        "system": name,
        "dataset": "bach",
        "parameters": 1200,
        "likelihood": likelihood(BITS[name]),
        "baselines": {"uniform": likelihood(90.0), "bigram": likelihood(14.0)},
        "features": {"pitch_range": feature},
        "originality": {"samples": copied, "heldout": copied},
        "samples": {"count": 3, "failed": 1},
    }
    folder = root / "evaluation" / name
    rows = [(k, i, "pitch_range", x) for k, values in sets.items() for i, x in enumerate(values)]
    write_csv(folder / "plots" / "features.csv", ("set", "piece", "feature", "value"), rows)
    rows = [(kind, i, 5 + i, 2.5, "x") for kind in ("samples", "heldout") for i in range(6)]
    header = ("set", "piece", "notes", "quarters", "source")
    write_csv(folder / "plots" / "originality.csv", header, rows)
    (folder / "details.json").write_text(json.dumps(metrics))


def write_curve(root, name):
    steps = [(s, 3 / (1 + s), 3.1 / (1 + s) if s % 20 == 0 else "", 1e-3) for s in range(0, 90, 10)]
    header = ("step", "train_loss", "valid_loss", "learning_rate")
    write_csv(root / "evaluation" / name / "curve.csv", header, steps)


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
        write_curve(root, name)
        write_samples(root, name, rng)
    return root


@pytest.fixture(scope="module")
def data(root):
    note = DatasetNote("Chorales", "public domain", "Bach 1750", {"train": 300, "test": 40})
    return load(SYSTEMS, root, title="Title & more", datasets={"bach": note})


@pytest.fixture(scope="module")
def page(data):
    return build_page(data)


class Outline(HTMLParser):
    """Collects what a browser would see of a page."""

    VOID = ("meta", "br", "wbr", "path", "circle", "link", "img")

    def __init__(self, html):
        super().__init__()
        self.ids, self.scripts, self.links, self.open = [], [], [], []
        self.classes = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.classes += (given.get("class") or "").split()
        self.links += [given[key] for key in ("src", "href", "data", "action") if key in given]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append([given.get("type"), ""])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += text


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
    assert len(rolls(page)) == outline.classes.count("play") == len(playable) == 8
    assert outline.classes.count("failed") == 4


def test_players_hold_the_notes_of_the_samples(data, page):
    piece, found = data.systems[0].samples[0].piece, rolls(page)[0]
    notes = np.array(found["notes"]).reshape(-1, 4)
    assert notes[:, 2].tolist() == piece.notes["pitch"].tolist()
    assert notes[:, 0].tolist() == [round(1000 * int(x) / 480) for x in piece.notes["onset"]]
    assert found["length"] == 16000
    assert found["bars"] == [0, 4000, 8000, 12000]
    assert [roll["prompt"] for roll in rolls(page)[:2]] == [0, 4000]


def test_pages_ask_no_network_for_anything(data, page):
    for html in (page, listen_page(data.systems[0].samples, "lstm")):
        assert not re.search(r"(https?:)?//\w", re.sub(r"[\w+/=]{200,}", "", html))
        assert "url(" not in html
        assert "@import" not in html
        assert all(link.startswith("#") for link in Outline(html).links)
        assert "default-src 'none'" in html


def test_pages_repeat_their_bytes(root, data, page):
    again = load(SYSTEMS, root, title=data.title, datasets=data.datasets)
    instrument.cache_clear()
    assert build_page(again) == page
    assert str(root) not in page


def test_text_from_files_cannot_become_markup(page):
    assert HOSTILE not in page
    assert "Title &amp; more" in page


def test_the_page_shows_every_section_and_the_head(page):
    assert {"leaderboard", "learning", "features", "originality", "listen"} <= set(
        Outline(page).ids
    )
    for text in (
        "Soprano",
        "Chorales",
        "public domain",
        "300 train",
        "Pitch range (semitones)",
        "bwv253",
    ):
        assert text in page


def test_the_instrument_is_small_and_whole():
    recorded = json.loads(instrument())
    assert sorted(map(int, recorded)) == list(PITCHES)
    assert len(instrument()) < 400_000


def test_a_listening_page_holds_its_samples_alone(data):
    system = data.systems[1]
    outline = Outline(listen_page(system.samples, system.name))
    assert {sample.id for sample in system.samples} <= set(outline.ids)
    assert not any(sample.id in outline.ids for sample in data.systems[0].samples)


def test_rows_group_seeds_and_show_baselines_once_per_encoding(data):
    rows = leaderboard_rows(data)
    names = [(row["kind"], row["name"]) for row in rows]
    baselines = [("baseline", "bigram"), ("baseline", "uniform")]
    assert names == [
        ("system", "gpt small"),
        ("seed", "gpt"),
        ("seed", "gpt-2"),
        ("system", "lstm"),
        *baselines,
        ("system", "remi"),
        *baselines,
    ]
    first = rows[0]
    assert first["test_bits_per_quarter"] == pytest.approx(5.3)
    assert first["test_bits_per_quarter_spread"] == pytest.approx(0.2 / math.sqrt(2))
    assert first["seeds"] == "1 2"
    assert first["parameters"] == 1200


def test_systems_compete_within_an_encoding_only(data):
    best = {row["name"]: row["best"].split() for row in leaderboard_rows(data)}
    assert "test_nats_per_token" in best["gpt small"]
    assert not best["remi"]  # alone in its encoding, though its bits per quarter are the lowest
    assert not any(row["best"] for row in leaderboard_rows(data) if row["kind"] != "system")


def test_the_terminal_shows_every_row(data):
    lines = text_table(data).splitlines()
    assert len(lines) == 2 + len(leaderboard_rows(data))
    assert any("remi" in line and "5.000 [4.500, 5.500]" in line for line in lines)


def test_the_table_file_gives_the_rows_back(data):
    rows = leaderboard_rows(data)
    back = list(csv.DictReader(io.StringIO(leaderboard_csv(data))))
    assert [row["name"] for row in back] == [row["name"] for row in rows]
    assert [float(row["valid_nats_per_note"]) for row in back] == [
        row["valid_nats_per_note"] for row in rows
    ]
    assert {row["test_bits_per_quarter_spread"] for row in back[1:]} == {""}


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("evaluation/gpt/details.json", "evaluate@gpt"),
        ("evaluation/gpt/plots/features.csv", "evaluate@gpt"),
        ("evaluation/gpt/plots/originality.csv", "evaluate@gpt"),
        ("evaluation/gpt/curve.csv", "evaluate@gpt"),
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


def test_a_system_without_likelihood_or_curve_is_shown_with_dashes(root, data):
    silent = [vars(system) | {"likelihood": {}, "baselines": {}} for system in data.systems]
    bare = ReportData(tuple(type(data.systems[0])(**values) for values in silent))
    assert all(math.isnan(row["test_nats_per_note"]) for row in leaderboard_rows(bare))
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


def test_groups_hold_seeds_and_nothing_else(data):
    assert [[s.name for s in g.systems] for g in group_by_seed(data.systems)] == [
        ["lstm"],
        ["gpt", "gpt-2"],
        ["remi"],
    ]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[1.0], [4.9, 92.0], [0.21, 0.24], [1e-3, 5e4], [3.0, 3.0]])
def test_axes_hold_their_values_and_have_ticks(values, log):
    scale = Scale.around(values, 0, 100, log=log)
    places = [scale(value) for value in values]
    assert all(0 < place < 100 for place in places) or not log
    assert places == sorted(places)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 9
    assert all(scale.low <= tick * 1.0000001 and tick <= scale.high * 1.0000001 for tick in ticks)


def test_numbers_are_short_and_say_when_there_is_none():
    shown = [number(x) for x in (5.1234, 48.0, 0.04567, 123456.0, -1.5, 0.0, math.nan)]
    assert shown == ["5.123", "48.00", "0.046", "123456", "−1.500", "0", "–"]
