"""A loop, a counter and the log, new for each test of discovery."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.discovery.fakes import Failures, Loop


@pytest.fixture
def loop() -> Loop:
    """A loop that has not begun."""
    return Loop()


@pytest.fixture
def failures() -> Failures:
    """A counter at zero."""
    return Failures()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged during the test, line by line."""
    with capture_logs() as lines:
        yield lines
