"""The sampler of variational families: bars from vectors, one bar after the other."""

# B batch, T positions, W columns, V voices, N segments, L places, D width, Z dimensions, S symbols

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.nn.utils.rnn import pad_sequence

from ostinato.models.spec import PAD, Given
from ostinato.models.variational.parts.attributes import ATTRIBUTES
from ostinato.models.variational.parts.gaussian import Gaussian
from ostinato.models.variational.parts.segments import Segments
from ostinato.models.variational.vae import Model, chosen
from ostinato.representations.protocol import Tokens
from ostinato.sampling.grids.opening import Random
from ostinato.sampling.grids.whole import Batch, Whole, stacked, trimmed
from ostinato.sampling.sampler import Job
from ostinato.sampling.variational.closing import closed
from ostinato.sampling.variational.decoding import MISSING, TASKS, Decoding
from ostinato.sampling.variational.plan import Plan, plan_of


class Sampler(Whole[Decoding]):
    """Draws a vector for every bar, and the bar from it."""

    tasks = TASKS
    missing = MISSING
    session_error = (
        "variational families draw all bar lines and the end first, and no player's bars fit in "
        "between: sample whole pieces"
    )
    decoding = Decoding
    batch = 32

    def _plan(self, job: Job, random: Random) -> Plan:
        return plan_of(job, self.model, self.representation, random)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        def once_more(
            numbers: Sequence[int], plans: Sequence[Plan], seeds: Sequence[int]
        ) -> list[Tokens]:
            given = self._given([batch.jobs[number] for number in numbers])
            return draw(
                self.model, plans, [np.random.default_rng(s) for s in seeds], decoding, given
            )

        first = draw(self.model, batch.plans, batch.randoms, decoding, self._given(batch.jobs))
        end_on = decoding.end_on
        return closed(batch.jobs, batch.plans, first, once_more, self.representation, end_on)


@torch.inference_mode()
def draw(
    model: Model,
    plans: Sequence[Plan],
    randoms: Sequence[Random],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Tokens]:
    """The rows of every plan with all that is not kept drawn anew."""
    rows_BTW = stacked([plan.rows for plan in plans], PAD)
    device = model.columns_V.device
    segments = model.segments(torch.from_numpy(rows_BTW.copy()).to(device))
    painter = _Painter(model, plans, randoms, decoding, segments)
    heard_BD = model.first(segments.begins, given)
    for number in range(int(segments.number.max()) + 1):
        heard_BD = painter.next(number, heard_BD)
    columns = model.columns_V.cpu().numpy()
    drawn_BTV = segments.to_rows(painter.cells_NLV).cpu().numpy()
    music_BT = segments.rows.cpu().numpy() >= 0
    cells_BTV = rows_BTW[..., columns]
    cells_BTV[music_BT] = drawn_BTV[music_BT]
    rows_BTW[..., columns] = cells_BTV
    return trimmed(rows_BTW, [plan.rows for plan in plans])


class _Painter:
    """The segments of several pieces while they are drawn, each with its own random numbers."""

    def __init__(
        self,
        model: Model,
        plans: Sequence[Plan],
        randoms: Sequence[Random],
        decoding: Decoding,
        segments: Segments,
    ) -> None:
        self.model, self.plans, self.decoding, self.segments = model, plans, decoding, segments
        self.randoms = randoms
        device = segments.rows.device
        is_kept = kept_rows(plans).to(device) & (segments.rows >= 0)
        self.hears_B1 = torch.tensor([[plan.hears] for plan in plans], device=device)
        self.cells_NLV = torch.full_like(segments.cells, PAD)
        flat = self.cells_NLV.flatten(0, 1)
        codes = segments.rows[is_kept]
        flat[codes] = segments.cells.flatten(0, 1)[codes]
        moves = [getattr(decoding, name) for name in ATTRIBUTES]
        self.tilt_Z = torch.zeros(model.config.latent, device=device)
        self.tilt_Z[: len(moves)] = torch.tensor(moves)

    def next(self, number: int, heard_BD: Tensor) -> Tensor:
        """Draw the segments of this number; returns the conductor's states after them."""
        model, segments = self.model, self.segments
        now_N = (segments.number == number).nonzero()[:, 0]
        pieces_N, length_N = segments.piece[now_N], segments.length[now_N]
        last_NV = segments.before[now_N]
        if number:
            last_NV = self.cells_NLV[now_N - 1, segments.length[now_N - 1] - 1]
        kept_NLV = self.cells_NLV[now_N]
        here = chosen(segments, now_N)
        before_ND, alone_ND = model.placed(heard_BD[pieces_N], here), model.alone(here)
        heard = model.posterior(model.encoder(kept_NLV, last_NV), alone_ND)
        z_NZ, strength_N1 = self._vectors(number, pieces_N.tolist(), before_ND, kept_NLV, heard)
        # the vectors of a variation or interpolation stand for the same, whatever was drawn before
        alone_N1 = (strength_N1 == 0) & ~self.hears_B1[pieces_N]
        context_ND = torch.where(alone_N1, alone_ND, before_ND)
        led = model.led(z_NZ, context_ND, length_N)
        lots_NLV = torch.from_numpy(
            np.stack([self.randoms[b].random(kept_NLV.shape[1:]) for b in pieces_N.tolist()])
        )
        now_NV = last_NV.clone()  # what every voice does when it is asked for its next symbol

        def pick(logits_NS: Tensor, place: int, voice: int) -> Tensor:
            lots_N, kept_N = lots_NLV[:, place, voice], kept_NLV[:, place, voice]
            probs_NS = probabilities(logits_NS, now_NV[:, voice], self.decoding)
            picked_N = picked(probs_NS, lots_N).to(logits_NS.device)
            now_NV[:, voice] = torch.where(kept_N == PAD, picked_N, kept_N)
            return picked_N

        cells_NLV = model.decoder.write(led, last_NV, kept_NLV, length_N, pick)
        self.cells_NLV[now_N] = cells_NLV
        codes_ND = model.encoder(cells_NLV, last_NV)
        heard_N1D, _ = model.conductor(codes_ND[:, None], heard_BD[pieces_N][None].contiguous())
        return heard_BD.index_copy(0, pieces_N, heard_N1D[:, 0])

    def _vectors(
        self, number: int, pieces: list[int], before_ND: Tensor, kept_NLV: Tensor, heard: Gaussian
    ) -> tuple[Tensor, Tensor]:
        """A vector for each segment, (N, Z): of the plan, of the rows that are kept of it, which
        are `heard`, or of the prior; and how far from the first two it goes, (N, 1).

        With a target t and the prior N(m, s²), m + √(1 − a²) (t − m) + a s ε keeps the prior's
        distribution for a target of the prior and any strength a, as in preconditioned
        Crank-Nicolson proposals. Asking for λ more of an attribute adds λ to its number of a
        target, and tilts the prior by exp(λ z), which moves its mean by λ s². A stationary series
        whose correlation from beat to beat is φ then lies λ (1 + φ) of its deviations higher.
        """
        prior = self.model.prior(before_ND)
        noise = np.stack([self.randoms[b].standard_normal(prior.mean.shape[1]) for b in pieces])
        noise_NZ = torch.from_numpy(noise).to(prior.mean)
        target_NZ = heard.mean.clone()
        strength_N1 = torch.where(kept_NLV[:, :1, 0] != PAD, 0.0, 1.0)
        for row, piece in enumerate(pieces):
            plan = self.plans[piece]
            if plan.wanted is not None:
                target_NZ[row], strength_N1[row] = plan.wanted[number], plan.strength
        apart_NZ = strength_N1 * self.decoding.latent_temperature * prior.log_std.exp() * noise_NZ
        near_N1 = (1 - strength_N1**2).sqrt()
        tilt_NZ = self.tilt_Z * (near_N1**2 + (strength_N1 * prior.log_std.exp()) ** 2)
        z_NZ = prior.mean + near_N1 * (target_NZ - prior.mean) + apart_NZ + tilt_NZ
        return z_NZ, strength_N1


def probabilities(logits_NS: Tensor, now_N: Tensor, decoding: Decoding) -> Tensor:
    """Of every symbol, (N, S), with 64 bits. now: what each voice does so far; PAD: unknown."""
    if decoding.temperature == 0:
        return one_hot(logits_NS.argmax(dim=1), logits_NS.shape[1]).double().cpu()
    logits_NS = logits_NS.double().cpu() / decoding.temperature
    probs_NS = logits_NS.softmax(dim=1)
    if decoding.move_temperature == 1:
        return probs_NS
    rows_N = torch.arange(len(now_N))[now_N.cpu() != PAD]
    now_N = now_N.cpu()[rows_N]
    stays_N1 = torch.zeros(len(probs_NS), 1, dtype=torch.double)
    stays_N1[rows_N, 0] = probs_NS[rows_N, now_N]
    logits_NS[rows_N, now_N] = -torch.inf
    probs_NS = (1 - stays_N1) * (logits_NS / decoding.move_temperature).softmax(dim=1)
    probs_NS[rows_N, now_N] = stays_N1[rows_N, 0]
    return probs_NS


def picked(probs_NS: Tensor, lots_N: Tensor) -> Tensor:
    """The symbols at which cumulative distributions pass numbers in [0, 1), (N,)."""
    total_NS = probs_NS.cumsum(dim=1)
    picked_N1 = torch.searchsorted(total_NS, (lots_N * total_NS[:, -1])[:, None], right=True)
    return picked_N1[:, 0].clamp(max=probs_NS.shape[1] - 1)


def kept_rows(plans: Sequence[Plan]) -> Tensor:
    """Which rows of every plan are given, (B, T); none after its end."""
    masks = [torch.from_numpy(plan.is_kept()) for plan in plans]
    return pad_sequence(masks, batch_first=True)
