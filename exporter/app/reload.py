"""Takes the configuration file into use again: by a signal, over HTTP, or because it has changed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from exporter.clock import Clock
from exporter.config import Config, ConfigFile
from exporter.errors import ConfigError, StorageError
from exporter.metrics.own import ExporterStats

Mistakes = tuple[str, ...]
"""What is wrong, one line each; none if the file is in use now."""
Use = Callable[[Config], Awaitable[None]]
"""Takes a configuration into use; raises ConfigError or StorageError if that cannot be."""
_NO_FILE = ("there is no configuration file to load",)
_TOO_LATE = ("the exporter is about to end",)


class Reloader:
    """Reloads one time after the other; whoever asks while one waits for its turn is answered by that one.

    Args:
        file: what is loaded; None if there is none, as in the demonstration.
        use: takes what was loaded into use.
        numbers: keeps whether and when that succeeded.
        clock: tells when.
        sleep: waits between two looks at the file.
    """

    def __init__(
        self,
        file: ConfigFile | None,
        use: Use,
        numbers: ExporterStats,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = file
        self._use = use
        self._numbers = numbers
        self._clock = clock
        self._sleep = sleep
        self._log = structlog.get_logger()
        self._waiting: deque[asyncio.Future[Mistakes]] = deque()
        self._asked = asyncio.Event()
        self._ended = False
        self._unused = False
        """Whether the file is fine, but could not be taken into use."""

    def ask(self) -> asyncio.Future[Mistakes]:
        """Ask for a reload that begins from now on; nobody has to wait for its result."""
        answer: asyncio.Future[Mistakes] = asyncio.get_running_loop().create_future()
        if self._ended:
            answer.set_result(_TOO_LATE)
        else:
            self._waiting.append(answer)
            self._asked.set()
        return answer

    async def run(self) -> None:
        """Reload when asked to, until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                answered = len(self._waiting)
                self._answer(answered, await self._reload())
        finally:
            self._ended = True
            self._answer(len(self._waiting), _TOO_LATE)

    async def follow(self, interval: float) -> None:
        """Ask for a reload whenever the file has changed; look every so many seconds, until cancelled."""
        while self._file is not None:
            await self._sleep(interval)
            if self._unused or await asyncio.to_thread(self._file.has_changed):
                self._log.info("The configuration file has changed, reloading it")
                await self.ask()

    def _answer(self, number: int, mistakes: Mistakes) -> None:
        for _ in range(number):
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(mistakes)

    async def _reload(self) -> Mistakes:
        mistakes = _NO_FILE if self._file is None else await self._load_and_use(self._file)
        self._numbers.reload_successful = not mistakes
        for mistake in mistakes:
            self._log.error("Error reloading config", err=mistake)
        return mistakes

    async def _load_and_use(self, file: ConfigFile) -> Mistakes:
        self._unused = False
        try:
            configuration = await asyncio.to_thread(_load, file)
            await self._use(configuration)
        except ConfigError as error:
            return error.mistakes
        except StorageError as error:
            self._unused = True
            return (str(error),)
        self._numbers.reloaded_at = self._clock.now()
        self._log.info("Loaded config file", file=str(file.path))
        return ()


def _load(file: ConfigFile) -> Config:
    """Load it, whatever a stranger's API module does while its options are read."""
    try:
        return file.load()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError([f"{file.path}: cannot be read ({type(error).__name__}: {error})"]) from error
