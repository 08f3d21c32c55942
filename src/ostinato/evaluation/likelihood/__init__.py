"""Scorers by paradigm: the likelihood of whole pieces, exact or bounded, or none."""
