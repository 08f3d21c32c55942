"""Repeat signs, endings and jumps of a MusicXML score, for `unfold`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from xml.etree.ElementTree import Element

from ostinato.readers.directions import direction_of
from ostinato.readers.repeat_tree import Bar, Jump


def bars_of(parts: Sequence[Element], warnings: list[str]) -> list[Bar]:
    """The signs of every measure, whichever part shows them.

    Jumps are those marked for playback (`<sound>`); a Fine, segno or coda that only is printed
    counts where none is marked. If a score has no marked jump, the printed words and signs count,
    provided that a jump finds the Fine or Coda that it names; otherwise a warning
    is added. A repeat sign in the middle of a measure counts for the whole measure.
    """
    read = [_bars_of_part(part.findall("measure")) for part in parts]
    bars = [_merged([bar for bar in bars if bar]) for bars in zip_longest(*read)]
    printed = [
        _merged([bar for bar in found if bar]) for found in zip_longest(*map(_printed, parts))
    ]
    if any(bar.jump for bar in bars):
        return _with_targets(bars, printed)
    jumps = [bar.jump for bar in printed if bar.jump]
    has_fine = any(bar.fine for bar in printed)
    has_coda = all(
        any(getattr(bar, sign) is not None for bar in printed) for sign in ("to_coda", "coda")
    )
    if not jumps:
        return bars
    has = {"fine": has_fine, "coda": has_coda, "": True}
    if all(has[jump.until] for jump in jumps):
        return [_merged([bar, signs]) for bar, signs in zip(bars, printed, strict=True)]
    warnings.append("a printed D.C. or D.S. has no Fine or Coda to lead to; it is not followed")
    return bars


def _with_targets(bars: Sequence[Bar], printed: Sequence[Bar]) -> list[Bar]:
    """Bars with the printed Fine, segno, and coda with its sign, of each the kind they lack."""
    lacks_fine = not any(bar.fine for bar in bars)
    lacks_segno = all(bar.segno is None for bar in bars)
    lacks_coda = all(bar.coda is None and bar.to_coda is None for bar in bars)
    return [
        replace(
            bar,
            fine=signs.fine if lacks_fine else bar.fine,
            segno=signs.segno if lacks_segno else bar.segno,
            coda=signs.coda if lacks_coda else bar.coda,
            to_coda=signs.to_coda if lacks_coda else bar.to_coda,
        )
        for bar, signs in zip(bars, printed, strict=True)
    ]


def _merged(bars: Sequence[Bar]) -> Bar:
    """One bar with the signs of several."""

    def first(name: str) -> str | None:
        return next((getattr(bar, name) for bar in bars if getattr(bar, name) is not None), None)

    return Bar(
        opens=any(bar.opens for bar in bars),
        closes=max(bar.closes for bar in bars),
        after_jump=any(bar.after_jump for bar in bars),
        endings=next((bar.endings for bar in bars if bar.endings), ()),
        segno=first("segno"),
        coda=first("coda"),
        to_coda=first("to_coda"),
        fine=any(bar.fine for bar in bars),
        jump=next((bar.jump for bar in bars if bar.jump), None),
    )


def _bars_of_part(measures: Sequence[Element]) -> list[Bar]:
    bars = [_playback(measure) for measure in measures]
    for number, measure in enumerate(measures):
        for barline in measure.findall("barline"):
            repeat = barline.find("repeat")
            if repeat is None:
                continue
            place = barline.get("location", "right")
            if repeat.get("direction") == "forward":
                at = number + (place == "right")
                if at < len(bars):
                    bars[at] = replace(bars[at], opens=True)
            elif repeat.get("direction") == "backward":
                at = max(0, number - (place == "left"))
                bars[at] = replace(
                    bars[at], closes=_times(repeat), after_jump=repeat.get("after-jump") == "yes"
                )
    for number, numbers in enumerate(_endings(measures, bars)):
        bars[number] = replace(bars[number], endings=numbers)
    return bars


def _times(repeat: Element) -> int:
    text = repeat.get("times", "2").strip()
    return int(text) if text.isdecimal() and int(text) else 2


def _endings(measures: Sequence[Element], bars: Sequence[Bar]) -> list[tuple[int, ...]]:
    """The numbers of the ending that each measure lies in.

    An ending without an end stops before the next ending or opening sign, or after a closing one.
    """
    signs = [
        (number, ending) for number, measure in enumerate(measures)
        for ending in measure.findall("barline/ending")
    ]  # fmt: skip
    found: list[tuple[int, ...]] = [()] * len(measures)
    for place, (start, ending) in enumerate(signs):
        if ending.get("type") != "start":
            continue
        numbers = ending_numbers(ending.get("number") or ending.text or "")
        after = signs[place + 1] if place + 1 < len(signs) else None
        if after is not None and after[1].get("type") != "start":
            end = after[0] + 1
        else:
            end = len(measures) if after is None else max(start + 1, after[0])
            closed = [n + 1 for n in range(start, end) if bars[n].closes]
            opened = [n for n in range(start + 1, end) if bars[n].opens]
            end = min([end, *closed[:1], *opened[:1]])
        found[start:end] = [numbers] * (end - start)
    return found


def ending_numbers(text: str) -> tuple[int, ...]:
    """`1`, `1, 2.`, `1-3`; a text without a number is read as 1."""
    numbers: list[int] = []
    for first, last in re.findall(r"(\d{1,3})(?:\.?\s*-\s*(\d{1,3}))?", text):
        numbers += range(int(first), int(last or first) + 1)
    return tuple(number for number in numbers if number) or (1,)


def _playback(measure: Element) -> Bar:
    bar = Bar()
    for sound in [*measure.findall("sound"), *measure.findall("direction/sound")]:
        for name, sign in (("segno", "segno"), ("coda", "coda"), ("tocoda", "to_coda")):
            if (label := sound.get(name)) is not None:
                bar = replace(bar, **{sign: label})  # type: ignore[arg-type]
        if sound.get("forward-repeat") == "yes":
            bar = replace(bar, opens=True)
        if sound.get("fine") is not None:
            bar = replace(bar, fine=True)
        if sound.get("dacapo") == "yes":
            bar = replace(bar, jump=Jump(None, _until(measure)))
        if (label := sound.get("dalsegno")) is not None:
            bar = replace(bar, jump=Jump(label, _until(measure)))
    return bar


def _words(measure: Element) -> list[str]:
    return [" ".join((e.text or "").split()) for e in measure.iterfind("direction//words")]


def _until(measure: Element) -> str:
    """What the words at a jump say that it leads to; "" where they do not say."""
    text = " ".join(_words(measure)).lower()
    return next((mark for mark in ("fine", "coda") if re.search(rf"\bal(la)? ?{mark}", text)), "")


def _printed(part: Element) -> list[Bar]:
    """Jumps and their targets as they are printed: words, segno and coda signs.

    Of several coda signs in a score that does not print "To Coda", the last one is the coda.
    """
    measures = part.findall("measure")
    bars = []
    for measure in measures:
        bar = Bar()
        if measure.find("direction/direction-type/segno") is not None:
            bar = replace(bar, segno="")
        for text in _words(measure):
            sign = direction_of(text)
            if isinstance(sign, Jump):
                bar = replace(bar, jump=replace(sign, until=sign.until or _until(measure)))
            elif sign:
                bar = replace(bar, **{sign: True if sign == "fine" else ""})  # type: ignore[arg-type]
        bars.append(bar)
    signs = [
        number for number, measure in enumerate(measures)
        if measure.find("direction/direction-type/coda") is not None
        and bars[number].to_coda is None
    ]  # fmt: skip
    for number in signs:
        is_last = number == signs[-1] or any(bar.to_coda is not None for bar in bars)
        bar = bars[number]
        bars[number] = replace(bar, coda="") if is_last else replace(bar, to_coda="")
    return bars
