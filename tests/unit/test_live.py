"""The OSC server without Live: replies, errors, the queue."""

import asyncio
import csv
import os
import shutil

import numpy as np
import pytest
from live_lab import Studio, alike, run

from ostinato.generator import Generator
from ostinato.listening.store import rated
from ostinato.listening.store.database import open_engine
from ostinato.live import server
from ostinato.live.clips import clips_of, notes_from
from ostinato.live.composer import USUAL, Composer
from ostinato.live.osc import datagram
from ostinato.live.server import Settings
from ostinato.music.piece import cut
from ostinato.readers.read import read_piece
from ostinato.samples import sample_rows
from ostinato.sampling.request import Request


@pytest.fixture(scope="module")
def composer(model_folder):
    return Composer(model_folder)


def test_a_reply_holds_the_piece_that_generate_makes(composer, model_folder, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            studio.client.send("/ostinato/generate", "bars", 3, "seed", 7, "top_p", 0.9)
            return await studio.client.until("done")

    heard = run(asked())
    options = {"top_p": 0.9}
    sample = Generator.load(model_folder).generate(Request(bars=3, seed=7, options=options))[0]
    wanted = clips_of(sample.piece)
    found = {role: [] for role in wanted}
    for name, values in heard:
        if name == "notes":
            found[values[1]] += notes_from(values[2:])
    for role, notes in wanted.items():
        assert alike(found[role], notes), role
    names = [name for name, _ in heard]
    assert names[0] == "accepted"
    assert names[-1] == "done"
    assert [v[1] for n, v in heard if n == "progress"][:2] == [1, 2]


def test_continuations_send_only_what_is_new(composer, chorale, tmp_path):
    prompt = clips_of(cut(chorale(2), 0, 2 * 4 * 480))
    values = [v for notes in prompt.values() for n in notes for v in n.values()]

    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            wanted = ("bars", 1, "seed", 3, "qpm", 96)
            studio.client.send("/ostinato/continue", *wanted, "notes", *values)
            heard = await studio.client.until("done")
            ratings.extend(piece for piece, _ in studio.ratings._known.values())
            return heard

    ratings = []
    heard = run(asked())
    (made,) = ratings
    assert [tempo.qpm for tempo in made.tempos] == [96.0]
    notes = [n for name, v in heard if name == "notes" for n in notes_from(v[2:])]
    length = next(v for name, v in heard if name == "length")
    assert length[1] == 4.0
    assert notes
    assert all(0 <= note.start < 4 for note in notes)


@pytest.mark.parametrize("end", [2.0, 3.75, 4.0, 4.02])
def test_what_is_new_begins_after_a_clip_of_one_bar(composer, tmp_path, end):
    """Also where its last notes end before the bar line, or so little after it that a model hears
    them end on it.
    """
    values = [x for pitch in (72, 65, 57, 48) for x in (pitch, 0.0, end, 80, 0)]

    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            studio.client.send("/ostinato/continue", "bars", 1, "seed", 3, "notes", *values)
            continued = await studio.client.until("done")
            wanted = ("first", 1, "last", 1, "roles", "bass", "particles", 4, "seed", 3)
            studio.client.send("/ostinato/fill", *wanted, "notes", *values)
            return continued, await studio.client.until("done")

    continued, filled = run(asked())
    assert [v[1] for name, v in continued if name == "length"] == [4.0]
    assert [v[3] for name, v in continued if name == "done"] == [2]
    held = [v[1] for name, v in continued if name == "remark" and "held to its end" in v[1]]
    assert bool(held) == (end < 4)
    kept = {v[1]: notes_from(v[2:]) for name, v in filled if name == "notes"}
    for role, pitch in (("soprano", 72), ("alto", 65), ("tenor", 57)):
        assert alike(kept[role], notes_from([pitch, 0.0, min(end, 4.0), 80, 0]))


def test_errors_are_answered_and_the_server_goes_on(composer, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            client, said = studio.client, []
            for message in (
                ("/ostinato/nonsense",),
                ("/ostinato/continue",),
                ("/ostinato/generate", "to", "port"),
                ("/ostinato/vary", "notes", 60, 0.0, 4.0, 80, 0),
                ("/ostinato/model", "/nowhere"),
                ("/ostinato/cancel", "request", 99),
                ("/ostinato/rate", "id", "x", "rating", 3),
            ):
                client.send(*message)
                heard = await client.until("done", "cancelled", "model")
                said.append(heard[-1])
            for damaged in (b"\x00garbage", b"#bundle\x00" + b"\xff" * 8 + b"\x7f" * 4):
                client.socket.sendto(damaged, client.server)
                said.append((await client.until("done"))[-1])
            client.send("/ostinato/ping")
            said.append((await client.until("pong"))[-1])
            return said

    said = run(asked())
    assert [name for name, _ in said] == ["error"] * 9 + ["pong"]
    texts = [str(values) for _, values in said]
    for text, part in zip(
        texts,
        (
            "addresses:",
            "Live is needed to read it",
            "no MIDI port is open",
            "families that can, on some encodings: absorbing",
            "/nowhere/model.json",
            "no request 99",
            "no piece 'x'",
            "is not OSC",
            "holds no message",
        ),
        strict=False,
    ):
        assert part in text


ODD = (
    float("nan"),
    float("inf"),
    -1,
    2**31 - 1,
    2**62,
    3e38,
    "",
    "é🎵\n",
    b"\xff\x00",
    True,
    None,
    [1, [2.0]],
)


def odd_messages():
    """Each name of a request with values that it cannot have; notes that no clip holds."""
    for value in ODD:
        for name in (
            "bars",
            "seed",
            "min_bars",
            "n",
            "track",
            "temperature",
            "top_k",
            "role",
            "heat",
        ):
            if (name, value) not in (("seed", 2**31 - 1), ("seed", True)):
                yield "/ostinato/continue", name, value, "notes", 60, 0.0, -1.0, 80, 0
        yield "/ostinato/continue", "notes", 60, value, 0.0, 80, 0
        yield "/ostinato/rate", "id", value, "rating", value
        yield "/ostinato/cancel", "request", value
        yield "/ostinato/ostinato", value
    yield "/ostinato/continue", "meter", "²/4", "notes", 60, 0.0, 4.0, 80, 0
    yield "/ostinato/continue", "bars", 1, "notes", 60, 900_000.0, 4.0, 80, 0
    yield "/" + "x" * 3000, "y" * 5000


def nested(depth):
    data = datagram("/ostinato/generate", ["bars", 1])
    for _ in range(depth):
        data = b"#bundle\0" + bytes(7) + b"\x01" + len(data).to_bytes(4, "big") + data
    return data


def test_odd_values_and_damaged_datagrams_are_answered(composer, tmp_path):
    rng = np.random.default_rng(1)
    good, damaged = datagram("/ostinato/ping", ["bars", 4, "role", "é", "heat", 0.5]), []
    for _ in range(60):
        data = np.frombuffer(good, np.uint8).copy()
        data[rng.integers(0, len(data), 3)] = rng.integers(128, 256, 3)
        damaged.append(data.tobytes()[: rng.integers(0, len(data) + 1)])

    async def asked():
        broken = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: broken.append(about))
        async with Studio(composer, tmp_path, live=False, to="reply", queue=99) as studio:
            client = studio.client
            for data in (nested(400), *damaged):
                client.socket.sendto(data, client.server)
                await client.until("pong", seconds=5)  # or an error; without its end it is a ping
            for message in odd_messages():
                client.send(*message)
                assert (await client.until("done", seconds=5))[-1][0] == "error", message
            for name in ("error", "done", "notes", "pong"):
                client.send(f"/ostinato/{name}", 0, "as another server says")
            client.send("/ostinato/ping")
            assert await client.until("pong") == [("pong", [])]
        return broken

    assert run(asked()) == []


def test_ratings_are_in_the_listeners_store_before_they_are_answered(composer, tmp_path):
    prompt = (60, 0.0, 4.0, 80, 0)

    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            client, pieces = studio.client, []
            client.send("/ostinato/generate", "bars", 1)
            pieces.append((await client.until("done"))[-1][1][1])
            client.send("/ostinato/continue", "bars", 1, "role", "soprano", "notes", *prompt)
            pieces.append((await client.until("done"))[-1][1][1])
            for piece, rating in ((pieces[0], 2), (pieces[0], 4.0), (pieces[1], 5)):
                client.send("/ostinato/rate", "id", piece, "rating", rating, "comment", "calm")
                assert (await client.until("rated"))[-1] == ("rated", [piece, rating])
            client.send("/ostinato/rate", "id", pieces[0], "rating", 3.5)
            assert "whole number from 1 to 5" in (await client.until("rated"))[-1][1][1]
            return pieces

    pieces = run(asked())
    engine = open_engine(f"sqlite:///{tmp_path}/answers.db")
    found = rated.rows(engine)  # the later rating of a piece replaced the first
    assert [(row["sounds"], row["answer"]) for row in found] == [
        (f"a={composer.system}/{pieces[0]}/0", 4),
        (f"a={composer.system}/{pieces[1]}/0", 5),
    ]
    assert found[0]["item"] == "none" != found[1]["item"]
    rated.write(engine, tmp_path / "export")
    made = csv.DictReader((tmp_path / "export" / "pieces.csv").read_text().splitlines())
    (row,) = [row for row in made if row["piece"] == pieces[0]]
    assert (row["seed"], row["task"], row["comment"]) == ("1", "generate", "calm")
    again = (
        Generator.load(composer.folder).generate(Request(bars=1, seed=1, options=USUAL))[0].piece
    )
    samples = tmp_path / "export" / "samples" / composer.system
    assert [row["prompt_bars"] for row in sample_rows(samples)] == [0, 1]
    written = read_piece(samples / f"{pieces[0]}.mid")
    assert sorted(written.notes["pitch"]) == sorted(again.notes["pitch"])


def test_a_full_queue_drops_the_oldest_or_refuses_the_new_one(composer, tmp_path):
    async def flood(policy):
        settings = {"to": "reply", "queue": 2, "policy": policy}
        async with Studio(composer, tmp_path, live=False, **settings) as studio:
            for seed in range(12):
                studio.client.send("/ostinato/generate", "bars", 2, "seed", seed)
            await asyncio.sleep(0.05)
            studio.client.send("/ostinato/cancel")
            studio.client.send("/ostinato/ping")
            heard = []
            while not heard or heard[-1][0] != "pong":
                heard += await studio.client.until("pong")
            return [str(values) for name, values in heard if name == "error"]

    latest, first = run(flood("latest")), run(flood("first"))
    assert latest
    assert all("dropped for a later request" in text for text in latest)
    assert first
    assert all("are waiting already" in text for text in first)


def test_a_replaced_model_folder_is_loaded_again(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    composer = Composer(folder)
    assert not composer.refresh()
    os.utime(folder / "model.json", (1, 1))
    assert composer.refresh()


def test_a_half_replaced_model_folder_does_not_stop_the_server(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)

    async def asked():
        async with Studio(Composer(folder), tmp_path, live=False, to="reply") as studio:
            heard = []
            for change in (
                lambda: (folder / "weights.safetensors").write_bytes(b"half"),
                lambda: (folder / "model.json").unlink(),
                lambda: shutil.copytree(model_folder, folder, dirs_exist_ok=True),
                lambda: os.utime(folder / "model.json", (1, 1)),
            ):
                change()
                studio.client.send("/ostinato/generate", "bars", 1, "seed", 1)
                heard.append(await studio.client.until("done"))
            return heard

    damaged, missing, back, replaced = run(asked())
    for heard in (damaged, missing):
        assert any("the model from before goes on" in str(v) for n, v in heard if n == "remark")
        assert heard[-1][0] == "done"
    assert "remark" not in [name for name, _ in (*back, *replaced)]
    assert [name for name, _ in replaced][:2] == ["accepted", "model"]
    assert replaced[-1][1][1] == damaged[-1][1][1]  # the id: it is the same piece


def test_a_message_that_comes_twice_is_one_request(composer, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "DOUBLED", 0.5)  # for a machine that does other work

    async def asked():
        async with Studio(composer, tmp_path, live=False, to="reply") as studio:
            for _ in range(2):
                studio.client.send("/ostinato/generate", "bars", 1, "seed", 1)
            heard = await studio.client.until("done")
            await asyncio.sleep(0.6)
            studio.client.send("/ostinato/generate", "bars", 1, "seed", 1)
            heard += await studio.client.until("done")
            return [name for name, _ in heard]

    assert run(asked()).count("accepted") == 2


def test_other_machines_are_refused_without_a_list_and_a_word():
    for given in ({}, {"allow": ("192.168.1.20",)}, {"public": True}):
        with pytest.raises(ValueError, match=r"say public=true and name .* with allow="):
            Settings(host="0.0.0.0", **given)
    Settings(host="0.0.0.0", public=True, allow=("192.168.1.20",))
    with pytest.raises(ValueError, match="policy='newest' must be one of"):
        Settings(policy="newest")
