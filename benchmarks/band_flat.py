"""A flat model of a band's tokens under the requests of `benchmarks.band`.

It is drawn from as a band is: the roles that are asked for are named before anything is drawn, and
the grammar keeps bars, meter, rests and what can be played. It has no lines of its own for roles,
so it is told levels, and not steered to them.
"""

from collections.abc import Sequence
from typing import Any

from ostinato.generator import Generator
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Extent
from ostinato.sampling.ensemble.bounded import Bounded
from ostinato.sampling.ensemble.decoding import BandDecoding
from ostinato.sampling.ensemble.sampler import Sampler


class FlatSampler(Sampler):
    """That of a band, of another model."""

    def _drawn_from(self, how: BandDecoding, limited: Roles, extents: Sequence[Extent]) -> Bounded:
        return Bounded(self.model, limited, extents)


def generator_of(folder: str) -> Generator:
    """The generator of a model folder; that of a flat model takes a band's requests, too."""
    generator: Any = Generator.load(folder)
    if generator.trained.card["paradigm"] != "ensemble":
        generator._sampler = FlatSampler(generator.trained.model, generator.representation)
        generator._able = generator._sampler.capabilities()
    found: Generator = generator
    return found
