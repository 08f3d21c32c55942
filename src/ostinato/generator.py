"""Music from a trained model's folder: what sampling, listening, feedback, live and notebooks
share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.execution.files import seed_of, sha256_json
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Tokens
from ostinato.sampling.decode import Sampled, decode
from ostinato.sampling.load import Trained, load_trained
from ostinato.sampling.settings import Decoding

BEATS_PER_BAR = 4
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make: `n` pieces of `bars` 4/4 bars (the prompt included), numbered from `first`.

    A prompt of `prompt_quarters` is continued. The i-th piece depends on (seed, system, task, i)
    alone.
    """

    task: str = "unconditional"
    bars: int = 16
    n: int = 1
    seed: int = 1
    first: int = 0
    prompt: Piece | None = None
    prompt_quarters: float = 16
    decoding: Decoding = field(default_factory=Decoding)
    conditions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bars < 1 or self.n < 1:
            raise ValueError(f"bars={self.bars} and n={self.n} must be at least 1")
        if (self.task == "continue") != (self.prompt is not None):
            raise ValueError(
                f"task={self.task!r} and prompt={self.prompt and self.prompt.id} disagree"
            )
        if self.prompt is not None and not 0 < self.prompt_quarters < self.bars * BEATS_PER_BAR:
            raise ValueError(
                f"prompt_quarters={self.prompt_quarters} must be more than 0 and less than the "
                f"{self.bars * BEATS_PER_BAR} quarters of bars={self.bars}"
            )


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
    def load(cls, folder: Path | str) -> "Generator":
        """From a model folder; a copied one is enough."""
        return cls(load_trained(Path(folder)))

    def capabilities(self) -> dict[str, list[str]]:
        """Tasks and conditions that `generate` knows."""
        return {"tasks": ["unconditional", "continue"], "conditions": []}

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
        jobs = [(request, request.first + i) for request in requests for i in range(request.n)]
        samples: list[Sample] = []
        for start in range(0, len(jobs), BATCH):
            part = jobs[start : start + BATCH]
            quarters = part[0][0].bars * BEATS_PER_BAR
            sequences = decode(
                self.trained.model,
                self.representation,
                [self._prompt(request) for request, _ in part],
                [seed_of(r.seed, self.system, r.task, index) for r, index in part],
                quarters,
                part[0][0].decoding,
            )
            samples += [
                self._sample(request, index, sequence)
                for (request, index), sequence in zip(part, sequences, strict=True)
            ]
        return samples

    def _check(self, request: Request) -> None:
        tasks = self.capabilities()["tasks"]
        if request.task not in tasks:
            raise ValueError(f"task {request.task!r} is none of {', '.join(tasks)}")
        if request.conditions:
            named = ", ".join(sorted(request.conditions))
            raise ValueError(f"{self.system} takes no conditions; asked for: {named}")

    def _prompt(self, request: Request) -> Tokens:
        if request.prompt is None:
            return np.zeros((0, self.representation.width), np.int32)
        prompt = self.representation.prefix(request.prompt, request.prompt_quarters)
        if not len(prompt):
            name = request.prompt.source or request.prompt.id
            raise ValueError(f"prompt {name} holds no music to continue")
        return prompt

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
            "prompt_quarters": request.prompt_quarters if prompt else 0,
            "bars": request.bars,
            "conditions": dict(request.conditions),
            "seed": request.seed,
            "index": index,
            "temperature": request.decoding.temperature,
            "top_k": request.decoding.top_k,
            "top_p": request.decoding.top_p,
        }
        name = sha256_json(described | {"tokens": sequence.tokens.tolist()})[:16]
        measured = {
            "id": name,
            "failed": failed,
            "nats": round(float(sequence.nats.sum(dtype=np.float64)), 4),
        }
        titled = replace(piece, id=name, title=f"{self.system} {index}") if piece else None
        return Sample(titled, sequence.tokens, sequence.nats, described | measured)


def planned_requests(sampling: Mapping[str, Any], heldout: Sequence[Piece]) -> list[Request]:
    """What the sample stage makes, from `sampling` of params.yaml: pieces from nothing, and
    continuations.

    The i-th continuation goes on from the i-th held-out piece, from the first again when they run
    out.

    Raises:
        ValueError: continuations are asked for and nothing is held out.
    """
    if sampling["continue"] and not heldout:
        raise ValueError(
            f"sampling.continue={sampling['continue']} needs held-out pieces and there are none; "
            "set it to 0"
        )
    decoding = Decoding(**{key: sampling[key] for key in ("temperature", "top_k", "top_p")})
    shared = Request(bars=sampling["bars"], seed=sampling["seed"], decoding=decoding)
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
