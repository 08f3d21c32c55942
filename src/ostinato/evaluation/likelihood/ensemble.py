"""Exact likelihoods of ensembles: those of the stream of roles and bars."""

from ostinato.evaluation.likelihood.autoregressive import Scorer

__all__ = ["Scorer"]
