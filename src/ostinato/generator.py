"""Music from a trained model's folder, for the sample stage, the shell and notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ostinato.files import sha256_json
from ostinato.music.piece import Piece
from ostinato.sampling.load import Trained, load_trained
from ostinato.sampling.plan import PLAN
from ostinato.sampling.prompts import with_pieces
from ostinato.sampling.registry import families_that, sampler_of
from ostinato.sampling.request import (
    Capabilities,
    Continue,
    EncodedPiece,
    Request,
)
from ostinato.sampling.sampler import Finishing, Job, Made, Session
from ostinato.sampling.write import Sample
from ostinato.seeds import seed_of


class Generator:
    """A trained model that makes music."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.representation = trained.representation
        self.system: str = trained.card["system"]
        self._sampler = sampler_of(trained.model, trained.representation, trained.card["family"])
        self._able = self._sampler.capabilities()

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> "Generator":
        """From a model folder; a copied one is enough. device: where it samples, `cpu` or `cuda`:
        these round differently, so that now and then a seed gives another piece.

        Raises:
            ValueError: a device that is not there.
        """
        return cls(load_trained(Path(folder), device=device))

    def capabilities(self) -> Capabilities:
        """Tasks, conditions with their values, options and roles that a request can name."""
        return self._able

    def generate(self, request: Request) -> list[Sample]:
        """All pieces of a request."""
        return self.generate_all([request])

    def generate_all(self, requests: Sequence[Request]) -> list[Sample]:
        """The pieces of several requests, in shared batches where length and options agree.

        Raises:
            ValueError: something that this model cannot do; it names what it, or another, can.
        """
        jobs = [
            self._job(checked, checked.first + number)
            for checked in map(self._checked, requests)
            for number in range(checked.n)
        ]
        made = self._sampler.sample(jobs)
        return [self._sample(job, one) for job, one in zip(jobs, made, strict=True)]

    def session(self, request: Request) -> Session:
        """The first piece of a request, bar by bar.

        Raises:
            ValueError: something that this model cannot do, or not bar by bar.
        """
        checked = self._checked(request)
        if not self._able.streams:
            raise ValueError(f"{self.system} makes whole pieces only, not bar by bar: sample them")
        return self._sampler.session(self._job(checked, checked.first))

    def check(self, request: Request) -> None:
        """Raise ValueError for what this model cannot do; it names what it, or a family, can."""
        try:
            self._able.check(request, self.system)
        except ValueError as error:
            if request.task.name in self._able.tasks:
                raise
            able = ", ".join(families_that(request.task.name)) or "none yet"
            raise ValueError(f"{error}; families that can, on some encodings: {able}") from error

    def _checked(self, request: Request) -> Request:
        """The request with its prompts as pieces."""
        self.check(request)
        return with_pieces(request, self.representation, self.trained.card["codec"])

    def _job(self, request: Request, index: int) -> Job:
        return Job(request, index, seed_of(request.seed, self.system, request.task.name, index))

    def _sample(self, job: Job, made: Made) -> Sample:
        piece, failed = None, made.failed
        if failed is None:
            try:
                piece = self.representation.decode(made.tokens)
                if isinstance(self._sampler, Finishing):
                    piece = self._sampler.finish(job, piece)
            except (ValueError, IndexError, KeyError) as error:
                failed = f"does not decode: {error}"
        request, defaults = job.request, self._able.options
        described = {
            "system": self.system,
            "weights": self.trained.card["weights_sha256"],
            "task": request.task.name,
            **request.task.row(),
            "bars": request.bars,
            "min_bars": request.min_bars,
            "conditions": dict(request.conditions),
            # defaults are left out: an id does not change when a sampler gets a new option
            "options": {k: v for k, v in request.options.items() if v != defaults[k]},
            "seed": request.seed,
            "index": job.index,
        }
        name = sha256_json(described | {"tokens": made.tokens.tolist()})[:16]
        nats = None if made.nats is None else round(float(made.nats.sum(dtype="float64")), 4)
        row = described | {"id": name, "failed": failed, "ended": made.ended, "nats": nats}
        titled = replace(piece, id=name, title=f"{self.system} {job.index}") if piece else None
        return Sample(titled, made, row)


def planned_requests(
    sampling: Mapping[str, Any],
    heldout: Sequence[Piece | EncodedPiece],
    capabilities: Capabilities,
) -> list[Request]:
    """What the sample stage makes, from `sampling` of params.yaml: pieces from nothing, and
    continuations.

    The i-th continuation has the i-th held-out piece as its prompt, from the first again after the
    last. A system that cannot continue makes none. Options that its sampler does not have are left
    out.

    Raises:
        ValueError: nothing is asked for, or continuations and nothing is held out.
    """
    continued = sampling["continue"] if Continue.name in capabilities.tasks else 0
    if not continued and not sampling["unconditional"]:
        raise ValueError("sampling.unconditional and sampling.continue are 0: nothing to sample")
    if continued and not heldout:
        raise ValueError(
            f"sampling.continue={continued} needs held-out pieces and there are none; set it to 0"
        )
    options = {k: v for k, v in sampling.items() if k not in PLAN and k in capabilities.options}
    shared = Request(
        bars=sampling["bars"],
        min_bars=sampling["min_bars"],
        seed=sampling["seed"],
        options=options,
    )
    requests = [replace(shared, n=sampling["unconditional"])] if sampling["unconditional"] else []
    return requests + [
        replace(
            shared,
            first=index,
            task=Continue(heldout[index % len(heldout)], sampling["prompt_bars"]),
        )
        for index in range(continued)
    ]
