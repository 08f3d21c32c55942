"""Clips of Live's arrangement view, for versions of AbletonOSC that have it.

The addresses are those of AbletonOSC's pull request 195: `/live/arrangement/…`, Live 12.2 or later.
Clips have the numbers of their order in time, so a clip is looked up by its beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.live.ableton import Ableton, NoLive, Slot
from ostinato.live.clips import ClipNote

PREFIX = "arrangement"
COLUMNS = 4  # name, start, length, whether it is MIDI
NEAR = 1e-3  # beats
LOOKS, PROBES = 8, 4


@dataclass(frozen=True)
class Placed:
    """A clip of the arrangement: its number on the track, beginning and length in beats."""

    number: int
    start: float
    length: float
    is_midi: bool


async def supported(live: Ableton) -> bool:
    """Whether Live answers about its arrangement; Live itself must have answered before."""
    try:
        await live.ask(f"/live/{PREFIX}/get/clips", 0, tries=PROBES)
    except NoLive:
        return False
    return True


async def clips(live: Ableton, track: int) -> list[Placed]:
    """The clips of a track, in the order of their numbers."""
    values = (await live.ask(f"/live/{PREFIX}/get/clips", track))[1:]
    rows = [values[at : at + COLUMNS] for at in range(0, len(values) - COLUMNS + 1, COLUMNS)]
    return [Placed(n, float(r[1]), float(r[2]), bool(r[3])) for n, r in enumerate(rows)]


async def end(live: Ableton, tracks: Sequence[int]) -> float:
    """The beat at which the last clip of these tracks ends."""
    ends = [clip.start + clip.length for track in tracks for clip in await clips(live, track)]
    return max(ends, default=0.0)


async def read(live: Ableton, track: int, start: float) -> list[ClipNote]:
    """The notes of the clip that begins at a beat, counted from there.

    Raises:
        ValueError: no clip of MIDI begins there; names those that are there.
    """
    there = await clips(live, track)
    found = next((clip for clip in there if abs(clip.start - start) < NEAR), None)
    if found is None or not found.is_midi:
        begins = ", ".join(f"{clip.start:g}" for clip in there if clip.is_midi) or "none"
        raise ValueError(
            f"no MIDI clip begins at beat {start:g} of track {track + 1}; clips begin at beats: "
            f"{begins}"
        )
    return await live.read_notes(Slot(track, found.number, PREFIX), found.length)


async def write(
    live: Ableton,
    track: int,
    start: float,
    notes: Sequence[ClipNote],
    beats: float,
    *,
    overwrite: bool = False,
) -> None:
    """Put a clip of so many beats at a beat, and check its notes.

    With `overwrite`, a clip of just this place gets new notes; others are never touched.

    Raises:
        ValueError: another clip is in the way.
        NoLive: Live does not create the clip, or the notes do not arrive.
    """
    there = await clips(live, track)
    same = next((c for c in there if abs(c.start - start) + abs(c.length - beats) < NEAR), None)
    for clip in there:
        is_over = clip.start < start + beats - NEAR and start < clip.start + clip.length - NEAR
        if is_over and not (clip is same and overwrite and clip.is_midi):
            raise ValueError(
                f"track {track + 1} has a clip from beat {clip.start:g} to "
                f"{clip.start + clip.length:g}; say another beat (at …)"
                + (", or overwrite 1" if clip is same and clip.is_midi else "")
            )
    if same is None:
        same = await _create(live, track, start, beats)
    else:
        live.clear(Slot(track, same.number, PREFIX))
    await live.write_notes(Slot(track, same.number, PREFIX), notes)
    found = [c for c in await clips(live, track) if c.number == same.number]
    if not found or abs(found[0].start - start) > NEAR:
        raise NoLive(
            f"the clips of track {track + 1} changed while the notes were written; look at it in "
            "Live, and ask again"
        )


async def _create(live: Ableton, track: int, start: float, beats: float) -> Placed:
    for _ in range(LOOKS):
        live.send(f"/live/{PREFIX}/create_midi_clip", track, float(start), float(beats))
        for clip in await clips(live, track):  # Live takes messages in their order
            if abs(clip.start - start) < NEAR:
                return clip
    raise NoLive(f"Live did not create a clip on track {track + 1}; is it a MIDI track?")
