"""What the command line decides, as against the configuration file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.config import ConfigFile
from exporter.web.server import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Where the exporter is reached and by whom, and where it keeps its ledger."""

    addresses: Sequence[Address]
    telemetry_path: str = "/metrics"
    storage: Path | None = None
    """The directory of the ledger; None keeps all in memory."""
    web_config: Path | None = None
    """The web configuration file; None for no TLS and no passwords."""
    external_url: str = ""
    """Where people reach the exporter; "" if nobody knows."""
    route_prefix: str | None = None
    """What all paths begin with; by default the path of the external URL."""
    systemd_socket: bool = False
    """Whether systemd listens, and not the exporter on its addresses."""
    lifecycle: bool = False
    """Whether the exporter may be reloaded over HTTP."""
    health_without_auth: bool = False
    """Whether the probes are answered without a password."""
    config_file: ConfigFile | None = None
    """What a reload loads; None if there is nothing to reload."""
    auto_reload_interval: float | None = None
    """Every how many seconds that file is looked at for changes; None for never."""
