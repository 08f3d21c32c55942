import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from outline import Outline

from ostinato.corpus.store import Entry
from ostinato.music.piece import Meter, Piece, Tempo, Track, make_notes
from ostinato.music.write import write_midi
from ostinato.report.corpus_collect import collect
from ostinato.report.corpus_data import DescribeOptions
from ostinato.report.corpus_excerpt import colors_of, first_seconds, recordings, voice_names
from ostinato.report.corpus_page import build_corpus_page, clean, note_counts
from ostinato.report.player import DRUMS as DRUM_COLOR

TPQ = 24
SPLITS = ("train", "valid", "test")
SUMMARY = {"dataset": "demo", "notes_read": 600, "notes_kept": 540}
SUMMARY |= {"notes_dropped": {"zero length": 60}}
EVIL = "</script><script>alert(1)</script>"
TRACKS = (Track("Right", "piano"), Track("Left", "bass", 33), Track("Kit", "drums", 0, True))


def make_piece(seed):
    rng = np.random.default_rng(seed)
    low, high = (0, 0, 1, 35), (3, 16 * TPQ, 3 * TPQ, 82)  # track, onset, duration, pitch
    rows = [(*rng.integers(low, high).tolist(), 90) for _ in range(60)]
    tempos = (Tempo(0, 60.0), Tempo(8 * TPQ, 90.0))
    labels = {"style": f"style {seed % 3}"}
    meters = (Meter(0, 4, 4),)
    return Piece(f"piece-{seed}", TPQ, make_notes(rows), TRACKS, tempos, meters, labels=labels)


PIECES = [make_piece(seed) for seed in range(9)]


def look(music=PIECES, **options):
    entries = [Entry(p, SPLITS[i % 3], p.id, f"g{i // 2}") for i, p in enumerate(music)]
    rows = [{"id": e.piece.id, "split": e.split, "group": e.group} for e in entries]
    rejected = [{"file": f"{i}.mid", "reason": "unreadable", "detail": ""} for i in range(3)]
    chosen = DescribeOptions(**({"pieces": 2, "seconds": 2.0} | options))
    return collect(rows, iter(entries), SUMMARY, rejected, chosen)


@pytest.fixture(scope="module")
def data():
    return look()


@pytest.fixture(scope="module")
def page(data):
    return build_corpus_page(data)


def test_notes_that_nobody_accounts_for_are_shown():
    assert note_counts(SUMMARY)[-1] == ("dropped: zero length", 60)
    assert note_counts(SUMMARY | {"notes_kept": 539})[-1] == ("not accounted for", 1)
    assert not note_counts({})


def test_an_excerpt_begins_with_the_first_note_and_ends_in_time():
    piece = make_piece(5)
    later = replace(piece, notes=piece.notes.copy(), tempos=(Tempo(0, 60.0),), meters=())
    later.notes["onset"] += 90 * TPQ
    cut = first_seconds(later, 4.0)
    assert 0 <= cut.notes["onset"].min() < 4 * TPQ
    assert cut.length <= 4 * TPQ
    inside = later.notes["onset"] < later.notes["onset"].min() + 3 * TPQ
    assert inside.sum() <= len(cut.notes) < len(later.notes)
    whole = first_seconds(piece, 600.0)
    assert len(whole.notes) == len(piece.notes)
    slow = replace(later, meters=(Meter(0, 4000, 4),))
    assert first_seconds(slow, 4.0).notes["onset"].min() == 0


def test_drums_have_their_own_colour_and_voices_one_each():
    preferred = {"Piano": 0, "Bass": 8, "Strings": 0}
    assert voice_names(PIECES[0]) == ["Piano", "Bass", "Drums"]
    assert colors_of(PIECES[0], preferred) == [0, 1, DRUM_COLOR]
    same = replace(PIECES[0], tracks=(Track("Right", "piano"), Track("Left", "piano"), TRACKS[2]))
    assert voice_names(same) == ["Right", "Left", "Drums"]
    assert voice_names(replace(same, tracks=(Track(),) * 3)) == ["Track 1", "Track 2", "Track 3"]


def sound_of(recording):
    import soundfile

    data = json.loads(recording.data)
    return data, *soundfile.read(io.BytesIO(base64.b64decode(data["sound"])))


def test_the_sound_of_an_excerpt_is_there_and_as_long_as_its_notes(data):
    for recording in recordings(data.excerpts):
        found, sound, rate = sound_of(recording)
        assert not recording.failed
        assert found["length"] <= 2000
        assert found["length"] / 1000 <= len(sound) / rate <= found["length"] / 1000 + 5
        assert np.abs(sound).max() > 0.3
        first = min(found["notes"][::4]) / 1000
        assert first - 0.005 <= found["attack"] / 1000 < first + 0.1


def test_drums_sound_and_are_drawn():
    notes = PIECES[0].notes.copy()
    notes["track"], notes["duration"] = 2, 1
    (excerpt,) = look([replace(PIECES[0], notes=notes)], pieces=1).excerpts
    (recording,) = recordings([excerpt])
    found, sound, _ = sound_of(recording)
    assert set(found["notes"][3::4]) == {2}
    assert found["voices"][2]["color"] == DRUM_COLOR
    assert np.abs(sound).max() > 0.3
    assert recording.legend == ((DRUM_COLOR, "Drums"),)


def test_an_excerpt_that_cannot_sound_says_so_and_spoils_nothing(monkeypatch):
    from ostinato.audio.render import RenderError

    def silent(piece, *, sample_rate):
        raise RenderError(f"{piece.id} is silent")

    monkeypatch.setattr("ostinato.report.corpus_excerpt.synthesize", silent)
    html = build_corpus_page(look())
    assert html.count("No sound: piece-") == 2
    assert html.count("disabled>") == 2


def test_the_page_is_whole_and_repeats_its_bytes(data, page):
    outline = Outline(page)
    assert not outline.open
    assert len(set(outline.ids)) == len(outline.ids)
    assert {"counts", "listen", "music", "instruments", "labels", "rejected"} <= set(outline.ids)
    assert {"warnings", "copies", "excerpt-1", "excerpt-2"} <= set(outline.ids)
    assert outline.tags["svg"] == page.count('class="play"') + len(
        data.music + data.instruments + data.labels
    )
    assert page.count('role="img" aria-label="') == page.count("<summary>Table</summary>")
    assert build_corpus_page(look()) == page


def test_the_page_asks_no_network_for_anything(page):
    assert all(link.startswith("#") for link in Outline(page).links)
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.long
def test_text_from_files_cannot_become_markup():
    evil = replace(
        PIECES[0],
        id=f"id {EVIL}",
        title=f"title {EVIL}",
        labels={f"label {EVIL}": f"value {EVIL}"},
        warnings=(f"warning {EVIL}",),
        tracks=(Track(f"name {EVIL}", f"role {EVIL}"), Track("", f"other {EVIL}"), TRACKS[2]),
    )
    rows = [{"id": f"{i} {EVIL}", "split": EVIL, "copies": EVIL, "group": EVIL} for i in range(2)]
    rejected = [{"file": EVIL, "reason": EVIL, "detail": f"words {EVIL}"}]
    leaks = {EVIL: {"pieces": {EVIL: {EVIL: 1}}}}
    summary = {"dataset": EVIL, "notes_read": 1, "notes_dropped": {EVIL: 1}, "leaks": leaks}
    summary["origin"] = {"licence": EVIL, "citation": EVIL, "url": "javascript:alert(1)"}
    summary["rows_without_piece"] = {"rows": 1, "first": [f"row {EVIL}"]}
    rows.append({"id": evil.id, "split": EVIL})
    entries = iter([Entry(evil, EVIL, "", "")])
    html = build_corpus_page(collect(rows, entries, summary, rejected, DescribeOptions(pieces=3)))
    outline = Outline(html)
    assert EVIL not in html
    assert "alert(1)</script>" not in html
    assert outline.tags["script"] == 2  # the excerpt's notes, and the player
    assert not any(link.startswith("javascript") for link in outline.links)
    for text in ("row", "words", "warning", "title", "value", "role", "other"):
        assert f"{text} &lt;/script&gt;&lt;script&gt;" in html.replace("Role", "role")


def test_every_reason_and_copy_is_on_the_page():
    rows = [{"id": f"twin {i}", "split": s, "copies": "x"} for i, s in enumerate(SPLITS)]
    rejected = [{"file": f"f{i}", "reason": f"why {i}", "detail": f"said {i}"} for i in range(9)]
    summary = {"dataset": "demo", "leaks": {"copy": {"pieces": {"valid": {"train": 7}}}}}
    summary["rows_without_piece"] = {"rows": 12, "first": ["gone/1", "gone/2"]}
    html = build_corpus_page(collect(rows, iter(()), summary, rejected, DescribeOptions()))
    for text in [f"{word} {i}" for i in range(9) for word in ("why", "said")]:
        assert text in html
    for text in (
        "twin 0",
        "twin 2",
        "in train and valid and test",
        "copy: pieces of valid that are also in train",
        "12 rows, whose piece does not exist or was rejected; the first: gone/1, gone/2.",
    ):
        assert text in html


def test_a_corpus_of_nothing_has_a_page():
    html = build_corpus_page(collect([], iter(()), {"dataset": "bare"}, [], DescribeOptions()))
    assert not Outline(html).open
    assert "every file became a piece" in html
    assert "listen" not in Outline(html).ids


def test_text_is_made_visible_and_short():
    assert clean("a\u202eb\nc\x00") == "a�b c�"
    assert clean("x" * 700) == "x" * 600 + " …"


@pytest.fixture
def corpus(project):
    """A corpus of the store, in a project: seven pieces and a file that is none."""
    from ostinato.normalization.build import build_corpus
    from ostinato.normalization.normalize import NormalizeOptions

    raw = project / "data" / "raw" / "bach"
    raw.mkdir(parents=True)
    for piece in PIECES[:7]:
        write_midi(raw / f"{piece.id}.mid", piece)
    (raw / "broken.mid").write_bytes(b"MThd and no more")
    origin = {"licence": "free", "citation": "nobody", "url": "https://example.org"}
    folder = project / "data" / "corpus" / "bach"
    build_corpus(raw, folder, NormalizeOptions(), origin=origin, workspace=project / "work")
    return folder


def test_the_script_writes_the_page_and_says_where(project, corpus, run_script):
    found = []
    for _ in range(2):
        status, out, err = run_script("describe", "dataset=bach", "pieces=1", "seconds=1")
        assert status == 0, err
        assert "open renders/corpora/bach/index.html" in out
        found.append((project / "renders" / "corpora" / "bach" / "index.html").read_bytes())
    assert found[0] == found[1]
    html = found[0].decode()
    assert "broken.mid" in html
    assert "https://example.org" in html
    assert str(project) not in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dataset=bach",), "make it with: python pipelines/normalize.py dataset=bach"),
        (("dataset=nowhere",), "valid names of dataset: "),
        (("pieces=-1",), "pieces=-1"),
    ],
)
def test_the_script_explains_what_is_missing(run_script, arguments, message):
    status, _, err = run_script("describe", *arguments)
    assert status == 1
    assert message in err
    assert "Traceback" not in err
