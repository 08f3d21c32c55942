"""Steps of the families of this paradigm, by their names."""
