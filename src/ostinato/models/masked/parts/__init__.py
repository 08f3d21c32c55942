"""What masked families share."""
