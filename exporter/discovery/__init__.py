"""Where task ids come from."""
