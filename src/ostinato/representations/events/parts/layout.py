"""The vocabulary of roles and bars: a block of tokens for each role.

Tokens in order: the end; `with_<role>` for each role; `bar_<meter>` for each meter; then for each
role its own block: the token that opens its part of a bar, W positions, W durations, and the
pitches of its register, where W is the number of steps of the longest bar. Models read this layout
off the times of the tokens (`Timed`), so the order is part of the form.
"""

# V vocabulary, R roles, M meters, W steps of the longest bar

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
END, WITH, BAR, OPEN, POSITION, DURATION, PITCH = range(7)


@dataclass(frozen=True, eq=False)
class Layout:
    """What every token means.

    kinds: END to PITCH, by token. owners: the role of a token by its place in the order, -1 for
    bars and the end. values: a meter by number, a position or duration in steps, a MIDI pitch.
    opens, positions, durations, pitches: first token of each kind by role; `pitches` is counted
    from MIDI pitch 0, so token = pitches[role] + pitch. registers: lowest and highest MIDI pitch.
    """

    names: tuple[str, ...]
    kinds: Ints
    owners: Ints
    values: Ints
    first_bar: int
    opens: Ints
    positions: Ints
    durations: Ints
    pitches: Ints
    registers: tuple[tuple[int, int], ...]
    bar_steps: Ints

    @property
    def longest(self) -> int:
        """W."""
        return int(self.bar_steps.max())

    def size_of(self, role: int) -> int:
        """How many tokens a role has."""
        low, high = self.registers[role]
        return 1 + 2 * self.longest + high + 1 - low


def lay_out(
    roles: Sequence[str],
    registers: Sequence[tuple[int, int]],
    meters: Sequence[str],
    bar_steps: Sequence[int],
) -> Layout:
    """The vocabulary of these roles, in the order of their parts within a bar."""
    rows: list[tuple[str, int, int, int]] = [("end", END, -1, 0)]
    rows += [(f"with_{role}", WITH, i, i) for i, role in enumerate(roles)]
    rows += [(f"bar_{meter}", BAR, -1, i) for i, meter in enumerate(meters)]
    widest = range(max(bar_steps))
    opens = []
    for i, (role, (low, high)) in enumerate(zip(roles, registers, strict=True)):
        opens.append(len(rows))
        rows.append((f"{role}", OPEN, i, 0))
        rows += [(f"{role}_position_{n}", POSITION, i, n) for n in widest]
        rows += [(f"{role}_duration_{n + 1}", DURATION, i, n + 1) for n in widest]
        rows += [(f"{role}_pitch_{n}", PITCH, i, n) for n in range(low, high + 1)]
    names, kinds, owners, values = zip(*rows, strict=True)
    first = np.array(opens, dtype=np.int64) + 1
    lowest = np.array([low for low, _ in registers], dtype=np.int64)
    return Layout(
        names=names,
        kinds=np.array(kinds),
        owners=np.array(owners),
        values=np.array(values),
        first_bar=1 + len(roles),
        opens=first - 1,
        positions=first,
        durations=first + len(widest) - 1,
        pitches=first + 2 * len(widest) - lowest,
        registers=tuple(registers),
        bar_steps=np.array(bar_steps, dtype=np.int64),
    )
