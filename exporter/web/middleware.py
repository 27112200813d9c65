"""What holds for every answer: headers that keep browsers safe, no traceback, and a line in the debug log."""

import time
from collections.abc import Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from structlog.typing import FilteringBoundLogger

from exporter.web import answers

_log: FilteringBoundLogger = structlog.get_logger()

CONTENT_SECURITY_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_KEPT = {"Retry-After", "WWW-Authenticate"}
"""Headers of a refusal that its answer has as well."""


async def secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the security headers that the handler has not set itself; tell no versions."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)


def guard(failed: Callable[[], None], prefix: str = "") -> Middleware:
    """Turn whatever a handler raises into an answer.

    Args:
        failed: called for each defect of ours.
        prefix: what all paths begin with.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            return _refuse(request, refusal, prefix)
        except Exception:  # The edge of a request: its client gets an answer, whatever broke.
            failed()
            _log.exception("Request failed", method=request.method, path=request.path)
            if request.writer.output_size > 0:
                raise  # An answer has begun; aiohttp closes the connection.
            status = web.HTTPInternalServerError.status_code
            return _answer(request, status, "internal error; see the exporter's log", prefix)

    return guarded


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write a line for every request, at debug level."""
    started = time.perf_counter()
    response = await handler(request)
    _log.debug(
        "Request",
        method=request.method,
        path=request.path,
        status=response.status,
        remote=client_address(request),
        seconds=round(time.perf_counter() - started, 6),
    )
    return response


def client_address(request: web.Request) -> str:
    """The client's IP address; one of IPv4 in its own form, on sockets for both families too."""
    return (request.remote or "").removeprefix("::ffff:")


def _refuse(request: web.Request, refusal: web.HTTPException, prefix: str) -> web.Response:
    response = _answer(request, refusal.status, refusal.text or refusal.reason, prefix)
    for name in _KEPT & refusal.headers.keys():
        response.headers[name] = refusal.headers[name]
    if isinstance(refusal, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(refusal.allowed_methods))
    return response


def _answer(request: web.Request, status: int, reason: str, prefix: str) -> web.Response:
    if request.path.startswith(f"{prefix}/api/"):
        return answers.failure(status, reason)
    return web.Response(status=status, text=f"{reason}\n")
