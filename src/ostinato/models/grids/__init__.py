"""What paradigms share that make all voices of a grid at once, given its bar lines; no families."""
