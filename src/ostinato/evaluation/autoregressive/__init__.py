"""Likelihoods of autoregressive models: whether they are exact, and those of mixtures."""
