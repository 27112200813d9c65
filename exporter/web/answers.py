"""Answers of the JSON API, in the envelope of Prometheus' own."""

import json

from aiohttp import web

ERROR_TYPES = {
    400: "bad_data",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    429: "limit_exceeded",
    503: "unavailable",
}


def success(data: object, *, status: int = 200) -> web.Response:
    """Answer with what was asked for."""
    return _envelope(status, {"status": "success", "data": data})


def failure(status: int, reason: str) -> web.Response:
    """Answer with the reason why not."""
    kind = ERROR_TYPES.get(
        status, "internal" if status >= web.HTTPInternalServerError.status_code else "bad_data"
    )
    return _envelope(status, {"status": "error", "errorType": kind, "error": reason})


def _envelope(status: int, content: object) -> web.Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")
