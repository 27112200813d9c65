"""Simulated task APIs that behave like the real ones, for the demo and the tests."""
