"""What the players of all pages share: the script that plays notes in time, and recorded notes."""
