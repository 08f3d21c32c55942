"""The studio: its pieces, its locks, its HTTP API, and the page in a real browser."""

import http.client
import json
import shutil
import threading
import time

import pytest
import uvicorn
from fastapi.testclient import TestClient
from live_lab import band_folder

from ostinato.generator import Generator
from ostinato.music.piece import same_music
from ostinato.music.write import write_midi
from ostinato.readers.read import read_piece
from ostinato.sampling.request import Region, Request
from ostinato.studio.app import UPLOAD, create_app
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
    back = from_json(to_json(piece))
    assert same_music(back, piece)
    assert (back.tempos, back.keys) == (piece.tempos, piece.keys)
    assert to_json(back) == to_json(piece)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"tracks": []}, "a piece has 1 to 64 tracks, this one 0"),
        ({"ticks": 0}, "ticks_per_quarter=0"),
        ({"tracks": None}, "not a piece|a piece has"),
        ({"tracks": [{"notes": [[0, 480, 128, 80]]}]}, "pitch 128"),
        ({"tracks": [{"notes": [[0, 0, 60, 80]]}]}, "duration 0"),
        ({"tracks": [{"notes": [[0, 480]]}]}, "not a piece"),
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


def sounding(piece):
    """The key that sounds, by role, bar of four quarters, and sixteenth.

    A note that is tied into a locked bar sounds there as before, but may be struck anew.
    """
    step = piece["ticks"] // 4
    return {
        (track["role"], 1 + at // (16 * step), at): pitch
        for track in piece["tracks"]
        for onset, duration, pitch, _ in track["notes"]
        for at in range(onset, onset + duration, step)
    }


def differing(before, after):
    """Roles and bars in which two pieces do not sound alike."""
    return {at[:2] for at in before.keys() | after.keys() if before.get(at) != after.get(at)}


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
        assert about["conditions"] == [{"name": "style", "values": ["jazz", "rock"]}]
        asked = {"model": "tiny", "bars": 2, "options": {"roles": "drums, melody"}}
        asked["conditions"] = {"style": "jazz"}
        piece = client.post("/api/make", json=asked).json()[0]["piece"]
        assert {track["role"] for track in piece["tracks"] if track["notes"]} <= {"drums", "melody"}
        again = asked | {"task": "fill", "piece": piece, "free": [["melody", 2]]}
        filled = client.post("/api/make", json=again | {"options": {}}).json()[0]["piece"]
        kept = [track["notes"] for track in filled["tracks"] if track["role"] == "drums"]
        assert kept == [track["notes"] for track in piece["tracks"] if track["role"] == "drums"]
        wrong = {"model": "tiny", "options": {"roles": "tuba"}}
        assert "tuba" in said(client.post("/api/make", json=wrong), 422)


def test_refusals_say_what_is_possible(client, chorale, name):
    piece = to_json(chorale(2))
    for asked, wrong in (
        ({"model": "nobody"}, "no model 'nobody'; there are"),
        ({"model": name, "task": "vary", "piece": piece}, "cannot do task 'vary'"),
        ({"model": name, "task": "continue"}, "needs music"),
        ({"model": name, "task": "fill", "piece": piece}, "everything is locked"),
        ({"model": name, "weights": "123456789abc"}, "made with weights 123456789abc"),
        ({"model": name, "options": {"temperature": "hot"}}, "temperature='hot'"),
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
    score = client.post("/api/export/musicxml", json=piece)
    assert b"<score-partwise" in score.content
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


def test_other_pages_and_names_are_refused(client):
    assert "is not evil.example" in said(client.get("/", headers={"Host": "evil.example"}), 400)
    other = client.post("/api/make", json={}, headers={"Origin": "http://evil.example"})
    assert "may not use this server" in said(other, 403)
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/static/../app.py").status_code == 404


def test_no_model_is_said(tmp_path):
    with pytest.raises(ValueError, match="no model folder is here"):
        Models(folders_under([tmp_path]))


# ---- the page


def test_an_upload_of_100_mb_is_refused_before_it_is_sent(address):
    connection = http.client.HTTPConnection(
        *address.strip("/").split("/")[2].split(":"), timeout=30
    )
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


@pytest.fixture(scope="module")
def address(models):
    server = uvicorn.Server(uvicorn.Config(create_app(models), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)


def launched(play):
    """Chromium, or a skipped test where none can be installed."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        return play.chromium.launch(executable_path=found, args=["--no-sandbox"])
    except Exception as error:  # playwright's class is known only where it is installed
        pytest.skip(f"no Chromium starts here; playwright install chromium ({str(error)[:80]})")


def export_all(page, folder):
    for kind in ("mid", "musicxml", "wav"):
        with page.expect_download() as download:
            page.click(f"[data-export={kind}]")
        assert download.value.suggested_filename == f"ostinato.{kind}"
        download.value.save_as(folder / f"ostinato.{kind}")
    assert (folder / "ostinato.wav").stat().st_size > 100_000


def play_a_little(page):
    page.click("#play")
    page.wait_for_function("studio.sound.position > 0.3")
    page.click('[aria-label="Mute alto"]')
    assert page.evaluate("[0, 1].map((voice) => studio.sound.heard(voice))") == [True, False]
    page.click("#play")
    page.wait_for_function("!studio.sound.playing")


def open_a_prompt(page, path):
    """All of its cells are locked."""
    page.set_input_files("#upload", path)
    page.wait_for_function("studio.takes.length == 1")
    page.click("#fit")
    page.wait_for_selector('[data-key="alto|2"]')
    page.click("#lock-all")


def draw_a_note(page):
    page.click("#blank")
    page.focus("#roll")
    for key in ("ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("studio.piece.tracks[0].notes") == [[120, 480, 68, 80]]


def make_by_a_key(page):
    page.select_option("#task", "generate")
    page.fill("#bars", "2")
    page.focus("#play")
    page.keyboard.press("r")
    page.wait_for_function("studio.takes.length == 3")


def record_a_little(page):
    """Two keys of the computer, one after the other."""
    page.click("#record")
    page.wait_for_selector('#record[aria-pressed="true"]')
    for key in "ad":
        page.keyboard.down(key)
        page.wait_for_timeout(200)
        page.keyboard.up(key)
    page.click("#record")
    page.wait_for_selector('#record[aria-pressed="false"]')
    notes = page.evaluate("studio.piece.tracks[0].notes")
    assert [pitch for _, _, pitch, _ in notes] == [60, 64]
    assert notes[0][0] == 0 < notes[0][1] <= notes[1][0]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_the_whole_way_in_a_browser(address, chorale, size, tmp_path):
    """A prompt: free, re-roll, undo, redo, export, play, again by a link; then draw and record."""
    write_midi(tmp_path / "prompt.mid", chorale(2, bars=3))
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with api.sync_playwright() as play:
        browser = launched(play)
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, bypass_csp=True, accept_downloads=True
        )
        context.set_default_timeout(180_000)  # milliseconds, for a machine that does other work
        page, asked, wrong = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        open_a_prompt(page, tmp_path / "prompt.mid")
        first = page.evaluate("JSON.stringify(studio.piece.tracks)")
        page.click('[data-key="alto|2"]')
        page.select_option("#task", "fill")
        page.fill("#seed", "5")
        page.click("#make")
        page.wait_for_function("studio.takes.length == 2")
        second = page.evaluate("JSON.stringify(studio.piece.tracks)")
        assert second != first
        page.click("#undo")
        assert page.evaluate("JSON.stringify(studio.piece.tracks)") == first
        page.click("#redo")
        ticks = page.evaluate("studio.piece.ticks")
        both = [sounding({"ticks": ticks, "tracks": json.loads(x)}) for x in (first, second)]
        assert differing(*both) == {("alto", 2)}  # the locked cells stayed
        export_all(page, tmp_path)
        exported = read_piece(tmp_path / "ostinato.mid")
        assert len(exported.notes) == sum(len(track["notes"]) for track in json.loads(second))
        play_a_little(page)
        page.click("#link")
        again = context.new_page()
        again.goto(page.url)
        again.wait_for_function("window.studio && studio.takes.length == 1")
        assert again.evaluate("JSON.stringify(studio.piece.tracks)") == second
        draw_a_note(page)
        record_a_little(page)
        make_by_a_key(page)
        assert not wrong
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
        browser.close()
