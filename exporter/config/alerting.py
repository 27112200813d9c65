"""Who is told of tasks that end, besides Prometheus: Alertmanagers, and webhooks."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import inf
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from exporter.alerts.settings import RUNBOOK, AlertmanagerSettings, AlertSettings, WebhookSettings
from exporter.config.client import HttpClient
from exporter.config.section import Place, Section, mistakes_at
from exporter.config.values import (
    ExternalUrl,
    FilePath,
    Interval,
    LabelName,
    LabelValue,
    LinkUrl,
    Many,
    SecretText,
    Some,
    SourceName,
    read_url,
)
from exporter.http.settings import HttpSettings, Names
from exporter.model import Status
from exporter.secret import Secret

Ending = Literal["success", "warning", "error", "timed_out", "cancelled", "skipped"]


def _read_secret_url(value: object) -> Secret:
    return Secret(read_url(value))


def _mask_path(url: Secret) -> str:
    """The server alone: the path and the query of a webhook are often its password."""
    parts = urlsplit(url.reveal())
    return f"{parts.scheme}://{parts.netloc}/xxxxx"


def _check_target(target: str) -> str:
    parts = urlsplit(f"//{target}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.netloc != target or not parts.hostname or not port or "@" in target or not target.isprintable():
        raise ValueError("must be HOST:PORT, as in alertmanager:9093")
    return target


def _check_prefix(prefix: str) -> str:
    if not prefix.startswith("/") or not prefix.isprintable() or set(prefix) & set(" ?#"):
        raise ValueError("must be a path, as in /alertmanager")
    return prefix


SecretUrl = Annotated[
    Secret,
    PlainValidator(_read_secret_url),
    PlainSerializer(_mask_path),
    WithJsonSchema({"type": "string", "title": "url", "format": "uri"}),
]
Target = Annotated[str, AfterValidator(_check_target), Field(title="text")]
PathPrefix = Annotated[str, AfterValidator(_check_prefix), Field(title="text")]
_NAMES = Names(url="static_configs")


class AlertmanagerTargets(Section):
    """A group of Alertmanagers, written in the configuration."""

    targets: Some[Target]
    """Their addresses, as `host:port`."""


class Alertmanagers(HttpClient):
    """Alertmanagers, as in Prometheus' `alerting.alertmanagers`. All of them are told."""

    static_configs: Some[AlertmanagerTargets]
    """Which they are."""
    scheme: Literal["http", "https"] = "http"
    """How they are spoken to."""
    path_prefix: PathPrefix = "/"
    """The path before `/api/v2/alerts`."""
    timeout: Interval = 10.0
    """The time for one request."""
    api_version: Literal["v2"] = "v2"
    """The version of their API; there is no other any more."""

    @property
    def settings(self) -> Sequence[AlertmanagerSettings]:
        """Each of them."""
        prefix = self.path_prefix.rstrip("/")
        return [
            AlertmanagerSettings(
                name=f"alertmanager/{target}{prefix}",
                http=self.client_settings(
                    f"{self.scheme}://{target}{prefix}",
                    timeout=self.timeout,
                    requests_per_second=inf,
                    names=_NAMES,
                ),
            )
            for group in self.static_configs
            for target in group.targets
        ]


class Webhook(HttpClient):
    """A receiver of events: CloudEvents 1.0 in JSON, by POST."""

    name: SourceName
    """What it is called in the metrics, and in the database; unique. Whoever changes it begins anew."""
    url: SecretUrl
    """The address. It is never shown beyond its host, for the rest is often a password."""
    on: Some[Ending] = ("error", "timed_out")
    """The ends of tasks that it is told of."""
    secret: SecretText | None = None
    """What the body is signed with: HMAC-SHA256, in the header `X-Hub-Signature-256`."""
    secret_file: FilePath | None = None
    """A file with the secret; read on each use."""
    timeout: Interval = 10.0
    """The time for one request."""

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        self.only_one_of("secret", "secret_file")
        return self

    @property
    def http_settings(self) -> HttpSettings:
        """What the HTTP client for this receiver is set up with."""
        return self.client_settings(self.url.reveal(), timeout=self.timeout, requests_per_second=inf)

    def settings(self, external_url: str) -> WebhookSettings:
        """What its delivery is set up with."""
        return WebhookSettings(
            name=f"webhook/{self.name}",
            http=self.http_settings,
            on=frozenset(map(Status, self.on)),
            secret=self.secret,
            secret_file=self.secret_file,
            external_url=external_url,
        )


class Alerting(Section):
    """The exporter's own notifications. Without receivers it sends none."""

    alertmanagers: Many[Alertmanagers] = ()
    """Alertmanagers that are told of each task that ends badly."""
    webhooks: Many[Webhook] = ()
    """Receivers of events."""
    external_url: ExternalUrl | None = None
    """Where people reach the exporter, for links in notifications. By default they have none."""
    runbook_url: LinkUrl = RUNBOOK
    """Where the runbook is; the alert's name in lower case follows as the anchor."""
    job: LabelValue = "asynctask-exporter"
    """The `job_name` under which Prometheus scrapes the exporter: the alerts of its rules have it as a label,
    and ours need the same labels to be the same alerts. Empty for none."""
    labels: dict[LabelName, LabelValue] = Field(default={})
    """Labels on every alert; say here what Prometheus has as `external_labels`."""
    resend_delay: Interval = 60.0
    """How often Alertmanager is told again of an alert that fires."""
    keep_firing: Interval = 900.0
    """How long an alert fires at the least, and how long it outlives an exporter that is gone."""
    send_resolved: bool = True
    """Whether Alertmanager is told when an alert is over. Say false where the rules page as well."""
    queue_limit: Annotated[int, Field(ge=1)] = 10_000
    """How many notifications may wait for a receiver that is down; beyond it the oldest are dropped, and
    counted."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_webhooks_differ()
        self._check_alertmanagers_differ()
        return self

    @property
    def is_on(self) -> bool:
        """Whether anybody is told."""
        return bool(self.alertmanagers or self.webhooks)

    @property
    def settings(self) -> AlertSettings:
        """What all receivers share."""
        return AlertSettings(
            job=self.job,
            labels=self.labels,
            external_url=self.external_url or "",
            runbook_url=self.runbook_url,
            resend_delay=timedelta(seconds=self.resend_delay),
            keep_firing=timedelta(seconds=self.keep_firing),
            send_resolved=self.send_resolved,
            limit=self.queue_limit,
        )

    @property
    def alertmanager_settings(self) -> Sequence[AlertmanagerSettings]:
        """Each Alertmanager."""
        return [one for group in self.alertmanagers for one in group.settings]

    @property
    def webhook_settings(self) -> Sequence[WebhookSettings]:
        """Each webhook."""
        return [webhook.settings(self.external_url or "") for webhook in self.webhooks]

    def _check_webhooks_differ(self) -> None:
        places: Mapping[Place, str] = {
            ("webhooks", index, "name"): webhook.name for index, webhook in enumerate(self.webhooks)
        }
        _check_differ(places, "is the name of another webhook already")

    def _check_alertmanagers_differ(self) -> None:
        places: Mapping[Place, str] = {
            ("alertmanagers", index, "static_configs", number): one.name.removeprefix("alertmanager/")
            for index, group in enumerate(self.alertmanagers)
            for number, one in enumerate(group.settings)
        }
        _check_differ(places, "is told already; name each Alertmanager once")


def _check_differ(names: Mapping[Place, str], words: str) -> None:
    seen: set[str] = set()
    for place, name in names.items():
        if name in seen:
            raise mistakes_at({place: f"{name!r} {words}"})
        seen.add(name)
