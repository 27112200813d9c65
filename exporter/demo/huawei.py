"""Huawei Cloud's door: an IAM that issues tokens, and a gateway that knows tokens and checks signatures.

Source: IAM API reference, "Obtaining a User Token Through Password Authentication"; API Request Signing
Guide, "Error Codes". The login by access key is in no reference, but in public clients of Huawei's services.
A signed request with a body is refused, for nobody who watches tasks sends one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from aiohttp import web
from yarl import URL

from exporter.http.huawei_aksk import ALGORITHM, DATE, DATE_FORMAT, AccessKey, authorization

USERNAME, PASSWORD, DOMAIN, PROJECT = "demo", "DemoPasswordOfNoUse1", "demo-account", "demo-region"
KEY = AccessKey("DEMOACCESSKEYOFNOUSE", "DemoSecretKeyOfNoUse", "DemoSecurityTokenOfNoUse")
LOGIN_PATH = "/v3/auth/tokens"
BY_PASSWORD, BY_KEY = "password", "hw_ak_sk"
_KNOWN = (
    (BY_PASSWORD, USERNAME, PASSWORD, DOMAIN, PROJECT),
    (BY_KEY, KEY.id, KEY.secret, PROJECT),
)
_LONGEST = 20_000
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+"
_PATIENCE = timedelta(minutes=15)


@dataclass(slots=True)
class Door:
    """Who is let in.

    Attributes:
        token: one that is known and never ends.
        lifetime: how long tokens live that are issued from now on.
        logins: how many tokens were asked for.
    """

    token: str
    lifetime: timedelta = timedelta(hours=24)
    logins: int = 0
    _ends: dict[str, datetime] = field(default_factory=dict)
    _random: Random = field(default_factory=lambda: Random(0))

    def forget(self) -> None:
        """Let all issued tokens die early, as a change of the password does."""
        self._ends.clear()

    def login(self, body: Any, now: datetime) -> web.Response:  # noqa: ANN401 - any JSON
        """Issue a token, of the length that the reference warns of."""
        self.logins += 1
        if (asked := _asked(body)) not in _KNOWN:
            message = "Authentication failed." if BY_KEY in asked else "The username or password is wrong."
            error = {"code": 401, "message": message, "title": "Unauthorized"}
            return web.json_response({"error": error}, status=401)
        token = "MII" + "".join(self._random.choices(_ALPHABET, k=_LONGEST - 3))
        self._ends[token] = now + self.lifetime
        ends = self._ends[token].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return web.json_response(
            {"token": {"methods": asked[:1], "expires_at": ends}},
            status=201,
            headers={"X-Subject-Token": token},
        )

    def complaint(self, request: web.Request, now: datetime) -> str:
        """What is wrong with the credentials of a request; "" if nothing."""
        if (token := request.headers.get("X-Auth-Token")) is not None:
            known = token == self.token or self._ends.get(token, now) > now
            return "" if known else "decrypt token fail"
        if request.headers.get("Authorization", "").startswith(ALGORITHM):
            return _flaw(request, now)
        return "no authentication information"


def _asked(body: Any) -> tuple[object, ...]:  # noqa: ANN401 - any JSON
    """The method of a login, what it tells, and the project; nothing if it has another shape."""
    try:
        identity, project = body["auth"]["identity"], body["auth"]["scope"]["project"]["name"]
        (method,) = identity["methods"]
        told = identity[method]
        if method == BY_KEY:
            return method, told["access"]["key"], told["secret"]["key"], project
        user = told["user"]
        return method, user["name"], user["password"], user["domain"]["name"], project
    except (KeyError, TypeError, ValueError):
        return ()


def _flaw(request: web.Request, now: datetime) -> str:
    """What is wrong with a signature."""
    told = request.headers["Authorization"]
    names = told.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    signed = {name: request.headers.get(name, "") for name in names}
    date = _date(signed)
    if date is None or abs(now - date) > _PATIENCE:
        return "signature expired"
    token = request.headers.get("X-Security-Token", "")
    url = URL(f"http://{request.host}{request.raw_path}", encoded=True)
    is_right = told == authorization(KEY, request.method, url, signed, b"") and not request.body_exists
    return "" if is_right and token in {"", KEY.security_token} else "verify aksk signature fail"


def _date(signed: Mapping[str, str]) -> datetime | None:
    try:
        return datetime.strptime(signed[DATE.lower()], DATE_FORMAT).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None
