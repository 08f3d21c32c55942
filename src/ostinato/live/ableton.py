"""Clips of Ableton Live through AbletonOSC (https://github.com/ideoforms/AbletonOSC).

Live takes messages once in about 100 ms. What it is told is not answered, so it is read back.
What is lost on the way is sent again. An answer that comes twice or late could be taken for that to
a later question, as it does not say to which it belongs: notes outside the asked span are therefore
not taken, and that there are none is asked twice.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ostinato.live.clips import FIELDS, ClipNote, notes_from
from ostinato.live.osc import SPLIT, Endpoint, Peer

ALL_PITCHES = (0, 128)  # without numbers AbletonOSC leaves out pitch 127
ALL_TIMES = (-8192.0, 16384.0)
NEAR = 1e-3  # beats
TEMPOS = (1, 999)  # quarter notes a minute; Live has 20 to 999
READ = 200  # notes in a reply: AbletonOSC fails where a reply is larger than a datagram


class NoLive(ValueError):
    """Live does not answer."""


@dataclass(frozen=True)
class Slot:
    """A clip slot of the session view; indices from 0. prefix: of the addresses of its notes."""

    track: int
    slot: int
    prefix: str = "clip"

    def __str__(self) -> str:
        return f"track {self.track + 1}, slot {self.slot + 1}"


class Ableton:
    """One Live.

    peer: where AbletonOSC listens. timeout: seconds that an answer may take. tries: how often a
    question is asked.
    """

    def __init__(self, peer: Peer, timeout: float = 0.6, tries: int = 4) -> None:
        self.peer, self._timeout, self._tries = peer, timeout, tries
        self._endpoint: Endpoint | None = None
        self._machine = peer[0]
        self._waiting: list[_Question] = []
        self._heard: dict[str, Callable[[list[Any]], None]] = {}
        self._said = ""  # by AbletonOSC, of the last message that it could not take

    async def open(self, host: str, port: int) -> None:
        """Listen for answers; AbletonOSC sends them to port 11001.

        Raises:
            ValueError: the port is taken, or nobody knows Live's machine.
        """
        try:
            self._machine = socket.gethostbyname(self.peer[0])
        except OSError as error:
            raise ValueError(f"live.host={self.peer[0]}: {error.strerror or error}") from error
        self._endpoint = await Endpoint.open(host, port, self._answer, lambda *_: None)

    def close(self) -> None:
        """Stop listening."""
        if self._endpoint is not None:
            self._endpoint.close()

    async def selected(self) -> Slot:
        """The slot that is selected in Live."""
        try:
            track, slot = (await self.ask("/live/view/get/selected_clip"))[:2]
        except NoLive as error:
            if not self._said:
                raise
            raise ValueError(
                f"no slot of a track is selected in Live, perhaps a return or the main track "
                f"({self._said}); select a slot, or name track and slot"
            ) from error
        return Slot(int(track), int(slot))

    async def select(self, slot: Slot) -> None:
        """Select a slot; it is said again where the message was lost."""
        for _ in range(self._tries):
            self.send("/live/view/set/selected_clip", slot.track, slot.slot)
            if await self.selected() == slot:
                return

    async def song(self) -> tuple[float, tuple[int, int]]:
        """Live's tempo and meter."""
        names = ("tempo", "signature_numerator", "signature_denominator")
        asked = await asyncio.gather(*(self.ask(f"/live/song/get/{name}") for name in names))
        tempo, above, below = (values[0] for values in asked)
        return float(tempo), (int(above), int(below))

    async def set_song(self, qpm: float, meter: tuple[int, int]) -> None:
        """Give Live a tempo and a meter."""
        self.send("/live/song/set/tempo", float(qpm))
        self.send("/live/song/set/signature_numerator", meter[0])
        self.send("/live/song/set/signature_denominator", meter[1])

    def follow(self, heard: Callable[[float], None]) -> None:
        """Call `heard` with Live's tempo, now and whenever it changes; also that of a Live that is
        opened later, or again.
        """

        def told(values: list[Any]) -> None:  # a stray datagram must not stop a player
            if (
                values
                and isinstance(values[0], int | float)
                and TEMPOS[0] <= values[0] <= TEMPOS[1]
            ):
                heard(float(values[0]))

        self._heard["/live/song/get/tempo"] = told
        self.send("/live/song/start_listen/tempo")

    async def has_clip(self, slot: Slot) -> bool:
        """Whether a slot holds a clip."""
        return bool((await self.ask("/live/clip_slot/get/has_clip", slot.track, slot.slot))[2])

    async def empty_below(self, slot: Slot) -> Slot:
        """The next slot of the same track without a clip."""
        scenes = int((await self.ask("/live/song/get/num_scenes"))[0])
        for number in range(slot.slot + 1, scenes):
            if not await self.has_clip(found := Slot(slot.track, number)):
                return found
        raise ValueError(
            f"no slot below {slot} is empty; add a scene in Live, or name a slot (slot <index>)"
        )

    async def read(self, slot: Slot) -> list[ClipNote]:
        """The notes of a clip.

        Raises:
            ValueError: the slot holds no clip of MIDI.
        """
        if not await self.has_clip(slot):
            raise ValueError(f"{slot} holds no clip; select a MIDI clip, or name one that is there")
        if not (await self.ask("/live/clip/get/is_midi_clip", slot.track, slot.slot))[2]:
            raise ValueError(f"{slot} holds a clip of audio; notes are in MIDI clips only")
        length = float((await self.ask("/live/clip/get/length", slot.track, slot.slot))[2])
        return await self.read_notes(slot, length)

    async def read_notes(self, slot: Slot, length: float) -> list[ClipNote]:
        """The notes of a clip of so many beats that is known to be there."""
        notes: list[ClipNote] = []
        start, step = 0.0, 16.0
        while start < length:
            notes += await self._window(slot, start, min(step, length - start))
            start += step
        return sorted(notes)

    async def write(
        self, slot: Slot, notes: Sequence[ClipNote], beats: float, *, overwrite: bool = False
    ) -> None:
        """Put notes into a slot, and check that they are there.

        Raises:
            ValueError: the slot has notes and `overwrite` is not set.
            NoLive: Live does not answer, or the notes do not arrive.
        """
        if await self.has_clip(slot):
            there = await self.read(slot)
            if there and not overwrite:
                raise ValueError(
                    f"{slot} has {len(there)} notes; take an empty slot, or say overwrite 1"
                )
            self.clear(slot)
        else:
            await self._create(slot, beats)
        await self._set(slot, loop_end=float(beats), end_marker=float(beats))
        await self.write_notes(slot, notes)

    async def write_notes(self, slot: Slot, notes: Sequence[ClipNote]) -> None:
        """Add notes to an empty clip, and check that they are there.

        Raises:
            NoLive: the notes do not arrive.
        """
        wanted = sorted(notes)
        for chunk in _chunks(wanted, SPLIT):
            self._add(slot, chunk)
        for chunk in _windows(wanted, READ):
            await self._ensure(slot, chunk)

    def clear(self, slot: Slot) -> None:
        """Remove all notes of a clip."""
        self._clear(slot, *ALL_TIMES)

    async def name(self, slot: Slot, name: str) -> None:
        """Give a clip a name."""
        await self._set(slot, name=name)

    async def fire(self, slot: Slot) -> None:
        """Start a clip, or let it wait for the bar at which Live starts clips.

        It is said once more only where Live says that the first time was lost: a clip may be one
        that a second start stops.
        """
        states = [f"/live/clip_slot/get/{name}" for name in ("is_triggered", "is_playing")]
        for _ in range(2):
            self.send("/live/clip/fire", slot.track, slot.slot)
            await asyncio.sleep(self._timeout / 4)  # more than a tick
            try:
                asked = (self.ask(state, slot.track, slot.slot) for state in states)
                if any(answer[2] for answer in await asyncio.gather(*asked)):
                    return
            except NoLive:
                return

    async def ask(
        self,
        address: str,
        *arguments: Any,
        tries: int | None = None,
        fits: Callable[[list[Any]], bool] = lambda _: True,
    ) -> list[Any]:
        """The answer to a question; the answer to another one is not taken for it.

        tries: how often it is asked, where that is not as often as others. fits: whether an answer
        can be the one to this question.

        Raises:
            NoLive: none came.
        """
        about, self._said = tuple(arguments[:2]), ""
        for number in range(tries or self._tries):
            answer = asyncio.get_running_loop().create_future()
            waiting = _Question(address, about, fits, answer)
            self._waiting.append(waiting)
            try:
                self.send(address, *arguments)
                found = await asyncio.wait_for(answer, self._timeout)
                if number:  # answers to the tries before may still come
                    await asyncio.sleep(self._timeout / 4)
                return found
            except TimeoutError:
                continue
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
        host, port = self.peer
        if self._said:
            raise NoLive(f"Live cannot answer {address} {list(arguments)}: {self._said}")
        raise NoLive(
            f"Live does not answer at {host} port {port} ({address}); start Live and choose "
            "AbletonOSC as a control surface, see docs/live.md"
        )

    async def _create(self, slot: Slot, beats: float) -> None:
        for _ in range(self._tries):
            self.send("/live/clip_slot/create_clip", slot.track, slot.slot, float(beats))
            for _ in range(3):
                if await self.has_clip(slot):
                    return
                await asyncio.sleep(self._timeout / 6)
        raise NoLive(f"Live did not create a clip in {slot}; is it a MIDI track?")

    async def _ensure(self, slot: Slot, wanted: Sequence[ClipNote]) -> None:
        """Send the notes of one window of time again until Live holds just these."""
        start, end = wanted[0].start, wanted[-1].start
        span = end - start + 1e-3
        found: list[ClipNote] = []
        for _ in range(self._tries):
            found = await self._window(slot, start - 5e-4, span)
            if _same(found, wanted):
                return
            await asyncio.sleep(self._timeout / 4)  # Live may not have taken the notes yet
            found = await self._window(slot, start - 5e-4, span)
            if _same(found, wanted):
                return
            self._clear(slot, start - 5e-4, span)
            for chunk in _chunks(wanted, SPLIT):
                self._add(slot, chunk)
        raise NoLive(
            f"{slot} holds {len(found)} of {len(wanted)} notes after {self._tries} tries; "
            "datagrams are lost on the way to Live"
        )

    def _add(self, slot: Slot, notes: Sequence[ClipNote]) -> None:
        values = [value for note in notes for value in note.values()]
        self.send(f"/live/{slot.prefix}/add/notes", slot.track, slot.slot, *values)

    def _clear(self, slot: Slot, start: float, span: float) -> None:
        span_of = (*ALL_PITCHES, float(start), span)
        self.send(f"/live/{slot.prefix}/remove/notes", slot.track, slot.slot, *span_of)

    async def _set(self, slot: Slot, **wanted: Any) -> None:
        """Give a clip these properties, and see that it has them."""
        for _ in range(self._tries):
            for name, value in wanted.items():
                self.send(f"/live/clip/set/{name}", slot.track, slot.slot, value)
            asked = (self.ask(f"/live/clip/get/{name}", slot.track, slot.slot) for name in wanted)
            found = [answer[2] for answer in await asyncio.gather(*asked)]
            if all(map(_alike, found, wanted.values())):
                return
        raise NoLive(f"{slot} does not take {wanted}; it has {found}")

    async def _window(self, slot: Slot, start: float, span: float) -> list[ClipNote]:
        """Notes that begin in a span of beats; halved where a reply would be too large."""
        address = f"/live/{slot.prefix}/get/notes"
        asked = (slot.track, slot.slot, *ALL_PITCHES, float(start), float(span))

        def inside(answer: list[Any]) -> bool:
            return all(start - NEAR <= n.start < start + span + NEAR for n in _notes(answer))

        try:
            if found := _notes(await self.ask(address, *asked, fits=inside)):
                return found
            await asyncio.sleep(self._timeout / 4)  # it may have answered an earlier question
            return _notes(await self.ask(address, *asked, fits=inside))
        except NoLive:
            if span <= 0.25:
                raise
            half = span / 2
            first = await self._window(slot, start, half)
            return first + await self._window(slot, start + half, span - half)

    def _answer(self, address: str, values: list[Any], peer: Peer) -> None:
        if peer[0] != self._machine:
            return
        if address == "/live/error":
            self._said = " ".join(map(str, values))
        if address == "/live/startup":
            for heard in self._heard:
                self.send(heard.replace("/get/", "/start_listen/"))
        for waiting in self._waiting:
            if waiting.address == address and not waiting.answer.done() and waiting.takes(values):
                self._waiting.remove(waiting)
                waiting.answer.set_result(values)
                break
        if address in self._heard:
            self._heard[address](values)

    def send(self, address: str, *arguments: Any) -> None:
        """Send a message without waiting for an answer."""
        assert self._endpoint is not None, "open() comes first"
        self._endpoint.send(address, arguments, self.peer)


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked, about which track and slot, which answers fit, and the answer to come."""

    address: str
    about: tuple[Any, ...]
    fits: Callable[[list[Any]], bool]
    answer: "asyncio.Future[list[Any]]"

    def takes(self, values: list[Any]) -> bool:
        """Whether values can be its answer."""
        if self.about and values[: len(self.about)] != [int(v) for v in self.about]:  # 3 equals 3.0
            return False
        try:
            return self.fits(values)
        except ValueError:  # notes that are none
            return False


def _notes(answer: Sequence[Any]) -> list[ClipNote]:
    """Those of a reply, after track and slot."""
    values = answer[2:]
    return notes_from(values[: len(values) - len(values) % FIELDS])


def _alike(found: Any, wanted: Any) -> bool:
    """Equal, but for the rounding of 32-bit floats."""
    if isinstance(wanted, float):
        return isinstance(found, int | float) and abs(found - wanted) < NEAR
    return bool(found == wanted)


def _chunks(notes: Sequence[ClipNote], size: int) -> list[Sequence[ClipNote]]:
    return [notes[at : at + size] for at in range(0, len(notes), size)]


def _windows(notes: Sequence[ClipNote], size: int) -> list[Sequence[ClipNote]]:
    """Notes in windows of time: those that begin together are in one."""
    windows, begun = [], 0
    for at in range(1, len(notes) + 1):
        if at == len(notes) or (
            at - begun >= size and notes[at].start - notes[at - 1].start > 1e-3
        ):
            windows.append(notes[begun:at])
            begun = at
    return windows


def _same(found: Sequence[ClipNote], wanted: Sequence[ClipNote]) -> bool:
    pairs = zip(sorted(found), sorted(wanted), strict=False)
    return len(found) == len(wanted) and all(a.like(b) for a, b in pairs)
