"""Nothing is shared by families of this paradigm."""
