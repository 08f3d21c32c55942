"""Draws every cell by itself."""

import numpy as np
import torch

from ostinato.representations.protocol import Extent
from ostinato.sampling.request import Capabilities
from ostinato.sampling.sampler import Made

ONE = np.ones(1, dtype=bool)


class Sampler:
    """Makes pieces from nothing."""

    tasks = ("unconditional",)

    def __init__(self, model, representation):
        self.model, self.representation = model, representation

    def capabilities(self):
        """One task, one option, no sessions."""
        return Capabilities(
            tasks=self.tasks,
            options={"heat": 1.0},
            roles=tuple(self.representation.voices),
            missing={"continue": "it knows no past"},
        )

    def sample(self, jobs):
        """One piece for each job."""
        return [self._piece(job) for job in jobs]

    def session(self, job):
        """There are none."""
        raise ValueError("a toy makes whole pieces")

    @torch.inference_mode()
    def _piece(self, job):
        heat = job.request.options.get("heat", 1.0)
        chances_WV = (self.model.logits_WV.double() / heat).softmax(dim=-1).numpy()
        random, rows = np.random.default_rng(job.seed), []
        nothing = np.zeros((0, len(chances_WV)), np.int32)
        grammar = self.representation.grammar(Extent(job.request.bars), [nothing])
        while not grammar.finished()[0]:
            row = []
            for column, chances_V in enumerate(chances_WV):
                allowed_BV = grammar.allowed(column)
                left_V = chances_V if allowed_BV is None else chances_V * allowed_BV[0]
                row.append(int(random.choice(len(left_V), p=left_V / left_V.sum())))
                grammar.advance(np.array(row[-1:]), ONE, column)
            rows.append(row)
        tokens_TW = np.array(rows, np.int32)
        return Made(tokens_TW, self.model.nats(torch.from_numpy(tokens_TW)[None].long())[0].numpy())
