"""Sampling of ensembles: bar by bar from left to right, and parts of roles among given ones."""
