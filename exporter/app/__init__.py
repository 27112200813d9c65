"""Wires everything together; the only place that does, so that a test can run it all as well."""

from exporter.app.application import App, Flags

__all__ = ["App", "Flags"]
