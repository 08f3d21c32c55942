"""Pitches in order, without rhythm."""
