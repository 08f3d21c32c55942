"""Weights with fewer bits, for steps of models that make music position by position."""
