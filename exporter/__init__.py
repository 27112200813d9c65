"""Watches the asynchronous tasks of other systems for Prometheus."""

__version__ = "0.1.0"
