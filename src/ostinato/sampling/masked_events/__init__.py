"""Sampling of masked diffusion over events: an outline first, then its values in any order."""
