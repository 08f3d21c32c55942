"""Which bars of which roles to compose again, as regions that a model can fill one by one."""

from collections.abc import Iterable, Sequence

from ostinato.sampling.request import Region

Cell = tuple[str, int]  # a role and the number of a bar


def regions(free: Iterable[Cell], roles: Sequence[str], bars: Sequence[int]) -> list[Region]:
    """Rectangles of bars and roles that cover the free cells, in the order of time.

    Neighbouring bars with the same free roles are one region.

    Raises:
        ValueError: nothing or everything is free, or a cell is not of the piece.
    """
    cells = set(free)
    known = {(role, bar) for role in roles for bar in bars}
    if unknown := sorted(cells - known, key=str):
        role, bar = unknown[0]
        if role not in roles:
            raise ValueError(
                f"this model has no role {role!r}, it has {', '.join(roles)}: fit the piece to the "
                "model's roles, or lock that role"
            )
        raise ValueError(
            f"the piece has no bar {bar} of role {role!r}; it has bars {bars[0]} to {bars[-1]} of "
            f"{', '.join(roles)}"
        )
    if not cells:
        raise ValueError("everything is locked: unlock the bars to compose again")
    if cells == known:
        raise ValueError("nothing is locked: generate a new piece, or lock what is to stay")
    found: list[Region] = []
    for bar in bars:
        here = tuple(role for role in roles if (role, bar) in cells)
        if not here:
            continue
        last = found[-1] if found else None
        if last is not None and last.roles == here and last.bars and last.bars[1] == bar:
            found[-1] = Region((last.bars[0], bar + 1), here)
        else:
            found.append(Region((bar, bar + 1), here))
    return found
