"""A trivial server of EPMware's ``get_status``, in a process of its own whose time is not counted."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_BODY = (
    b'{"taskId": "%b", "status": "R", "percentCompleted": "%d", "message": "Processing records...",'
    b' "startTime": "%b", "recordsProcessed": %d, "totalRecords": 1000000}'
)


class _Answering(asyncio.Protocol):
    """Answers whatever is asked with a task that has run for an hour and has moved since the last answer."""

    answered = 0
    began = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ").encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for request in data.split(b"\r\n\r\n")[:-1]:
            _Answering.answered += 1
            task_id = request.split(b" ", 2)[1].rsplit(b"/", 1)[1]
            body = _BODY % (task_id, self.answered % 100, self.began, self.answered)
            self._transport.write(_HEAD % len(body) + body)  # type: ignore[attr-defined]


@contextmanager
def serving() -> Iterator[str]:
    """Start the server; yield its URL; stop it."""
    command = [sys.executable, "-m", "bench.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own code
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
