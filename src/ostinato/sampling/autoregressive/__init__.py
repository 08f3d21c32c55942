"""Sampling of autoregressive families: decoding, constraints, infilling."""
