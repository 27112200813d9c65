"""What a source reaches out with: its HTTP clients, its API module, and where its ids come from."""

from collections.abc import Iterator

import structlog

from exporter import apis, config
from exporter.apis.base import KeepsLogs, TaskApi
from exporter.clock import Clock
from exporter.discovery.file import FileDiscovery
from exporter.discovery.http import HttpDiscovery
from exporter.errors import ConfigError, ExporterError
from exporter.http import HttpClient
from exporter.metrics.own import SourceStats

Discovery = FileDiscovery | HttpDiscovery


class Upstream:
    """Put together from the configuration; asks nothing yet, so that mistakes show before anything is done.

    Raises:
        ConfigError: a proxy's address in the environment is none, or the API module cannot be set up.
    """

    def __init__(self, settings: config.Source, stats: SourceStats, clock: Clock) -> None:
        self.settings = settings
        self.stats = stats
        self._clock = clock
        self._log = structlog.get_logger().bind(source=settings.name)
        self._clients = [HttpClient(settings.http_settings, clock=clock, observer=stats)]
        self.api = _set_up(settings, self._clients[0])
        self.discoveries = tuple(self._discoveries())

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.close()

    def hide(self, words: str) -> str:
        """Blot out of an error what the source was told in confidence, should it have repeated it."""
        return self._clients[0].hide(words)

    async def fetch_log(self, api: KeepsLogs, task_id: str) -> str:
        """Ask for the log of a task; what is raised is fit to be shown and logged, whoever made the words."""
        try:
            return await api.fetch_log(task_id)
        except ExporterError as error:
            error.args = (self.hide(str(error)),)
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
            told = self.hide(f"{type(error).__name__}: {error}")
            raise RuntimeError(told).with_traceback(error.__traceback__) from None

    def _discoveries(self) -> Iterator[Discovery]:
        for files in self.settings.file_sd_configs:
            yield FileDiscovery(
                files.files,
                clock=self._clock,
                refresh_interval=files.refresh_interval,
                observer=self.stats,
                log=self._log,
            )
        for address in self.settings.http_sd_configs:
            client = HttpClient(address.http_settings, clock=self._clock)
            self._clients.append(client)
            yield HttpDiscovery(
                client,
                place=address.place,
                refresh_interval=address.refresh_interval,
                observer=self.stats,
                log=self._log,
            )


def _set_up(settings: config.Source, client: HttpClient) -> TaskApi:
    try:
        return apis.set_up(settings.api, client, settings.options)
    except ValueError as error:
        raise ConfigError([f"source {settings.name!r}: {error}"]) from error
