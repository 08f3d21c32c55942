"""Clips of Live, over real sockets, against a stand-in of AbletonOSC."""

import asyncio

import pytest
from fake_ableton import Clip, FakeAbleton
from live_lab import Studio, alike, free_port, run, sounding

from ostinato.generator import Generator
from ostinato.live.ableton import Ableton, NoLive, Slot
from ostinato.live.clips import ClipNote, beats_of, clips_of, merged
from ostinato.live.composer import USUAL, Composer
from ostinato.music.piece import cut
from ostinato.sampling.request import Request


@pytest.fixture(scope="module")
def composer(model_folder):
    return Composer(model_folder)


@pytest.mark.parametrize(
    "network",
    [{}, {"loss": 0.2}, {"double": 0.4, "echo": 0.4, "mixed": True}],
    ids=["quiet", "lossy", "twice"],
)
def test_a_clip_of_live_holds_what_generate_writes(composer, model_folder, tmp_path, network):
    """Also where datagrams are lost, come twice, come late, or in another order."""

    async def asked():
        async with Studio(composer, tmp_path, fake=network) as studio:
            studio.fake.selected = (1, 2)
            studio.client.send(
                "/ostinato/generate", "bars", 4, "seed", 5, "fire", 1, "name", "eight"
            )
            heard = await studio.client.until("done", seconds=60)
            assert heard[-1][0] == "done", heard[-1]
            await asyncio.sleep(0.1)
            return studio.fake.slots

    slots = run(asked())
    sample = Generator.load(model_folder).generate(Request(bars=4, seed=5, options=USUAL))[0]
    wanted, _ = merged(clips_of(sample.piece))
    clip = slots[1, 2]
    assert alike(sounding(clip), wanted)
    assert clip.length == beats_of(sample.piece)
    assert (clip.name, clip.end_marker) == ("eight", clip.length)
    assert clip.fired == 1 or network
    assert all(other is None for place, other in slots.items() if place != (1, 2))


def test_a_band_has_a_clip_on_every_track(composer, model_folder, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path) as studio:
            tracks = "soprano:0,alto:1,tenor:2,bass:3"
            studio.client.send("/ostinato/generate", "bars", 2, "seed", 2, "tracks", tracks)
            heard = await studio.client.until("done")
            assert heard[-1][0] == "done", heard[-1]
            return studio.fake.slots

    slots = run(asked())
    sample = Generator.load(model_folder).generate(Request(bars=2, seed=2, options=USUAL))[0]
    for track, (role, notes) in enumerate(clips_of(sample.piece).items()):
        assert alike(sounding(slots[track, 0]), notes), role


def test_a_clip_with_notes_is_kept_unless_overwrite_is_said(composer, tmp_path):
    kept = (60, 0.0, 1.0, 80.0, False)

    async def asked():
        async with Studio(composer, tmp_path) as studio:
            studio.fake.slots[0, 0] = Clip(4.0, notes=[kept])
            studio.client.send("/ostinato/generate", "bars", 1, "track", 0, "slot", 0)
            refused = (await studio.client.until("done"))[-1]
            before = list(studio.fake.slots[0, 0].notes)
            studio.client.send(
                "/ostinato/generate", "bars", 1, "track", 0, "slot", 0, "overwrite", 1
            )
            done = (await studio.client.until("done"))[-1]
            return refused, before, done, studio.fake.slots[0, 0].notes

    refused, before, done, after = run(asked())
    assert "has 1 notes; take an empty slot, or say overwrite 1" in refused[1][1]
    assert before == [kept]
    assert done[0] == "done"
    assert len(after) > 4
    assert kept not in after


def test_the_selected_clip_is_continued_in_the_next_empty_slot(composer, chorale, tmp_path):
    prompt = clips_of(cut(chorale(2), 0, 2 * 4 * 480))
    notes, _ = merged(prompt)
    high = ClipNote(7.5, 127, 0.5, 80, True)  # muted, and of the pitch that a default range loses

    async def asked():
        async with Studio(composer, tmp_path) as studio:
            fake = studio.fake
            values = [
                tuple(float(v) if i == 3 else v for i, v in enumerate(n.values()))
                for n in (*notes, high)
            ]
            fake.slots[2, 0], fake.slots[2, 1] = Clip(8.0, notes=values), Clip(4.0)
            fake.selected = (2, 0)
            studio.client.send("/ostinato/continue", "bars", 1, "seed", 3)
            heard = await studio.client.until("done")
            assert heard[-1][0] == "done", heard[-1]
            return heard, fake.slots, values

    heard, slots, values = run(asked())
    assert slots[2, 0].notes == values
    assert slots[2, 1].notes == []
    assert slots[2, 2].notes
    assert any("left out of the prompt" in str(v) for name, v in heard if name == "remark")


def test_large_clips_are_read_and_written_whole(tmp_path):
    """700 notes: more than a datagram of AbletonOSC's reply holds."""
    notes = [ClipNote(n / 8, 30 + n % 98, 0.125, 1 + n % 127) for n in range(700)]

    async def asked():
        reply = free_port()
        fake = FakeAbleton(reply, tick=0.002)
        live = Ableton(("127.0.0.1", fake.port), timeout=0.3)
        await live.open("127.0.0.1", reply)
        await live.write(Slot(0, 0), notes, 88)
        read = await live.read(Slot(0, 0))
        live.close()
        fake.close()
        return read, fake

    read, fake = run(asked())
    assert alike(read, sorted(notes))
    largest = max(len(values) for address, values in fake.seen if address.endswith("add/notes"))
    assert largest <= 2 + 60 * 5


def test_no_live_is_said_in_a_sentence(composer, tmp_path):
    async def asked():
        live = Ableton(("127.0.0.1", free_port()), timeout=0.05, tries=2)
        await live.open("127.0.0.1", free_port())
        with pytest.raises(NoLive, match=r"Live does not answer .* docs/live\.md"):
            await live.song()
        live.close()

    run(asked())


def test_the_tempo_of_live_is_followed(tmp_path):
    async def asked():
        reply, heard = free_port(), []
        fake = FakeAbleton(reply)
        live = Ableton(("127.0.0.1", fake.port))
        await live.open("127.0.0.1", reply)
        live.follow(heard.append)
        await until(lambda: heard == [120.0])
        fake.set_tempo(97.0)
        await until(lambda: heard == [120.0, 97.0])
        fake.close()
        fake = FakeAbleton(reply, port=fake.port)  # Live is opened again
        await until(lambda: heard[2:] == [120.0])
        fake.set_tempo(140.0)
        await until(lambda: heard[3:] == [140.0])
        for odd in (float("nan"), float("inf"), 0.0, -3, "fast"):
            fake.set_tempo(odd)
        fake.set_tempo(150.0)
        await until(lambda: heard[4:] == [150.0])
        live._answer("/live/song/get/tempo", [99.0], ("192.0.2.1", 11000))  # of another machine
        assert heard[4:] == [150.0]
        live.close()
        fake.close()

    run(asked())


async def until(true):
    """Wait until something is true, at most ten seconds."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def test_live_is_closed_and_opened_again(composer, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path) as studio:
            studio.ableton._tries = 1
            studio.fake.close()
            studio.client.send("/ostinato/generate", "bars", 1)
            refused = (await studio.client.until("done"))[-1]
            studio.fake = FakeAbleton(studio.reply_port, port=studio.fake.port)
            studio.ableton._tries = 8
            studio.client.send("/ostinato/generate", "bars", 1)
            return refused, (await studio.client.until("done"))[-1], studio.fake.slots[0, 0]

    refused, done, clip = run(asked())
    assert "Live does not answer" in refused[1][1]
    assert done[0] == "done"
    assert clip.notes


def test_an_answer_to_an_earlier_question_is_not_taken(tmp_path):
    """Live says the notes of the first four bars twice, and that there are none in others twice."""
    notes = [ClipNote(n, 60, 0.5) for n in (*range(16), *range(32, 48))]

    async def asked():
        reply = free_port()
        fake = FakeAbleton(reply, tick=0.002, echo=1.0)
        fake.slots[0, 0] = Clip(64.0, notes=[(60, n.start, 0.5, 80.0, False) for n in notes])
        live = Ableton(("127.0.0.1", fake.port), timeout=0.3)
        await live.open("127.0.0.1", reply)
        found = await live.read(Slot(0, 0))
        live.close()
        fake.close()
        return found

    assert alike(run(asked()), notes)


def test_a_taken_port_is_named(tmp_path):
    async def asked():
        first = Ableton(("127.0.0.1", 1))
        port = free_port()
        await first.open("127.0.0.1", port)
        with pytest.raises(ValueError, match=f"port {port} .* take another port"):
            await Ableton(("127.0.0.1", 1)).open("127.0.0.1", port)
        first.close()

    run(asked())
