"""Answers so many requests and no more: a token bucket, as in Prometheus' exporter-toolkit."""

import math
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.web.settings import RateLimit, WebSettings


class TokenBucket:
    """Full at first; each request takes a token, and one comes back each interval."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float]) -> None:
        """Take the limit, and what tells seconds that only run forward."""
        self.limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._filled = clock()

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = self._clock()
        self._tokens = min(self.limit.burst, self._tokens + (now - self._filled) / self.limit.interval)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def limit_requests(
    current: Callable[[], WebSettings], clock: Callable[[], float] = time.monotonic
) -> Middleware:
    """Answer what is beyond the limit in force with 429; another limit begins with a full bucket."""
    bucket: TokenBucket | None = None

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal bucket
        limit = current().rate_limit
        if limit is None:
            return await handler(request)
        if bucket is None or bucket.limit != limit:
            bucket = TokenBucket(limit, clock)
        if not bucket.take():
            pause = {"Retry-After": str(math.ceil(limit.interval))}
            raise web.HTTPTooManyRequests(text="Too Many Requests", headers=pause)
        return await handler(request)

    return limited
