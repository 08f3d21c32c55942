"""The studio: its pieces, its locks, its HTTP API, and the page in a real browser."""

import http.client
import json
from dataclasses import replace

import pytest
from browsers import served
from cells import differing, sounding
from fastapi.testclient import TestClient
from live_lab import band_folder

from ostinato.generator import Generator
from ostinato.live.composer import Cancelled
from ostinato.music.piece import Annotation, Key, Piece, Tempo, Track, make_notes, same_music
from ostinato.music.write import write_midi
from ostinato.readers.read import read_piece
from ostinato.sampling.request import Region, Request
from ostinato.sampling.sounding import seed_of_attempt
from ostinato.studio.app import UPLOAD, create_app
from ostinato.studio.asked import Asked, making, without_chords
from ostinato.studio.locks import regions
from ostinato.studio.models import Models, folders_under
from ostinato.studio.music import from_json, to_json

VOICES = ["soprano", "alto", "tenor", "bass"]


@pytest.fixture(scope="module")
def models(model_folder):
    return Models(folders_under([model_folder]))


@pytest.fixture(scope="module")
def name(model_folder):
    return model_folder.name


@pytest.fixture(scope="module")
def client(models):
    with TestClient(create_app(models), base_url="http://127.0.0.1") as client:
        yield client


def said(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


# ---- pieces and locks


def test_a_piece_of_the_page_is_the_piece(chorale):
    piece = chorale(3)
    signs = (Annotation(0, "chord", "Dm7"), *piece.annotations, Annotation(96, "fermata"))
    piece = replace(piece, annotations=tuple(sorted(signs, key=lambda sign: sign.onset)))
    back = from_json(to_json(piece))
    assert same_music(back, piece)
    assert (back.tempos, back.keys) == (piece.tempos, piece.keys)
    assert set(back.annotations) == set(piece.annotations)
    assert to_json(back) == to_json(piece)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"tracks": []}, "a piece has 1 to 64 tracks, this one 0"),
        ({"ticks": 0}, "a quarter has 0 ticks; it has 1 to 32767"),
        ({"ticks": 40_000}, "a quarter has 40000 ticks"),
        ({"tempos": [[0, 1e-9]]}, "a tempo is 1e-09; it must be at least 3.6"),
        ({"tracks": None}, "not a piece|a piece has"),
        ({"tracks": [{"notes": [[0, 480, 128, 80]]}]}, "pitch 128"),
        ({"tracks": [{"notes": [[0, 0, 60, 80]]}]}, "duration 0"),
        ({"tracks": [{"notes": [[0, 480]]}]}, "not a piece"),
        ({"tracks": [{"notes": [[0, float("nan"), 60, 80]]}]}, "nan where a whole number"),
        ({"tracks": [{"notes": [[0, float("inf"), 60, 80]]}]}, "not a piece"),
        ({"tracks": [{"notes": [[0, "long", 60, 80]]}]}, "'long' where a whole number"),
        ({"tempos": [[0, float("nan")]]}, "a tempo is nan"),
        ({"meters": [[0, 0, 0]]}, "a meter is 0/0"),
        ({"meters": [[0, 4, 3]]}, "a meter is 4/3"),
        ({"keys": [[0, 99, "major"]]}, "a key has 99"),
        ({"lines": [-5]}, "onset at tick -5"),
        ({"signs": [[0, "chord"]]}, "not a piece|not enough values"),
    ],
)
def test_other_things_are_not_pieces(chorale, change, wrong):
    with pytest.raises(ValueError, match=wrong):
        from_json(to_json(chorale(3)) | change)


def test_free_cells_become_regions():
    free = [("alto", 2), ("tenor", 2), ("alto", 3), ("tenor", 3), ("alto", 4), ("bass", 6)]
    assert regions(free, VOICES, range(1, 7)) == [
        Region((2, 4), ("alto", "tenor")),
        Region((4, 5), ("alto",)),
        Region((6, 7), ("bass",)),
    ]
    for cells, wrong in (
        ([], "everything is locked"),
        ([(v, b) for v in VOICES for b in range(1, 7)], "nothing is locked"),
        ([("alto", 9)], "no bar 9 of role 'alto'; it has bars 1 to 6"),
    ):
        with pytest.raises(ValueError, match=wrong):
            regions(cells, VOICES, range(1, 7))


# ---- the API


def test_the_page_makes_what_generate_makes(client, model_folder, name):
    asked = {"model": name, "bars": 3, "seed": 7, "n": 2, "options": {"top_p": 0.9}}
    made = client.post("/api/make", json=asked).json()
    request = Request(bars=3, seed=7, n=2, options={"top_p": 0.9})
    for one, sample in zip(made, Generator.load(model_folder).generate(request), strict=True):
        assert same_music(from_json(one["piece"]), sample.piece)


def test_a_piece_without_a_note_is_made_anew(models, name, monkeypatch):
    """It is the piece that generate makes then."""
    composer, tried = models.get(name), []
    first = composer._once

    def once(request, stopped):
        tried.append(request.seed)
        for step in first(request, stopped):
            if len(tried) < 3 and step.piece is not None:
                yield replace(step, piece=replace(step.piece, notes=step.piece.notes[:0]))
            else:
                yield step

    monkeypatch.setattr(composer, "_once", once)
    request = Request(bars=1, seed=7)
    *_, last = composer.compose(request)
    assert tried == [7, seed_of_attempt(request, 1), seed_of_attempt(request, 2)]
    assert last.done
    assert len(last.piece.notes)


def test_how_far_a_request_is_and_its_end(client, models, name):
    asked = {"model": name, "bars": 3, "seed": 7, "n": 2}
    rows = list(map(json.loads, client.post("/api/make/lines", json=asked).text.splitlines()))
    assert rows[-1] == {"made": client.post("/api/make", json=asked).json()}
    assert rows[0] == {"take": 1, "takes": 2, "done": 0, "of": 0}
    assert {"take": 2, "takes": 2, "done": 1, "of": 3} in rows
    wrong = client.post("/api/make/lines", json=asked | {"weights": "123456789abc"}).text
    assert "made with weights 123456789abc" in json.loads(wrong)["detail"]


def test_a_request_that_nobody_wants_any_more_ends_at_once(models, chorale, name):
    piece = to_json(models.get(name).representation.quantize(chorale(2)).piece)
    fill = {"task": "fill", "piece": piece, "free": [("alto", 2)], "options": {"particles": 4}}
    for task in ({"bars": 128}, fill):
        asked, looks = Asked(model=name, **task), []
        with pytest.raises(Cancelled):  # at the third look
            list(making(models, asked, lambda looks=looks: looks.append(1) or len(looks) > 2))
        assert not models.turn.locked()
        parts = models.get(name)._generator.trained.model.modules()
        assert not any(part._forward_pre_hooks for part in parts)


def test_locked_cells_stay_and_free_ones_change(client, models, chorale, name):
    held = models.get(name).representation.quantize(chorale(2)).piece  # as the encoding holds it
    piece = to_json(held)
    free = [["alto", 2], ["bass", 3]]
    asked = {
        "model": name,
        "task": "fill",
        "piece": piece,
        "free": free,
        "options": {"particles": 4},
    }
    made = client.post("/api/make", json=asked).json()[0]["piece"]
    changed = differing(sounding(piece), sounding(made))
    assert changed <= {("alto", 2), ("bass", 3)}
    assert changed


@pytest.mark.long
def test_a_band_has_its_roles_and_styles(tmp_path):
    models = Models(folders_under([band_folder(tmp_path / "tiny")]))
    with TestClient(create_app(models), base_url="http://127.0.0.1") as client:
        about = client.get("/api/models/tiny").json()
        assert about["options"]["roles"] == ""
        for options, wrong in (
            ({"tempo": -5}, "tempo=-5.0 must be"),
            ({"roles": "drums,drums"}, "roles names drums twice"),
        ):
            answer = client.post("/api/make", json={"model": "tiny", "options": options})
            assert wrong in said(answer, 422)
        assert about["conditions"] == [{"name": "style", "values": ["jazz", "rock"]}]
        asked = {"model": "tiny", "bars": 2, "options": {"roles": "drums, melody"}}
        asked["conditions"] = {"style": "jazz"}
        piece = client.post("/api/make", json=asked).json()[0]["piece"]
        assert {track["role"] for track in piece["tracks"] if track["notes"]} <= {"drums", "melody"}
        again = asked | {"task": "fill", "piece": piece, "free": [["melody", 2]]}
        filled = client.post("/api/make", json=again | {"options": {}}).json()[0]["piece"]
        (drums,) = [track for track in piece["tracks"] if track["role"] == "drums"]
        kept = [track["notes"] for track in filled["tracks"] if track["role"] == "drums"]
        assert kept == [track["notes"] for track in piece["tracks"] if track["role"] == "drums"]
        upbeat = {**piece, "lines": [], "bars": [], "meters": [[0, 4, 4]]}
        upbeat["lines"] = [piece["ticks"], 5 * piece["ticks"]]  # a pickup of a quarter
        upbeat["tracks"] = [{**drums, "notes": [[t * piece["ticks"], 6, 36, 80] for t in range(9)]}]
        asked |= {"task": "fill", "piece": upbeat, "free": [["drums", 1]], "options": {}}
        last = client.post("/api/make", json=asked).json()[0]["piece"]
        beats = {(note[0] / last["ticks"], note[2]) for x in last["tracks"] for note in x["notes"]}
        stay = {(at, key) for at, key in beats if not 4 <= at < 8}
        assert stay == {(at, 36) for at in (3, 8, 9, 10, 11)}, "bar 1 alone, which events call 2"
        odd = {**upbeat, "meters": [[0, 1, 4], [piece["ticks"] * 2, 4, 4]]}
        asked |= {"piece": odd}
        assert "has this meter" in said(client.post("/api/make", json=asked), 422)
        wrong = {"model": "tiny", "options": {"roles": "tuba"}}
        assert "tuba" in said(client.post("/api/make", json=wrong), 422)


def test_refusals_say_what_is_possible(client, chorale, name):
    piece, late = to_json(chorale(2)), to_json(chorale(2))
    late["tracks"][0]["notes"].append([9_000_000, 480, 70, 80])
    for asked, wrong in (
        ({"model": "nobody"}, "no model 'nobody'; there are"),
        ({"model": name, "task": "vary", "piece": piece}, "cannot do task 'vary'"),
        ({"model": name, "task": "continue"}, "needs music"),
        ({"model": name, "task": "fill", "piece": piece}, "everything is locked"),
        ({"model": name, "weights": "123456789abc"}, "made with weights 123456789abc"),
        ({"model": name, "options": {"temperature": "hot"}}, "temperature='hot'"),
        ({"model": name, "options": {"temperature": 1e308}}, "from 1e-06 to 1e+06"),
        ({"model": name, "options": {"heat": 1}}, "has no option 'heat'; it has: "),
        ({"model": name, "task": "fill", "piece": piece, "free": [["tuba", 1]]}, "no role 'tuba'"),
        ({"model": name, "task": "fill", "piece": late, "free": [["alto", 2]]}, "at most 1024"),
    ):
        assert wrong in said(client.post("/api/make", json=asked), 422)
    many = client.post("/api/make", json={"model": name, "bars": 1000})
    assert "bars" in str(said(many, 422))
    assert "no format 'ogg'" in said(client.post("/api/export/ogg", json=piece), 404)


def test_files_go_in_and_out(client, chorale, tmp_path):
    write_midi(tmp_path / "melody.mid", chorale(2))
    data = (tmp_path / "melody.mid").read_bytes()
    piece = client.post("/api/upload?name=melody.mid", content=data).json()
    exported = client.post("/api/export/mid", json=piece)
    assert exported.headers["content-type"] == "audio/midi"
    (tmp_path / "back.mid").write_bytes(exported.content)
    assert same_music(read_piece(tmp_path / "back.mid"), read_piece(tmp_path / "melody.mid"))
    late = to_json(chorale(2))
    late["tracks"][0]["notes"].append([9_000_000, 480, 70, 80])
    assert "a WAV holds 20 at most" in said(client.post("/api/export/wav", json=late), 422)
    score = client.post("/api/export/musicxml", json=piece)
    assert b"<score-partwise" in score.content
    assert piece["remarks"] == []
    cut = client.post("/api/upload?name=cut.mid", content=data[: len(data) // 2]).json()
    assert "tracks that are cut or damaged, read as far as they go: 1" in cut["remarks"]
    assert not any("MusPy" in line or "symusic" in line for line in cut["remarks"])
    for body, file, status, wrong in (
        (b"MThd nonsense", "a.mid", 422, "a.mid cannot be read"),
        (data, "a.exe", 422, "'a.exe' is not a kind that is read here"),
        (data, "../../etc/passwd.mid", 200, None),
        (b"0" * (UPLOAD + 1), "big.mid", 413, "are too many"),
    ):
        answer = client.post(f"/api/upload?name={file}", content=body)
        assert answer.status_code == status
        assert wrong is None or wrong in said(answer, status)


def test_a_piece_is_fitted_to_the_roles_of_a_model(client, chorale, name):
    piece = to_json(chorale(2))
    for track, role in zip(piece["tracks"], ("Flute", "Oboe", "Viola", "Cello"), strict=True):
        track |= {"role": "", "name": role}
    fitted = client.post(f"/api/fit/{name}", json=piece).json()["piece"]
    assert [track["role"] for track in fitted["tracks"]] == VOICES
    piece["tracks"] += piece["tracks"][:1]
    assert "has 5 sounding tracks" in said(client.post(f"/api/fit/{name}", json=piece), 422)


def test_a_piece_keeps_its_tempos(client, models, chorale, name):
    """Encodings hold none; a tempo that is asked for replaces all."""
    beat = chorale(2).ticks_per_quarter
    tempos = (Tempo(0, 60.0), Tempo(4 * beat, 120.0))
    piece = to_json(replace(chorale(2), tempos=tempos))
    fitted = client.post(f"/api/fit/{name}", json=piece).json()["piece"]
    quarters = [[onset / fitted["ticks"], qpm] for onset, qpm in fitted["tempos"]]
    assert quarters == [[0, 60.0], [4, 120.0]]
    for task in ({"task": "continue", "bars": 1}, {"task": "fill", "free": [["alto", 2]]}):
        asked = {"model": name, "piece": piece, "options": {"particles": 4}} | task
        for qpm, wanted in ((None, [[0, 60.0], [4, 120.0]]), (90, [[0, 90.0]])):
            made = client.post("/api/make", json=asked | {"qpm": qpm}).json()[0]["piece"]
            assert [[onset / made["ticks"], x] for onset, x in made["tempos"]] == wanted


def test_fitting_says_that_repeated_notes_are_held(client, chorale, name):
    piece = to_json(chorale(2))
    for at in range(4):
        piece["tracks"][0]["notes"][at][2] = 70
    answer = client.post(f"/api/fit/{name}", json=piece).json()
    before, after = (sum(len(t["notes"]) for t in x["tracks"]) for x in (piece, answer["piece"]))
    assert answer["remarks"] == [
        f"repeated notes become held ones, which leaves {before - after} notes fewer"
    ]


def test_a_piece_keeps_its_chords_and_keys_on_a_grid(client, models, chorale, name):
    beat = chorale(2).ticks_per_quarter
    signs = tuple(Annotation(at * beat, "chord", x) for at, x in ((0, "C"), (4, "G7")))
    piece = to_json(replace(chorale(2), annotations=signs, keys=(Key(0, 2, "major"),)))
    asked = {"model": name, "piece": piece, "options": {"particles": 4}, "bars": 1}
    made = [client.post(f"/api/fit/{name}", json=piece).json()["piece"]]
    made += [
        client.post("/api/make", json=asked | task).json()[0]["piece"]
        for task in ({"task": "continue"}, {"task": "fill", "free": [["alto", 2]]})
    ]
    for one in made:
        signs = [[at / one["ticks"], kind, value] for at, kind, value in one["signs"]]
        assert signs == [[0, "chord", "C"], [4, "chord", "G7"]]
        assert one["keys"] == [[0, 2, "major"]]


def test_a_piece_that_is_fitted_to_a_band_has_no_silent_chord_role(chorale):
    """A model would hear in it that the piece has no chords, and would not read its symbols."""
    chord = [(1, 0, 480, pitch, 80) for pitch in (36, 52, 55)]
    notes = make_notes([(0, 0, 480, 60, 80), (2, 480, 480, 40, 80), *chord])
    tracks = tuple(Track(role, role) for role in ("melody", "harmony", "bass"))
    piece = Piece("p", 480, notes, tracks)
    found = without_chords(piece)
    assert [track.role for track in found.tracks] == ["melody", "bass"]
    assert found.notes["track"].tolist() == [0, 1]
    assert [(sign.kind, sign.value) for sign in found.annotations] == [("chord", "C")]
    silent = without_chords(replace(piece, notes=notes[notes["track"] != 1]))
    assert [track.role for track in silent.tracks] == ["melody", "bass"]
    assert not silent.annotations


def test_other_pages_and_names_are_refused(client):
    assert "is not evil.example" in said(client.get("/", headers={"Host": "evil.example"}), 400)
    other = client.post("/api/make", json={}, headers={"Origin": "http://evil.example"})
    assert "may not use this server" in said(other, 403)
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/static/../app.py").status_code == 404


def test_a_failure_of_the_server_is_said(models, name, monkeypatch):
    def fails(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(models, "about", fails)
    app = create_app(models)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert "RuntimeError: out of memory" in said(client.get(f"/api/models/{name}"), 500)


def test_no_model_is_said(tmp_path):
    with pytest.raises(ValueError, match="no model folder is here"):
        Models(folders_under([tmp_path]))


@pytest.fixture
def server(models):
    with served(create_app(models)) as address:
        yield address


def test_an_upload_of_100_mb_is_refused_before_it_is_sent(server):
    connection = http.client.HTTPConnection(*server.strip("/").split("/")[2].split(":"), timeout=30)
    connection.putrequest("POST", "/api/upload?name=big.mid")
    connection.putheader("Content-Length", "100000000")
    connection.endheaders(b"MThd")
    answer = connection.getresponse()
    assert answer.status == 413
    assert "100,000,000 bytes are too many" in answer.read().decode()
    connection.close()
    connection.request("GET", "/api/models")
    with connection.getresponse() as answer:
        assert answer.status == 200
    connection.close()
