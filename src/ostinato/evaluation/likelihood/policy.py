"""Exact likelihoods of tuned models: those of their base's paradigm."""

from ostinato.evaluation.likelihood.autoregressive import Scorer

__all__ = ["Scorer"]
