"""Decoding loops over trained models: caches, constraints, prompts."""
