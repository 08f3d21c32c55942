"""Keys: typed in the terminal or played on a controller, they make the next bars."""

from pathlib import Path

import pytest
from live_lab import Studio, run
from mido import Message

from ostinato.config import load_config
from ostinato.live.composer import Composer
from ostinato.live.keys import Keys, message_from

ROOT = Path(__file__).resolve().parents[2]
TABLE = {"enter": "next bars 2 last_bars 1 seed 4", "g": "generate bars 1"}


@pytest.fixture(scope="module")
def composer(model_folder):
    return Composer(model_folder)


def test_every_key_makes_the_next_bars_in_the_next_slot(composer, tmp_path):
    async def pressed():
        told = []
        async with Studio(composer, tmp_path) as studio:
            studio.fake.selected = (1, 0)
            studio.server._told = told.append
            keys = Keys(TABLE, {36: "enter"}, studio.server.press, told.append)
            keys.press("")
            await studio.idle()
            keys.receive(Message("note_on", note=36, velocity=90))
            await studio.idle()
            return told, studio.fake.slots, studio.fake.selected

    told, slots, selected = run(pressed())
    said = [line.split() for line in told if not line.startswith("remark")]
    assert [words[0] for words in said] == ["accepted", "done"] * 2, told
    assert [words[4] for words in said if words[0] == "done"] == [
        "2",
        "3",
    ]  # bars, with those heard
    assert [place for place, clip in slots.items() if clip] == [(1, 0), (1, 1)]
    assert selected == (1, 1)
    first, second = slots[1, 0], slots[1, 1]
    assert first.notes
    assert second.length == 8.0
    assert second.notes != first.notes  # what follows it, with the same seed


def test_next_is_new_without_live_and_goes_on_from_notes(composer, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            lengths = []
            for more in ((), ("notes", 60, 0.0, 4.0, 80, 0)):
                studio.client.send("/ostinato/next", "bars", 2, *more)
                heard = await studio.client.until("done")
                studio.client.send("/ostinato/next", "bars", 2, "min_bars", 3)
                assert "more than bars=2" in (await studio.client.until("done"))[-1][1][1]
                assert heard[-1][0] == "done", heard[-1]
                lengths += [v[1] for name, v in heard if name == "length"]
            return lengths

    assert run(asked()) == [8.0, 8.0]


def test_a_selected_return_track_is_said(composer, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path) as studio:
            studio.fake.selected = None
            studio.client.send("/ostinato/next", "bars", 1)
            return (await studio.client.until("done"))[-1]

    assert "no slot of a track is selected in Live" in run(asked())[1][1]


def test_lines_are_keys_or_messages_and_what_is_neither_is_said():
    sent, said = [], []
    keys = Keys(TABLE, {36: "g"}, lambda *message: sent.append(message), said.append)
    for line in ("", "g", "fill first 2 temperature 0.9 roles alto", 'next name "my clip"'):
        keys.press(line)
    assert sent == [
        ("/ostinato/next", ["bars", 2, "last_bars", 1, "seed", 4]),
        ("/ostinato/generate", ["bars", 1]),
        ("/ostinato/fill", ["first", 2, "temperature", 0.9, "roles", "alto"]),
        ("/ostinato/next", ["name", "my clip"]),
    ]
    keys.press('next name "my')
    keys.receive(Message("note_on", note=40, velocity=1))
    keys.receive(Message("note_off", note=36))
    assert len(sent) == 4
    assert "No closing quotation" in said[0]
    assert "pads={40: enter}" in said[1]


@pytest.mark.parametrize(
    ("table", "pads", "says"),
    [
        ({"g": "genrate"}, {}, "keys.g='genrate'.*did you mean /ostinato/generate"),
        ({"g": "generate bars 0"}, {}, "keys.g=.*bars=0"),
        ({"g": ""}, {}, "keys.g=''.*has an address"),
        (TABLE, {36: "h"}, "note 36 names the key 'h'"),
    ],
)
def test_keys_that_mean_nothing_are_refused_at_the_start(table, pads, says):
    with pytest.raises(ValueError, match=says):
        Keys(table, pads, print, print)


def test_the_keys_of_the_config_are_messages():
    config = load_config("live", (), ROOT)
    keys = Keys(config["keys"], config["pads"], print, print)
    assert message_from(keys.table["enter"])[0] == "/ostinato/next"
