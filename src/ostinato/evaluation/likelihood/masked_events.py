"""Bounds of masked families over events: those of masked families, with an exact outline."""

from ostinato.evaluation.likelihood.masked import Scorer

__all__ = ("Scorer",)
