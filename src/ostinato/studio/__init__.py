"""The studio: a page in the browser to make, change, hear and export pieces."""
