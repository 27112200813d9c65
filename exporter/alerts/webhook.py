"""Tells a webhook of ends of tasks, as CloudEvents: in order, each at least once, with an id that stays.

With a secret, the header ``X-Hub-Signature-256`` holds ``sha256=`` and the HMAC-SHA256 of the body in hex, as
many receivers know it already.
"""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from random import Random

from exporter.alerts.delivery import Post, Refused, Undelivered
from exporter.alerts.events import CONTENT_TYPE, cloud_event
from exporter.alerts.receiver import Receiver
from exporter.alerts.settings import Database, Observer, OriginOf, WebhookSettings
from exporter.clock import Clock
from exporter.errors import Unauthorized
from exporter.http.credentials import read_secret
from exporter.store import outbox
from exporter.store.outbox import News

BATCH = 64
"""How much is read at a time, and told again at the most after a kill -9."""
SIGNATURE = "X-Hub-Signature-256"


def signature(secret: str, body: bytes) -> str:
    """Sign a body."""
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


class Webhook(Receiver):
    """One webhook."""

    def __init__(
        self,
        settings: WebhookSettings,
        database: Database,
        origin_of: OriginOf,
        *,
        observer: Observer,
        clock: Clock,
        dice: Random,
    ) -> None:
        super().__init__(settings.name, observer, settings.backoff, dice)
        self._settings = settings
        self._database = database
        self._origin_of = origin_of
        self._post = Post(replace(settings.http, path_is_secret=True), clock)

    async def work(self) -> float | None:
        """Tell all that waits."""
        while True:
            read = partial(outbox.read, receiver=self.name, statuses=self._settings.on, limit=BATCH)
            batch = await self._database.transact(read)
            self.observer.queued(batch.waiting)
            told = await self._tell(batch)
            self.observer.queued(batch.waiting - told)
            if told == batch.waiting or self.retired:
                return None

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()

    async def _tell(self, batch: outbox.Batch) -> int:
        """Tell a batch, and note how far that went, whatever ended it; return how much that was."""
        reached = batch.begin
        try:
            for number, news in enumerate(batch.news):
                if self.retired:
                    return number
                await self._tell_one(news)
                reached = news.position
            reached = batch.end
            return len(batch.news)
        finally:
            if reached > batch.begin:
                advance = partial(outbox.advance, receiver=self.name, position=reached)
                # A stop that comes just now must not take it back: all of this would be told again.
                await asyncio.shield(self._database.transact(advance))

    async def _tell_one(self, news: News) -> None:
        origin = self._origin_of(news.transition.source)
        labels = {} if origin is None else origin.labels
        body = cloud_event(news.event, news.transition, labels, self._settings.external_url)
        try:
            await self._post.send(body, await self._headers(body))
        except Refused as refusal:
            self._set_aside(news, refusal)
        else:
            self.observer.sent(1)

    def _set_aside(self, news: News, refusal: Refused) -> None:
        self.observer.dropped(1)
        self.log.error("A notification is refused and set aside", event_id=news.event, err=str(refusal))

    async def _headers(self, body: bytes) -> Mapping[str, str]:
        headers = {"Content-Type": CONTENT_TYPE}
        secret = await self._secret()
        return headers if secret is None else {**headers, SIGNATURE: signature(secret, body)}

    async def _secret(self) -> str | None:
        if self._settings.secret_file is None:
            return None if self._settings.secret is None else self._settings.secret.reveal()
        try:
            return await asyncio.to_thread(read_secret, self._settings.secret_file)
        except Unauthorized as error:
            raise Undelivered(str(error)) from None
