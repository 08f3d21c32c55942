"""Numbers about pieces: features, how sure and how far they are, copying. No model, no files."""
