"""Grammars of the event representations: which token may follow, so that samples are music.

A sequence has the order that MidiTok gives it: time never goes back; at one time voices come in
their order and the pitches of a voice rise. A voice of a choir sounds one note at a time,
whatever a prompt does. No note sounds beyond the limit, and the end comes only
after a note that reaches it. What may follow is first a row of a table, by the kind of the last
token and whether the limit is reached; the state of a sequence (its time, what sounds in it) then
narrows single blocks of the vocabulary.
"""

# B batch, V vocabulary, U voices, P pitches of a voice

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.parts.vocabulary import END, NoteKind, Vocabulary
from ostinato.representations.protocol import NO_LIMIT, Extent, Index, Mask, Tokens, read_meter

Ints = npt.NDArray[np.int64]
KINDS: tuple[str, ...] = ("", END, "voice", "meter", "bar", "position", "pitch", "duration")
KINDS += ("time_shift", "note_on", "note_off")
CODE = {kind: code for code, kind in enumerate(KINDS)}


class EventGrammar(ABC):
    """What both schemes share: meter, voice, where a prompt ended; each an array over B."""

    most = None
    _columns: tuple[str, ...] = ("_previous", "_at_cut", "_time", "_meter", "_bar_steps")
    _columns += ("_voice", "_last_pitch", "_limit", "_least", "_count")
    _cases: tuple[str, ...] = ()
    _case_V: Ints

    def __init__(self, vocabulary: Vocabulary, extent: Extent, prompts: Sequence[Tokens]) -> None:
        self._vocabulary, self._extent, batch = vocabulary, extent, len(prompts)
        self._fixed = self._meter_of(extent)
        self._code_V = np.array([CODE[kind] for kind in vocabulary.kinds])
        self._value_V = np.array(vocabulary.values)
        self._bar_steps_M = np.array(vocabulary.bar_steps)
        self._single_U = np.array(vocabulary.single)
        self._rows = np.arange(batch)
        self._previous: Ints = np.zeros(batch, dtype=np.int64)
        self._at_cut: Mask = np.zeros(batch, dtype=bool)
        self._time: Ints = np.zeros(batch, dtype=np.int64)
        self._meter: Ints = np.full(batch, -1, dtype=np.int64)
        self._bar_steps: Ints = np.zeros(batch, dtype=np.int64)
        self._count: Ints = np.zeros(batch, dtype=np.int64)  # bars before the current meter or bar
        # steps at the end of the last bar, and of the last of the least bars, in this meter
        self._limit: Ints = np.full(batch, NO_LIMIT if extent.bars != 0 else 0, dtype=np.int64)
        self._least: Ints = np.zeros(batch, dtype=np.int64)
        self._voice: Ints = np.full(batch, -1, dtype=np.int64)
        self._last_pitch: Ints = np.full(batch, -1, dtype=np.int64)
        self._begin_time(self._rows)
        self._begin()
        self._table = np.stack([self._may_follow(case) for case in self._cases])
        self._absorb(prompts)

    def relax(self) -> None:
        """From now on voices of a choir may sound several notes, as a player's may."""
        self._single_U = np.zeros_like(self._single_U)

    @abstractmethod
    def _begin(self) -> None:
        """Initialize the state that only this scheme has."""

    @abstractmethod
    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V); there is one column only."""

    @abstractmethod
    def _take(self, kind: str, rows: Index, values: Ints) -> None: ...

    def _absorb(self, prompts: Sequence[Tokens]) -> None:
        lengths = np.array([len(prompt) for prompt in prompts])
        tokens_TB = np.zeros((int(lengths.max(initial=0)), len(prompts)), dtype=np.int64)
        for number, prompt in enumerate(prompts):
            tokens_TB[: len(prompt), number] = prompt[:, 0]
        for position, tokens_B in enumerate(tokens_TB):
            self.advance(tokens_B, position < lengths)
        # whatever moved time to the end of the prompt may be prolonged, and all voices may begin
        # there
        self._at_cut = lengths > 0
        inside = np.isin(self._previous, [CODE["voice"], CODE["pitch"]])
        self._begin_time(np.flatnonzero(~inside))

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append a token to the sequences in `moving_B`."""
        rows = np.flatnonzero(moving_B)
        tokens = tokens_B[rows]
        codes, values = self._code_V[tokens], self._value_V[tokens]
        self._at_cut[rows] = False
        for code in sorted(set(codes.tolist())):
            here = codes == code
            self._take(KINDS[code], rows[here], values[here])
        self._previous[rows] = codes

    def finished(self) -> Mask:
        """Which sequences have their end."""
        ended: Mask = np.equal(self._previous, CODE[END])
        return ended

    @abstractmethod
    def ended(self) -> Mask:
        """Which sequences have an end before the limit."""

    @abstractmethod
    def bars(self) -> Ints:
        """How many bars are complete; a pickup is a bar that begins with rests."""

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        for name in self._columns:
            setattr(self, name, getattr(self, name)[index])
        self._rows = np.arange(len(index))

    def _may_follow(self, case: str) -> Mask:
        """A row of the table: all tokens of the kinds that a case names, drums like pitches."""
        kinds = {CODE[kind] for kind in case.split()}
        row: Mask = np.isin(self._code_V, sorted(kinds))
        return row

    def _narrow(self, mask_BV: Mask, kind: str, values: Mask) -> None:
        """Of a kind, keep what a mask over its block allows."""
        block = self._vocabulary.blocks[kind]
        mask_BV[:, block.start : block.stop] &= values

    def _narrow_pitches(self, mask_BV: Mask, kind: NoteKind, values_BP: Mask) -> None:
        """Of a kind, keep what a mask over the pitches of the current voice allows."""
        drums = self._vocabulary.drums
        drum_B1 = np.array(drums)[self._voice][:, None]
        for drum in sorted(set(drums)):
            block = self._vocabulary.pitches(kind, drums.index(drum))
            mask_BV[:, block.start : block.stop] &= values_BP & (drum_B1 == drum)

    def _below(self, kind: str, first_B: Ints, stop_B: Ints) -> Mask:
        """Mask over a block: from the first-th to before the stop-th."""
        places = np.arange(self._vocabulary.count(kind))
        inside: Mask = (places >= first_B[:, None]) & (places < stop_B[:, None])
        return inside

    def _above_last(self, silent_BP: Mask) -> Mask:
        """Of the pitches that are silent, those above the last one that was named; none in a single
        voice that sounds.
        """
        busy_B = self._single_U[self._voice] & ~silent_BP.all(axis=1)
        return (
            silent_BP
            & ~busy_B[:, None]
            & (np.arange(silent_BP.shape[1]) > self._last_pitch[:, None])
        )

    def _begin_time(self, rows: Index) -> None:
        self._voice[rows] = -1 if self._vocabulary.names_voices else 0
        self._last_pitch[rows] = -1

    def _choose_voice(self, rows: Index, voices: Ints) -> None:
        self._last_pitch[rows[voices != self._voice[rows]]] = -1
        self._voice[rows] = voices

    def _choose_meter(self, rows: Index, meters: Ints, onsets: Ints) -> None:
        """A meter from the bar line at `onsets` on; the bars that are left have its length."""
        self._meter[rows], steps = meters, self._bar_steps_M[meters]
        self._bar_steps[rows] = steps
        if self._extent.bars is not None:
            self._limit[rows] = onsets + (self._extent.bars - self._count[rows]) * steps
        self._least[rows] = onsets + (self._extent.least - self._count[rows]) * steps

    def _meter_of(self, extent: Extent) -> int | None:
        """The number of the meter that is asked for."""
        if extent.pickup is not None:
            raise ValueError(
                f"pickup={extent.pickup}: events say a pickup with rests; leave it out, or take a "
                "grid with bars: true"
            )
        if extent.meter is None:
            return None
        meters = self._vocabulary.meters
        if read_meter(extent.meter) not in meters:
            known = ", ".join(f"{n}/{d}" for n, d in meters)
            raise ValueError(f"meter={extent.meter} is none of {known}")
        return meters.index(read_meter(extent.meter))

    def _named_meters(self) -> Mask:
        """The meters that may be named, (M,)."""
        numbers = np.arange(self._vocabulary.count("meter"))
        return np.full(len(numbers), True) if self._fixed is None else numbers == self._fixed

    def _shape(self, kind: NoteKind) -> tuple[int, int, int]:
        pitches = len(self._vocabulary.pitches(kind, 0))
        return len(self._rows), len(self._vocabulary.drums), pitches


def case_of(cases: Sequence[str], by_previous: Mapping[str, str]) -> Ints:
    """By the code of the last token's kind, the number of its case."""
    default = cases[-1]
    return np.array([cases.index(by_previous.get(kind, default)) for kind in KINDS])


class RemiGrammar(EventGrammar):
    """bar meter (position (voice pitch duration)+)*, repeated, then the end.

    A voice that is alone is not named.
    """

    _columns = (*EventGrammar._columns, "_bar_start", "_position", "_latest", "_ends")

    def __init__(self, vocabulary: Vocabulary, extent: Extent, prompts: Sequence[Tokens]) -> None:
        note = "voice" if vocabulary.names_voices else "pitch"
        move = f"position bar {END}"
        self._cases = ("duration", "pitch", END, "bar", "meter", move, note, f"{note} {move}")
        after = {"pitch": "duration", "voice": "pitch", "": "bar", "bar": "meter"}
        after |= {"meter": move, "position": note}
        self._case_V = case_of(self._cases, after)
        super().__init__(vocabulary, extent, prompts)

    def _begin(self) -> None:
        batch = len(self._rows)
        self._bar_start: Ints = np.zeros(batch, dtype=np.int64)
        self._position: Ints = np.full(batch, -1, dtype=np.int64)
        self._latest: Ints = np.zeros(batch, dtype=np.int64)
        # when each pitch of each voice falls silent
        self._ends: Ints = np.zeros(self._shape("pitch"), dtype=np.int64)

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        limit, time = self._limit, self._time
        case_B = self._case_V[self._previous]
        case_B[self._at_cut & (self._previous == CODE["position"])] = len(self._cases) - 1
        inside = (self._previous == CODE["pitch"]) | (self._previous == CODE["voice"])
        case_B[~inside & (time >= limit)] = self._cases.index(END)
        mask_BV = self._table[case_B]
        zero = np.zeros_like(time)
        self._narrow(mask_BV, "duration", self._below("duration", zero, (limit - time).clip(min=1)))
        silent_BP = self._above_last(self._ends[self._rows, self._voice] <= time[:, None])
        self._narrow_pitches(mask_BV, "pitch", silent_BP)
        if self._vocabulary.names_voices:
            self._narrow(mask_BV, "voice", self._voices(silent_BP))
        bar_end = self._bar_start + self._bar_steps
        first = np.maximum(self._position + 1, self._free_from().min(axis=1) - self._bar_start)
        stop = np.minimum(bar_end, limit) - self._bar_start
        self._narrow(mask_BV, "position", self._below("position", first, stop))
        # a bar is always allowed at the very beginning
        mask_BV[:, self._vocabulary.token("bar", 0)] &= (bar_end < limit) | (self._previous == 0)
        mask_BV[:, 0] &= (self._latest >= self._least) | (case_B == self._cases.index(END))
        self._narrow(mask_BV, "meter", self._long_enough() & self._named_meters())
        return mask_BV

    def _long_enough(self) -> Mask:
        """The meters in which the bars that are left reach the end of the last note, (B, M)."""
        if self._extent.bars is None:
            return np.full((1, len(self._bar_steps_M)), True)
        left_B1 = (self._extent.bars - self._count)[:, None]
        enough = self._bar_start[:, None] + left_B1 * self._bar_steps_M >= self._latest[:, None]
        return enough | (np.arange(len(self._bar_steps_M)) == self._meter[:, None])

    def ended(self) -> Mask:
        """Which sequences have an end before the limit."""
        return self.finished() & (self._latest < self._limit)

    def bars(self) -> Ints:
        """How many bars are complete; a pickup is a bar that begins with rests."""
        last = np.ceil((self._latest - self._bar_start) / np.maximum(self._bar_steps, 1))
        return self._count + np.where(self.finished(), last.clip(min=0), 0).astype(np.int64)

    def _free_from(self) -> Ints:
        """From when on each voice may begin a note, (B, U)."""
        return np.where(self._single_U, self._ends.max(axis=2), self._ends.min(axis=2))

    def _voices(self, silent_BP: Mask) -> Mask:
        """Later voices that may begin a note, and the current one if a higher pitch is silent."""
        voices_BU: Mask = self._free_from() <= self._time[:, None]
        voices_BU &= np.arange(voices_BU.shape[1]) >= self._voice[:, None]
        chosen = np.flatnonzero(self._voice >= 0)
        voices_BU[chosen, self._voice[chosen]] = silent_BP[chosen].any(axis=1)
        return voices_BU

    def _take(self, kind: str, rows: Index, values: Ints) -> None:
        if kind == "bar":
            self._count[rows] += self._bar_steps[rows] > 0
            self._bar_start[rows] += self._bar_steps[rows]
            self._time[rows], self._position[rows] = self._bar_start[rows], -1
        elif kind == "meter":
            self._choose_meter(rows, values, self._bar_start[rows])
        elif kind == "position":
            self._position[rows], self._time[rows] = values, self._bar_start[rows] + values
            self._begin_time(rows)
        elif kind == "voice":
            self._choose_voice(rows, values)
        elif kind == "pitch":
            self._last_pitch[rows] = values
        elif kind == "duration":
            ends = self._time[rows] + values
            self._ends[rows, self._voice[rows], self._last_pitch[rows]] = ends
            self._latest[rows] = np.maximum(self._latest[rows], ends)


class MidiLikeGrammar(EventGrammar):
    """Shifts of time; at each time a meter on a bar line, then note-offs and -ons by voice."""

    _columns = (*EventGrammar._columns, "_last_shift", "_meter_onset", "_onsets")

    def __init__(self, vocabulary: Vocabulary, extent: Extent, prompts: Sequence[Tokens]) -> None:
        note = "voice" if vocabulary.names_voices else "note_off note_on"
        self._cases = ("note_off note_on", END, note, "meter", f"{note} time_shift meter {END}")
        self._case_V = case_of(self._cases, {"voice": self._cases[0], "": "meter"})
        self._longest = vocabulary.count("time_shift")
        super().__init__(vocabulary, extent, prompts)

    def _begin(self) -> None:
        batch = len(self._rows)
        self._last_shift: Ints = np.zeros(batch, dtype=np.int64)
        self._meter_onset: Ints = np.zeros(batch, dtype=np.int64)
        # onset of what sounds, -1 for silence
        self._onsets: Ints = np.full(self._shape("note_on"), -1, dtype=np.int64)

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        time, named = self._time, self._previous == CODE["voice"]
        over = ~named & (time >= self._limit)
        ending_BUP: Mask = (self._onsets >= 0) & (self._onsets < time[:, None, None])
        sounding_BU: Mask = np.any(ending_BUP, axis=2)
        case_B = self._case_V[self._previous]
        # what still sounds must end, from the lowest voice on, so that each can be closed
        case_B[over] = np.where(sounding_BU[over].any(axis=1), 2, 1)
        mask_BV = self._table[case_B]
        silent_BP = self._above_last(self._onsets[self._rows, self._voice] < 0)
        fresh_B1 = (self._last_pitch < 0)[:, None]
        self._narrow_pitches(mask_BV, "note_off", ending_BUP[self._rows, self._voice] & fresh_B1)
        self._narrow_pitches(mask_BV, "note_on", silent_BP & (time < self._limit)[:, None])
        if self._vocabulary.names_voices:
            voices_BU = self._voices(silent_BP)
            lowest_BU = np.arange(voices_BU.shape[1]) == sounding_BU.argmax(axis=1)[:, None]
            self._narrow(mask_BV, "voice", np.where(over[:, None], lowest_BU, voices_BU))
        self._narrow_time(mask_BV)
        silent = ~np.any(self._onsets >= 0, axis=(1, 2))
        early = silent & (time >= self._least) & (self._previous == CODE["note_off"])
        mask_BV[:, 0] &= early | (case_B == self._cases.index(END))
        return mask_BV

    def ended(self) -> Mask:
        """Which sequences have an end before the limit."""
        return self.finished() & (self._time < self._limit)

    def bars(self) -> Ints:
        """How many bars are complete; a pickup is a bar that begins with rests."""
        begun = (self._time - self._meter_onset) / np.maximum(self._bar_steps, 1)
        count: Ints = self._count + np.where(self.finished(), np.ceil(begun), begun).astype(int)
        return count

    def _voices(self, silent_BP: Mask) -> Mask:
        """Later voices, and the current one if anything of it may still come."""
        count = len(self._vocabulary.drums)
        voices_BU: Mask = np.arange(count) >= self._voice[:, None]
        chosen = np.flatnonzero(self._voice >= 0)
        more = silent_BP.any(axis=1) | (self._last_pitch < 0)
        voices_BU[chosen, self._voice[chosen]] = more[chosen]
        return voices_BU

    def _narrow_time(self, mask_BV: Mask) -> None:
        """One shift of time after another only if the first is the longest; at the limit a note
        must be left to close. Meters come on bar lines, and differ from the one before.
        """
        time, shifted = self._time, self._previous == CODE["time_shift"]
        may = ~shifted | self._at_cut | (self._last_shift == self._longest)
        sounds: Mask = np.any(self._onsets >= 0, axis=(1, 2))
        stop = np.where(may, self._limit - time - ~sounds, 0)
        self._narrow(mask_BV, "time_shift", self._below("time_shift", np.zeros_like(stop), stop))
        lines = shifted & ((time - self._meter_onset) % np.maximum(self._bar_steps, 1) == 0)
        other_BM = np.arange(self._vocabulary.count("meter")) != self._meter[:, None]
        self._narrow(mask_BV, "meter", self._named_meters()[None])
        first = (self._previous == 0)[:, None]
        self._narrow(mask_BV, "meter", first | (lines[:, None] & other_BM))

    def _take(self, kind: str, rows: Index, values: Ints) -> None:
        if kind == "time_shift":
            self._time[rows] += values
            self._last_shift[rows] = values
            self._begin_time(rows)
        elif kind == "meter":
            steps = np.maximum(self._bar_steps[rows], 1)
            self._count[rows] += (self._time[rows] - self._meter_onset[rows]) // steps
            self._choose_meter(rows, values, self._time[rows])
            self._meter_onset[rows] = self._time[rows]
        elif kind == "voice":
            self._choose_voice(rows, values)
        elif kind == "note_on":
            self._onsets[rows, self._voice[rows], values] = self._time[rows]
            self._last_pitch[rows] = values
        elif kind == "note_off":
            self._onsets[rows, self._voice[rows], values] = -1
