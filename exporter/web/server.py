"""Listens on the addresses of ``--web.listen-address``, or on sockets of systemd, and ends without delay."""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http import HttpProcessingError

from exporter.errors import ConfigError, ExporterError
from exporter.listening import accept_no_more

KEEPALIVE_SECONDS = 600.0
"""Prometheus keeps an idle connection for five minutes and scrapes over it again. A shorter time here
would close it between the scrapes of a slow job, and whoever tells scrapers apart by their connections
would take each scrape for a newcomer's."""
_GRACE_SECONDS = 0.5
"""How long a request in flight has until it is cancelled, and once more until it is cut off; with what
else there is to end, the whole process is to end within two seconds."""
_HIGHEST_PORT = 65535
_REASONS = {
    errno.EADDRINUSE: "the port is in use; stop what listens there or choose another port",
    errno.EACCES: "not permitted; choose a port above 1023",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class ListenError(ExporterError):
    """An address cannot be listened on; the message is one line that names it and the cure."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; an empty host stands for every address of the machine.

    A socket of the file system, which systemd may hand over, has its path for a host.
    """

    host: str
    port: int

    def __str__(self) -> str:
        if self.host.startswith("/"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``:9926``, ``0.0.0.0:9926``, ``localhost:9926`` or ``[::1]:9926``; port 0 takes a free one.

    Raises:
        ConfigError: it is none of these; tells why.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _bad_address(
            text, f"has no port; did you mean ':{text}'?" if text.isdecimal() else "has no port"
        )
    if not port.isascii() or not port.isdecimal() or int(port[:6]) > _HIGHEST_PORT:
        raise _bad_address(text, f"the port must be a number up to {_HIGHEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        return Address(_ipv6(text, host[1:-1]), int(port))
    if any(character in "[]/@" or character.isspace() for character in host):
        raise _bad_address(text, "must be HOST:PORT, as in 0.0.0.0:9926")
    if ":" in host:
        raise _bad_address(text, "an IPv6 address needs brackets, as in [::1]:9926")
    return Address(host, int(port))


class Server:
    """Serves one application on several addresses."""

    def __init__(
        self,
        application: web.Application,
        addresses: Sequence[Address],
        *,
        sockets: Sequence[socket.socket] = (),
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; nothing is served before ``start``.

        Args:
            application: what to serve.
            addresses: where to listen.
            sockets: sockets that listen already.
            context: encrypts the connections; None for none.
        """
        logger = logging.getLogger(__name__)
        logger.addFilter(_is_ours)
        self._addresses = addresses
        self._sockets = sockets
        self._context = context
        self._listening: list[socket.socket] = []
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=logger,
            keepalive_timeout=KEEPALIVE_SECONDS,
            shutdown_timeout=_GRACE_SECONDS,
        )

    async def start(self) -> Sequence[Address]:
        """Listen on every address; return them with the ports that were taken for port 0.

        Raises:
            ListenError: one of them cannot be had; then none is listened on.
        """
        await self._runner.setup()
        try:
            bound = [await self._listen(address) for address in self._addresses]
            return bound + [await self._serve(taken) for taken in self._sockets]
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, let requests in flight end for a moment, and close every connection."""
        listening, self._listening = self._listening, []
        await accept_no_more(listener.fileno() for listener in listening)
        await self._runner.cleanup()

    async def _listen(self, address: Address) -> Address:
        bound = await self._serve(await _bind(address))
        return Address(address.host, bound.port)

    async def _serve(self, listener: socket.socket) -> Address:
        await web.SockSite(self._runner, listener, ssl_context=self._context).start()
        self._listening.append(listener)
        name = listener.getsockname()
        return Address(name, 0) if isinstance(name, str) else Address(*name[:2])


async def _bind(address: Address) -> socket.socket:
    try:
        if not address.host:
            return _bind_everywhere(address.port)
        family, where = await _resolve(address)
        return socket.create_server(where, family=family)
    except socket.gaierror as error:
        raise ListenError(
            f"cannot listen on {address}: the host name is not known ({error.strerror})"
        ) from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise ListenError(f"cannot listen on {address}: {reason}") from None


def _bind_everywhere(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6 as Go programs have it; IPv4 alone where the machine has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
    return socket.create_server(("", port))


async def _resolve(address: Address) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address to bind for a host; of several the first in IPv4, as Go programs choose it."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    found.sort(key=lambda info: info[0] is not socket.AF_INET)
    family, _, _, _, where = found[0]
    return family, where  # type: ignore[return-value]  # an IPv6 address has two numbers more


def _ipv6(text: str, host: str) -> str:
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        raise _bad_address(text, f"{host!r} is not an IPv6 address") from None
    return host


def _bad_address(text: str, reason: str) -> ConfigError:
    return ConfigError([f"--web.listen-address: {text!r}: {reason}"])


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a log record of aiohttp tells a defect, as against a client that speaks no proper HTTP."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
