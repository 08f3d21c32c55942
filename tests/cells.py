"""What sounds in the cells of a piece of the studio: a bar of a role each."""


def sounding(piece):
    """The key that sounds, by role, bar of four quarters, and sixteenth.

    A note that is tied into a locked bar sounds there as before, but may be struck anew.
    """
    step = piece["ticks"] // 4
    return {
        (track["role"], 1 + at // (16 * step), at): pitch
        for track in piece["tracks"]
        for onset, duration, pitch, _ in track["notes"]
        for at in range(onset, onset + duration, step)
    }


def differing(before, after):
    """Roles and bars in which two pieces do not sound alike."""
    return {at[:2] for at in before.keys() | after.keys() if before.get(at) != after.get(at)}
