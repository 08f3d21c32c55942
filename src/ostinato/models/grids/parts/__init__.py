"""Parts of models over grids."""
