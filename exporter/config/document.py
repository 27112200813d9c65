"""The whole configuration, and how it is shown."""

from itertools import pairwise
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, model_validator
from pydantic.json_schema import GenerateJsonSchema

from exporter.config.alerting import Alerting
from exporter.config.section import Section, mistakes_at
from exporter.config.source import Defaults, Source
from exporter.config.units import format_duration
from exporter.config.values import Interval, Some

Seconds = Annotated[float, Field(gt=0)]
Buckets = Some[Seconds]

TASK_BUCKETS = (
    1.0,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
    7200.0,
    14400.0,
    43200.0,
    86400.0,
)


class Metrics(Section):
    """The shape of the metrics of all sources."""

    duration_buckets: Buckets = TASK_BUCKETS
    """Upper bounds in seconds of the buckets of `asynctask_duration_seconds`, rising."""
    queue_buckets: Buckets | None = None
    """Upper bounds in seconds of the buckets of `asynctask_queue_duration_seconds`, rising. By default
    those of `duration_buckets`."""
    max_error_codes: Annotated[int, Field(ge=1)] = 50
    """The most values of the label `error_code` per source; any further code is counted as `other`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("duration_buckets", "queue_buckets"):
            bounds = getattr(self, name) or ()
            if any(low >= high for low, high in pairwise(bounds)):
                raise mistakes_at({(name,): "must rise from each bound to the next"})
        return self


class Storage(Section):
    """What is kept in the database."""

    retention: Interval = 7_776_000.0
    """How long runs are remembered. What ended before that is history, and is not counted again; a longer
    time brings nothing back that was forgotten."""


class _Schema(GenerateJsonSchema):
    """Pydantic's JSON schema without the titles that only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - as in the base class
        return False


class Config(Section):
    """The configuration of asynctask-exporter."""

    sources: Some[Source]
    """The watched APIs."""
    defaults: Defaults = Defaults()
    """What sources share. Already merged into each source."""
    metrics: Metrics = Metrics()
    """The shape of the metrics."""
    storage: Storage = Storage()
    """What is kept in the database."""
    alerting: Alerting = Alerting()
    """The exporter's own notifications: none by default."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_names()
        self._check_retention()
        return self

    def _check_names(self) -> None:
        first: dict[str, int] = {}
        for index, source in enumerate(self.sources):
            if (other := first.setdefault(source.name, index)) != index:
                raise mistakes_at(
                    {("sources", index, "name"): f"{source.name!r} is the name of sources[{other}] already"}
                )

    def _check_retention(self) -> None:
        longest = max(source.keep_failed for source in self.sources)
        if self.storage.retention < longest:
            raise mistakes_at(
                {
                    (
                        "storage",
                        "retention",
                    ): f"must be at least the longest keep_failed, {format_duration(longest)}, "
                    "or shown tasks would be forgotten"
                }
            )

    def masked(self) -> str:
        """The configuration in force as YAML: defaults merged and filled in, secrets as ``<secret>``."""
        shown = self.model_dump(mode="json", exclude={"defaults"}, exclude_none=True)
        return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def schema() -> dict[str, Any]:
    """The JSON schema of the YAML file, for editors."""
    found = Config.model_json_schema(mode="serialization", schema_generator=_Schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
