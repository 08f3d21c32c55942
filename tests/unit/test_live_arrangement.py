"""Clips of Live's arrangement, where AbletonOSC has it and where it has not."""

import pytest
from fake_ableton import Clip
from live_lab import Studio, alike, run, sounding

from ostinato.generator import Generator
from ostinato.live.clips import beats_of, clips_of, merged
from ostinato.live.composer import USUAL, Composer
from ostinato.music.piece import cut
from ostinato.sampling.request import Request


@pytest.fixture(scope="module")
def composer(model_folder):
    return Composer(model_folder)


async def answers(studio, *messages):
    """The last message that answers each."""
    found = []
    for message in messages:
        studio.client.send(*message)
        found.append((await studio.client.until("done", seconds=60))[-1])
    return found


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_band_stands_in_the_arrangement_after_its_last_clip(
    composer, model_folder, tmp_path, loss
):
    async def asked():
        fake = {"arranges": True, "loss": loss}
        async with Studio(composer, tmp_path, to="arrangement", fake=fake) as studio:
            studio.fake.arranged[3] = [(4.0, Clip(4.0))]
            tracks = "soprano:0,alto:1,tenor:2,bass:3"
            (done,) = await answers(
                studio, ("/ostinato/generate", "bars", 2, "seed", 2, "tracks", tracks)
            )
            assert done[0] == "done", done
            return studio.fake

    fake = run(asked())
    piece = Generator.load(model_folder).generate(Request(bars=2, seed=2, options=USUAL))[0].piece
    for track, (role, notes) in enumerate(clips_of(piece).items()):
        start, clip = fake.arranged[track][-1]
        assert alike(sounding(clip), notes), role
        assert (start, clip.length) == (8.0, beats_of(piece))
    assert not fake.arranged[3][0][1].notes
    assert all(clip is None for clip in fake.slots.values())


def test_clips_in_the_way_are_kept(composer, tmp_path):
    kept = (60, 0.0, 1.0, 80.0, False)
    asks = ("/ostinato/generate", "bars", 1, "track", 0, "to", "arrangement", "at")

    async def asked():
        async with Studio(composer, tmp_path, fake={"arranges": True}) as studio:
            studio.fake.arranged[0] = [(0.0, Clip(4.0, notes=[kept]))]
            said = await answers(studio, (*asks, 0.0), (*asks, 2.0, "overwrite", 1))
            before = list(studio.fake.arranged[0][0][1].notes)
            said += await answers(studio, (*asks, 0.0, "overwrite", 1))
            return said, before, studio.fake.arranged[0]

    (same, other, done), before, after = run(asked())
    assert "has a clip from beat 0 to 4; say another beat (at …), or overwrite 1" in same[1][1]
    assert other[1][1].endswith("say another beat (at …)")
    assert before == [kept]
    assert done[0] == "done"
    assert len(after) == 1
    assert kept not in after[0][1].notes


def test_a_clip_of_the_arrangement_is_continued(composer, model_folder, chorale, tmp_path):
    notes, _ = merged(clips_of(cut(chorale(2), 0, 2 * 4 * 480)))
    prompt = Clip(8.0, notes=[tuple(map(float, n.values())) for n in notes])
    prompt.notes = [(int(p), s, d, v, bool(m)) for p, s, d, v, m in prompt.notes]
    asks = ("/ostinato/continue", "bars", 1, "seed", 3, "from_track", 1, "from_at")

    async def asked():
        async with Studio(composer, tmp_path, fake={"arranges": True}) as studio:
            studio.fake.arranged[1] = [(16.0, prompt)]
            studio.fake.slots[1, 0] = Clip(8.0, notes=list(prompt.notes))
            said = await answers(
                studio,
                (*asks, 4.0),
                (*asks, 16.0, "to", "arrangement", "track", 1),
                (*asks[:-1], "from_slot", 0, "track", 1, "slot", 1),
            )
            return said, studio.fake

    (refused, first, second), fake = run(asked())
    assert "no MIDI clip begins at beat 4 of track 2; clips begin at beats: 16" in refused[1][1]
    assert (first[0], second[0]) == ("done", "done")
    (_, _), (start, clip) = fake.arranged[1]
    assert start == 24.0
    assert sounding(clip) == sounding(fake.slots[1, 1])  # as from the session's clip


def test_an_abletonosc_without_the_arrangement_is_named(composer, tmp_path):
    async def asked():
        async with Studio(composer, tmp_path) as studio:
            return await answers(
                studio,
                ("/ostinato/generate", "bars", 1, "to", "arrangement"),
                ("/ostinato/continue", "bars", 1, "from_at", 0.0),
                ("/ostinato/generate", "bars", 1),
            )

    first, second, third = run(asked())
    for refused in (first, second):
        assert "this AbletonOSC has no addresses for the arrangement" in refused[1][1]
    assert third[0] == "done"
