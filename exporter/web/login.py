"""Lets in whom the web configuration file knows: basic authentication, and names in client certificates.

Checking a password against its bcrypt hash is meant to be slow. So what was found is remembered, without the
password; one is checked at a time, off the event loop; and whoever names an unknown user waits as long as
everybody else, so that nobody can find out the users' names by the time it takes.
"""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from ipaddress import ip_address

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.secret import Secret
from exporter.web.settings import WebSettings

MAX_PASSWORD = 72
"""Bytes; bcrypt looks at no more."""
MAX_REMEMBERED = 100
"""How many refusals are remembered."""
_HASH_OF_NOBODY = "." * 53
_COST = slice(4, 6)
"""Where the cost stands in ``$2y$10$...``."""


class Passwords:
    """Checks passwords, and remembers what was found."""

    def __init__(self, check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        """Take what checks a password against a hash, slowly."""
        self._check = check
        self._one_at_a_time = asyncio.Lock()
        self._key = secrets.token_bytes()
        self._right: dict[str, bytes] = {}
        self._wrong: dict[bytes, None] = {}

    async def admits(
        self, users: Mapping[str, Secret], name: str, password: bytes, is_awaited: Callable[[], bool]
    ) -> bool:
        """Whether the password is the user's.

        Args:
            users: the hash of each user.
            name: who says to come.
            password: what they bring.
            is_awaited: whether anybody still waits for the answer; if not, no password is checked.
        """
        if len(password) > MAX_PASSWORD or b"\0" in password:
            return False
        hashed = users[name].reveal() if name in users else hash_of_nobody(users)
        proof = self._proof(name, hashed, password)
        if (known := self._remembered(name, proof)) is not None:
            return known
        async with self._one_at_a_time:
            if (known := self._remembered(name, proof)) is not None:
                return known
            if not is_awaited():
                return False
            matches = await asyncio.to_thread(self._check, password, hashed.encode())
            return self._remember(name, proof, right=matches and name in users)

    def _proof(self, name: str, hashed: str, password: bytes) -> bytes:
        """What tells this attempt from any other, and nothing about the password."""
        return blake2b(b"\0".join((name.encode(), hashed.encode(), password)), key=self._key).digest()

    def _remembered(self, name: str, proof: bytes) -> bool | None:
        if hmac.compare_digest(self._right.get(name, b""), proof):
            return True
        return False if proof in self._wrong else None

    def _remember(self, name: str, proof: bytes, *, right: bool) -> bool:
        """Right ones have a place of their own, so that no flood of wrong ones displaces them."""
        if right:
            self._right[name] = proof
            return True
        if len(self._wrong) >= MAX_REMEMBERED:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[proof] = None
        return False


def hash_of_nobody(users: Mapping[str, Secret]) -> str:
    """A hash for names that are none of the users': no password fits, and checking one takes as long."""
    cost = max((user.reveal()[_COST] for user in users.values()), default="10")
    return f"$2b${cost}${_HASH_OF_NOBODY}"


def credentials(header: str) -> tuple[str, bytes] | None:
    """Name and password from an ``Authorization`` header; None if it holds none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except ValueError:
        return None


def require_login(
    current: Callable[[], WebSettings], passwords: Passwords, *, free: Collection[str] = ()
) -> Middleware:
    """Answer 401 to whoever is none of the users in force; the paths in *free* may be read by everybody."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        users = current().users
        if users and not (request.path in free and request.method in {"GET", "HEAD"}):
            await _check(request, users, passwords)
        return await handler(request)

    return checked


async def _check(request: web.Request, users: Mapping[str, Secret], passwords: Passwords) -> None:
    given = credentials(request.headers.get("Authorization", ""))
    if given is None or not await passwords.admits(users, *given, is_awaited=lambda: _is_open(request)):
        raise web.HTTPUnauthorized(text="Unauthorized", headers={"WWW-Authenticate": "Basic"})


def _is_open(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def require_certificate_name(current: Callable[[], WebSettings]) -> Middleware:
    """Answer 403 to whoever's certificate has none of the names in ``client_allowed_sans``."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        settings = current().tls
        certificate = request.get_extra_info("peercert")
        if (
            settings
            and settings.client_allowed_sans
            and certificate
            and settings.client_allowed_sans.isdisjoint(names(certificate))
        ):
            raise web.HTTPForbidden(text="the client certificate has none of the names that are allowed")
        return await handler(request)

    return checked


def names(certificate: Mapping[str, object]) -> set[str]:
    """The alternative names in a certificate as ``ssl`` tells it, IP addresses in their short form."""
    found: object = certificate.get("subjectAltName", ())
    if not isinstance(found, tuple):
        return set()
    return {str(ip_address(name)) if kind == "IP Address" else name for kind, name in found}
