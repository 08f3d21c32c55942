"""A piano roll: a row for each frame, a column for each key."""
