"""Humdrum **kern, read line by line.

Why not music21 (9.9.2): it reads the chorales alike, but silently loses notes where spines divide
(231 of 1563 in Joplin's Searchlight Rag, some in half of his scores), and neither it nor MusPy
reads a file's list of sections, which gives the order in which they are played.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from ostinato.files import DamagedFile
from ostinato.music.piece import Annotation, Track
from ostinato.music.roles import role_of
from ostinato.readers.base import Reading, ReadOptions
from ostinato.readers.charsets import decoded, guess_charset, text_of
from ostinato.readers.kern_tandem import Signs, leading, title_of
from ostinato.readers.kern_tokens import notes_of
from ostinato.readers.repeat_tree import Bar
from ostinato.readers.score import Score, Span, Written, perform
from ostinato.readers.unfold import printed_once, unfold

SUFFIXES = (".krn", ".kern")
_TEXTS = re.compile(rb'(?m)^!!!\w*[^:]*:(.*)|\*I"([^\t\r\n]*)')


@dataclass
class Spine:
    """One column: its kind, the part it belongs to, and when its last note ends."""

    kind: str
    part: int
    end: Fraction = Fraction(0)


@dataclass
class Page:
    """What the lines read so far contain; times in quarter notes.

    sections: name and start. lists: the order of sections by the list's name, "" for the one with
    repeats. opening and closing: times of the repeat signs.
    """

    score: Score = field(default_factory=Score)
    signs: list[Signs] = field(default_factory=list)
    sections: list[tuple[str, Fraction]] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=dict)
    opening: set[Fraction] = field(default_factory=set)
    closing: set[Fraction] = field(default_factory=set)
    time: Fraction = Fraction(0)


def read_kern(path: Path, options: ReadOptions) -> Reading:
    """Read a **kern file: a track for each spine, the highest part first.

    Spines that divide stay one track. Grace notes are counted as dropped. Sections are played by
    the file's list: with repeats (`*>[A,A,B]`), or each once (`*>norep[A,B]`). Without a list,
    repeat signs count; sections named A1, A2 are endings.
    """
    data = path.read_bytes()
    text, charset = text_of(data), ""
    if text is None:
        text, charset = data.decode("latin-1"), guess_charset(map(b"".join, _TEXTS.findall(data)))
    lines = re.split(r"\r\n?|\n", text)  # no other separator ends a line
    page = _read_page(lines)
    score = page.score
    score.title = decoded(title_of(lines), charset)
    if not page.signs:
        raise DamagedFile("the file has no **kern spine")
    score.tracks = [_track(signs, charset) for signs in page.signs]
    score.tracks.reverse()
    score.notes.reverse()
    score.marks = [mark for mark in score.marks if mark.onset < page.time or not page.time]
    spans = _spans(page, expand=options.expand_repeats)
    return perform(score, spans, path.stem, path.name, options.ticks_per_quarter)


def _track(signs: Signs, charset: str) -> Track:
    name, program = signs.instrument()
    name = decoded(name, charset)
    return Track(name, role_of(name, program), program)


def _read_page(lines: list[str]) -> Page:
    page, spines = Page(), list[Spine]()
    for number, line in enumerate(lines, 1):
        cells = line.split("\t")
        if not line or line.startswith("!"):
            continue
        if line.startswith("**") and not spines:
            spines = _begin(page, cells)
            continue
        if len(cells) != len(spines):
            raise DamagedFile(
                f"line {number} has {len(cells)} columns where there are {len(spines)} spines"
            )
        if line.startswith("*"):
            spines = _interpret(page, spines, cells)
        elif line.startswith("="):
            _bar(page, next((cell for cell in cells if ":" in cell), cells[0]))
        else:
            _data(page, spines, cells)
    page.score.marks += leading(page.signs)
    if spines:
        page.score.warnings.append("the spines do not end (*-): the file may be cut")
    return page


def _begin(page: Page, cells: list[str]) -> list[Spine]:
    page.score.mark(page.time, Annotation(0, "bar"))
    return [_of_kind(page, Spine("", -1), cell) for cell in cells]


def _of_kind(page: Page, spine: Spine, cell: str) -> Spine:
    """A spine from its exclusive interpretation on; one that was of no part yet is a new part."""
    if cell != "**kern":
        return Spine(cell, -1, spine.end)
    if spine.part < 0:
        page.signs.append(Signs())
        page.score.notes.append([])
        return Spine(cell, len(page.signs) - 1, spine.end)
    return Spine(cell, spine.part, spine.end)


def _interpret(page: Page, spines: list[Spine], cells: list[str]) -> list[Spine]:
    """Follow spines that divide, join, change places, begin and end; read the signs of others."""
    _section(page, cells[0])
    after: list[Spine] = []
    exchanged: int | None = None
    joining = False
    for spine, cell in zip(spines, cells, strict=True):
        joins, joining = joining and cell == "*v", cell == "*v"
        if joins:
            after[-1].end = max(after[-1].end, spine.end)
            continue
        if cell == "*-":
            continue
        if cell.startswith("**"):
            spine = _of_kind(page, spine, cell)
        elif spine.kind == "**kern":
            page.signs[spine.part].read(cell, page.time)
        after.append(spine)
        if cell == "*^":
            after.append(Spine(spine.kind, spine.part, spine.end))
        elif cell == "*+":
            after.append(Spine("", -1, spine.end))
        elif cell == "*x" and exchanged is None:
            exchanged = len(after) - 1
        elif cell == "*x" and exchanged is not None:
            after[exchanged], after[-1] = after[-1], after[exchanged]
            exchanged = None
    return after


def _section(page: Page, cell: str) -> None:
    if listed := re.fullmatch(r"\*>(\w*)\[(.*)\]", cell):
        page.lists[listed[1]] = re.split(r"\s*,\s*", listed[2].strip())
    elif cell.startswith("*>"):
        page.sections.append((cell[2:], page.time))


def _bar(page: Page, cell: str) -> None:
    """Bars begin at numbered lines; others (repeats within a bar, the end) stand between them.

    cell: of the first spine, or of the first with a repeat sign.
    """
    if re.search(r":[|!]", cell):
        page.closing.add(page.time)
    if re.search(r"[|!]:", cell):
        page.opening.add(page.time)
    if re.search(r"\d", cell) or cell == "=":
        page.score.mark(page.time, Annotation(0, "bar"))


def _data(page: Page, spines: list[Spine], cells: list[str]) -> None:
    """Read the notes that begin now; time advances to the first end of those that sound.

    A chord lasts as long as its first note.
    """
    advanced = False
    for spine, cell in zip(spines, cells, strict=True):
        if spine.kind != "**kern" or cell == ".":
            continue
        tokens = notes_of(cell)
        found = [token for token in tokens if token.duration]
        for token in tokens:
            if not token.duration:
                page.score.dropped["grace note" if token.is_grace else "no duration"] += 1
        if not found:
            continue
        if ";" in cell:
            page.score.mark(page.time, Annotation(0, "fermata"))
        advanced = True
        spine.end = page.time + found[0].duration
        page.score.notes[spine.part] += [
            Written(
                page.time, note.duration, note.pitch, tied_in=note.tied_in, tied_out=note.tied_out
            )
            for note in found
            if note.pitch is not None
        ]
    ends = [spine.end for spine in spines if spine.kind == "**kern" and spine.end > page.time]
    if advanced and ends:
        page.time = min(ends)


def _spans(page: Page, *, expand: bool) -> list[Span] | None:
    """The stretches of the page in playing order; None for the page as it is written."""
    names = page.lists.get("") if expand else page.lists.get("norep")
    starts = [start for _, start in page.sections] + [page.time]
    spans = {name: (start, starts[n + 1]) for n, (name, start) in enumerate(page.sections)}
    is_clear = len(spans) == len(page.sections)
    if names is not None and is_clear and set(names) <= set(spans):
        first = page.sections[0][1]
        names = names if expand else list(dict.fromkeys(names))
        return ([(Fraction(0), first)] if first else []) + [spans[name] for name in names]
    if names is not None:
        problem = "some that are not in the file" if is_clear else "sections that are there twice"
        page.score.warnings.append(f"the list of sections names {problem}")
    cuts = sorted({Fraction(0), page.time, *page.opening, *page.closing, *starts})
    spans_of_bars = list(pairwise(cuts))
    bars = [_bar_of(page, start, end) for start, end in spans_of_bars]
    played = unfold(bars) if expand else printed_once(bars)
    page.score.warnings += played.warnings
    if played.order == list(range(len(bars))):
        return None
    return [spans_of_bars[number] for number in played.order]


def _bar_of(page: Page, start: Fraction, end: Fraction) -> Bar:
    name = next((name for name, begins in reversed(page.sections) if begins <= start), "")
    is_ending = re.fullmatch(r".*\D[1-9]", name) and any(n == name[:-1] for n, _ in page.sections)
    return Bar(
        opens=start in page.opening,
        closes=2 if end in page.closing else 0,
        endings=(int(name[-1]),) if is_ending else (),
    )
