"""Samples bar by bar from latent vectors: of the prior, of prompts, or between those of pieces."""
