"""Names of General MIDI's instruments and drums, of keys and of pitches."""

from ostinato.music.piece import Key

_INSTRUMENTS = """
Acoustic Grand Piano|Bright Acoustic Piano|Electric Grand Piano|Honky-tonk Piano
Electric Piano 1|Electric Piano 2|Harpsichord|Clavinet
Celesta|Glockenspiel|Music Box|Vibraphone|Marimba|Xylophone|Tubular Bells|Dulcimer
Drawbar Organ|Percussive Organ|Rock Organ|Church Organ|Reed Organ|Accordion|Harmonica|Bandoneon
Nylon-string Guitar|Steel-string Guitar|Jazz Guitar|Clean Electric Guitar
Muted Electric Guitar|Overdriven Guitar|Distortion Guitar|Guitar Harmonics
Acoustic Bass|Fingered Electric Bass|Picked Electric Bass|Fretless Bass
Slap Bass 1|Slap Bass 2|Synth Bass 1|Synth Bass 2
Violin|Viola|Cello|Contrabass|Tremolo Strings|Pizzicato Strings|Orchestral Harp|Timpani
String Ensemble 1|String Ensemble 2|Synth Strings 1|Synth Strings 2
Choir Aahs|Voice Oohs|Synth Voice|Orchestra Hit
Trumpet|Trombone|Tuba|Muted Trumpet|French Horn|Brass Section|Synth Brass 1|Synth Brass 2
Soprano Sax|Alto Sax|Tenor Sax|Baritone Sax|Oboe|English Horn|Bassoon|Clarinet
Piccolo|Flute|Recorder|Pan Flute|Blown Bottle|Shakuhachi|Whistle|Ocarina
Lead 1 (square)|Lead 2 (sawtooth)|Lead 3 (calliope)|Lead 4 (chiff)
Lead 5 (charang)|Lead 6 (voice)|Lead 7 (fifths)|Lead 8 (bass and lead)
Pad 1 (new age)|Pad 2 (warm)|Pad 3 (polysynth)|Pad 4 (choir)
Pad 5 (bowed)|Pad 6 (metallic)|Pad 7 (halo)|Pad 8 (sweep)
FX 1 (rain)|FX 2 (soundtrack)|FX 3 (crystal)|FX 4 (atmosphere)
FX 5 (brightness)|FX 6 (goblins)|FX 7 (echoes)|FX 8 (sci-fi)
Sitar|Banjo|Shamisen|Koto|Kalimba|Bagpipe|Fiddle|Shanai
Tinkle Bell|Agogo|Steel Drums|Woodblock|Taiko Drum|Melodic Tom|Synth Drum|Reverse Cymbal
Guitar Fret Noise|Breath Noise|Seashore|Bird Tweet|Telephone Ring|Helicopter|Applause|Gunshot
"""
_DRUMS = """
Acoustic Bass Drum|Bass Drum|Side Stick|Acoustic Snare|Hand Clap|Electric Snare|Low Floor Tom
Closed Hi-hat|High Floor Tom|Pedal Hi-hat|Low Tom|Open Hi-hat|Low-mid Tom|High-mid Tom
Crash Cymbal 1|High Tom|Ride Cymbal 1|Chinese Cymbal|Ride Bell|Tambourine|Splash Cymbal|Cowbell
Crash Cymbal 2|Vibraslap|Ride Cymbal 2|High Bongo|Low Bongo|Mute High Conga|Open High Conga
Low Conga|High Timbale|Low Timbale|High Agogo|Low Agogo|Cabasa|Maracas|Short Whistle|Long Whistle
Short Guiro|Long Guiro|Claves|High Woodblock|Low Woodblock|Mute Cuica|Open Cuica|Mute Triangle
Open Triangle
"""
INSTRUMENTS = tuple(_INSTRUMENTS.strip().replace("\n", "|").split("|"))
DRUMS = dict(enumerate(_DRUMS.strip().replace("\n", "|").split("|"), start=35))
PITCHES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
# fifths from the tonic of the major scale of the same signature to a mode's own
_MODES = {"major": 0, "ionian": 0, "minor": 3, "aeolian": 3, "dorian": 2, "phrygian": 4}
_MODES |= {"lydian": -1, "mixolydian": 1, "locrian": 5}


def instrument_name(program: int) -> str:
    """General MIDI's name of a program, numbered from 0."""
    known = 0 <= program < len(INSTRUMENTS)
    return INSTRUMENTS[program] if known else f"Program {program}"


def drum_name(pitch: int) -> str:
    """Name of the instrument at a pitch of General MIDI's drum kit."""
    return DRUMS.get(pitch, f"Drum {pitch}")


def pitch_name(pitch: int) -> str:
    """`C4` for 60."""
    return f"{PITCHES[pitch % 12]}{pitch // 12 - 1}"


def key_name(key: Key) -> str:
    """`E♭ major`, `F♯ minor`, `D dorian`; the signature if the mode is unknown."""
    if key.mode in _MODES:
        sharps, letter = divmod(key.fifths + _MODES[key.mode] + 1, 7)
        return "FCGDAEB"[letter] + ("♯" * sharps or "♭" * -sharps) + f" {key.mode}"
    count = abs(key.fifths)
    sign = "no sharps or flat" if not count else f"{count} {'sharp' if key.fifths > 0 else 'flat'}"
    return sign + ("" if count == 1 else "s") + (f", {key.mode}" if key.mode else "")
