"""The order in which the bars of a score are played, worked out from its repeat signs.

All score formats share this algorithm. A reader gives one `Bar` of plain data for each stretch
between two signs; `unfold` plays all repeats, `printed_once` none. The rules:

1.  Signs. A closing sign goes back to the innermost opening sign that is not closed yet; without
    one, to the bar after the last finished repeat, or to the first bar. Repeats nest, at most
    `MOST_NESTED` deep; an inner repeat is played out in every pass of the outer one. An opening
    sign that is never closed has no effect.
2.  Passes. A repeat without endings is played as often as its closing sign says.
3.  Endings. Bars in endings that follow each other belong to the repeat before them, with or
    without a closing sign. The passes are the numbers that the endings name, in ascending order,
    whatever the signs say. A pass plays the common bars and then each ending that names it. Bars
    up to a closing sign right before the next ending belong to the ending before them.
4.  A single ending with a closing sign is left out of one more pass (`|: A |1 B :| C`: A B A C).
5.  A closing sign right before an ending that starts with number 2 or more belongs to the same
    repeat; passes without an ending play the common bars only (`|: A :|2 B |`: A A B).
6.  An ending that follows a closing sign and names only numbers already used takes the next free
    number: endings 1 and 1 are read as 1 and 2.
7.  An ending may contain whole repeats. If the last ending contains an opening sign that is closed
    only after it, the ending stops there.
8.  Jumps. Da capo jumps to the first bar, dal segno to the segno with the same name, else to the
    nearest one before it, else to the first. A jump is taken once, at the last time its bar sounds
    in the repeats around it. A dal segno without any segno has no effect.
9.  Fine ends the piece after a jump (not after one "al Coda"), the first time it is reached; in a
    bar that closes a repeat, after the last pass.
10. To Coda jumps to the coda after a jump (not after one "al Fine"), at the last time its bar
    sounds: to the coda with the same name, else to the next one, else to the first. Without a coda
    it has no effect.
11. After a jump, a repeat that was begun before it plays only its remaining passes, or the last one
    if none remain (the last one with the Fine or To Coda in an ending, if there is one); a repeat
    not begun yet is played in full. A closing sign that says so (`after_jump`), or
    `repeats_after_jump` for all, repeats again.
12. Bars that only a jump passes over are not played; they are listed with the reason `PASSED_OVER`.
    Every other bar sounds at least once.
13. Parts. A given order of parts replaces the page order, and jumps have no effect. Each part is
    unfolded on its own. If a part is listed in a row as often as its endings have passes, its first
    time plays the first pass, and so on; otherwise each time plays all passes.
14. A score that would take more than `MOST_BARS` bars is played in page order, with a warning.

Rules 8 to 11 follow engraving practice and MuseScore's published test cases; with
`repeats_after_jump` the orders are those of partitura's published cases (`unfold_part_maximal`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ostinato.readers.repeat_tree import (
    MOST_BARS,
    Bar,
    Jump,
    Node,
    Played,
    Repeat,
    Structure,
    Walk,
    repeats_of,
)

PASSED_OVER = "passed over by a jump"
EARLIER_ENDING = "earlier ending"
NOT_LISTED = "part not in the order of parts"


@dataclass(frozen=True)
class Unfolding:
    """Bar numbers (from 0) in playing order, the pass of the innermost repeat (from 1) for each,
    the reason for each bar that is never played, and what could not be followed.
    """

    order: list[int]
    passes: list[int]
    left_out: dict[int, str]
    warnings: tuple[str, ...] = ()


def unfold(
    bars: Sequence[Bar], parts: Sequence[str] = (), *, repeats_after_jump: bool = False
) -> Unfolding:
    """The order with all repeats, endings and jumps, or with the parts in the given order."""
    if parts:
        played, warnings = _play_parts(bars, parts)
        reason = NOT_LISTED
    else:
        played, warnings = _follow(bars, repeats_after_jump), []
        reason = PASSED_OVER
    order: list[int] = []
    passes: list[int] = []
    for bar, number, _ in played:
        order.append(bar)
        passes.append(number)
        if len(order) > MOST_BARS:
            warnings.append(f"repeats give more than {MOST_BARS} bars; played in page order")
            order, passes = list(range(len(bars))), [1] * len(bars)
            break
    left_out = dict.fromkeys(sorted(set(range(len(bars))) - set(order)), reason)
    return Unfolding(order, passes, left_out, tuple(warnings))


def printed_once(bars: Sequence[Bar]) -> Unfolding:
    """Each printed bar once, in page order; of several endings only those of the last pass.

    An earlier ending stays if its bars without a bracket outnumber the common bars of the repeat:
    it contains a section of its own, such as the bridge of a song in the form A1 A2-bridge A3.
    """
    structure = Structure(bars)
    left_out: dict[int, str] = {}

    def visit(nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, Repeat):
                visit(node.body)
                common = (node.endings[0].first if node.endings else node.last + 1) - node.first
                for ending in node.endings:
                    visit(ending.nodes)
                    numbers = range(ending.first, ending.end)
                    is_section = len(structure.extended.intersection(numbers)) > common
                    is_last = node.passes[-1] in ending.numbers or len(node.endings) == 1
                    if not is_last and not is_section:
                        left_out.update(dict.fromkeys(numbers, EARLIER_ENDING))

    visit(structure.nodes)
    order = [number for number in range(len(bars)) if number not in left_out]
    return Unfolding(order, [1] * len(order), left_out)


def _follow(bars: Sequence[Bar], repeats_after_jump: bool) -> Iterator[Played]:
    """Play with jumps."""
    walk = Walk(Structure(bars).nodes)
    taken: set[int] = set()
    jump: Jump | None = None
    playing = walk.play()
    while (played := next(playing, None)) is not None:
        yield played
        number, _, last_time = played
        bar = bars[number]
        if jump and bar.fine and jump.until != "coda" and (last_time or not bar.closes):
            return
        if jump and bar.to_coda is not None and jump.until != "fine" and last_time:
            coda = _coda(bars, number, bar.to_coda)
            if coda is not None:
                jump, playing = None, walk.play(coda)
                continue
        if bar.jump and last_time and number not in taken:
            taken.add(number)
            target = _segno(bars, number, bar.jump.segno)
            if target is not None:
                jump = bar.jump
                walk.jump(_stops(bars, jump), repeats=repeats_after_jump)
                playing = walk.play(target)


def _stops(bars: Sequence[Bar], jump: Jump) -> list[int]:
    """Bars where the music after a jump ends or leads to the coda."""
    return [
        number
        for number, bar in enumerate(bars)
        if (bar.fine and jump.until != "coda") or (bar.to_coda is not None and jump.until != "fine")
    ]


def _segno(bars: Sequence[Bar], jump: int, name: str | None) -> int | None:
    if name is None:
        return 0
    signs = [number for number, bar in enumerate(bars) if bar.segno is not None]
    named = [number for number in signs if bars[number].segno == name]
    return _choose(named or signs, [n for n in named or signs if n <= jump][-1:])


def _coda(bars: Sequence[Bar], sign: int, name: str) -> int | None:
    signs = [number for number, bar in enumerate(bars) if bar.coda is not None]
    named = [number for number in signs if bars[number].coda == name]
    return _choose(named or signs, [n for n in named or signs if n > sign][:1])


def _choose(signs: Sequence[int], nearest: Sequence[int]) -> int | None:
    return next(iter([*nearest, *signs]), None)


def _play_parts(bars: Sequence[Bar], order: Sequence[str]) -> tuple[Iterator[Played], list[str]]:
    """Play parts; bars before the first label come first."""
    numbers: dict[str, list[int]] = {}
    label = ""
    for number, bar in enumerate(bars):
        label = bar.part or label
        numbers.setdefault(label, []).append(number)
    unknown = sorted(set(order) - set(numbers))
    if unknown:
        warning = f"the order of parts names {', '.join(unknown)}, not in the score; not followed"
        return _follow(bars, False), [warning]
    return _play_listed(bars, numbers, ([""] if "" in numbers else []) + list(order)), []


def _play_listed(
    bars: Sequence[Bar], numbers: dict[str, list[int]], order: Sequence[str]
) -> Iterator[Played]:
    for label, row in groupby(order):
        own, times = numbers[label], len(list(row))
        for time in range(times):
            nodes = Structure([bars[number] for number in own]).nodes
            passes = {len(node.passes) for node in repeats_of(nodes) if node.endings}
            if times > 1 and passes == {times}:
                for node in repeats_of(nodes):
                    if node.endings:
                        node.passes = node.passes[time : time + 1]
            for number, turn, last_time in Walk(nodes).play():
                yield own[number], turn, last_time
