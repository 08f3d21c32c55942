"""The role of a track: flag, chorale voice, words of its name, program, in this order."""

import pytest

from ostinato.music.piece import VOICES
from ostinato.music.roles import FAMILIES, role_of

ROLES = [
    ("Bass Drum", 0, True, "drums"),
    ("Soprano", 19, False, "soprano"),
    ("soprano 1", 0, False, "soprano"),
    ("Soprano Oboe 1,2 Violin1", 68, False, "soprano"),
    ("Tenor Viola", 41, False, "tenor"),
    ("Bass, Continuo", 43, False, "bass"),
    ("Mezzo Soprano", 0, False, "piano"),
    ("Alto Sax", 65, False, "reed"),
    ("Tenor Sax", 0, False, "reed"),
    ("Bass Clarinet", 71, False, "reed"),
    ("MELODY", 0, False, "melody"),
    ("Lead Vocals", 53, False, "melody"),
    ("Lead", 80, False, "melody"),
    ("Lead Guitar", 30, False, "guitar"),
    ("BRIDGE", 0, False, "bridge"),
    ("Chord-Piano", 0, False, "chords"),
    ("Strings", 0, False, "strings"),
    ("Strings", 90, False, "pad"),
    ("Bassoon", 0, False, "reed"),
    ("Électrique Violon", 0, False, "piano"),
    ("", 33, False, "bass"),
    ("", 51, False, "strings"),
    ("", 52, False, "choir"),
    ("", 55, False, "effects"),
    ("", 127, False, "effects"),
]


@pytest.mark.parametrize(("name", "program", "is_drum", "role"), ROLES)
def test_the_first_rule_that_says_something_decides(name, program, is_drum, role):
    assert role_of(name, program, is_drum) == role


def test_every_program_has_a_family_that_begins_where_the_table_says():
    families = [role_of("", program) for program in range(128)]
    starts = [p for p in range(128) if p == 0 or families[p] != families[p - 1]]
    assert [(p, families[p]) for p in starts] == list(FAMILIES)
    assert set(families) & set(VOICES) == {"bass"}


@pytest.mark.parametrize("program", [-1, 128])
def test_a_program_that_is_none_is_refused(program):
    with pytest.raises(ValueError, match=r"0\.\.127"):
        role_of("Piano", program)
