"""The task APIs, one small module each."""
