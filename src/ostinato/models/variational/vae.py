"""A hierarchical variational autoencoder over the beats of a grid (after MusicVAE: Roberts 2018).

Every segment of a bar, a beat by default, has a latent vector. A conductor, which is recurrent over
segments, carries what was before; given it, a prior says which vectors may come next. A decoder
writes the segment row by row. Its state begins anew with every segment, and half of the time in
training it is not told what was before: vectors must say what they stand for by themselves.

    p(x | bar lines) = Π_s ∫ p(z_s | x_<s) p(x_s | z_s, x_<s) dz_s

As every vector depends on the music before, not on other vectors, the integrals are one for each
segment (as in VRNN: Chung 2015). So is the bound (Kingma & Welling 2014), and importance weights
(Burda 2016) of single segments make it tight where those of whole pieces could not. Bar lines and
the end have an exact distribution of their own (layers/bar_lines.py); the voices are given them.
"""

# B batch, T positions, W columns, V voices, N segments, L places, D width, Z dimensions

from dataclasses import replace

import torch
from torch import Tensor, nn

from ostinato.models.grids.parts.voices import GridModel
from ostinato.models.spec import ArraySpec, Given
from ostinato.models.variational.parts.attributes import attributes_of
from ostinato.models.variational.parts.config import Config
from ostinato.models.variational.parts.decoder import Decoder, Led
from ostinato.models.variational.parts.gaussian import Gaussian
from ostinato.models.variational.parts.rows import SegmentEncoder
from ostinato.models.variational.parts.segments import FAR, Segments, segments_of

__all__ = ("Config", "Model")

COUNTS = ("to_end", "since", "until")  # of segments; see Segments


class Model(GridModel):
    """Prior, posterior and decoder of bars."""

    makes = "family vae makes bars"
    config: Config

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__(config, spec)
        width, latent, count = config.width, config.latent, len(self.columns_V)
        self.encoder = SegmentEncoder(
            count, self.symbols, width, config.encoder_hidden, config.span
        )
        self.conditioning = self.condition_on(width)
        self.begin = nn.Embedding(2, width)
        self.unheard = nn.Parameter(torch.zeros(width))
        self.conductor = nn.GRU(width, width, batch_first=True)
        self.length = nn.Embedding(config.span + 1, width)
        self.counts = nn.ModuleList(nn.Embedding(FAR + 1, width) for _ in COUNTS)
        self.to_prior = _two_layers(width, width, 2 * latent)
        self.to_posterior = _two_layers(2 * width, width, 2 * latent)
        self.to_context = _two_layers(width + latent, width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = Decoder(config, self.symbols, _order(config.order, count), spec.voices)
        for table in (self.begin, self.length, *self.counts):
            nn.init.normal_(table.weight, std=0.1)

    def segments(self, rows_BTW: Tensor, start_B: Tensor | None = None) -> Segments:
        """The segments of whole pieces, or of crops that begin after `start_B` rows."""
        if start_B is None:
            start_B = torch.zeros(len(rows_BTW), dtype=torch.long, device=rows_BTW.device)
        return segments_of(
            rows_BTW,
            start_B,
            self.columns_V,
            structure=self.structure,
            span=self.config.span,
            period=self.config.period,
        )

    def first(self, begins_B: Tensor, given: Given | None = None) -> Tensor:
        """The conductor's state before the first segment, (B, D)."""
        return self.conditioned(self.begin(begins_B.long()), given)

    def before(self, segments: Segments, codes_ND: Tensor, given: Given | None = None) -> Tensor:
        """What was before every segment, and where it lies, (N, D).

        codes_ND: of the segments, as `encoder` gives them.
        """
        first_BD = self.first(segments.begins, given)
        heard_BSD, _ = self.conductor(segments.by_piece(codes_ND), first_BD[None].contiguous())
        heard_BSD = torch.cat([first_BD[:, None], heard_BSD[:, :-1]], dim=1)
        return self.placed(segments.of_pieces(heard_BSD), segments)

    def placed(self, heard_ND: Tensor, segments: Segments) -> Tensor:
        """States of the conductor with the length of the next segments and their places in the bar
        and before the end.
        """
        counts = [getattr(segments, name) for name in COUNTS]
        places = sum(table(count) for table, count in zip(self.counts, counts, strict=True))
        placed: Tensor = self.dropout(heard_ND + self.length(segments.length) + places)
        return placed

    def prior(self, before_ND: Tensor) -> Gaussian:
        """p(z | what was before), (N, Z)."""
        return Gaussian.of(self.to_prior(before_ND))

    def alone(self, segments: Segments) -> Tensor:
        """Where every segment lies, without what was before, (N, D)."""
        return self.placed(self.unheard.expand(len(segments.length), -1), segments)

    def posterior(self, codes_ND: Tensor, alone_ND: Tensor) -> Gaussian:
        """q(z | the segment and where it lies), (N, Z)."""
        return Gaussian.of(self.to_posterior(torch.cat([codes_ND, alone_ND], dim=1)))

    def led(self, z_NZ: Tensor, before_ND: Tensor, length_N: Tensor) -> Led:
        """What the decoder is told. before_ND: of `before`, or of `alone`."""
        context_ND = self.to_context(torch.cat([z_NZ.to(before_ND.dtype), before_ND], dim=1))
        return self.decoder.lead(context_ND, length_N)

    def decoded(self, segments: Segments, before_ND: Tensor, z_NZ: Tensor) -> Tensor:
        """Nats of every cell given vectors, (N, L, V), 0 where it is PAD."""
        led = self.led(z_NZ, before_ND, segments.length)
        return self.decoder(segments.cells, segments.before, led)

    def encoded(
        self, segments: Segments, given: Given | None = None
    ) -> tuple[Tensor, Gaussian, Gaussian]:
        """What was before every segment, (N, D), its posterior and its prior."""
        codes_ND = self.encoder(segments.cells, segments.before)
        before_ND = self.before(segments, codes_ND, given)
        return before_ND, self.posterior(codes_ND, self.alone(segments)), self.prior(before_ND)

    def loss(
        self, rows_BTW: Tensor, start_B: Tensor, step: int, given: Given | None = None
    ) -> Tensor:
        """What is learned from, summed over the batch: nats of the cells, nats of the vectors
        beyond those that are free, and by how much their first numbers miss the attributes (Pati &
        Lerch 2021, here with the attributes themselves instead of their order).
        """
        segments = self.segments(rows_BTW, start_B)
        before_ND, posterior, prior = self.encoded(segments, given)
        z_NZ = posterior.sample()
        forgets_N1 = torch.rand(len(z_NZ), 1, device=z_NZ.device) < self.config.forget
        context_ND = torch.where(forgets_N1, self.alone(segments), before_ND)
        nats = self.decoded(segments, context_ND, z_NZ).sum()
        cells = segments.length.sum() * len(self.columns_V)
        said, free = posterior.kl(prior).sum(), self.config.free_nats / 64 * cells
        weight = min(1.0, step / self.config.kl_warmup) if self.config.kl_warmup else 1.0
        known_NA = attributes_of(segments, self.shape.voices)
        apart = ((z_NZ[:, : known_NA.shape[1]] - known_NA) ** 2).sum()
        return nats + weight * torch.maximum(said, free) + self.config.attribute_weight * apart


def chosen(segments: Segments, index_N: Tensor) -> Segments:
    """These segments of a batch, in this order; one may be named twice. `rows` stay as they are."""
    names = ("cells", "before", "length", "piece", "number", *COUNTS)
    return replace(segments, **{name: getattr(segments, name)[index_N] for name in names})


def _order(order: tuple[int, ...], voices: int) -> tuple[int, ...]:
    if order and sorted(order) != list(range(voices)):
        raise ValueError(
            f"order={list(order)} must name each of the encoding's voices 0 to {voices - 1} once"
        )
    return order or tuple(range(voices))


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))
