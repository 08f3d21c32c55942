"""Sampling of Gaussian diffusion: from noise to data, step by step."""
