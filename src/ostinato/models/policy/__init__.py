"""Models that learn from preferences."""
