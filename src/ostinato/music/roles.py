"""The musical function of a track, from its name, its program and its drum flag."""

import re

from ostinato.music.piece import VOICES

DRUMS = "drums"
FAMILIES = (
    (0, "piano"),
    (8, "mallets"),
    (16, "organ"),
    (24, "guitar"),
    (32, "bass"),
    (40, "strings"),
    (52, "choir"),
    (55, "effects"),
    (56, "brass"),
    (64, "reed"),
    (72, "pipe"),
    (80, "lead"),
    (88, "pad"),
    (96, "effects"),
    (104, "ethnic"),
    (112, "percussion"),
    (120, "effects"),
)
# "Alto Sax" is not a chorale voice; "Alto with Oboe" is
_BUILT_IN_SIZES = re.compile("sax|clarinet|flute|recorder|trombone|horn|drum")
_FUNCTIONS = {
    "melody": "melody melodie melodia melodic vocal vocals voc vox voice voices singer song solo",
    "bridge": "bridge",
    "chords": "chord chords harmony accompaniment accomp comping",
}
_INSTRUMENTS = {
    "strings": "string strings violin violins viola violas cello celli violoncello contrabass harp",
    "guitar": "guitar guitars gtr banjo ukulele mandolin",
    "bass": "bass contrabasso",
    "organ": "organ accordion harmonica harmonium",
    "mallets": "celesta glockenspiel vibraphone vibes marimba xylophone",
    "choir": "choir chorus aahs oohs",
    "brass": "brass trumpet trumpets trombone trombones tuba horn horns cornet",
    "reed": "sax saxes saxophone saxophones clarinet clarinets oboe oboes bassoon bassoons",
    "pipe": "flute flutes piccolo recorder recorders ocarina whistle",
    "pad": "pad pads",
}


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: role for role, words in table.items() for word in words.split()}


_FUNCTION_OF, _INSTRUMENT_OF = _by_word(_FUNCTIONS), _by_word(_INSTRUMENTS)


def role_of(name: str, program: int = 0, is_drum: bool = False) -> str:
    """The role of a track; the first rule that applies decides.

    | rule | role |
    |---|---|
    | the drum flag | drums |
    | first word of the name (no wind, no drum after it) | soprano, alto, tenor, bass |
    | a word of the name: melody, vocal, voice, solo … | melody |
    | bridge; chord(s), harmony, accompaniment … | bridge; chords |
    | "lead" in the name, but no guitar | melody |
    | an instrument in the name, where the program is 0: piano, or never set | its family |
    | General MIDI program 0-7, 8-15, 16-23, 24-31 | piano, mallets, organ, guitar |
    | 32-39, 40-51, 52-54, 55 | bass, strings, choir, effects (a hit) |
    | 56-63, 64-71, 72-79 | brass, reed, pipe |
    | 80-87, 88-95, 96-103 | lead, pad, effects |
    | 104-111, 112-119, 120-127 | ethnic, percussion, effects |

    Raises:
        ValueError: a program outside 0..127.
    """
    if not 0 <= program <= 127:
        raise ValueError(f"program={program} must lie in 0..127")
    if is_drum:
        return DRUMS
    words = name.lower().replace(",", " ").split()
    if words and words[0] in VOICES and not _BUILT_IN_SIZES.search(name.lower()):
        return words[0]
    letters = re.findall(r"[^\W\d_]+", name.lower())
    functions = [_FUNCTION_OF[word] for word in letters if word in _FUNCTION_OF]
    instruments = [_INSTRUMENT_OF[word] for word in letters if word in _INSTRUMENT_OF]
    if functions:
        return functions[0]
    if "lead" in letters and "guitar" not in instruments:
        return "melody"
    if program == 0 and instruments:
        return instruments[-1]  # "Bass Clarinet", "Violin Guitar": the noun comes last
    return [family for first, family in FAMILIES if first <= program][-1]
