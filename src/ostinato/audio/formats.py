"""Writes one piece in several formats: MIDI, MusicXML, sound, and a picture of its piano roll."""

from collections.abc import Sequence
from pathlib import Path

from ostinato.music.piece import Piece
from ostinato.music.recording import Recording

FORMATS = ("mid", "musicxml", "wav", "mp3", "png")
SOUND = ("wav", "mp3")


def check_formats(given: Sequence[object]) -> tuple[str, ...]:
    """Names of FORMATS, each once.

    Raises:
        ValueError: none, an unknown one, or MP3 where the installed libsndfile cannot encode it.
    """
    formats = tuple(dict.fromkeys(map(str, given)))
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"formats=[{','.join(formats)}] must be one or more of {', '.join(FORMATS)}"
        )
    if "mp3" in formats:
        import soundfile

        if "MP3" not in soundfile.available_formats():
            raise ValueError(
                f"libsndfile {soundfile.__libsndfile_version__} cannot encode MP3, 1.1 or newer "
                "can: write wav, or install the locked version, which brings its own: "
                "pip install --force-reinstall -r requirements.lock"
            )
    return formats


def check_sounds(formats: Sequence[str], system: str) -> None:
    """Raise ValueError where none of these formats can hold the sound that a system makes."""
    if not set(formats) & {*SOUND, "png"}:
        raise ValueError(
            f"{system} makes sound, which has no notes: give formats=[wav], mp3 or png"
        )


def write_formats(
    piece: Piece | Recording, folder: Path, name: str, formats: Sequence[str]
) -> dict[str, str]:
    """Write `folder`/`name`.<format> for each; returns those that cannot be, with the reason.

    A piece of rests has no sound, and MIDI, MusicXML and picture all the same. A recording has
    sound and a picture.
    """
    if isinstance(piece, Recording):
        return _write_recording(piece, folder, name, formats)
    from ostinato.audio.pianoroll import draw
    from ostinato.audio.render import SAMPLE_RATE, RenderError, synthesize, write_audio
    from ostinato.music.write import write_midi
    from ostinato.music.write_musicxml import write_musicxml

    paths = {kind: folder / f"{name}.{kind}" for kind in formats}
    if "mid" in paths:
        write_midi(paths["mid"], piece)
    if "musicxml" in paths:
        write_musicxml(paths["musicxml"], piece)
    if "png" in paths:
        draw(piece, paths["png"])
    wanted = [kind for kind in SOUND if kind in paths]
    if not wanted:
        return {}
    if not len(piece.notes):
        return dict.fromkeys(wanted, "rests alone")
    try:
        sound = synthesize(piece)
    except RenderError as error:
        return dict.fromkeys(wanted, str(error))
    for kind in wanted:
        write_audio(paths[kind], sound, SAMPLE_RATE)
    return {}


def _write_recording(
    recording: Recording, folder: Path, name: str, formats: Sequence[str]
) -> dict[str, str]:
    from ostinato.audio.render import write_audio
    from ostinato.audio.spectrogram import draw

    for kind in formats:
        if kind in SOUND:
            write_audio(folder / f"{name}.{kind}", recording.sound, recording.sample_rate)
        elif kind == "png":
            draw(recording, folder / f"{name}.png")
    return {
        kind: "sound has no notes: give formats=[wav], mp3 or png"
        for kind in formats
        if kind not in (*SOUND, "png")
    }
