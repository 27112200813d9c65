"""What is known now, and what was counted."""
