"""Odd values, read in one place."""
