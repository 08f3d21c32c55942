"""Families whose Gaussian diffusion is over the vectors of another model."""
