"""The independent counters of tests/fuzz find the notes that our readers keep or drop by name."""

import importlib.util
import re
from pathlib import Path

import pytest

from ostinato.readers.read import read


def counter(name):
    path = Path(__file__).parents[1] / "fuzz" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.count_notes


KERN = """**kern **kern **dynam
*>[A,A1,A,A2] *>[A,A1,A,A2] *>[A,A1,A,A2]
*>A *>A *>A
4C [4c~8qd~4e f
*^ * *
4D 2F 4c] .
4E . [4g .
*v *v * *
* *x *x
*>A1 *>A1 *>A1
4c p 4G
4r . 4a
*>A2 *>A2 *>A2
4d . 4g]
*- *- *-
"""
NOTE = "<note>{}<pitch><step>C</step><octave>{}</octave></pitch>{}{}</note>"
LENGTH = "<duration>1</duration>"
XML = (
    "<score-partwise><part id='P'><measure><attributes><divisions>1</divisions></attributes>"
    + NOTE.format("", 4, LENGTH, "<tie type='start'/>")
    + NOTE.format("", 4, LENGTH, "<tie type='stop'/>")
    + NOTE.format("", 5, LENGTH, "<tie type='stop'/>")
    + NOTE.format("", 6, LENGTH, "<tie type='start'/>")
    + NOTE.format("", 6, LENGTH, "")
    + NOTE.format("", 6, LENGTH, "")
    + NOTE.format("<grace/>", 4, "", "")
    + NOTE.format("<cue/>", 4, LENGTH, "")
    + NOTE.format("", 4, "", "")
    + NOTE.format("", 40, LENGTH, "")
    + "<note><rest/><duration>1</duration></note><!-- <note><pitch/></note> -->"
    + "</measure></part></score-partwise>"
)


@pytest.mark.parametrize(
    ("name", "file", "text", "notes"),
    [("balance_kern", "song.krn", KERN, 12), ("balance_musicxml", "song.xml", XML, 7)],
)
def test_kept_dropped_and_counted_notes_balance(tmp_path, name, file, text, notes):
    path = tmp_path / file
    if file.endswith(".krn"):
        text = text.replace(" ", "\t").replace("~", " ")
    path.write_text(text)
    result = read(path)
    anew = [re.match(r"(\d+) tied notes follow", warning) for warning in result.piece.warnings]
    struck_anew = sum(int(found[1]) for found in anew if found)
    assert counter(name)(path) == notes
    assert len(result.piece.notes) + sum(result.dropped.values()) - struck_anew == notes
