"""Wires everything together; the only place that does, so that a test can run it all as well."""

from exporter.app.application import App
from exporter.app.flags import Flags
from exporter.app.serving import Front

__all__ = ["App", "Flags", "Front"]
