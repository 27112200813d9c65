"""One watched API: which, where, whose tasks, how often, and how long they are shown."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import to_jsonable_python

from exporter import apis
from exporter.apis.base import Answer, Lists, Pace, TaskApi
from exporter.config.client import HttpClient
from exporter.config.mistakes import hint
from exporter.config.polling import OperationRule, Polling
from exporter.config.section import Place, Section, mistakes_at
from exporter.config.targets import FileSdConfig, HttpSdConfig, StaticConfig
from exporter.config.units import format_duration
from exporter.config.values import BaseUrl, Duration, Interval, LabelName, LabelValue, Many, SourceName
from exporter.discovery.ids import unique
from exporter.http.settings import HttpSettings, Names
from exporter.model import WatchedId


def _read_api(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text; quote it")  # noqa: TRY004 - pydantic collects ValueErrors
    apis.resolve(value)
    return value


def _read_options(value: object, info: ValidationInfo) -> object:
    """Build the API's own frozen dataclass of settings; nothing, where the API itself is a mistake."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping")  # noqa: TRY004 - as above
    if "api" not in info.data:
        return {}
    options = apis.resolve(info.data["api"]).Options
    known = [field.name for field in fields(options)]
    unknown: dict[Place, str] = {
        (str(key),): f"unknown key{hint(str(key), known)}" for key in value if key not in known
    }
    if unknown:
        raise mistakes_at(unknown)
    return TypeAdapter(options).validate_python(value)


def _write_options(options: object) -> object:
    if not is_dataclass(options):
        return {}
    return {field.name: to_jsonable_python(getattr(options, field.name)) for field in fields(options)}


ApiName = Annotated[str, PlainValidator(_read_api), WithJsonSchema({"type": "string", "title": "api"})]
Options = Annotated[
    Any,
    PlainValidator(_read_options),
    PlainSerializer(_write_options),
    WithJsonSchema({"type": "object", "title": "options"}),
]


class _Nowhere:
    """Stands for the way to a server where an API is looked at and not asked."""

    async def get(self, *_: object, **_more: object) -> Answer:
        """Nobody asks."""
        raise NotImplementedError


class Defaults(HttpClient):
    """What sources may share. A source's own value wins; mappings are merged key by key."""

    labels: dict[LabelName, LabelValue] = Field(default={})
    """Labels on every series and alert of the source."""
    registration: bool = False
    """Whether ids may be registered with `POST /api/v1/sources/<name>/tasks`."""
    polling: Polling = Polling()
    """How often and how fast the source is asked."""
    operation_rules: Many[OperationRule] = ()
    """Tell the operation of tasks by their name, where neither the API nor a label tells it."""
    operations: Many[LabelValue] = ()
    """Operations that are known beforehand: their counters exist, at zero, before the first task is seen."""
    stalled_after: Interval = 900.0
    """How long a running task's progress may stay the same before the task counts as stalled."""
    deadline: Interval | None = None
    """The age from which an unfinished task counts as overdue. By default none does."""
    keep: Duration = 900.0
    """How long a finished task stays on the board after the first scrape that showed its end."""
    keep_failed: Duration = 3600.0
    """How long a failed task stays on the board after the first scrape that showed its end."""
    max_task_series: Annotated[int, Field(ge=0)] = 2000
    """The most tasks of a source that have series of their own; what is left out is counted."""
    max_watched_tasks: Annotated[int, Field(ge=1)] = 100_000
    """The most tasks of a source that are watched at once."""

    @model_validator(mode="after")
    def _check_keep(self) -> Self:
        if self.keep > self.keep_failed:
            keep, keep_failed = format_duration(self.keep), format_duration(self.keep_failed)
            raise ValueError(f"keep ({keep}) is longer than keep_failed ({keep_failed}); raise keep_failed")
        return self


class Identity(Section):
    """Which API is watched, and where."""

    name: SourceName
    """The `source` label of the metrics; unique."""
    api: ApiName
    """The API's name, such as `epmware`, or `package.module:Class` for one of your own."""
    url: BaseUrl
    """The server's address, with the base path where there is one."""
    options: Options = Field(default={}, validate_default=True)
    """The API's own settings; `docs/sources.md` lists them for each API."""


class Source(Defaults, Identity):
    """One watched API."""

    static_configs: Many[StaticConfig] = ()
    """Task ids, written here."""
    file_sd_configs: Many[FileSdConfig] = ()
    """Task ids, read from files."""
    http_sd_configs: Many[HttpSdConfig] = ()
    """Task ids, read from an address."""

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        given = self.static_configs or self.file_sd_configs or self.http_sd_configs or self.registration
        if not given and not self._lists():
            raise ValueError(
                f"nothing tells which tasks to watch, and api {self.api!r} does not list them; add "
                "static_configs, file_sd_configs, http_sd_configs or registration: true"
            )
        return self

    def _lists(self) -> bool:
        """Whether its API lists tasks, which may depend on its options."""
        api = apis.set_up(self.api, _Nowhere(), self.options)
        return isinstance(api, Lists) and api.lists

    @property
    def api_class(self) -> type[TaskApi]:
        """The class of the API; call it with the source's HTTP client and ``options``."""
        return apis.resolve(self.api)

    @property
    def pace(self) -> Pace:
        """How fast the source may be asked: as configured, else as its API says."""
        usual = self.api_class.pace
        return Pace(
            requests_per_second=self.polling.requests_per_second or usual.requests_per_second,
            concurrency=self.polling.concurrency or usual.concurrency,
        )

    @property
    def shown_url(self) -> str:
        """The address as it may be shown: as it is, for ``url`` takes no password and no query."""
        return self.url

    @property
    def http_settings(self) -> HttpSettings:
        """What the source's HTTP client is set up with."""
        return self.client_settings(
            self.url,
            timeout=self.polling.timeout,
            body_size_limit=self.polling.body_size_limit,
            names=Names(body_size_limit="polling.body_size_limit"),
            requests_per_second=self.pace.requests_per_second,
            concurrency=self.pace.concurrency,
        )

    @property
    def static_ids(self) -> tuple[WatchedId, ...]:
        """The ids of all ``static_configs``, each once."""
        return unique(watched for config in self.static_configs for watched in config.watched)
