"""Where prompts come from and where pieces go: clips of Live, messages, a MIDI port."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ostinato.live import arrangement
from ostinato.live.ableton import Ableton, Slot
from ostinato.live.clips import ClipNote, beats_of, clips_of, merged, piece_of
from ostinato.live.commands import PROMPTED, Command, meter_of, places
from ostinato.live.composer import BARS
from ostinato.live.osc import SPLIT
from ostinato.live.player import Player
from ostinato.music.piece import Piece, cut

QPM = 120.0
NEXT_HEARS = 4  # bars: more do not fit into the context of every model
CLIP, ARRANGEMENT = "clip", "arrangement"


@dataclass(frozen=True)
class Source:
    """A prompt, where it was read, and the tempo and meter around it."""

    prompt: Piece | None = None
    slot: Slot | None = None
    qpm: float = QPM
    meter: tuple[int, int] = (4, 4)
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A name for the prompt, the same for the same notes; "none" without one."""
        if self.prompt is None:
            return "none"
        return hashlib.sha256(self.prompt.notes.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Made:
    """A whole piece on its way. values: of its command. row: what made it."""

    request: int
    piece: Piece
    source: Source
    values: Mapping[str, Any]
    row: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def clips(self) -> dict[str, list[ClipNote]]:
        """What is new: of a continuation, the bars after the prompt."""
        return clips_of(self.piece, self.skip)

    @property
    def skip(self) -> int:
        """Bars of the piece that the prompt has already."""
        return int(self.row.get("prompt_bars", 0))

    @property
    def count(self) -> int:
        """Number of new notes."""
        return sum(map(len, self.clips.values()))

    @cached_property
    def id(self) -> str:
        """The same for the same notes from the same weights."""
        digest = hashlib.sha256(str(self.row.get("weights", "")).encode())
        digest.update(self.piece.notes.tobytes())
        return digest.hexdigest()[:16]


def held_to_bar(prompt: Piece) -> Piece:
    """A clip that is shorter than a bar with its last notes held to the bar line, where what is new
    begins; a model would take it for a pickup. Other clips as they are.
    """
    bar = round(prompt.first_meter().bar_quarters() * prompt.ticks_per_quarter)
    if not 0 < prompt.length < bar:
        return prompt
    notes = prompt.notes.copy()
    last = notes["onset"] + notes["duration"] == prompt.length
    notes["duration"][last] = bar - notes["onset"][last]
    return replace(prompt, notes=notes)


def _bars(clip: Piece) -> int:
    """Bars of a clip, the last one as whole; at least one."""
    bar = clip.first_meter().bar_quarters() * clip.ticks_per_quarter
    return max(1, math.ceil(clip.length / bar))


class Delivery:
    """Reads prompts and puts pieces where they are wanted.

    live, player: None where there is none; a request for it is then refused.
    """

    def __init__(self, live: Ableton | None = None, player: Player | None = None) -> None:
        self._live, self._player = live, player

    async def resolved(self, command: Command, to: str) -> Command:
        """`next` as `continue` where the selected slot holds a clip, else as `generate`; the clip
        that it makes is selected.

        to: where its piece goes.
        """
        if command.name != "next":
            return command
        values: dict[str, Any] = {"select": 1, "last_bars": NEXT_HEARS, "to": to}
        values |= {"min_bars": command.values.get("bars", BARS)} | dict(command.values)
        if command.notes:
            return replace(command, name="continue", values=values)
        if self._live is None or values["to"] not in (CLIP, ARRANGEMENT):
            return replace(command, name="generate", values=values)
        if "tracks" in values:
            values.setdefault("from_tracks", values["tracks"])
        slot = await self._from_slot(self._live, values)
        tracks = places(values["from_tracks"]) if "from_tracks" in values else {"": slot.track}
        there = [await self._live.has_clip(Slot(track, slot.slot)) for track in tracks.values()]
        return replace(command, name="continue" if any(there) else "generate", values=values)

    async def source(self, command: Command, values: Mapping[str, Any]) -> Source:
        """The prompt of a command, from its notes or from a clip.

        Raises:
            ValueError: there is no clip, or no Live to ask.
        """
        if values["to"] == "port" and self._player is None:
            raise ValueError("no MIDI port is open; start the server with midi_out=<port>")
        if values["to"] == "port" and values.get("n", 1) > 1:
            raise ValueError(f"n={values['n']}: the MIDI port plays one piece; leave n out")
        wants_clip = command.name in PROMPTED and not command.notes
        if wants_clip or values["to"] in (CLIP, ARRANGEMENT):
            live = self._need_live("to put a piece into a clip" if not wants_clip else "to read it")
            qpm, meter = await live.song()
            slot = await self._from_slot(live, values)
            if values["to"] == ARRANGEMENT or "from_at" in values:
                await _refuse_old(live)
        else:
            live, slot = None, None
            qpm = values.get("qpm", QPM)
            meter = meter_of(values.get("meter", "4/4"))
        if command.name not in PROMPTED:
            return Source(None, slot, qpm, meter)
        if command.notes:
            role = values.get("role", "")
            clips: dict[str, Any] = {role: command.notes}
        else:
            assert live is not None
            assert slot is not None
            tracks = places(values["from_tracks"]) if "from_tracks" in values else {"": slot.track}
            clips = {
                role: await arrangement.read(live, track, values["from_at"])
                if "from_at" in values
                else await live.read(Slot(track, slot.slot))
                for role, track in tracks.items()
            }
        prompt, left_out = piece_of(clips, qpm, meter)
        remarks = []
        if command.name == "continue" and (longer := held_to_bar(prompt)) is not prompt:
            prompt = longer
            remarks.append("the prompt is shorter than a bar; its last notes are held to its end")
        if left_out:
            remarks.append(
                f"left out of the prompt, muted or before the clip's start: {left_out} notes"
            )
        last, bars = values.get("last_bars"), _bars(prompt)
        if last and last < bars:
            bar = prompt.first_meter().bar_quarters() * prompt.ticks_per_quarter
            prompt = cut(prompt, round((bars - last) * bar), round(bars * bar))
            remarks.append(f"of the {bars} bars of the prompt, the last {last} are heard")
        return Source(prompt, slot, qpm, meter, tuple(remarks))

    async def put(self, made: Made, say: Callable[..., None]) -> list[str]:
        """Deliver a piece; returns remarks.

        Raises:
            ValueError: a clip has notes already, or Live does not answer.
        """
        if made.values["to"] == "reply":
            self._reply(made, say)
            return []
        return await self._clips(made) if made.values["to"] in (CLIP, ARRANGEMENT) else []

    def play(self, number: int, piece: Piece, skip: int) -> None:
        """Give the notes of a piece so far, from bar `skip` + 1 on, to the player."""
        assert self._player is not None
        notes = [n for notes in clips_of(piece, skip).values() for n in notes]
        self._player.feed(number, sorted(notes))

    def silence(self) -> None:
        """Stop what is playing."""
        if self._player is not None:
            self._player.silence()

    async def _from_slot(self, live: Ableton, values: Mapping[str, Any]) -> Slot:
        if "from_track" in values and "from_slot" in values:
            return Slot(values["from_track"], values["from_slot"])
        chosen = await live.selected()
        return Slot(values.get("from_track", chosen.track), values.get("from_slot", chosen.slot))

    async def _clips(self, made: Made) -> list[str]:
        """Write clips: one of all roles, or one for each role on its track."""
        live, values = self._need_live("to write a clip"), made.values
        assert made.source.slot is not None
        remarks = await _song(live, made)
        if "tracks" in values:
            tracks = places(values["tracks"])
            silent = ", ".join(sorted(set(tracks) - set(made.clips)))
            said = f"of tracks, the piece does not have: {silent}; it has: {', '.join(made.clips)}"
            if not set(tracks) & set(made.clips):
                raise ValueError(said)
            if silent:
                remarks.append(said)
            clips = {
                track: made.clips[role] for role, track in tracks.items() if role in made.clips
            }
        else:
            notes, joined = merged(made.clips)
            clips = {values.get("track", made.source.slot.track): notes}
            if joined:
                remarks.append(f"{joined} notes share a key in one clip and were joined or cut")
        if values["to"] == ARRANGEMENT:
            return remarks + await _arranged(live, made, clips)
        await self._into_slots(live, made, clips)
        return remarks

    async def _into_slots(
        self, live: Ableton, made: Made, clips: Mapping[int, list[ClipNote]]
    ) -> None:
        """Clips by track into slots of one row."""
        values, row = made.values, await self._target(live, made)
        beats, overwrite = beats_of(made.piece, made.skip), bool(values.get("overwrite"))
        for track, notes in clips.items():
            slot = Slot(track, row.slot)
            await live.write(slot, notes, beats, overwrite=overwrite)
            await live.name(slot, values.get("name", f"{made.row['system']} {made.row['seed']}"))
        if values.get("fire"):
            for track in clips:
                await live.fire(Slot(track, row.slot))
        if values.get("select"):
            await live.select(row)

    async def _target(self, live: Ableton, made: Made) -> Slot:
        values, source = made.values, made.source.slot
        assert source is not None
        below = made.row["index"]
        if "slot" in values:
            return Slot(values.get("track", source.track), values["slot"] + below)
        start = Slot(values.get("track", source.track), source.slot)
        if made.source.prompt is None and not below and not await live.has_clip(start):
            return start
        return await live.empty_below(start)

    def _need_live(self, why: str) -> Ableton:
        if self._live is None:
            raise ValueError(
                f"Live is needed {why}, and the server was started with ableton=false; "
                "say to reply, and give notes inline"
            )
        return self._live

    def _reply(self, made: Made, say: Callable[..., None]) -> None:
        """`/ostinato/notes request role …` for every chunk of notes of a role, then the length."""
        for role, notes in made.clips.items():
            for at in range(0, len(notes), SPLIT):
                values = [value for note in notes[at : at + SPLIT] for value in note.values()]
                say("notes", made.request, role, *values)
        say("length", made.request, beats_of(made.piece, made.skip), made.count)


async def _song(live: Ableton, made: Made) -> list[str]:
    """Give Live the piece's meter and tempo where that was asked; else say that they differ."""
    meter = made.piece.first_meter()
    own = (meter.numerator, meter.denominator)
    if made.values.get("song"):
        await live.set_song(made.piece.tempos[0].qpm if made.piece.tempos else QPM, own)
    elif made.source.meter != own:
        above, below = made.source.meter
        return [
            f"the piece is in {own[0]}/{own[1]}, Live in {above}/{below}; song 1 gives Live the "
            "piece's meter and tempo"
        ]
    return []


async def _refuse_old(live: Ableton) -> None:
    if not await arrangement.supported(live):
        raise ValueError(
            "this AbletonOSC has no addresses for the arrangement (pull request 195, Live 12.2 or "
            "later); use clips of the session view, or install that version"
        )


async def _arranged(live: Ableton, made: Made, clips: Mapping[int, list[ClipNote]]) -> list[str]:
    """Clips by track into the arrangement, pieces one after another."""
    values, beats = made.values, beats_of(made.piece, made.skip)
    if "at" in values:
        start = values["at"] + made.row["index"] * beats
    else:
        start = await arrangement.end(live, list(clips))
    for track, notes in clips.items():
        await arrangement.write(
            live, track, start, notes, beats, overwrite=bool(values.get("overwrite"))
        )
    ignored = [name for name in ("fire", "name", "slot") if values.get(name)]
    said = f"the clip begins at beat {start:g} of the arrangement"
    return [said + (f", where {', '.join(ignored)} has no meaning" if ignored else "")]
