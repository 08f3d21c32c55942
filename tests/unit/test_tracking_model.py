"""A registered model makes music: requests in, MIDI out."""

import math
import shutil
import socket
from types import SimpleNamespace

import pandas as pd
import pytest

from ostinato.generator import Generator
from ostinato.music.piece import Piece, Track, make_notes
from ostinato.music.voices import with_voices
from ostinato.music.write import write_midi
from ostinato.readers.read import read_piece
from ostinato.representations.events.events import Events
from ostinato.sampling.request import Capabilities, Request
from ostinato.serving import Server
from ostinato.tracking import check_port, model_run, open_store
from ostinato.tracking.register import save
from ostinato.tracking.store import SWITCH

TRACK = b"MTrk\0\0\0\x0c\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0"  # one note
SOME = b"MThd\0\0\0\6\0\0\0\1\0\x60" + TRACK

pytestmark = [
    pytest.mark.starts,  # a database of MLflow takes seconds
    pytest.mark.filterwarnings(
        "ignore:unclosed database:ResourceWarning",  # mlflow keeps its engines for the process
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]


@pytest.fixture(scope="module")
def served(model_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("served") / "model"
    save(model_folder, out)
    files = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert not files - {".yaml", ".json", ".csv", ".txt", ".safetensors", ""}, "code or a pickle"
    from mlflow.pyfunc import load_model  # after `save`: its first import warns

    return load_model(str(out))


def piece_of(midi, tmp_path):
    (tmp_path / "x.mid").write_bytes(midi)
    return read_piece(tmp_path / "x.mid")


def test_its_answer_is_the_music_of_the_same_request(served, model_folder, tmp_path):
    expected = Generator.load(model_folder).generate(Request(bars=2, n=2, seed=3))
    answer = served.predict({"bars": 2, "n": 2, "seed": 3})
    assert list(answer["id"]) == [sample.row["id"] for sample in expected]
    assert list(answer["nats"]) == [sample.row["nats"] for sample in expected]
    notes = piece_of(answer["midi"][0], tmp_path).notes
    assert notes["pitch"].tolist() == expected[0].piece.notes["pitch"].tolist()


def test_requests_of_different_fields_share_a_table(served):
    answer = served.predict([{"bars": 1}, {"bars": 2, "seed": 2, "temperature": 1, "n": 2}])
    assert answer["request"].tolist() == [0, 1, 1]
    alone = served.predict(pd.DataFrame([{"bars": 2, "seed": 2, "temperature": 1.0, "n": 2}]))
    assert list(answer["id"][1:]) == list(alone["id"])
    top = served.predict({"bars": 2, "seed": 2, "n": 2, "options": {"top_k": 1}})
    assert list(top["midi"]) != list(alone["midi"])


def test_it_continues_and_fills_a_prompt(served, tmp_path):
    prompt = served.predict({"bars": 2, "seed": 1})["midi"][0]
    longer = served.predict({"prompt": prompt, "prompt_bars": 1, "bars": 2})
    assert longer["failed"].tolist() == [None]
    gap = {"infill_bars": [1, 2], "infill_voices": ["alto"]}
    filled = served.predict({"prompt": prompt, "bars": 2, **gap, "options": {"particles": 2}})

    def soprano(midi):
        piece = with_voices(piece_of(midi, tmp_path), ("soprano", "alto", "tenor", "bass"))
        at = [track.role for track in piece.tracks].index("soprano")
        return piece.notes[piece.notes["track"] == at]["pitch"].tolist()

    assert soprano(filled["midi"][0]) == soprano(prompt)
    few = {"bars": 2, "options": {"particles": 2}}
    harmonized = served.predict({"prompt": prompt, "task": "harmonize", **few})
    assert soprano(harmonized["midi"][0]) == soprano(prompt)


class Trio:
    """A model of melody, bass and drums that needs only some of them, as the server sees it."""

    representation = Events(voices=("melody", "bass", "drums"), needed="any", lowest=0, highest=127)
    trained = SimpleNamespace(card={"codec": {"representation": {}}})

    def capabilities(self):
        return Capabilities(tasks=("continue",), roles=self.representation.voices)


def test_a_prompt_keeps_its_roles_where_the_model_needs_only_some(tmp_path):
    """As `generate.py` reads it: chords stay in their track, and drums are not lost."""
    rows = [(0, 0, 4, 60, 80), (0, 0, 4, 64, 80), (1, 0, 4, 36, 80)]
    tracks = (Track("melody", role="melody"), Track("drums", role="drums", is_drum=True))
    piece = Piece("song", 4, make_notes(rows), tracks)
    write_midi(tmp_path / "song.mid", piece)
    fields = {"prompt": (tmp_path / "song.mid").read_bytes(), "prompt_bars": 1, "bars": 2}
    heard = Server(Trio()).request(fields).task.prompt
    sounding = [(heard.tracks[note["track"]].role, int(note["pitch"])) for note in heard.notes]
    assert sorted(sounding) == [("drums", 36), ("melody", 60), ("melody", 64)]
    varied = Server(Trio()).request(fields | {"vary": 0.25}).task
    assert (varied.name, varied.strength) == ("vary", 0.25)
    assert sorted(varied.piece.notes["pitch"]) == [36, 60, 64]


def test_a_variation_reaches_the_model(served):
    prompt = served.predict({"bars": 1})["midi"][0]
    with pytest.raises(ValueError, match="cannot do task 'vary'"):
        served.predict({"prompt": prompt, "vary": 0.5})


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"bars": 1.5}, "bars=1.5 must be a whole number"),
        ({"bars": "two"}, "bars=two must be a whole number"),
        ({"task": "continue"}, "task continue needs prompt: give a prompt"),
        ({"infill_voices": ["alto"]}, "give a prompt"),
        ({"vary": 0.5}, "give a prompt"),
        ({"task": "vary", "prompt": SOME, "end": SOME}, "task vary does not take end"),
        ({"prompt": SOME, "prompt_bars": 2, "bars": 3}, "has 1 bar, prompt_bars=2: give"),
        ({"vary": "hot", "prompt": SOME}, "vary='hot' must be a number from 0 to 1"),
        ({"vary": 0.5, "prompt": SOME, "infill_voices": ["alto"]}, "at once: leave one out"),
        ({"conditions": {"mood": "Q1"}}, "no condition mood"),
        ({"options": {"heat": 1}}, "no option heat"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(served, request_, words):
    with pytest.raises(ValueError, match=words):
        served.predict(request_)


def test_a_system_is_registered_once_and_loads_by_its_name(
    model_folder, tmp_path, monkeypatch, empty_store
):
    import mlflow

    shutil.copyfile(empty_store, tmp_path / "mlflow.db")

    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv(SWITCH)
    runs = {model_run(model_folder, "lstm").id for _ in range(2)}
    store = open_store()
    (version,) = store.client.search_model_versions("name = 'lstm'")
    assert {version.run_id} == runs
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store.uri)
    try:
        model = mlflow.pyfunc.load_model("models:/lstm/1")
    finally:
        mlflow.set_tracking_uri(before)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (row,) = model.predict(model.input_example).to_dict("records")
    assert row["midi"].startswith(b"MThd")
    assert not math.isnan(row["nats"])


def test_a_busy_port_is_named_with_another_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"port {port} is busy.*PORT={port + 1}"):
            check_port(port)
    check_port(port)
