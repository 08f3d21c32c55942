"""ABC tunes: files that hold one or many of them.

An own reader, because MusPy (0.5.0) drops the first tune of a file and the last line of the last
one, and music21 (9.9.2) drops meters that change within a tune, ties and grace notes of chords, and
takes 66 ms for a tune. It reads notes, chords, ties, tuplets, broken rhythms, voices, overlays,
keys of all modes, chord symbols, fermatas, parts, repeats, endings, jumps, macros, transposition
and how far accidentals hold; not lyrics and other playback directives.
"""

from collections import Counter
from fractions import Fraction
from pathlib import Path

from ostinato.files import DamagedFile
from ostinato.music.piece import Annotation, Key, Meter, Tempo, Track
from ostinato.music.roles import role_of
from ostinato.readers.abc_fields import default_unit, part_order
from ostinato.readers.abc_lines import MUSIC, Line, Tune, charset_of, read_lines, tunes_of, values
from ostinato.readers.abc_macros import Macros
from ostinato.readers.abc_texts import plain
from ostinato.readers.abc_tokens import Dialect
from ostinato.readers.abc_voice import Voice
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.charsets import decoded
from ostinato.readers.score import Score, Span, perform
from ostinato.readers.unfold import printed_once, unfold

SUFFIXES = (".abc",)


def abc_keys(path: Path) -> list[str]:
    """One key for each tune of a file: its X number (`0001`); "" for a file of one tune."""
    return sorted(tunes_of(path))


def read_abc(path: Path, key: str, options: ReadOptions) -> Reading:
    """Read one tune. Accidentals hold to the end of the bar in all octaves, as the standard says.

    Grace notes are counted as dropped.
    """
    tunes = tunes_of(path)
    if key not in tunes:
        raise DamagedFile(f"there is no tune {key!r} among {len(tunes)}")
    tune = read_lines(tunes[key])
    voices = _Voices(tune).read()
    lead = next((voice for voice in voices if voice.notes), voices[0])
    score = _score(tune, voices, lead, charset_of(path))
    end = max([score.end()] + [voice.time for voice in voices])
    _mark_bars(lead, end, score)
    name = f"{path.stem}-{key}" if key else path.stem
    with_signs = next((voice for voice in voices if voice.notes and voice.bars.has_signs()), lead)
    spans = _spans(with_signs, end, tune, options.expand_repeats, score)
    return perform(score, spans, name, path.name, options.ticks_per_quarter)


class _Voices:
    """Gives the lines of a tune to its voices.

    A voice begins with the fields of the header, its own V: fields, and the fields of the body
    before the first voice.
    """

    def __init__(self, tune: Tune) -> None:
        self._tune = tune
        self._voices: dict[str, Voice] = {}
        self._declared = [_voice_id(text) for text in values(tune.header, "V")]
        self._preset: list[Line] = []
        self._current: Voice | None = None
        self._dialect = Dialect()
        self._macros = Macros(values(tune.header, "m"))
        for text in values(tune.header, "I"):
            self._dialect.read(text)

    def read(self) -> list[Voice]:
        """The voices, those of the header first; music before any V: is the first voice's."""
        for line in self._tune.body:
            if line.letter == "V":
                self._select(line.text)
            elif line.letter != MUSIC:
                self._field(line)
            else:
                self._music(line.text)
        if not self._voices:
            self._select("")
        declared = [self._voices[name] for name in dict.fromkeys(self._declared)
                    if name in self._voices]  # fmt: skip
        others = [voice for voice in self._voices.values() if voice not in declared]
        for voice in self._voices.values():
            voice.close()
        return declared + others

    def _field(self, line: Line) -> None:
        if line.letter == "I":
            self._dialect.read(line.text)
        if line.letter == "m":
            self._macros.define(line.text)
        elif self._current:
            self._current.field(line.letter, line.text)
        else:
            self._preset.append(line)

    def _music(self, text: str) -> None:
        for kind, token in self._dialect.tokens(self._macros.expand(text)):
            if kind == "field" and token[1] == "V":
                self._select(token[3:-1])
            elif kind == "field":
                self._field(Line(token[1], token[3:-1]))
            elif kind != "nothing":
                (self._current or self._select("")).read(kind, token)

    def _select(self, text: str) -> Voice:
        name = _voice_id(text) or next(iter([*self._voices, *self._declared]), "1")
        if name not in self._voices:
            self._voices[name] = self._new(name)
        self._current = self._voices[name]
        self._current.field("V", text.strip()[len(name) :])
        return self._current

    def _new(self, name: str) -> Voice:
        header = self._tune.header
        voice = Voice(name)
        for letter in "MLKQ":
            for text in values(header, letter)[-1:]:
                voice.field(letter, text)
            if letter == "M":
                voice.unit = default_unit(voice.meter)
        if not any(isinstance(mark.value, Key) for mark in voice.marks):
            voice.field("K", "none")  # the field names a clef alone
        own = [Line("V", text[len(name) :]) for text in values(header, "V")
               if _voice_id(text) == name]  # fmt: skip
        symbols = [line for line in header if line.letter in "UI"]
        for line in symbols + own + self._preset:
            voice.field(line.letter, line.text)
        return voice


def _voice_id(text: str) -> str:
    return (text.split() or [""])[0]


def _score(tune: Tune, voices: list[Voice], lead: Voice, charset: str) -> Score:
    """The notes and tempos of all voices; meters and keys of the leading one, whose tempo counts
    where two differ.
    """
    others = [voice for voice in voices if voice is not lead]
    tempos = [mark for voice in others for mark in voice.marks if isinstance(mark.value, Tempo)]
    title = next(iter(values(tune.header, "T")), "")
    score = Score(title=_words(title, charset), marks=[*tempos, *lead.marks])
    if not f"{title}{''.join(voice.name for voice in voices)}".isascii() and charset:
        score.warnings.append(f"title and names in a guessed character set: {charset}")
    for voice in voices:
        name = _words(voice.name, charset)
        role = role_of(name) if name else "melody" if voice is lead else ""
        score.tracks.append(Track(name, role))
        score.notes.append(voice.notes)
        score.marks += voice.annotations
        score.dropped += voice.dropped
    unknown = sum((voice.unknown for voice in voices), Counter[str]())
    if unknown:
        signs = " ".join(sorted(unknown))
        score.warnings.append(f"{unknown.total()} characters are not ABC music: {signs}")
    for warning, number in sum((voice.warnings for voice in voices), Counter[str]()).items():
        score.warnings.append(f"{number} {warning}")
    if tune.unread:
        words = "lines with bar lines after the empty line that ends the tune are not read"
        score.warnings.append(f"{tune.unread} {words}")
    return score


def _words(text: str, charset: str) -> str:
    """A title or name, which a file that is not in UTF-8 gives as letters of Latin 1."""
    return plain(decoded(text, charset))


def _mark_bars(lead: Voice, end: Fraction, score: Score) -> None:
    meters = [
        (mark.onset, mark.value.bar_quarters())
        for mark in lead.marks if isinstance(mark.value, Meter)
    ]  # fmt: skip
    for onset in lead.bars.printed_bars(end, meters):
        score.mark(onset, Annotation(0, "bar"))


def _spans(
    voice: Voice, end: Fraction, tune: Tune, expand_repeats: bool, score: Score
) -> list[Span] | None:
    """What is played when, by the signs of one voice."""
    bars = voice.bars.bars(end)
    if expand_repeats:
        order = part_order("".join(values(tune.header, "P")[-1:]))
        unfolded = unfold(bars, order)
    else:
        unfolded = printed_once(bars)
    score.warnings += unfolded.warnings
    starts = voice.bars.starts(end)
    if unfolded.order == list(range(len(bars))):
        return None
    return [(starts[number], starts[number + 1]) for number in unfolded.order]
