"""What is peculiar to EPMware."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.apis.base import Answer, KeepsLogs, Lists
from exporter.apis.epmware import Epmware, EpmwareOptions, parse
from exporter.errors import (
    Malformed,
    NoLog,
    RateLimited,
    Rejected,
    ServerFailed,
    SourceError,
    TaskNotFound,
    Unauthorized,
)
from exporter.model import Status, Task
from tests.apis.fake_http import NOW, FakeHttp, answer, recorded

STATUS = "service/api/task/get_status/"
LOG = "service/api/task/get_log_file/"
EXECUTIONS = "service/api/export/get_execution_details"


async def fetched(told: Answer, task_id: str = "244591") -> Task:
    """Fetch the one task that a server knows."""
    return await Epmware(FakeHttp({STATUS + task_id: told}), EpmwareOptions()).fetch(task_id)


async def log_of(told: Answer) -> str:
    """Fetch the one log that a server has."""
    return await Epmware(FakeHttp({LOG + "13784": told}), EpmwareOptions()).fetch_log("13784")


def exporting(*profiles: str) -> EpmwareOptions:
    """Options with export profiles."""
    return EpmwareOptions(export_profiles=profiles)


async def test_a_success() -> None:
    """Everything that the guide's first sample tells is read."""
    assert await fetched(recorded("epmware/success.json")) == Task(
        id="244591",
        status=Status.SUCCESS,
        word="S",
        progress=1.0,
        message="Import completed successfully",
        started_at=datetime(2025, 1, 15, 10, 0, tzinfo=UTC),
        finished_at=datetime(2025, 1, 15, 10, 5, 32, tzinfo=UTC),
        duration=timedelta(minutes=5, seconds=32),
        run="#0",
    )


async def test_a_running_task_tells_its_records() -> None:
    """The percentage is a text, the records are numbers."""
    task = await fetched(recorded("epmware/running.json"), "244592")
    assert (task.status, task.progress, task.processed, task.expected) == (Status.RUNNING, 0.45, 4500, 10_000)


async def test_a_failed_task_is_no_unknown_task() -> None:
    """An E with a percentage is a task that failed, with its code."""
    task = await fetched(recorded("epmware/failed.json"), "244593")
    assert (task.status, task.error_code, task.progress) == (Status.ERROR, "IMP_001", 0.0)


@pytest.mark.parametrize(
    ("name", "status", "progress"),
    [
        ("new_waiting", Status.PENDING, 0.0),
        ("new_running", Status.RUNNING, 0.3),
        ("words_running", Status.RUNNING, 0.45),
        ("warning", Status.WARNING, 1.0),
    ],
)
async def test_all_published_alphabets_are_read(name: str, status: Status, progress: float) -> None:
    """N S E of 2026, P R S E W C before, words elsewhere; N with progress is running; W has ended."""
    task = await fetched(recorded(f"epmware/{name}.json"))
    assert (task.status, task.progress) == (status, progress)
    assert task.status.is_final is (name == "warning")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("P", Status.PENDING),
        ("C", Status.CANCELLED),
        ("s", Status.SUCCESS),
        ("Success", Status.SUCCESS),
        ("FAILED", Status.ERROR),
        ("ROLLED_BACK", Status.ERROR),
        ("rolled back", Status.ERROR),
        ("IMP", Status.UNKNOWN),
        ("VALD", Status.UNKNOWN),
        ("", Status.UNKNOWN),
    ],
)
def test_status_words(word: str, status: Status) -> None:
    """Letters and words in any case; the sub-status codes of the old guide are unknown, not guessed."""
    task = parse({"status": word, "percentCompleted": "50"}, "1")
    assert (task.status, task.word) == (status, word)


@pytest.mark.parametrize(
    "told",
    [
        recorded("epmware/unknown_task.json"),
        recorded("epmware/unknown_task.json", 404),
        recorded("epmware/unknown_task_404.json"),
        recorded("epmware/unknown_task_404.json", 404),
        answer({"status": "E", "message": "No such task 7"}, 404),
    ],
)
async def test_an_unknown_task_is_no_failed_task(told: Answer) -> None:
    """An E without a percentage that speaks of no such task is one, with 200 as well as with 404."""
    with pytest.raises(TaskNotFound):
        await fetched(told)


@pytest.mark.parametrize(
    "told",
    [
        {"status": "E", "message": "Task not found in the flow"},
        {"status": "E", "message": "Task not found", "percentCompleted": "10"},
        {"status": "E", "message": "Task not found", "percentComplete": 10},
    ],
)
async def test_any_other_error_is_a_failed_task(told: object) -> None:
    """Only the documented words or the code, and no percentage, make an E an unknown task."""
    assert (await fetched(answer(told))).status is Status.ERROR


async def test_a_missing_page_is_no_unknown_task() -> None:
    """A 404 that EPMware did not write means a wrong url; it must not look like lost tasks."""
    with pytest.raises(Rejected, match="HTTP 404: Not Found"):
        await fetched(answer(b"<html><title>Not Found</title></html>", 404))


async def test_the_id_of_a_failed_submission_is_not_asked_for() -> None:
    """EPMware answers id 0 where it started nothing."""
    http = FakeHttp({})
    with pytest.raises(TaskNotFound, match="failed submission"):
        await Epmware(http, EpmwareOptions()).fetch("0")
    assert not http.requests


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (recorded("epmware/unauthorized.json", 401), Unauthorized),
        (recorded("epmware/forbidden.json", 403), Unauthorized),
        (recorded("epmware/rate_limited.json", 429, Retry_After="30"), RateLimited),
    ],
)
async def test_errors_about_the_request_are_no_tasks(told: Answer, kind: type[SourceError]) -> None:
    """Bodies with status E beside 401, 403 and 429 speak of us, not of a task or a missing log."""
    with pytest.raises(kind):
        await fetched(told)
    with pytest.raises(kind):
        await log_of(told)


def test_an_end_before_the_start_is_kept_as_told() -> None:
    """Contradictions are for the core to judge; nothing is made up here."""
    task = parse({"status": "S", "startTime": "2025-01-15T10:00:05", "endTime": "2025-01-15T10:00:00"}, "1")
    assert task.started_at is not None
    assert task.finished_at is not None
    assert task.finished_at - task.started_at == timedelta(seconds=-5)


async def test_a_log_is_text() -> None:
    """The log comes as it is."""
    assert (await log_of(recorded("epmware/log.txt"))).startswith("Task ID: 244591\n")


async def test_a_log_in_another_encoding_is_still_read() -> None:
    """What is not UTF-8 is replaced, never refused."""
    log = await log_of(recorded("epmware/log_latin1.txt", Content_Type="application/octet-stream"))
    assert "Soci\ufffdt\ufffd" in log


@pytest.mark.parametrize(
    "told",
    [
        recorded("epmware/no_log.json", 404),
        recorded("epmware/no_log.json"),
        answer(b""),
        answer(b" \n"),
        answer(b"not there", 404, content_type="text/plain"),
    ],
)
async def test_a_log_that_is_not_there_yet(told: Answer) -> None:
    """A 404, an empty body and an error in JSON all say that there is no log."""
    with pytest.raises(NoLog, match="no log of task '13784'"):
        await log_of(told)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (answer(b"<html>proxy</html>", 502), ServerFailed),
        (answer(b"<html>front page</html>"), Malformed),
        (answer(b"<html>no such page</html>", 404), Rejected),
    ],
)
async def test_a_page_is_no_log(told: Answer, kind: type[SourceError]) -> None:
    """What a proxy shows instead is not taken for a log."""
    with pytest.raises(kind):
        await log_of(told)


def test_only_configured_profiles_are_listed() -> None:
    """EPMware lists no tasks; without export profiles the poller is told so."""
    http = FakeHttp({})
    plain, profiled = Epmware(http, EpmwareOptions()), Epmware(http, exporting("ASO"))
    assert isinstance(plain, Lists)
    assert isinstance(plain, KeepsLogs)
    assert (plain.lists, profiled.lists) == (False, True)


async def test_the_executions_of_an_export_profile() -> None:
    """Rows become exports; those without a task behind them are passed over, old ones left out.

    The moment since when counts: what ended at that very moment is listed.
    """
    http = FakeHttp({f"{EXECUTIONS}?name=ASO&latest_only=N": recorded("epmware/executions.json")})
    listing = await Epmware(http, exporting("ASO")).list(datetime(2026, 3, 5, 2, 53, 10, tzinfo=UTC))
    assert [(task.id, task.status) for task in listing.tasks] == [
        ("13440", Status.ERROR),
        ("13444", Status.RUNNING),
    ]
    assert listing.tasks[0] == Task(
        id="13440",
        status=Status.ERROR,
        word="E",
        operation="export",
        name="ASO",
        message="Export failed",
        started_at=datetime(2026, 3, 5, 2, 52, tzinfo=UTC),
        finished_at=datetime(2026, 3, 5, 2, 53, 10, tzinfo=UTC),
        run="#0",
    )
    assert (listing.as_of, listing.complete) == (NOW, False)


async def test_each_profile_is_asked_for() -> None:
    """Several profiles make one listing; a profile that never ran adds nothing."""
    http = FakeHttp(
        {
            f"{EXECUTIONS}?name=ASO&latest_only=N": recorded("epmware/executions.json"),
            f"{EXECUTIONS}?name=HFM+flat&latest_only=N": recorded("epmware/executions_none.json"),
        }
    )
    listing = await Epmware(http, exporting("ASO", "HFM flat")).list(datetime(2020, 1, 1, tzinfo=UTC))
    assert [task.id for task in listing.tasks] == ["13436", "13440", "13444"]
    assert len(http.requests) == 2


async def test_a_profile_that_does_not_exist_is_told() -> None:
    """A mistyped profile shows as EPMware's own words, not as an empty list."""
    http = FakeHttp({EXECUTIONS: recorded("epmware/unknown_profile.json")})
    with pytest.raises(Rejected, match=r"Invalid Export Profile Name : \[NONE\]"):
        await Epmware(http, exporting("NONE")).list(NOW)


async def test_executions_in_another_shape_are_malformed() -> None:
    """An envelope that is none is told as such."""
    http = FakeHttp({EXECUTIONS: answer([1, 2])})
    with pytest.raises(Malformed):
        await Epmware(http, exporting("ASO")).list(NOW)


def test_the_pace_stays_below_the_documented_limit() -> None:
    """The guide allowed 100 requests a minute."""
    assert Epmware.pace.requests_per_second * 60 < 100


async def test_a_refused_listing_repeats_no_secret() -> None:
    """EPMware refuses a listing in its own words, with status 200; what it was told is blotted out."""
    told = answer({"status": "E", "message": "nobody knows hush"})
    http = FakeHttp({None: replace(told, hide=lambda words: words.replace("hush", "<secret>"))})
    with pytest.raises(Rejected, match=r"nobody knows <secret>$"):
        await Epmware(http, exporting("NONE")).list(NOW)
