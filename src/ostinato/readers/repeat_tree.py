"""Repeat signs as a tree, and the walk through it: rules 1 to 7 and 11 of `unfold`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

MOST_NESTED = 8
MOST_BARS = 10_000


@dataclass(frozen=True)
class Jump:
    """Da capo (`segno` is None) or dal segno; `until` is "fine", "coda" or "" for either."""

    segno: str | None = None
    until: str = ""


@dataclass(frozen=True)
class Bar:
    """A stretch of music without signs inside, and the signs around it.

    opens: a repeat begins before it. closes: a repeat ends after it and is played so often in all;
    0 without a sign. endings: numbers of the passes of the ending it lies in. part: label of the
    part that begins here, "" where none does. segno and coda stand before the bar, to_coda, fine
    and jump after it; segno, coda and to_coda are names, None without a sign.
    """

    opens: bool = False
    closes: int = 0
    after_jump: bool = False
    endings: tuple[int, ...] = ()
    part: str = ""
    segno: str | None = None
    coda: str | None = None
    to_coda: str | None = None
    fine: bool = False
    jump: Jump | None = None


@dataclass(eq=False)
class Repeat:
    """Bars `first` to `last`: in each pass the body, then every ending that names the pass."""

    first: int
    last: int
    body: list["Node"]
    endings: list["Ending"]
    passes: list[int]
    after_jump: bool

    def sounds(self, bar: int, number: int) -> bool:
        """Whether a pass plays a bar of this repeat."""
        ending = next((e for e in self.endings if e.first <= bar < e.end), None)
        return ending is None or number in ending.numbers


@dataclass(eq=False)
class Ending:
    """The passes that play it, its bars from `first` up to `end`, and what they consist of."""

    numbers: tuple[int, ...]
    first: int
    end: int
    nodes: list["Node"] = field(default_factory=list)


Node = int | Repeat
Played = tuple[int, int, bool]  # bar, pass, whether it is the bar's last time


class Structure:
    """Reads the signs into a tree: bars, and repeats that contain bars and repeats."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self._bars = list(bars)
        self.extended: set[int] = set()  # bars that belong to an ending without its bracket
        self._extend_endings()
        self.nodes = self._nodes(0, len(bars))

    def _extend_endings(self) -> None:
        """Bars up to a closing sign right before the next ending belong to the one before them."""
        last = 0  # bar of an ending without a closing sign
        for number, bar in enumerate(self._bars):
            if bar.endings or bar.opens:
                last = number
            elif bar.closes and self._bars[last].endings and not self._bars[last].closes:
                if self._is_later_ending(number + 1, len(self._bars)):
                    ending = self._bars[last].endings
                    for inside in range(last + 1, number + 1):
                        self._bars[inside] = replace(self._bars[inside], endings=ending)
                        self.extended.add(inside)
                last = number

    def _nodes(self, start: int, end: int) -> list[Node]:
        frames: list[list[Node]] = [[]]  # one for each repeat that is open, after the outermost
        done = [0]  # nodes of the outermost level that an unopened repeat does not reach back to
        number = start
        while number < end:
            bar = self._bars[number]
            is_inside_ending = bool(bar.endings and len(frames) > 1 and frames[-1])
            if bar.opens and not is_inside_ending and len(frames) <= MOST_NESTED:
                frames.append([])
                self._bars[number] = replace(bar, opens=False)
            if bar.endings:
                number = self._close_with_endings(frames, done, number, end)
                continue
            frames[-1].append(number)
            number += 1
            if bar.closes and not self._is_later_ending(number, end):
                passes = list(range(1, min(bar.closes, MOST_BARS) + 1))
                self._close(frames, done, passes, [], after_jump=bar.after_jump)
        return [node for frame in frames for node in frame]

    def _is_later_ending(self, number: int, end: int) -> bool:
        """Whether an ending of a later pass than the first begins with this bar."""
        if number >= end:
            return False
        bar = self._bars[number]
        return bool(bar.endings) and min(bar.endings) > 1 and not bar.opens

    def _close(
        self, frames: list[list[Node]], done: list[int], passes: list[int],
        endings: list[Ending], *, after_jump: bool,
    ) -> None:  # fmt: skip
        if len(frames) > 1:
            body = frames.pop()
        else:
            body = frames[0][done[0] :]
            del frames[0][done[0] :]
        first = first_bar(body[0]) if body else endings[0].first
        last = endings[-1].end - 1 if endings else last_bar(body[-1])
        frames[-1].append(Repeat(first, last, body, endings, passes, after_jump))
        if len(frames) == 1:
            done[0] = len(frames[0])

    def _close_with_endings(
        self, frames: list[list[Node]], done: list[int], start: int, end: int
    ) -> int:
        """Read endings that follow each other; returns the number of the bar after them."""
        endings, closed, end = self._endings(start, end)
        passes = sorted({number for ending in endings for number in ending.numbers})
        body = frames[-1] if len(frames) > 1 else frames[0][done[0] :]
        before = body[-1] if body else None
        if isinstance(before, int) and self._bars[before].closes and passes[-1] <= MOST_BARS:
            passes = list(range(1, passes[-1] + 1))
        elif len(endings) == 1 and closed:
            passes.append(passes[-1] + 1)
        after_jump = any(self._bars[number].after_jump for number in range(start, end))
        for ending in endings:
            for number in range(ending.first, ending.end):
                self._bars[number] = replace(self._bars[number], endings=())
            ending.nodes = self._ending_nodes(ending)
        self._close(frames, done, passes, endings, after_jump=after_jump)
        return end

    def _endings(self, start: int, end: int) -> tuple[list[Ending], bool, int]:
        """The endings, whether the last one closes with a sign, and where they end."""
        endings: list[Ending] = []
        used: set[int] = set()
        closed, inner = False, list[int]()  # opening signs within this ending
        number = start
        while number < end and (bar := self._bars[number]).endings:
            if number == start or closed or bar.endings != self._bars[number - 1].endings:
                numbers = tuple(sorted(set(bar.endings)))
                if closed and used.issuperset(numbers):
                    numbers = (max(used) + 1,)
                used.update(numbers)
                endings.append(Ending(numbers, number, number))
                inner = []
            if bar.opens:
                inner.append(number)
            closed = bool(bar.closes) and not inner
            if bar.closes and inner:
                inner.pop()
            number += 1
            endings[-1].end = number
        if inner:  # rule 7: the rest is outside
            for outside in range(inner[0], number):
                self._bars[outside] = replace(self._bars[outside], endings=())
            number = endings[-1].end = inner[0]
        return endings, closed, number

    def _ending_nodes(self, ending: Ending) -> list[Node]:
        """The bars of an ending; the sign at its end is no repeat of its own."""
        opened = 0
        for number in range(ending.first, ending.end):
            bar = self._bars[number]
            opened += bar.opens
            if bar.closes and not opened:
                self._bars[number] = replace(bar, closes=0)
            opened -= bool(bar.closes and opened)
        return self._nodes(ending.first, ending.end)


class Walk:
    """Plays a tree of repeats; remembers how many passes of each were begun."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._begun: dict[Repeat, int] = {}
        self._stops: list[int] = []

    def play(self, start: int = 0) -> Iterator[Played]:
        """Play from a bar to the end."""
        return self._play(self._nodes, start, 1, last_time=True)

    def jump(self, stops: list[int], *, repeats: bool) -> None:
        """Forget the passes of the repeats that are played again after a jump to the `stops`."""
        self._stops = stops
        for repeat in list(self._begun):
            if repeats or repeat.after_jump:
                del self._begun[repeat]

    def _forget_inside(self, repeat: Repeat) -> None:
        for inner in list(self._begun):
            if inner is not repeat and repeat.first <= inner.first and inner.last <= repeat.last:
                del self._begun[inner]

    def _play(
        self, nodes: Sequence[Node], start: int, number: int, *, last_time: bool
    ) -> Iterator[Played]:
        for node in nodes:
            if last_bar(node) < start:
                continue
            if isinstance(node, Repeat):
                yield from self._play_repeat(node, start, last_time=last_time)
            else:
                yield node, number, last_time

    def _once_more(self, repeat: Repeat) -> list[int]:
        """The last pass, or the last one with the Fine or To Coda that the music now leads to."""
        stops = [bar for bar in self._stops if repeat.first <= bar <= repeat.last]
        leading = [n for n in repeat.passes if any(repeat.sounds(bar, n) for bar in stops)]
        return leading[-1:] or repeat.passes[-1:]

    def _play_repeat(self, repeat: Repeat, start: int, *, last_time: bool) -> Iterator[Played]:
        passes = repeat.passes[self._begun.get(repeat, 0) :] or self._once_more(repeat)
        if start > repeat.first:
            entered = [number for number in passes if repeat.sounds(start, number)][:1]
            entered = entered or [n for n in repeat.passes if repeat.sounds(start, n)][-1:]
            passes = entered + [number for number in passes if number > entered[0]]
        for turn, number in enumerate(passes):
            if turn:
                self._forget_inside(repeat)
            self._begun[repeat] = repeat.passes.index(number) + 1
            is_last = last_time and number == passes[-1]
            yield from self._play(repeat.body, start, number, last_time=is_last)
            for ending in repeat.endings:
                if number in ending.numbers:
                    is_last = last_time and not any(
                        n in ending.numbers for n in passes if n > number
                    )
                    yield from self._play(ending.nodes, start, number, last_time=is_last)
            start = 0


def repeats_of(nodes: Sequence[Node]) -> Iterator[Repeat]:
    """The repeats among these nodes, without those inside them."""
    return (node for node in nodes if isinstance(node, Repeat))


def first_bar(node: Node) -> int:
    """Number of the first bar of a node."""
    return node.first if isinstance(node, Repeat) else node


def last_bar(node: Node) -> int:
    """Number of the last bar of a node."""
    return node.last if isinstance(node, Repeat) else node
