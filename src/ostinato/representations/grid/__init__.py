"""Voices on a grid of steps: as rows, or flat, one cell after another."""
