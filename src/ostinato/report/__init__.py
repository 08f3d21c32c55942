"""The page that compares systems, and the players on it. No torch."""
