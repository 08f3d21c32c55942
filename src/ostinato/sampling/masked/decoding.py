"""Settings of sampling with masked families."""

from dataclasses import dataclass

from ostinato.sampling.request import Continue, Fill, Unconditional, Vary

ORDERS = ("random", "confident")
TASKS = (Unconditional.name, Continue.name, Fill.name, Vary.name)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How hidden cells are revealed.

    steps: passes of the model, each of which reveals about as many cells at once; cells revealed
        together do not see each other, so more steps are better and slower. 0: one cell a pass,
        which samples from the model's own distribution (ancestral). A piece with fewer cells to
        fill than steps takes as many passes as it has cells.
    pace: 1 reveals equally many in each pass; above, fewer at first, when little is known and cells
        drawn together contradict each other most.
    order: `random`, or `confident`: of values drawn for all hidden cells, the likeliest are kept
        (MaskGIT, Chang 2022).
    gibbs: passes after that, each of which hides some cells again and draws them anew; their share
        falls from `gibbs_share` to nearly none (Yao 2014, as in Coconet). They mend what cells that
        were drawn together got wrong; docs/families.md has what was measured.
    notes: passes after that, each of which draws half of the notes of one voice again, whole, given
        all other voices. Single cells within a note hardly ever leave it; whole notes do.
    mend: passes halfway through those and at the end, each of which gives other pitches to notes
        that make parallel fifths or octaves; they stop where none are left (mending.py). 0: none.
    turns: cells of one pass are drawn in so many turns, which keep those of one voice so many steps
        apart and, where there are as many turns as voices, no two of one step together. Later turns
        know the earlier ones as neighbors and by intervals, while the trunk runs once a pass. 0:
        all at once.
    temperature: above 1 more surprising, below 1 more predictable.
    """

    steps: int = 48
    pace: float = 3.0
    order: str = "random"
    gibbs: int = 96
    gibbs_share: float = 0.5
    notes: int = 0
    mend: int = 0
    turns: int = 4
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("steps", "gibbs", "notes", "mend", "turns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} cannot be negative")
        if self.pace < 1:
            raise ValueError(f"pace={self.pace} must be at least 1")
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r} is none of {', '.join(ORDERS)}")
        if not 0 < self.gibbs_share <= 1:
            raise ValueError(f"gibbs_share={self.gibbs_share} must lie in (0, 1]")
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature} must be above 0")
