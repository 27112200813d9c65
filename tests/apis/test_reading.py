"""Odd values, read in one place."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.apis import reading
from exporter.apis.base import Answer
from exporter.errors import (
    Malformed,
    RateLimited,
    Rejected,
    ServerFailed,
    SourceError,
    TaskNotFound,
    Unauthorized,
)
from exporter.model import Status
from tests.apis.fake_http import NOW, answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
READERS = (
    reading.text,
    reading.traceback,
    reading.percent,
    reading.count,
    reading.iso8601,
    reading.epoch_ms,
    reading.hms,
    reading.mapping,
    reading.objects,
)


@given(JSON)
def test_no_value_is_so_odd_that_it_cannot_be_read(value: object) -> None:
    """Whatever JSON may hold, a reader gives its type or "not told", never an error."""
    for read in READERS:
        read(value)
    reading.fraction(value, value)


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        ("45", 0.45),
        (45, 0.45),
        (45.5, 0.455),
        (" 45 % ", 0.45),
        ("0", 0.0),
        ("100", 1.0),
        (253, 1.0),
        (-3, 0.0),
        ("", None),
        (None, None),
        (True, None),
        ("half", None),
        ([45], None),
        (float("nan"), None),
        ("inf", None),
        (10**400, None),
    ],
)
def test_percent(value: object, ratio: float | None) -> None:
    """A percentage is read as a ratio, clamped to 0 and 1."""
    assert reading.percent(value) == ratio


@pytest.mark.parametrize(
    ("done", "total", "ratio"),
    [
        (504, 3000, 0.168),
        ("2", "4", 0.5),
        (5, 4, 1.0),
        (-1, 4, 0.0),
        (0, 4, 0.0),
        (0, 0, None),
        (4, None, None),
        (None, 4, None),
        (1, -4, None),
    ],
)
def test_fraction(done: object, total: object, ratio: float | None) -> None:
    """A part of a whole is a ratio; nothing of nothing is unknown, not everything."""
    assert reading.fraction(done, total) == ratio


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (4500, 4500),
        ("8769", 8769),
        ("0", 0),
        (4500.0, 4500),
        (-1, None),
        ("", None),
        (True, None),
        (2**64, None),
    ],
)
def test_count(value: object, number: int | None) -> None:
    """A count is a number or a text of digits, and never more than a database holds."""
    assert reading.count(value) == number


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2025-01-15T10:00:00Z", datetime(2025, 1, 15, 10, tzinfo=UTC)),
        ("2025-01-15T10:00:00", datetime(2025, 1, 15, 10, tzinfo=UTC)),
        ("2025-01-15 10:00:00", datetime(2025, 1, 15, 10, tzinfo=UTC)),
        (" 2025-01-15t10:00:00z ", datetime(2025, 1, 15, 10, tzinfo=UTC)),
        ("2012-01-05T03:15:00-05:00", datetime(2012, 1, 5, 8, 15, tzinfo=UTC)),
        ("2026-11-21T18:04:31.502330Z", datetime(2026, 11, 21, 18, 4, 31, 502330, tzinfo=UTC)),
        ("2026-11-21T18:04:31.502330123Z", datetime(2026, 11, 21, 18, 4, 31, 502330, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("23-MAR-2026 13:09:52", None),
        ("tomorrow", None),
        ("", None),
        (None, None),
        (0, None),
    ],
)
def test_iso8601(value: object, moment: datetime | None) -> None:
    """Times are aware and in UTC; zeros, "never" and garbage are not told."""
    found = reading.iso8601(value)
    assert found == moment
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1543457499000, datetime(2018, 11, 29, 2, 11, 39, tzinfo=UTC)),
        ("1543457499000", datetime(2018, 11, 29, 2, 11, 39, tzinfo=UTC)),
        (1543457499250, datetime(2018, 11, 29, 2, 11, 39, 250000, tzinfo=UTC)),
        (0, None),
        (None, None),
        (-1, None),
        (1543457499, None),
        (1543457499000000, None),
        (10**30, None),
        ("soon", None),
    ],
)
def test_epoch_ms(value: object, moment: datetime | None) -> None:
    """Milliseconds are times; zeros and other units are not told rather than told wrong."""
    assert reading.epoch_ms(value) == moment


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("00:05:32", 332),
        ("0:00:00", 0),
        ("30:00:00", 108_000),
        ("1 day, 02:03:04", 93_784),
        ("2 days, 0:00:01.250", 172_801),
        ("-1 day, 23:59:59", None),
        ("00:61:00", None),
        ("5 minutes", None),
        ("", None),
        (332, None),
        (None, None),
    ],
)
def test_hms(value: object, seconds: int | None) -> None:
    """Durations may exceed a day, in either spelling, and are never negative."""
    assert reading.hms(value) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        ("  Failed to read. ", "Failed to read."),
        (13436, "13436"),
        (1.5, "1.5"),
        (["a"], ""),
        ({"a": 1}, ""),
        ("nul\0byte", "nulbyte"),
        ("half \ud800 a pair", "half ? a pair"),
        ("x" * 2001, "x" * 1997 + "..."),
    ],
)
def test_text(value: object, words: str) -> None:
    """Text is clean: stripped, capped, and without what a database or UTF-8 refuses."""
    assert reading.text(value) == words


@pytest.mark.parametrize(
    ("words", "safe"),
    [
        ("url='https://admin:hunter2@pulp.example.com/x'", "url='https://***@pulp.example.com/x'"),
        ("Authorization: Token 15388ad5-c9af-4cf3", "Authorization: Token ***"),
        ("authorization=Bearer eyJ0eXAiOiJKV1Qi0", "authorization=Bearer ***"),
        ('{"password": "hunter2hunter"}', '{"password": "***"}'),
        ("retry with password=hunter and pray", "retry with password=*** and pray"),
        ("X-Auth-Token: MIIDkgYJKoZIhvcNAQcCoIIDgz", "X-Auth-Token: ***"),
        ("access_key=AKIAIOSFODNN7", "access_key=***"),
        ("duplicate key value 20260101", "duplicate key value 20260101"),
        ("Token is invalid or has been revoked", "Token is invalid or has been revoked"),
        ("Invalid username/password.", "Invalid username/password."),
        ("token expires, expires_at: 2026", "token expires, expires_at: 2026"),
        ("Import from obs://aaaaa/traffic.zip", "Import from obs://aaaaa/traffic.zip"),
    ],
)
def test_credentials_are_blotted_out(words: str, safe: str) -> None:
    """What looks like a credential leaves no trace; what only speaks of one stays readable."""
    assert reading.text(words) == safe


def test_a_traceback_may_be_text_or_lines_and_keeps_its_end() -> None:
    """Both shapes read alike, and the last lines survive the cap."""
    lines = ["Traceback:\n", "  File one\n", "ValueError: no"]
    assert reading.traceback(lines) == reading.traceback("".join(lines)) == "".join(lines)
    assert reading.traceback("x" * 9000 + "ValueError", cap=20) == "..." + "xxxxxxx" + "ValueError"
    assert reading.traceback(None) == ""


@pytest.mark.parametrize("word", ["timed_out", "timed out", "TIMED-OUT", " Timed Out "])
def test_status_words_differ_in_spelling_only(word: str) -> None:
    """Case does not count, and ``-``, ``_`` and blank are one."""
    assert reading.status({"timed out": Status.TIMED_OUT}, word) is Status.TIMED_OUT


@pytest.mark.parametrize("word", ["", "$UNKNOWN", "2147483647", "timedout"])
def test_a_word_that_nobody_knows_is_unknown(word: str) -> None:
    """No guess is made at a word that is not in the table."""
    assert reading.status({"timed out": Status.TIMED_OUT}, word) is Status.UNKNOWN


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sat, 21 Nov 2026 18:07:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 18:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("", None),
        (None, None),
        ("9" * 400, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds and dates both count; garbage and what has passed make nobody wait."""
    assert reading.retry_after(value, NOW) == seconds


def test_a_date_to_retry_after_needs_a_clock() -> None:
    """Without the server's time its date tells no number of seconds."""
    assert reading.retry_after("Sat, 21 Nov 2026 18:07:00 GMT", None) is None


def test_http_date() -> None:
    """The one date format of HTTP, in UTC; anything else is not told."""
    assert reading.http_date("Sat, 21 Nov 2026 18:06:00 GMT") == NOW
    assert reading.http_date("Sat, 21 Nov 2026 18:06:00 -0000") == NOW
    assert [reading.http_date(value) for value in (None, "", "0", "soon")] == [None] * 4


@pytest.mark.parametrize(
    "error", [KeyError("id"), TypeError("x"), AttributeError("x"), ValueError("x"), IndexError()]
)
def test_a_parse_that_stumbles_says_that_the_document_is_malformed(error: Exception) -> None:
    """Used as a decorator and as a guard, ``document`` tells what was unexpected."""

    @reading.document
    def parse() -> None:
        raise error

    with pytest.raises(Malformed, match=f"unexpected document: {type(error).__name__}"):
        parse()
    with pytest.raises(Malformed), reading.document:
        raise error


def test_our_own_errors_pass_a_parse_unchanged() -> None:
    """A parse may say precisely what is wrong."""
    with pytest.raises(Rejected, match="said so"), reading.document:
        raise Rejected("said so")


@pytest.mark.parametrize("task_id", ["", ".", ".."])
def test_an_id_that_would_name_another_path_is_refused(task_id: str) -> None:
    """Dots alone climb to another address, so they never reach the wire."""
    with pytest.raises(TaskNotFound):
        reading.segment(task_id)


def test_an_id_is_quoted_as_one_segment() -> None:
    """Slashes, question marks and half surrogates in an id stay in it."""
    assert reading.segment("../a?b#c%2F\ud800") == "..%2Fa%3Fb%23c%252F%3F"


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (answer({"detail": "no"}, 401), Unauthorized, 'HTTP 401: {"detail": "no"}'),
        (answer({"detail": "no"}, 403), Unauthorized, 'HTTP 403: {"detail": "no"}'),
        (answer({}, 429, retry_after="7"), RateLimited, "HTTP 429: {}"),
        (answer(b"", 503, retry_after="7"), ServerFailed, "HTTP 503"),
        (answer(b"<html><h1>Bad\n Gateway</h1></html>", 502), ServerFailed, "HTTP 502: Bad Gateway"),
        (answer(b"404 page not found\n", 404), Rejected, "HTTP 404: 404 page not found; check the url"),
        (answer(b"", 404), Rejected, "HTTP 404: check the url"),
        (answer(b"x" * 900, 418), Rejected, "HTTP 418: " + "x" * 157 + "..."),
        (
            answer(b"", 302, Location="/login?token=abc"),
            Rejected,
            "HTTP 302: a redirect to /login, which is not followed; check the url",
        ),
        (answer(b"<html>hello</html>"), Malformed, "HTTP 200: expected JSON, got an HTML page"),
        (
            answer(b"<!DOCTYPE html><form><input type='password'></form>"),
            Unauthorized,
            "HTTP 200: expected JSON, got a login page",
        ),
        (answer(b"pong", 200), Malformed, "HTTP 200: expected JSON, got 'pong'"),
        (answer(b"", 204), Malformed, "HTTP 204: expected JSON, got ''"),
    ],
)
def test_refusals(given: Answer, kind: type[SourceError], told: str) -> None:
    """Each answer that is not what we asked for becomes one error, on one line."""
    error = reading.refusal(given)
    assert type(error) is kind
    assert str(error) == told
    assert error.retry_after == (7.0 if "retry-after" in given.headers else None)


def test_a_refusal_shows_no_credential() -> None:
    """An API that repeats our token in its error does not make us repeat it."""
    error = reading.refusal(answer({"message": "bad header Authorization: Token 15388ad5-c9af"}, 401))
    assert "15388ad5" not in str(error)


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "application/octet-stream"])
def test_json_is_known_by_its_content(content_type: str) -> None:
    """Content-Type is not believed either way."""
    assert reading.content(answer({"status": "S"}, content_type=content_type)) == {"status": "S"}


def test_json_with_a_bad_status_is_still_a_refusal() -> None:
    """A body that reads well does not make a 500 a success."""
    with pytest.raises(ServerFailed):
        reading.content(answer({"status": "S"}, 500))
