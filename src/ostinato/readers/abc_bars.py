"""Bar lines, repeats, endings, parts and directions of one voice of an ABC tune."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ostinato.readers.repeat_tree import Bar, Jump

_BAR = re.compile(r"([.|:\]\s]*(?:\[\|[|:\]]*)?)\s*\[?(.*)")
_PLAIN = ("|", "[|]")  # they neither end an ending nor a section


@dataclass
class Stretch:
    """The music between two signs.

    is_line: it begins at a bar line. after_section: at a double, heavy or repeat bar line.
    after_repeat: at the end of a repeat. Other fields are as in `Bar`.
    """

    start: Fraction
    is_line: bool = False
    after_section: bool = False
    after_repeat: bool = False
    opens: bool = False
    closes: int = 0
    endings: tuple[int, ...] = ()
    part: str = ""
    segno: bool = False
    coda: bool = False
    to_coda: bool = False
    fine: bool = False
    jump: Jump | None = None

    def bar(self) -> Bar:
        """The stretch as input of `unfold`; ABC's signs have no names."""
        return Bar(
            opens=self.opens, closes=self.closes, endings=self.endings, part=self.part,
            segno="" if self.segno else None, coda="" if self.coda else None,
            to_coda="" if self.to_coda else None, fine=self.fine, jump=self.jump,
        )  # fmt: skip


class BarSigns:
    """Collects the signs of a voice in the order of the page; times are in quarter notes.

    Fine, To Coda and jumps act at the end of the bar that they stand in, or of the bar before if
    they directly follow a double, heavy or repeat bar line. Segno and coda act where they stand.
    Without any "To Coda", the last of several coda signs is the coda; the others lead to it.
    """

    def __init__(self) -> None:
        self.stretches = [Stretch(Fraction(0), is_line=True)]
        self._waiting: list[str | Jump] = []  # directions that act at the end of the bar
        self._codas: list[tuple[Stretch, Stretch | None]] = []
        self._times = 0  # passes that the last opening sign asks for

    def line(self, time: Fraction, text: str) -> None:
        """A bar line, or the number of an ending, such as `:|2`."""
        found = _BAR.fullmatch(text)
        signs, number = (found[1].strip(". "), found[2]) if found else (text, "")
        ended = self._ended(time)
        closing, opening = _colons(signs)
        closes = bool(closing) and ended is not None
        if ended and closes:
            ended.closes = max(closing + 1, self._times)
            self._times = 0
        if ended:
            self._end_bar(ended)
        bar = self._at(time)
        if signs:
            bar.is_line = True
            bar.after_repeat |= closes
            if signs not in _PLAIN:
                bar.after_section = True
                bar.endings = ()
        if opening:
            bar.opens = True
            self._times = opening + 1
        if number:
            bar.endings = numbers_of(number)

    def part(self, time: Fraction, label: str) -> None:
        """A part begins; at a bar line it ends an ending."""
        bar = self._at(time)
        bar.part = label
        if bar.is_line:
            bar.endings = ()

    def direction(self, time: Fraction, direction: str | Jump) -> None:
        """See `direction_of`."""
        if direction == "segno":
            self._at(time).segno = True
        elif direction == "coda":
            self._codas.append((self._at(time), None))
        elif self.stretches[-1].start == time and self.stretches[-1].after_section:
            _act(self._ended(time), direction)
        else:
            self._waiting.append(direction)

    def has_signs(self) -> bool:
        """Whether there is any sign but bar lines."""
        return any(
            stretch.opens or stretch.closes or stretch.endings or stretch.part or stretch.jump
            for stretch in self.stretches
        )

    def line_starts(self) -> list[Fraction]:
        """Where bars begin."""
        return [stretch.start for stretch in self.stretches if stretch.is_line]

    def starts(self, end: Fraction) -> list[Fraction]:
        """Where the stretches of `bars` begin, and the end."""
        return [stretch.start for stretch in self.stretches if stretch.start < end] + [end]

    def bars(self, end: Fraction) -> list[Bar]:
        """The stretches that begin before the end."""
        used = [stretch for stretch in self.stretches if stretch.start < end]
        if used:
            self._end_bar(used[-1])
        leads_to_coda = any(stretch.to_coda for stretch in used)
        for sign, last in self._codas:
            if leads_to_coda or sign is self._codas[-1][0]:
                sign.coda = True
            elif last:
                last.to_coda = True
        bars = [stretch.bar() for stretch in used]
        for number in _implied_openings(used):
            bars[number] = replace(bars[number], opens=True)
        return bars

    def printed_bars(
        self, end: Fraction, full: Iterable[tuple[Fraction, Fraction]]
    ) -> list[Fraction]:
        """Onsets of bars: a repeat sign within a full bar begins none, a part within an overfull
        bar begins one.

        full: lengths of bars and the onsets that they hold from, ascending.
        """
        used = [stretch for stretch in self.stretches if stretch.start < end]
        lengths = list(full)
        onsets: list[Fraction] = []
        next_lines = [end]  # where the next bar line is, from the last stretch to the first
        for stretch in reversed(used[1:]):
            next_lines.append(stretch.start if stretch.is_line else next_lines[-1])
        for stretch, next_start in zip(used, reversed(next_lines), strict=False):
            if not (stretch.is_line or stretch.part):
                continue
            length = next(
                (ln for onset, ln in reversed(lengths) if onset <= stretch.start), Fraction(0)
            )
            begun = onsets[-1] if onsets else Fraction(0)
            completes = begun < stretch.start < begun + length == next_start
            if stretch.is_line:
                begins = not (completes and (stretch.opens or stretch.after_repeat))
            else:
                begins = next_start > begun + length
            if begins:
                onsets.append(stretch.start)
        return onsets

    def _ended(self, time: Fraction) -> Stretch | None:
        """The stretch that ends at a time, if any music came before."""
        if self.stretches[-1].start != time:
            return self.stretches[-1]
        return self.stretches[-2] if len(self.stretches) > 1 else None

    def _at(self, time: Fraction) -> Stretch:
        """The stretch that begins at a time; a new one goes on with the ending before."""
        last = self.stretches[-1]
        if last.start != time:
            self.stretches.append(Stretch(time, endings=last.endings))
        return self.stretches[-1]

    def _end_bar(self, ended: Stretch) -> None:
        for direction in self._waiting:
            _act(ended, direction)
        self._waiting.clear()
        self._codas = [(sign, last or ended) for sign, last in self._codas]


def _implied_openings(stretches: Iterable[Stretch]) -> Iterator[int]:
    """Where repeats without an opening sign begin: at the latest double or heavy bar line, if one
    stands after the last repeat (standard 2.1, section 4.8). The others are left to `unfold`.
    """
    start: int | None = None
    opened = in_endings = was_later = False
    for number, stretch in enumerate(stretches):
        later = bool(stretch.endings) and min(stretch.endings) > 1
        if was_later and not stretch.endings:
            start, opened, in_endings = None, False, False
        opened |= stretch.opens
        in_endings |= bool(stretch.endings)
        if stretch.after_section and not stretch.after_repeat and not in_endings:
            start = number
        if stretch.closes:
            if start is not None and not opened and not later:
                yield start
            start, opened, in_endings = None, False, False
        was_later = later


def numbers_of(text: str) -> tuple[int, ...]:
    """Numbers of an ending: 1, `1,3`, `1-3`, `1.-3.` and `1st time`."""
    numbers: list[int] = []
    for first, last in re.findall(r"(\d{1,2})(?:\.?-(\d{1,2}))?", text):
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def _colons(signs: str) -> tuple[int, int]:
    """Colons before a bar line, which close a repeat, and after it, which open one."""
    if signs and not signs.strip(":"):  # `::` stands for two signs
        return len(signs) // 2, len(signs) // 2
    before, after = re.search(r":+(?=[^:])", signs), re.search(r":+$", signs)
    return len(before[0]) if before else 0, len(after[0]) if after else 0


def _act(stretch: Stretch | None, direction: str | Jump) -> None:
    if stretch is None:
        return
    if isinstance(direction, Jump):
        stretch.jump = direction
    elif direction == "fine":
        stretch.fine = True
    else:
        stretch.to_coda = True
