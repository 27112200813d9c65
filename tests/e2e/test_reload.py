"""Reloading a real process: by SIGHUP, over HTTP, and by itself; under load, and with mistakes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import IO, Any

import aiohttp
import pytest
import yaml

from exporter.demo.epmware import FULL
from exporter.demo.simulation import WORKLOADS, Simulation
from exporter.model import Status
from tests.alerts.given import Receiver
from tests.campaigns import process
from tests.campaigns.process import Samples, scrape
from tests.campaigns.restart import Launcher, Table, expected, observed, report
from tests.e2e.harness import silent_simulation
from tests.real.alertmanager import AlertmanagerServer
from tests.real.shipped import alertmanager_config
from tests.real.waiting import until
from tests.real.webhook import WebhookReceiver

Document = dict[str, Any]


class Exporter(process.Exporter):
    """An exporter that can be told to reload."""

    def __init__(self, config: Path, storage: Path, log: IO[bytes], flags: Sequence[str]) -> None:
        super().__init__(config, storage, log)
        self._command += flags
        self.config = config

    def hang_up(self) -> None:
        """Send SIGHUP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def post(self) -> tuple[int, str]:
        """Reload over HTTP."""
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/-/reload") as answer:
            return answer.status, await answer.text()

    def write(self, document: Document) -> None:
        """Replace the configuration file, as an editor or Kubernetes does."""
        draft = self.config.with_suffix(".tmp")
        draft.write_text(yaml.safe_dump(document))
        draft.replace(self.config)


@asynccontextmanager
async def exporting(folder: Path, document: Document, *flags: str) -> AsyncIterator[Exporter]:
    """A process that may be reloaded over HTTP, with further flags."""
    with (folder / "log").open("wb") as log:
        flags = ("--web.enable-lifecycle", *flags)
        exporter = Exporter(folder / "config.yaml", folder / "ledger", log, flags)
        exporter.write(document)
        await exporter.start()
        try:
            await exporter.ready()
            yield exporter
        finally:
            await exporter.stop()


def value(samples: Samples, name: str, **labels: str) -> float:
    """The value of a sample; -1 where there is none."""
    return samples.get((name, tuple(sorted(labels.items()))), -1.0)


def reloaded(samples: Samples) -> tuple[float, float, float]:
    """What the metrics tell of the last reload: whether it succeeded, when one last did, and the hash."""
    name = "asynctask_exporter_config"
    return (
        value(samples, f"{name}_last_reload_successful"),
        value(samples, f"{name}_last_reload_success_timestamp_seconds"),
        value(samples, f"{name}_hash"),
    )


def named(document: Document, name: str) -> Document:
    """One source of a configuration."""
    found: Document = next(source for source in document["sources"] if source["name"] == name)
    return found


def document_of(simulation: Simulation, *names: str) -> Document:
    """The simulation's configuration, of some sources or of all."""
    told: Document = yaml.safe_load(simulation.config_yaml())
    return {"sources": [source for source in told["sources"] if not names or source["name"] in names]}


def courses(document: Document) -> list[Document]:
    """The document, changed in ten ways one after the other; pulp1 stays as it is all the time."""
    without = {
        name: [one for one in document["sources"] if one["name"] != name] for name in ("dataarts", "pulp")
    }
    faster = {**named(document, "epmware"), "stalled_after": "7m"}
    other = {**named(document, "pulp"), "max_task_series": 1999}
    more = {**named(document, "dataarts"), "operations": ["never_seen"], "keep": "10m", "keep_failed": "20m"}
    return [
        {"sources": [faster if one["name"] == "epmware" else one for one in document["sources"]]},
        {"sources": without["dataarts"]},
        document,
        {"sources": [other if one["name"] == "pulp" else one for one in document["sources"]]},
        {"sources": [faster if one["name"] == "epmware" else one for one in without["pulp"]]},
        {"sources": [*without["pulp"], other]},
        {"sources": [*without["dataarts"], more]},
        document,
        {"sources": [one for one in without["dataarts"] if one["name"] == "pulp1"]},
        document,
    ]


def gone_back(before: Samples, after: Samples) -> list[str]:
    """The counters that are smaller than they were, of sources that are there before and after."""
    counts = ("_total", "_count", "_bucket", "_sum")
    return [
        str(key) for key in before if key[0].endswith(counts) and after.get(key, before[key]) < before[key]
    ]


async def load(simulation: Simulation) -> None:
    """Launch tasks everywhere, until cancelled."""
    dice = Random(11)
    while True:
        for world in simulation.worlds.values():
            world.launch(dice.choice(world.workload.kinds).operation)
        await asyncio.sleep(dice.uniform(0.05, 0.25))


async def settled(simulation: Simulation, exporter: Exporter) -> tuple[Table, Table]:
    """What was counted and the truth, once they are the same, or in the end."""

    async def same() -> bool:
        unfinished = any(not run.status.is_final for run in simulation.truth())
        return not unfinished and observed(await scrape(exporter.url)) == expected(simulation.truth())

    with suppress(TimeoutError):  # The tables tell what is missing.
        await until("all is counted", same, seconds=300)
    return observed(await scrape(exporter.url)), expected(simulation.truth())


@pytest.mark.timeout(900)
async def test_ten_reloads_under_load_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    """Counters equal the truth and never go back; the source that stays the same is polled on time."""
    told_with_times = [replace(one.silent(), forms=dict.fromkeys(one.forms, (FULL,))) for one in WORKLOADS]
    simulation = Simulation(
        speed=10, keep=None, listed_for=timedelta(days=30), workloads=tuple(told_with_times)
    )
    async with simulation:
        document = document_of(simulation)
        async with exporting(tmp_path, document) as exporter:
            simulation.on_launch = Launcher(exporter.url).register
            loading = asyncio.create_task(load(simulation))
            before = await scrape(exporter.url)
            for number, course in enumerate(courses(document)):
                await asyncio.sleep(0.7)
                at = reloaded(before)[1]
                exporter.write(course)
                if number % 2:
                    assert await exporter.post() == (200, "")
                else:
                    exporter.hang_up()

                async def done(at: float = at) -> bool:
                    return reloaded(await scrape(exporter.url))[1] > at

                await until("it is reloaded", done)
                after = await scrape(exporter.url)
                assert gone_back(before, after) == []
                assert sources_in(after) == {one["name"] for one in course["sources"]}
                before = after
            loading.cancel()
            simulation.on_launch = None
            counted, truth = await settled(simulation, exporter)
            samples = await scrape(exporter.url)
        print("\n".join(report(counted, truth)))  # noqa: T201 - what it shows when it fails
        assert len(truth) > 10
        assert counted == truth
        lag = "asynctask_poll_lag_seconds"
        polls = value(samples, f"{lag}_count", source="pulp1")
        assert polls > 10
        assert value(samples, f"{lag}_bucket", source="pulp1", le="1.0") == polls
        assert "Traceback" not in (tmp_path / "log").read_text()


def sources_in(samples: Samples) -> set[str]:
    """The sources that any series is about."""
    return {dict(labels)["source"] for _, labels in samples if "source" in dict(labels)}


async def test_a_bad_file_changes_nothing_but_the_metric(tmp_path: Path) -> None:
    """500 and one log line for each mistake; what ran goes on; a good file makes it well again."""
    async with silent_simulation(speed=10) as simulation:
        world = simulation.worlds["pulp"]
        document = document_of(simulation, "pulp")
        async with exporting(tmp_path, document) as exporter:
            before = reloaded(await scrape(exporter.url))
            exporter.write({"sources": [{**document["sources"][0], "keep": "soon", "kep": 1}]})
            status, text = await exporter.post()
            mistakes = [
                f"{exporter.config}: sources[0].keep: 'soon' is not a duration such as '30s' or '5m'",
                f"{exporter.config}: sources[0].kep: unknown key; did you mean 'keep'?",
            ]
            assert (status, text) == (500, "failed to reload config: " + "\n".join(mistakes) + "\n")
            lines = [
                line for line in (tmp_path / "log").read_text().splitlines() if "Error reloading" in line
            ]
            assert [mistake in line for mistake, line in zip(mistakes, lines, strict=True)] == [True, True]
            assert reloaded(await scrape(exporter.url)) == (0, *before[1:])
            task = world.add(world.workload.kinds[0].operation, length=timedelta(seconds=0.5))

            async def counted() -> bool:
                operation = task.operation
                labels = {"source": "pulp", "operation": operation, "status": "success"}
                return value(await scrape(exporter.url), "asynctask_finished_total", **labels) == 1

            await until("the source is still watched", counted)
            exporter.write({"sources": [{**document["sources"][0], "keep": "20s"}]})
            assert await exporter.post() == (200, "")
            after = reloaded(await scrape(exporter.url))
            assert (after[0], after[1] > before[1], after[2] != before[2]) == (1, True, True)
            assert await counted()


async def test_it_reloads_by_itself_when_the_file_has_changed(tmp_path: Path) -> None:
    """Once for each change of the text, be it good or bad; not when the file is only written again."""
    async with silent_simulation(speed=10) as simulation:
        document = document_of(simulation, "pulp", "pulp1")
        flags = ("--config.enable-auto-reload", "--config.auto-reload-interval=200ms")
        async with exporting(tmp_path, document, *flags) as exporter:
            before = reloaded(await scrape(exporter.url))
            exporter.write(document)
            exporter.write({"sources": []})

            async def successful(expected: float) -> bool:
                return reloaded(await scrape(exporter.url))[0] == expected

            await until("the bad file is seen", lambda: successful(0))
            exporter.write({"sources": [named(document, "pulp1")]})
            await until("the good file is seen", lambda: successful(1))
            samples = await scrape(exporter.url)
            assert sources_in(samples) == {"pulp1"}
            assert reloaded(samples)[1] > before[1]
            log = (tmp_path / "log").read_text()
            assert (log.count("Error reloading config"), log.count('"Loaded config file"')) == (1, 2)


async def test_what_takes_a_restart_is_said(tmp_path: Path) -> None:
    """Buckets stay as they were until then; the rest is in use, and shown so."""
    async with silent_simulation(speed=10) as simulation:
        document = document_of(simulation, "pulp")
        async with exporting(tmp_path, document) as exporter:
            changed = {"metrics": {"duration_buckets": [1, 2]}, "storage": {"retention": "30d"}}
            exporter.write({"sources": [{**document["sources"][0], "keep": "20s"}], **_floats(changed)})
            assert await exporter.post() == (200, "")
            (line,) = [
                line for line in (tmp_path / "log").read_text().splitlines() if "takes a restart" in line
            ]
            assert "level=WARN" in line
            assert "metrics" in line
            assert "storage" not in line
            assert "alerting" not in line
            async with aiohttp.ClientSession() as session, session.get(f"{exporter.url}/config") as page:
                shown = await page.text()
            assert "keep: 20s" in shown
            assert "retention: 30d" in shown
            assert "- 2.0\n" not in shown


def _floats(document: Document) -> Document:
    buckets = document["metrics"]["duration_buckets"]
    return {**document, "metrics": {"duration_buckets": [float(bound) for bound in buckets]}}


async def test_the_environment_is_expanded_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start and at each reload; a variable that is missing keeps the old configuration."""
    async with silent_simulation(speed=10) as simulation:
        document = document_of(simulation, "pulp")
        (source,) = document["sources"]
        monkeypatch.setenv("TEST_PULP_URL", source["url"])
        monkeypatch.setenv("TEST_PULP_PASSWORD", source["basic_auth"]["password"])
        source |= {
            "url": "$TEST_PULP_URL",
            "basic_auth": {**source["basic_auth"], "password": "${TEST_PULP_PASSWORD}"},
        }
        async with exporting(tmp_path, document, "--config.expand-environment-variables") as exporter:

            async def up() -> bool:
                return (
                    value(await scrape(exporter.url), "asynctask_source_up", source="pulp", api="pulp") == 1
                )

            await until("it is asked with what the variables say", up)
            exporter.write({"sources": [{**source, "labels": {"team": "$TEST_NO_SUCH_TEAM"}}]})
            status, text = await exporter.post()
            assert status == 500
            assert "labels.team: environment variable TEST_NO_SUCH_TEAM is not set" in text
            assert os.environ["TEST_PULP_PASSWORD"] not in (tmp_path / "log").read_text()


async def test_a_hang_up_never_ends_it(tmp_path: Path) -> None:
    """However early it comes, and when it is about to end anyway."""
    async with silent_simulation() as simulation:
        config = tmp_path / "config.yaml"
        with (tmp_path / "log").open("wb") as log:
            exporter = Exporter(config, tmp_path / "ledger", log, ())
            exporter.write(document_of(simulation, "pulp"))
            await exporter.start()

            async def begun() -> bool:
                return "Starting asynctask-exporter" in (tmp_path / "log").read_text()

            await until("it has begun", begun)
            exporter.hang_up()
            await exporter.ready()
            for _ in range(20):
                exporter.hang_up()
            await exporter.stop()
        assert "Traceback" not in (tmp_path / "log").read_text()


def notifying(document: Document, real: AlertmanagerServer, webhook: str, delay: str) -> Document:
    """The configuration with an Alertmanager and a webhook, which both are others with another delay."""
    targets = [{"static_configs": [{"targets": [real.address]}]}]
    hooks = [{"name": "events", "url": webhook}]
    return {**document, "alerting": {"alertmanagers": targets, "webhooks": hooks, "resend_delay": delay}}


async def test_each_failure_is_told_once_while_receivers_change(tmp_path: Path) -> None:
    """Nothing is lost or told twice by a real Alertmanager and a webhook, nor told to who has gone."""
    async with (
        WebhookReceiver() as pager,
        AlertmanagerServer(alertmanager_config(pager)) as real,
        Receiver() as receiver,
        silent_simulation(speed=10) as simulation,
    ):
        document, failed = document_of(simulation, "epmware"), list[str]()

        async def fail() -> None:
            short = timedelta(milliseconds=100)
            failed.append(simulation.worlds["epmware"].add("import", outcome=Status.ERROR, length=short).id)
            await simulation.hand_over()

        async def all_told() -> bool:
            paged = [told.labels["task_id"] for told in pager.told(status="error")]
            return set(failed) == set(receiver.subjects()) == set(paged)

        async with exporting(tmp_path, notifying(document, real, "http://127.0.0.1:9", "60s")) as exporter:
            await fail()
            await fails(exporter, "webhook/events")
            for number in range(10):
                await fail()
                exporter.write(notifying(document, real, f"{receiver.url}/{number % 2}", f"{60 + number}s"))
                assert await exporter.post() == (200, "")
            await until("everybody is told of everything", all_told)
            assert sorted(receiver.subjects()) == sorted(failed)
            firing = [told for told in pager.told(status="error") if told.status == "firing"]
            assert sorted(told.labels["task_id"] for told in firing) == sorted(failed)
            await nobody_is_told(exporter, document, fail)
        assert len(receiver.asked) == len(failed) - 1


async def nobody_is_told(exporter: Exporter, document: Document, fail: Callable[[], Awaitable[None]]) -> None:
    """Take the receivers out: their series go, and one more failure is counted only."""
    exporter.write(document)
    assert await exporter.post() == (200, "")
    before = failures(await scrape(exporter.url))
    await fail()

    async def counted() -> bool:
        return failures(await scrape(exporter.url)) == before + 1

    await until("it is counted", counted)
    assert not [name for name, labels in await scrape(exporter.url) if "receiver" in dict(labels)]
    log = (exporter.config.parent / "log").read_text()
    assert 'msg="A receiver is told no more" receiver=webhook/events dropped=0' in log
    assert "Traceback" not in log


def failures(samples: Samples) -> int:
    """How many tasks are counted as failed."""
    return sum(one.finished for (_, _, status), one in observed(samples).items() if status == "error")


async def fails(exporter: Exporter, receiver: str) -> None:
    """Wait until a receiver has failed."""

    async def failed() -> bool:
        samples = await scrape(exporter.url)
        return value(samples, "asynctask_notifications_errors_total", receiver=receiver) > 0

    await until(f"{receiver} fails", failed)
