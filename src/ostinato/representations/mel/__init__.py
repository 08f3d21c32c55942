"""Representations of sound: pieces rendered with a SoundFont, as spectrograms."""
