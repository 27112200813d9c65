"""The file of ``watch --http.config.file``: how to reach the exporter, as promtool and amtool take it.

Source: "HTTP configuration for promtool",
https://prometheus.io/docs/prometheus/latest/configuration/promtool
"""

from pathlib import Path

from exporter.config.client import HttpClient
from exporter.config.section_file import read_section
from exporter.http.settings import HttpSettings


def load_http(path: Path) -> HttpSettings:
    """Read the file at *path*, for a client whose address is yet to be told.

    Raises:
        ConfigError: it cannot be read, or has mistakes; one line each, with the file's name.
    """
    return read_section(path, HttpClient, "basic_auth: ...").client_settings("")
