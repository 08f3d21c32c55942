"""The studio in a real browser: the whole way by keyboard alone, and by touch on a phone."""

import json
from dataclasses import replace

import pytest
from browsers import barriers, chromium, served, tab_to
from cells import differing, sounding
from live_lab import band_folder

from ostinato.music.piece import Annotation, Tempo
from ostinato.music.write import write_midi
from ostinato.music.write_musicxml import write_musicxml
from ostinato.readers.read import read_piece
from ostinato.studio.app import create_app
from ostinato.studio.models import Models, folders_under

pytestmark = pytest.mark.slow
CHORDS = """[...document.querySelectorAll("#chords li")].map((one) => one.ariaLabel)"""
TRACKS = "JSON.stringify(studio.piece.tracks)"
WIDTHS = """[document.getElementById("roll").width,
    [...document.querySelectorAll("[data-key^='alto']")].reduce((sum, cell) =>
        sum + Number.parseFloat(cell.style.width), 0)]"""
FITTED = "studio.piece.ticks < 480"  # those of the grid
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(model_folder, tmp_path_factory):
    band = band_folder(tmp_path_factory.mktemp("band") / "tiny")
    with served(create_app(Models(folders_under([model_folder, band])))) as found:
        yield found


@pytest.fixture
def visit(browser, address):
    """Pages of one visitor, which ask no other machine and have no errors when the test ends."""
    asked, wrong, contexts = [], [], []

    def open_page(url=address, **options):
        if not contexts:
            contexts.append(browser.new_context(bypass_csp=True, **options))
            contexts[0].set_default_timeout(60_000)  # for a machine that does other work
        page = contexts[0].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    contexts[0].close()
    assert not wrong
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


@pytest.fixture
def prompt(chorale, tmp_path):
    write_midi(tmp_path / "prompt.mid", chorale(2, bars=3))
    return tmp_path / "prompt.mid"


def takes(page, count):
    page.wait_for_function(f"studio.takes.length == {count}")


def download(page, kind, press, folder):
    with page.expect_download() as got:
        press(f"[data-export={kind}]")
    assert got.value.suggested_filename == f"ostinato.{kind}"
    got.value.save_as(folder / f"ostinato.{kind}")
    return folder / f"ostinato.{kind}"


def only_alto_changed(page, first, second):
    ticks = page.evaluate("studio.piece.ticks")
    both = [sounding({"ticks": ticks, "tracks": json.loads(x)}) for x in (first, second)]
    return differing(*both) == {("alto", 2)}


@pytest.fixture
def page(visit):
    return visit(viewport={"width": 1280, "height": 900})


@pytest.fixture
def press(page):
    """Go somewhere with Tab and press keys there."""

    def reach(selector, *keys):
        tab_to(page, selector)
        for key in keys or ["Enter"]:
            page.keyboard.press(key)

    return reach


def choose_and_open(page, press, prompt):
    tab_to(page, "#model")
    page.keyboard.type("tiny")
    page.wait_for_function("studio.about.name == 'tiny'")
    page.keyboard.press("Home")
    page.wait_for_function("studio.about.name != 'tiny'")
    with page.expect_file_chooser() as chooser:
        press("#upload")
    chooser.value.set_files(prompt)
    takes(page, 1)
    press("#fit")
    page.wait_for_function(FITTED)
    assert not barriers(page)


def free_alto_2(page, press):
    press("#free-all")
    press("#lock-all")
    press("#locks button", "End", "ArrowLeft", "ArrowDown", "ArrowDown", "Space")
    assert page.evaluate("document.activeElement.dataset.key") == "alto|2", "the place is kept"
    assert page.evaluate("[...studio.free]") == ["alto|2"]


def chords_of_a_file(page, press, chorale, folder):
    """They stand above the roll and in the take, and a change of notes keeps them."""
    piece = chorale(2, bars=3)
    signs = [
        Annotation(at * 4 * piece.ticks_per_quarter, "chord", x)
        for at, x in ((0, "Dm7"), (2, "G7"))
    ]
    write_musicxml(folder / "chords.musicxml", replace(piece, annotations=tuple(signs)))
    page.set_input_files("#upload", folder / "chords.musicxml")
    page.wait_for_selector("#chords li")
    assert page.evaluate(CHORDS) == ["bar 1, quarter 1: Dm7", "bar 3, quarter 1: G7"]
    assert page.inner_text("#takes li:last-child .harmony") == "Dm7 | Dm7 | G7"
    press("#roll", "ArrowRight", "Enter", "Escape")
    assert len(page.evaluate(CHORDS)) == 2
    assert not barriers(page)


def cancel_what_takes_long(page, press):
    page.select_option("#task", "generate")
    page.fill("#bars", "128")
    before = page.evaluate("studio.takes.length")
    press("#make")
    page.wait_for_function("/bar [1-9]/.test(document.querySelector('#far').innerText)")
    assert not barriers(page)
    press("#cancel")
    page.wait_for_selector("#working", state="hidden")
    assert "cancelled" in page.inner_text("#said")
    assert page.evaluate("document.activeElement.id") == "make", "the place is kept"
    press("#make")
    page.wait_for_selector("#working")
    page.keyboard.press("Escape")
    page.wait_for_selector("#working", state="hidden")
    assert page.evaluate("studio.takes.length") == before


def draw_two_notes(page, press):
    press("#blank")
    moves = ("ArrowRight", "ArrowUp", "Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Enter")
    press("#roll", *moves)
    drawn = [[120, 480, 68, 80], [600, 480, 56, 80]]
    assert page.evaluate("studio.piece.tracks[0].notes") == drawn
    page.keyboard.press("Control+z")
    assert page.evaluate("studio.piece.tracks[0].notes") == drawn[:1]
    assert page.evaluate("document.activeElement.id") == "roll", "the place is kept"


def test_the_whole_way_with_the_keyboard_alone(page, press, visit, prompt, chorale, tmp_path):
    choose_and_open(page, press, prompt)
    first = page.evaluate(TRACKS)
    free_alto_2(page, press)
    press("#task", "c")
    page.keyboard.type("om")  # Compose the free cells again
    page.keyboard.press("Control+Enter")
    takes(page, 2)
    second = page.evaluate(TRACKS)
    press("#undo", "Space")
    assert page.evaluate(TRACKS) == first
    press("#redo")
    assert only_alto_changed(page, first, second)
    press("#reroll")
    takes(page, 3)
    assert page.evaluate("document.activeElement.id") == "reroll", "the place is kept"
    assert page.input_value("#seed") == "2"
    press("#takes li:nth-child(2) button")
    assert page.evaluate(TRACKS) == second

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_function("studio.sound.position > 0.2")
    page.keyboard.press("Space")
    page.wait_for_function("!studio.sound.playing")
    file = download(page, "mid", press, tmp_path)
    assert len(read_piece(file).notes) == sum(len(track["notes"]) for track in json.loads(second))
    press("#link")
    again = visit(page.url)
    assert again.evaluate(TRACKS) == second
    again.close()
    damaged = visit(page.url[:-50])
    assert "this link is damaged" in damaged.inner_text("#said")
    damaged.close()
    chords_of_a_file(page, press, chorale, tmp_path)
    cancel_what_takes_long(page, press)
    draw_two_notes(page, press)
    page.select_option("#task", "generate")
    page.fill("#bars", "400")
    press("#blank")
    width, cells = page.evaluate(WIDTHS)
    assert width <= 32_000, "browsers draw nothing on a wider canvas"
    assert abs(width - cells) < 5


def test_an_opened_piece_keeps_its_tempos_unless_another_is_set(page, chorale, tmp_path):
    tempos = (Tempo(0, 60.0), Tempo(4 * 480, 120.5))
    write_midi(tmp_path / "slow.mid", replace(chorale(2, bars=3), tempos=tempos))
    page.fill("#qpm", "84")
    page.set_input_files("#upload", tmp_path / "slow.mid")
    takes(page, 1)
    assert page.input_value("#qpm") == "60"
    page.select_option("#task", "continue")
    page.fill("#bars", "1")
    page.click("#make")
    takes(page, 2)
    made = "studio.piece.tempos.map(([at, qpm]) => [at / studio.piece.ticks, qpm])"
    assert [[at, round(qpm, 2)] for at, qpm in page.evaluate(made)] == [[0, 60], [4, 120.5]]
    page.fill("#qpm", "90.5")
    page.click("#make")
    takes(page, 3)
    assert page.evaluate(made) == [[0, 90.5]]
    page.click("#undo")
    assert page.input_value("#qpm") == "60"


def record_a_little(page):
    """Two keys of the computer, one after the other; a click sets bars, and upbeats stay."""
    page.uncheck("#click")
    page.tap("#record")
    page.wait_for_selector('#record[aria-pressed="true"]')
    for key in "ad":
        page.keyboard.down(key)
        page.wait_for_timeout(120)
        page.keyboard.up(key)
    page.tap("#record")
    page.wait_for_selector('#record[aria-pressed="false"]')
    notes = page.evaluate("studio.piece.tracks[0].notes")
    assert [pitch for _, _, pitch, _ in notes] == [60, 64]
    assert notes[0][0] == 0 < notes[0][1] <= notes[1][0]
    beaten = """async () => {
        const { Recorder } = await import("/static/record.js"), heard = [];
        const one = new Recorder(() => {});
        await one.start(6000, (first) => heard.push(first));
        await new Promise((done) => setTimeout(done, 50));
        one.begun = 1000; one.notes = [[3510, 3990, 60, 80], [4000, 4500, 62, 80]];
        return [heard.slice(0, 5), one.stop(120)];
    }"""
    heard, notes = page.evaluate(beaten)
    assert heard == [True, False, False, False, True]
    assert notes == [[480, 480, 60, 80], [960, 480, 62, 80]]


def test_the_whole_way_by_touch_on_a_phone(visit, prompt, tmp_path):
    page = visit(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_input_files("#upload", prompt)
    takes(page, 1)
    page.tap("#fit")
    page.wait_for_function(FITTED)
    page.tap('[data-key="alto|2"]')
    first = page.evaluate(TRACKS)
    page.tap("#reroll")
    takes(page, 2)
    second = page.evaluate(TRACKS)
    assert only_alto_changed(page, first, second)
    for kind in ("musicxml", "wav"):
        file = download(page, kind, page.tap, tmp_path)
    assert file.stat().st_size > 100_000
    page.tap("#score-view")
    page.wait_for_selector("#score svg")
    assert not barriers(page)
    page.tap("#score-view")

    page.context.set_offline(True)
    page.tap("#reroll")
    page.wait_for_function("document.querySelector('#said').innerText.includes('does not answer')")
    page.context.set_offline(False)
    page.set_input_files("#upload", prompt)
    takes(page, 3)  # the same file again
    page.tap("#undo")

    page.tap("#play")
    page.wait_for_function("studio.sound.position > 0.2")
    page.tap('[aria-label="Mute alto"]')
    assert page.evaluate("[0, 1].map((voice) => studio.sound.heard(voice))") == [True, False]
    page.tap("#play")
    page.tap('[aria-label="alto, all bars"]')
    assert len(page.evaluate("[...studio.free]")) == 3
    page.tap('[data-key="every role|3"]')
    assert len(page.evaluate("[...studio.free]")) == 6
    page.tap('[data-key="bass|1"]')
    page.click('[data-key="tenor|2"]', modifiers=["Shift"])
    assert {"bass|2", "tenor|1"} <= set(page.evaluate("[...studio.free]"))

    page.tap("#blank")
    page.tap("#roll", position={"x": 40, "y": 100})
    assert len(page.evaluate("studio.piece.tracks[0].notes")) == 1
    record_a_little(page)
