"""Tuned models are sampled as their base is."""

from ostinato.sampling.autoregressive.sampler import Sampler

__all__ = ["Sampler"]
