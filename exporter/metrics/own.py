"""The numbers about the sources' APIs and about the exporter itself."""

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from exporter import __version__
from exporter.errors import SOURCE_ERROR_REASONS, SourceError
from exporter.metrics.family import Distribution, Metric, Sample

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DISCOVERY_MECHANISMS = ("file", "http")


@dataclass(slots=True)
class Histogram:
    """Counts seconds by bucket."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    """By bucket, not cumulative; the last one is +Inf."""
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def taken(self) -> "Histogram":
        """Copy the numbers, so that another thread may read them."""
        return Histogram(self.bounds, self.counts.copy(), self.sum)

    def distribution(self) -> Distribution:
        """What was observed."""
        return Distribution(self.bounds, self.counts, self.sum)


@dataclass(slots=True)
class SourceStats:
    """The numbers about one source's API; it observes the source's client, poller and discovery."""

    source: str
    api: str
    up: bool | None = None
    """Whether the last request was answered; None before there was one."""
    last_success: datetime | None = None
    watched: int = 0
    watched_limit: int = 0
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By endpoint and code."""
    durations: dict[str, Histogram] = field(default_factory=dict)
    """By endpoint."""
    errors: Counter[str] = field(default_factory=Counter)
    """By reason."""
    discovery_failures: Counter[str] = field(default_factory=Counter)
    """By mechanism."""
    throttled_seconds: float = 0.0
    lag: Histogram = field(default_factory=lambda: Histogram(LAG_BUCKETS))

    def requested(self, endpoint: str, code: str, seconds: float) -> None:
        """Count an HTTP exchange."""
        self.requests[endpoint, code] += 1
        duration = self.durations.get(endpoint)
        if duration is None:
            duration = self.durations[endpoint] = Histogram(REQUEST_BUCKETS)
        duration.observe(seconds)

    def throttled(self, seconds: float) -> None:
        """Add the time that a request waited for its turn."""
        self.throttled_seconds += seconds

    def polled(self, lag: float) -> None:
        """Count a poll that began so many seconds after it was due."""
        self.lag.observe(max(0.0, lag))

    def succeeded(self, at: datetime) -> None:
        """Note that the source answered."""
        self.up = True
        self.last_success = at

    def failed(self, error: SourceError) -> None:
        """Count that the source let us down."""
        self.up = False
        self.errors[error.reason] += 1

    def discovery_failed(self, mechanism: str) -> None:
        """Count that a list of task ids could not be read."""
        self.discovery_failures[mechanism] += 1

    def taken(self) -> "SourceStats":
        """Copy the numbers, so that another thread may read them."""
        return replace(
            self,
            requests=self.requests.copy(),
            durations={endpoint: duration.taken() for endpoint, duration in self.durations.items()},
            errors=self.errors.copy(),
            discovery_failures=self.discovery_failures.copy(),
            lag=self.lag.taken(),
        )


@dataclass(slots=True)
class ReceiverStats:
    """The numbers about one receiver of notifications; it observes their delivery."""

    accepted: int = 0
    errors: int = 0
    given_up: int = 0
    waiting: int = 0

    def sent(self, number: int) -> None:
        """Count what was taken."""
        self.accepted += number

    def failed(self) -> None:
        """Count an attempt that failed."""
        self.errors += 1

    def dropped(self, number: int) -> None:
        """Count what will never be taken."""
        self.given_up += number

    def queued(self, number: int) -> None:
        """Note how many wait now."""
        self.waiting = number


@dataclass(slots=True)
class ExporterStats:
    """The numbers about the exporter."""

    revision: str = ""
    """The commit that it was built from."""
    branch: str = ""
    reload_successful: bool = True
    reloaded_at: datetime | None = None
    """When the configuration in use was loaded."""
    certificate_expires_at: datetime | None = None
    """When the certificate that we serve with ends."""
    config_hash: int = 0
    """Of the configuration in use; fits into 48 bits, so that it is exact as a sample."""
    storage_errors: int = 0
    pending_changes: int = 0
    """Changes that are not in the database yet."""
    requests_failed: int = 0
    """Requests to ourselves that met a defect of ours."""
    receivers: dict[str, ReceiverStats] = field(default_factory=dict)
    """By name, those that are configured."""

    def taken(self) -> "ExporterStats":
        """Copy the numbers, so that another thread may read them."""
        return replace(self, receivers={name: replace(stats) for name, stats in self.receivers.items()})


def _up(stats: SourceStats) -> Iterator[Sample]:
    if stats.up is not None:
        yield (stats.source, stats.api), float(stats.up)


def _last_success(stats: SourceStats) -> Iterator[Sample]:
    if stats.last_success is not None:
        yield (stats.source,), stats.last_success.timestamp()


def _requests(stats: SourceStats) -> Iterator[Sample]:
    for (endpoint, code), count in sorted(stats.requests.items()):
        yield (stats.source, endpoint, code), count


def _errors(stats: SourceStats) -> Iterator[Sample]:
    return (((stats.source, reason), stats.errors[reason]) for reason in SOURCE_ERROR_REASONS)


def _durations(stats: SourceStats) -> Iterator[Sample]:
    for endpoint, duration in sorted(stats.durations.items()):
        yield (stats.source, endpoint), duration.distribution()


def _throttled(stats: SourceStats) -> Iterator[Sample]:
    yield (stats.source,), stats.throttled_seconds


def _lag(stats: SourceStats) -> Iterator[Sample]:
    yield (stats.source,), stats.lag.distribution()


def _watched(stats: SourceStats) -> Iterator[Sample]:
    yield (stats.source,), stats.watched


def _watched_limit(stats: SourceStats) -> Iterator[Sample]:
    yield (stats.source,), stats.watched_limit


def _discovery_failures(stats: SourceStats) -> Iterator[Sample]:
    return (((stats.source, name), stats.discovery_failures[name]) for name in DISCOVERY_MECHANISMS)


SOURCE_METRICS: tuple[Metric[SourceStats], ...] = (
    Metric(
        "asynctask_source_up",
        "gauge",
        ("source", "api"),
        "Whether the API answered the last request that was meant for it.",
        _up,
    ),
    Metric(
        "asynctask_source_last_success_timestamp_seconds",
        "gauge",
        ("source",),
        "When the API last answered.",
        _last_success,
    ),
    Metric(
        "asynctask_api_requests_total",
        "counter",
        ("source", "endpoint", "code"),
        "HTTP requests by status code, or error where no whole answer came.",
        _requests,
    ),
    Metric(
        "asynctask_api_errors_total",
        "counter",
        ("source", "reason"),
        "Times that the API let us down.",
        _errors,
    ),
    Metric(
        "asynctask_api_request_duration_seconds",
        "histogram",
        ("source", "endpoint"),
        "How long HTTP requests took, without waiting for their turn.",
        _durations,
    ),
    Metric(
        "asynctask_api_throttled_seconds_total",
        "counter",
        ("source",),
        "How long requests waited for their turn, to keep the pace.",
        _throttled,
    ),
    Metric(
        "asynctask_poll_lag_seconds",
        "histogram",
        ("source",),
        "How late polls began.",
        _lag,
    ),
    Metric(
        "asynctask_watched_tasks",
        "gauge",
        ("source",),
        "Tasks that are being watched.",
        _watched,
    ),
    Metric(
        "asynctask_watched_tasks_limit",
        "gauge",
        ("source",),
        "How many tasks may be watched at a time.",
        _watched_limit,
    ),
    Metric(
        "asynctask_discovery_failures_total",
        "counter",
        ("source", "mechanism"),
        "Times that a list of task ids could not be read; the last good one stays in use.",
        _discovery_failures,
    ),
)


def _build_info(stats: ExporterStats) -> Iterator[Sample]:
    yield (__version__, stats.revision, stats.branch, platform.python_version()), 1


def _reloaded_at(stats: ExporterStats) -> Iterator[Sample]:
    if stats.reloaded_at is not None:
        yield (), stats.reloaded_at.timestamp()


def _certificate_expires_at(stats: ExporterStats) -> Iterator[Sample]:
    if stats.certificate_expires_at is not None:
        yield (), stats.certificate_expires_at.timestamp()


def _single(number: Callable[[ExporterStats], float]) -> Callable[[ExporterStats], Iterator[Sample]]:
    """Tell one number that is always there."""

    def samples(stats: ExporterStats) -> Iterator[Sample]:
        yield (), number(stats)

    return samples


def _by_receiver(number: Callable[[ReceiverStats], float]) -> Callable[[ExporterStats], Iterator[Sample]]:
    """Tell one number of each receiver."""

    def samples(stats: ExporterStats) -> Iterator[Sample]:
        return (((name,), number(receiver)) for name, receiver in sorted(stats.receivers.items()))

    return samples


EXPORTER_METRICS: tuple[Metric[ExporterStats], ...] = (
    Metric(
        "asynctask_storage_errors_total",
        "counter",
        (),
        "Commits to the database that failed; they are tried again.",
        _single(lambda stats: stats.storage_errors),
    ),
    Metric(
        "asynctask_storage_pending_changes",
        "gauge",
        (),
        "Changes that are not in the database yet.",
        _single(lambda stats: stats.pending_changes),
    ),
    Metric(
        "asynctask_notifications_sent_total",
        "counter",
        ("receiver",),
        "Notifications that a receiver took; an alert that is told again counts again.",
        _by_receiver(lambda stats: stats.accepted),
    ),
    Metric(
        "asynctask_notifications_errors_total",
        "counter",
        ("receiver",),
        "Attempts to notify a receiver that failed; they are repeated.",
        _by_receiver(lambda stats: stats.errors),
    ),
    Metric(
        "asynctask_notifications_dropped_total",
        "counter",
        ("receiver",),
        "Notifications that were given up: refused for what they are, or beyond the limit.",
        _by_receiver(lambda stats: stats.given_up),
    ),
    Metric(
        "asynctask_notifications_queue_length",
        "gauge",
        ("receiver",),
        "Notifications that wait for a receiver.",
        _by_receiver(lambda stats: stats.waiting),
    ),
    Metric(
        "asynctask_exporter_request_failures_total",
        "counter",
        (),
        "Requests to the exporter that were answered with 500 because of a defect of its own.",
        _single(lambda stats: stats.requests_failed),
    ),
    Metric(
        "asynctask_exporter_web_certificate_expiry_timestamp_seconds",
        "gauge",
        (),
        "When the certificate that the exporter serves with expires.",
        _certificate_expires_at,
    ),
    Metric(
        "asynctask_exporter_build_info",
        "gauge",
        ("version", "revision", "branch", "pythonversion"),
        "What was built from what.",
        _build_info,
    ),
    Metric(
        "asynctask_exporter_config_last_reload_successful",
        "gauge",
        (),
        "Whether the last attempt to load the configuration succeeded.",
        _single(lambda stats: stats.reload_successful),
    ),
    Metric(
        "asynctask_exporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "When the configuration was last loaded.",
        _reloaded_at,
    ),
    Metric(
        "asynctask_exporter_config_hash",
        "gauge",
        (),
        "The configuration in use as a number, to see whether replicas agree.",
        _single(lambda stats: stats.config_hash),
    ),
)
