"""Families that turn Gaussian noise into data, step by step (Ho 2020)."""
