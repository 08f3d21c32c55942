"""Metrics of pieces: musical features, their intervals and distances, copied passages."""
