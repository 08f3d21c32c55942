"""Music as a stream of events, one token after another: MidiTok's REMI and MIDILike tokenizers.

REMI (Huang & Yang 2020) says bar, position and duration; MIDILike (Oore et al. 2018) says note-on,
note-off and time shift. Both keep meters: REMI names one in every bar, MIDILike where it changes. A
voice is a program number of its own in MidiTok's tokens and comes before each of its notes, unless
it is alone. Drums are a voice whose pitches are tokens of their own: transposition leaves them. No
velocities, no tempos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import VOICES, Meter, Notes, Piece, Tempo, Track, cut
from ostinato.representations.events.parts.clock import bar_starts, open_notes, read_clock
from ostinato.representations.events.parts.grammar import EventGrammar, MidiLikeGrammar, RemiGrammar
from ostinato.representations.events.parts.miditok import read_notes, tokenizer
from ostinato.representations.events.parts.prompt import column, midi_like_to_cut, remi_to_cut
from ostinato.representations.events.parts.quantize import (
    end_at_repeats,
    end_of,
    meters_in_steps,
    meters_on_bar_lines,
    missing_steps,
)
from ostinato.representations.events.parts.vocabulary import (
    Vocabulary,
    make_vocabulary,
    parse_meter,
)
from ostinato.representations.events.parts.voices import MOST_TRACKS, notes_by_place, notes_of_roles
from ostinato.representations.events.parts.write import write_midi_like, write_remi
from ostinato.representations.protocol import Extent, Quantized, Tokens, Unencodable
from ostinato.representations.voice_lines import (
    check_notes,
    options_from,
    rebuild,
    settings_of,
    to_steps,
    voice_tracks,
)

SCHEMES = ("remi", "midi_like")
ANY_LENGTH = 1 << 30  # steps: longer than any note
LATER: dict[str, Any] = {"needed": "all", "merged": False, "programs": ()}


@dataclass(frozen=True, kw_only=True)
class Events:
    """Options of the event stream.

    scheme: remi or midi_like.
    voices: roles in the order of their numbers; tracks of one role are one voice. Empty means every
        track but drums, up to 16, by its place.
    needed: whether a piece must have `all` voices or `any` of them.
    merged: without voices, whether all tracks but drums are one voice.
    max_quarters: remi's longest note; midi_like's longest shift of time in one token.
    meters: all that can be said; a piece in another one is refused.
    qpm, program, velocity: how decoded music is played; nothing in the tokens says so.
    programs: of each voice, in place of `program`.
    """

    scheme: str = "remi"
    voices: tuple[str, ...] = VOICES
    steps_per_quarter: int = 4
    lowest: int = 36
    highest: int = 81
    max_quarters: int = 16
    meters: tuple[str, ...] = ("2/4", "3/4", "4/4", "3/2", "6/8", "12/8")
    qpm: float = 84.0
    program: int = 19
    velocity: int = 80
    needed: str = "all"
    merged: bool = False
    programs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"unknown scheme {self.scheme!r}; known are {', '.join(SCHEMES)}")
        if not 0 <= self.lowest < self.highest <= 127:
            raise ValueError(
                f"lowest={self.lowest} must be below highest={self.highest}, within 0 to 127"
            )
        if self.steps_per_quarter < 1 or self.max_quarters < 1:
            raise ValueError(
                f"steps_per_quarter={self.steps_per_quarter} and max_quarters={self.max_quarters} "
                "must be at least 1"
            )
        self._check_voices()
        if not self.meters or len(set(self.meters)) != len(self.meters):
            raise ValueError(f"meters={list(self.meters)} must name one or more, each once")
        for meter in self.meters:
            parse_meter(meter, self.steps_per_quarter)

    def _check_voices(self) -> None:
        voices, programs = list(self.voices), list(self.programs)
        if len(set(voices)) != len(voices):
            raise ValueError(f"voices={voices} names one twice")
        if self.needed not in ("all", "any"):
            raise ValueError(f"needed={self.needed!r} must be all or any")
        if self.merged and voices:
            raise ValueError(
                f"merged reads every track; leave voices={voices} empty, or merged out"
            )
        if programs and len(programs) != len(voices):
            raise ValueError(f"programs={programs} must name one for each of voices={voices}")
        if not all(0 <= program <= 127 for program in (*programs, self.program)):
            raise ValueError(f"program={self.program} and programs={programs} must be 0 to 127")

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("events", self, unsaid=LATER)

    @property
    def width(self) -> int:
        """One token at a time."""
        return 1

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The end, voices, meters; bars, positions, pitches, durations; shifts, note-ons, -offs."""
        return _vocabulary(self).names

    def quantize(self, piece: Piece) -> Quantized:
        """Notes on the nearest steps, in full bars; defined here, not by MidiTok.

        Onsets and ends go to the nearest step, at least one apart. A pitch struck again in its
        voice ends there; struck twice at once, the longer note stays. REMI cuts notes at
        `max_quarters`. If annotations of kind `bar` show a first bar shorter than its meter (a
        pickup), all moves later so that this bar is full. Meter changes off the bar lines that
        follow from this go to the next bar line. What the pickup moved does not count as moved.

        Raises:
            Unencodable: for one of the protocol's REASONS.
        """
        if self.voices:
            notes = notes_of_roles(piece, self.voices, needed=self.needed == "all")
        else:
            notes = notes_by_place(piece, merged=self.merged)
        check_notes(piece, notes, self.lowest, self.highest)
        stepped, moved = to_steps(notes, piece.ticks_per_quarter, self.steps_per_quarter)
        stepped, doubled = end_at_repeats(stepped)
        longest = (
            self.max_quarters * self.steps_per_quarter if self.scheme == "remi" else ANY_LENGTH
        )
        too_long = stepped["duration"] > longest
        stepped["duration"] = np.minimum(stepped["duration"], longest)
        stepped["velocity"] = self.velocity
        late = missing_steps(piece, self.steps_per_quarter, self._bar_steps)
        stepped["onset"] += late
        changes = meters_in_steps(piece, self.steps_per_quarter, late)
        quantized = rebuild(
            piece,
            stepped,
            ticks_per_quarter=self.steps_per_quarter,
            tracks=self._tracks(stepped),
            meters=meters_on_bar_lines(changes, end_of(stepped), self._bar_steps),
            tempos=(Tempo(0, self.qpm),),
        )
        reasons = {
            "struck twice at once in its voice": doubled,
            f"cut at {self.max_quarters} quarters": int(too_long.sum()),
            "in none of the voices": len(piece.notes) - len(notes),
        }
        return Quantized(quantized, moved, {name: n for name, n in reasons.items() if n})

    def encode(self, piece: Piece) -> Tokens:
        """Tokens of shape (T, 1) with the end token."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Tokens of shape (T, 1), with the end token, of a piece as `quantize` gives it."""
        return np.append(self._write(quantized), column([0]), axis=0)

    def decode(self, tokens: Tokens) -> Piece:
        """The music of a sequence, complete or not.

        Notes that sound at the end of an incomplete sequence end there; one whose last tokens are
        missing is left out.
        """
        vocabulary = _vocabulary(self)
        clock, numbers = read_clock(vocabulary, tokens), tokens[:, 0].tolist()
        if self.scheme == "midi_like":
            for voice, pitch in open_notes(vocabulary, tokens):
                if vocabulary.names_voices:
                    numbers.append(vocabulary.token("voice", voice))
                numbers.append(vocabulary.pitches("note_off", voice)[pitch])
        notes = read_notes(_miditok(self), vocabulary, numbers, self.velocity)
        changes = [Meter(onset, *vocabulary.meters[i]) for onset, i in clock.meters or [(0, 0)]]
        return Piece(
            id="",
            ticks_per_quarter=self.steps_per_quarter,
            notes=notes,
            tracks=self._tracks(notes),
            meters=meters_on_bar_lines(changes, end_of(notes), self._bar_steps),
            tempos=(Tempo(0, self.qpm),),
        )

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every token; all but pitches, note-ons and note-offs stay, drums too."""
        vocabulary = _vocabulary(self)
        table = np.arange(len(vocabulary.names), dtype=np.int32)
        for kind in ("pitch", "note_on", "note_off"):
            block = vocabulary.blocks.get(kind, range(0))
            moved = np.array(block, dtype=np.int32) + semitones
            inside = (moved >= block.start) & (moved < block.stop)
            table[block.start : block.stop] = np.where(inside, moved, -1)
        return table

    def timing(self) -> dict[str, list[int]]:
        """What every token does to the time, in steps: see protocol.Timed."""
        return _vocabulary(self).timing()

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> EventGrammar:
        """Ends with a note that reaches the end of the last bar, or earlier after the least bars.

        A bar that a pickup begins counts: `quantize` fills it with rests.
        """
        chosen = RemiGrammar if self.scheme == "remi" else MidiLikeGrammar
        return chosen(_vocabulary(self), extent, prompts)

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of bar, the first token after its bar line; remi: the token of its bar line."""
        return bar_starts(_vocabulary(self), tokens)

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """Tokens up to a cut, without the end, that take time exactly to the cut.

        Quarters count from the start of the first full bar, so a pickup and what quantize put
        before it count. In remi a note that sounds at the cut ends there. In midi_like it is left
        open, as it is at that time in any encoded piece: what comes next may close it there or hold
        it on.
        """
        whole = self.quantize(piece).piece
        steps = min(round(quarters * self.steps_per_quarter), whole.length)
        if steps <= 0:
            return column([])
        tokens = self._write(cut(whole, 0, steps))[:, 0].tolist()
        to_cut = remi_to_cut if self.scheme == "remi" else midi_like_to_cut
        return column(to_cut(_vocabulary(self), tokens, steps))

    def _write(self, quantized: Piece) -> Tokens:
        vocabulary = _vocabulary(self)
        number = {meter: i for i, meter in enumerate(vocabulary.meters)}
        meters = [(m.onset, number[m.numerator, m.denominator]) for m in quantized.meters]
        write = write_remi if self.scheme == "remi" else write_midi_like
        return write(vocabulary, quantized.notes, meters, self.lowest)

    def _bar_steps(self, meter: Meter) -> int:
        vocabulary = _vocabulary(self)
        signature = (meter.numerator, meter.denominator)
        if signature not in vocabulary.meters:
            raise Unencodable(
                "meter not in the vocabulary",
                f"meter {meter.numerator}/{meter.denominator} is none of {', '.join(self.meters)}",
            )
        return vocabulary.bar_steps[vocabulary.meters.index(signature)]

    def _tracks(self, notes: Notes) -> tuple[Track, ...]:
        """One for each voice; without named voices, up to the last one that plays."""
        if self.voices:
            return voice_tracks(self.voices, self.program, self.programs)
        count = int(notes["track"].max()) + 1 if len(notes) else 0
        return tuple(Track(name=f"Track {i + 1}", program=self.program) for i in range(count))


def build(options: Mapping[str, Any]) -> Events:
    """Events from plain settings; raises ValueError for an unknown option."""
    return options_from("events", Events, options)


@lru_cache(maxsize=16)
def _vocabulary(events: Events) -> Vocabulary:
    places = range(1 if events.merged else MOST_TRACKS)
    names = events.voices or tuple(str(number + 1) for number in places)
    return make_vocabulary(
        events.scheme,
        names,
        range(events.lowest, events.highest + 1),
        events.max_quarters * events.steps_per_quarter,
        [parse_meter(meter, events.steps_per_quarter) for meter in events.meters],
    )


def _miditok(events: Events) -> Any:
    vocabulary = _vocabulary(events)
    longest = events.max_quarters * events.steps_per_quarter
    return tokenizer(
        events.scheme,
        len(vocabulary.drums),
        (events.lowest, events.highest),
        longest,
        vocabulary.bar_steps,
    )
