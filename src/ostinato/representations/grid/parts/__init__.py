"""What the kinds of this folder share."""
