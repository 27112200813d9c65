"""Where task ids come from: this file, other files, an address."""

from pydantic import Field

from exporter.config.client import HttpClient
from exporter.config.section import Section
from exporter.config.values import FileGlob, Interval, LabelValue, Many, Some, TaskId, Url
from exporter.http.settings import HttpSettings
from exporter.model import WatchedId


class TargetLabels(Section):
    """What is known about a group of task ids."""

    operation: LabelValue = ""
    """The kind of work, such as `import`; the `operation` label of the metrics."""
    name: LabelValue = ""
    """What a person calls the task."""


class StaticConfig(Section):
    """A group of task ids, written in the configuration."""

    targets: Many[TaskId]
    """The ids."""
    labels: TargetLabels = TargetLabels()
    """What is known about them."""

    @property
    def watched(self) -> tuple[WatchedId, ...]:
        """The ids with what is known about them."""
        return tuple(
            WatchedId(id=target, operation=self.labels.operation, name=self.labels.name)
            for target in self.targets
        )


class FileSdConfig(Section):
    """Files with task ids, in the format of Prometheus' file_sd: `[{targets: [...], labels: {...}}]`."""

    files: Some[FileGlob]
    """Paths that end in `.yaml`, `.yml` or `.json`; the last part may hold `*`."""
    refresh_interval: Interval = 300.0
    """How often the files are read again even if they seem unchanged. Changes are seen within seconds."""


class HttpSdConfig(HttpClient):
    """An address that answers with task ids, in the format of Prometheus' http_sd."""

    url: Url = Field(repr=False)
    """The address."""
    refresh_interval: Interval = 60.0
    """How often it is asked."""

    @property
    def http_settings(self) -> HttpSettings:
        """What the HTTP client for this address is set up with."""
        return self.client_settings(self.url)

    @property
    def place(self) -> str:
        """The address as it may be shown: without its query, which may hold a secret."""
        return self.url.partition("?")[0]
