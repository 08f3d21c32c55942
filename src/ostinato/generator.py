"""Music from a trained model's folder: what sampling, listening, feedback, live and notebooks
share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import sha256_json
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Fillable, Tokens
from ostinato.sampling.autoregressive.decode import Sampled, decode
from ostinato.sampling.autoregressive.decoding import Decoding
from ostinato.sampling.autoregressive.infill import Gaps, infill
from ostinato.sampling.load import Trained, load_trained
from ostinato.sampling.prompts import as_piece, check_context, prefix_of
from ostinato.sampling.request import EncodedPiece
from ostinato.seeds import seed_of

BEATS_PER_BAR = 4
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make: `n` pieces of `bars` 4/4 bars (the prompt included), numbered from `first`.

    task: `unconditional`; `continue`, which goes on after the first `prompt_quarters` of a prompt;
    or `infill`, which keeps the prompt's first `bars` bars (all of a shorter one) but for a gap:
    `infill_bars` [a, b), counted from 0, of `infill_voices`. Without bars the gap is as long as the
    piece, without voices it is of all. particles: how many fillings are tried side by side, see
    sampling/infill.py. The i-th piece depends on (seed, system, task, i) alone.
    """

    task: str = "unconditional"
    bars: int = 16
    n: int = 1
    seed: int = 1
    first: int = 0
    prompt: Piece | EncodedPiece | None = None
    prompt_quarters: float = 16
    infill_bars: tuple[int, int] | None = None
    infill_voices: tuple[str, ...] = ()
    particles: int = 64
    decoding: Decoding = field(default_factory=Decoding)
    conditions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bars < 1 or self.n < 1:
            raise ValueError(f"bars={self.bars} and n={self.n} must be at least 1")
        if (self.task in ("continue", "infill")) != (self.prompt is not None):
            raise ValueError(
                f"task={self.task!r} and prompt={self.prompt and self.prompt.id} disagree: "
                "continue and infill need a prompt, others take none"
            )
        if self.task == "infill":
            self._check_gap()
        elif self.infill_bars or self.infill_voices:
            raise ValueError(
                f"task={self.task!r} takes no infill_bars={self.infill_bars} and no "
                f"infill_voices={list(self.infill_voices)}; task='infill' does"
            )
        quarters = self.bars * BEATS_PER_BAR
        if self.task == "continue" and not 0 < self.prompt_quarters < quarters:
            raise ValueError(
                f"prompt_quarters={self.prompt_quarters} must be more than 0 and less than the "
                f"{quarters} quarters of bars={self.bars}; ask for more bars or a shorter prompt"
            )

    def _check_gap(self) -> None:
        if not self.infill_bars and not self.infill_voices:
            raise ValueError("infill needs infill_bars=[first, end), infill_voices, or both")
        if self.infill_bars:
            first, end = self.infill_bars
            if not 0 <= first < end <= self.bars:
                raise ValueError(
                    f"infill_bars={[first, end]} must be a first bar and the one after the last, "
                    f"within 0 to bars={self.bars}"
                )
        if self.particles < 1:
            raise ValueError(f"particles={self.particles} must be at least 1")


@dataclass(frozen=True)
class Sample:
    """A generated piece (None where it failed), its tokens with their nats, and its line in
    samples.json.
    """

    piece: Piece | None
    tokens: Tokens
    nats: np.ndarray
    row: dict[str, Any]


class Generator:
    """A trained model that makes music."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.representation = trained.representation
        self.system: str = trained.card["system"]

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> "Generator":
        """From a model folder; a copied one is enough. device: where it samples, `cpu` or `cuda`:
        another one rounds in another way, so that now and then a seed gives another piece.

        Raises:
            ValueError: a device that is not there.
        """
        return cls(load_trained(Path(folder), device=device))

    def capabilities(self) -> dict[str, list[str]]:
        """Tasks and conditions that `generate` knows."""
        fill = ["infill"] if isinstance(self.representation, Fillable) else []
        return {"tasks": ["unconditional", "continue", *fill], "conditions": []}

    def generate(self, request: Request) -> list[Sample]:
        """All pieces of a request."""
        return self.generate_all([request])

    def generate_all(self, requests: Sequence[Request]) -> list[Sample]:
        """The pieces of several requests of one length and decoding, in shared batches.

        Raises:
            ValueError: a task or condition this model does not know, or requests that differ in
            length.
        """
        for request in requests:
            self._check(request)
        lengths = {(request.bars, request.decoding) for request in requests}
        if len(lengths) != 1:
            raise ValueError("requests made together must agree in bars and decoding")
        samples: list[Sample] = []
        for fills, group in groupby(requests, key=lambda request: request.task == "infill"):
            part = list(group)
            if fills:
                samples += [sample for request in part for sample in self._fill(request)]
            else:
                samples += self._go_on(part)
        return samples

    def _go_on(self, requests: Sequence[Request]) -> list[Sample]:
        jobs = [(request, request.first + i) for request in requests for i in range(request.n)]
        samples: list[Sample] = []
        for start in range(0, len(jobs), BATCH):
            part = jobs[start : start + BATCH]
            sequences = decode(
                self.trained.model,
                self.representation,
                [self._prompt(request) for request, _ in part],
                [self._seed(*job) for job in part],
                part[0][0].bars * BEATS_PER_BAR,
                part[0][0].decoding,
            )
            samples += [
                self._sample(request, index, sequence)
                for (request, index), sequence in zip(part, sequences, strict=True)
            ]
        return samples

    def _fill(self, request: Request) -> list[Sample]:
        gaps, samples = self._gaps(request), []
        together = max(1, BATCH // request.particles)
        indices = range(request.first, request.first + request.n)
        for start in range(0, request.n, together):
            part = indices[start : start + together]
            sequences = infill(
                self.trained.model,
                self.representation,
                gaps,
                [self._seed(request, index) for index in part],
                request.bars * BEATS_PER_BAR,
                request.decoding,
                request.particles,
            )
            samples += [self._sample(request, i, s) for i, s in zip(part, sequences, strict=True)]
        return samples

    def _seed(self, request: Request, index: int) -> int:
        return seed_of(request.seed, self.system, request.task, index)

    def _check(self, request: Request) -> None:
        tasks = self.capabilities()["tasks"]
        if request.task not in tasks:
            raise ValueError(f"task {request.task!r} is none of {', '.join(tasks)}")
        if request.conditions:
            named = ", ".join(sorted(request.conditions))
            raise ValueError(f"{self.system} takes no conditions; asked for: {named}")

    def _prompt(self, request: Request) -> Tokens:
        """What is gone on from; empty without a prompt."""
        if request.prompt is None:
            return np.zeros((0, self.representation.width), np.int32)
        piece = as_piece(request.prompt, self.representation, self.trained.card["codec"])
        prompt = prefix_of(self.representation, piece, request.prompt_quarters)
        name = piece.source or piece.id
        if not len(prompt):
            raise ValueError(f"prompt {name} holds no music to continue")
        check_context(self.trained.model, prompt, name, request.prompt_quarters)
        return prompt

    def _gaps(self, request: Request) -> Gaps:
        """The cells of a prompt, and which of them are to be filled."""
        assert request.prompt is not None
        assert isinstance(self.representation, Fillable)
        piece = as_piece(request.prompt, self.representation, self.trained.card["codec"])
        tokens = prefix_of(self.representation, piece, request.bars * BEATS_PER_BAR)
        first, end = request.infill_bars or (0, request.bars)
        span = (first * BEATS_PER_BAR, end * BEATS_PER_BAR)
        voices = request.infill_voices or self.representation.voices
        free = self.representation.cells(len(tokens), span, voices)
        if not free.any():
            quarters = self.representation.decode(tokens).quarters
            raise ValueError(
                f"infill_bars={[first, end]} lie outside prompt {piece.source or piece.id}, which "
                f"has {quarters / BEATS_PER_BAR:g} bars: name bars that it has"
            )
        return Gaps(tokens, free)

    def _sample(self, request: Request, index: int, sequence: Sampled) -> Sample:
        piece, failed = None, sequence.failed
        if failed is None:
            try:
                piece = self.representation.decode(sequence.tokens)
            except (ValueError, IndexError, KeyError) as error:
                failed = f"does not decode: {error}"
        prompt = request.prompt
        described = {
            "system": self.system,
            "weights": self.trained.card["weights_sha256"],
            "task": request.task,
            "prompt": prompt.id if prompt else None,
            "prompt_quarters": request.prompt_quarters if request.task == "continue" else 0,
            "bars": request.bars,
            "conditions": dict(request.conditions),
            "seed": request.seed,
            "index": index,
        } | request.decoding.said()
        if request.task == "infill":
            described |= {
                "infill_bars": list(request.infill_bars or (0, request.bars)),
                "infill_voices": list(request.infill_voices),
                "particles": request.particles,
            }
        name = sha256_json(described | {"tokens": sequence.tokens.tolist()})[:16]
        measured = {
            "id": name,
            "failed": failed,
            "nats": round(float(sequence.nats.sum(dtype=np.float64)), 4),
        }
        titled = replace(piece, id=name, title=f"{self.system} {index}") if piece else None
        return Sample(titled, sequence.tokens, sequence.nats, described | measured)


def planned_requests(
    sampling: Mapping[str, Any], heldout: Sequence[Piece | EncodedPiece]
) -> list[Request]:
    """What the sample stage makes, from `sampling` of params.yaml: pieces from nothing, and
    continuations.

    The i-th continuation goes on from the i-th held-out piece, from the first again when they run
    out.

    Raises:
        ValueError: nothing is asked for, or continuations and nothing is held out.
    """
    if not sampling["continue"] and not sampling["unconditional"]:
        raise ValueError("sampling.unconditional and sampling.continue are 0: nothing to sample")
    if sampling["continue"] and not heldout:
        raise ValueError(
            f"sampling.continue={sampling['continue']} needs held-out pieces and there are none; "
            "set it to 0"
        )
    shared = Request(bars=sampling["bars"], seed=sampling["seed"], decoding=Decoding.of(sampling))
    requests = [replace(shared, n=sampling["unconditional"])] if sampling["unconditional"] else []
    return requests + [
        replace(
            shared,
            task="continue",
            first=index,
            prompt=heldout[index % len(heldout)],
            prompt_quarters=sampling["prompt_bars"] * BEATS_PER_BAR,
        )
        for index in range(sampling["continue"])
    ]
