"""There is none: a generator and a critic say nothing about the likelihood of a given piece."""

Scorer = None
