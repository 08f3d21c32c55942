"""Parts that families share; none of them is a family."""
