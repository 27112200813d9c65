"""The kinds of values in the configuration: durations, sizes, URLs, paths, secrets, labels.

Each is a type for pydantic that reads the YAML value, writes it back masked, and describes itself in the JSON
schema. Errors name the cure; those of a URL or a secret never repeat the value.
"""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from exporter.config.units import format_duration, format_size, parse_duration, parse_size
from exporter.discovery import ids
from exporter.secret import Secret

LABELS_OF_THE_CONTRACT = frozenset(
    {
        *("source", "operation", "status", "task_id", "name", "parent_id", "error_code", "reason"),
        *("api", "endpoint", "code", "receiver", "mechanism", "le", "quantile", "alertname"),
    }
)
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_OUR_HEADERS = re.compile(
    r"authorization|host|user-agent|connection|keep-alive|transfer-encoding|te|trailer|upgrade|accept-encoding"
    r"|www-authenticate|proxy-.*|content-.*|x-prometheus-.*",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=://)([^/?#@]*?:)[^/?#]*@")

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Strict(strict=False)]
"""A YAML list, kept as a tuple."""


def _not_empty(items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:
        raise ValueError("must not be empty")
    return items


Some = Annotated[Many[T], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
"""A list that is not empty."""


def _schema(title: str, **more: Any) -> WithJsonSchema:  # noqa: ANN401 - JSON
    return WithJsonSchema({"type": "string", "title": title, **more})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text; quote it")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _read_duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    shown = repr(value) if isinstance(value, int | float) else "this"
    raise ValueError(f"{shown} is not a duration such as '30s' or '5m'")


def _read_interval(value: object) -> float:
    if (seconds := _read_duration(value)) == 0:
        raise ValueError("must be longer than 0s")
    return seconds


def _read_size(value: object) -> int:
    size = value if isinstance(value, int) and not isinstance(value, bool) else parse_size(_text(value))
    if size < 1:
        raise ValueError("must be at least 1 byte")
    return size


def _read_path(value: object, info: ValidationInfo) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise ValueError("must be the path of a file")
    base_dir: Path = (info.context or {}).get("base_dir", Path())
    return base_dir / text


def _read_secret(value: object) -> Secret:
    text = _text(value)
    if not text or "\n" in text or "\r" in text:
        raise ValueError("must be one line of text")
    return Secret(text)


def _read_pattern(value: object) -> re.Pattern[str]:
    try:
        return re.compile(_text(value))
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None


def _split_url(value: object) -> SplitResult:
    text = _text(value)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://example.com") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("must be a URL such as https://example.com")
    if not text.isprintable() or " " in text:
        raise ValueError("has blanks or control characters; percent-encode them")
    return parts


def read_url(value: object, login: str = "use basic_auth") -> str:
    """Read a URL without user name and password.

    Args:
        value: the URL.
        login: where user name and password belong; the cure if they are in the URL.

    Raises:
        ValueError: it is none; does not tell what it is.
    """
    if _split_url(value).username is not None:
        raise ValueError(f"must not hold a user name or password; {login}")
    return _text(value)


def _read_base_url(value: object, login: str = "use basic_auth", query: str = "leave out the query") -> str:
    url = read_url(value, login)
    if "?" in url or "#" in url:
        raise ValueError(f"must end with the path; {query}")
    return url.rstrip("/")


def _read_proxy_url(value: object) -> Secret:
    _split_url(value)
    return Secret(_text(value))


def mask_url(url: str) -> str:
    """The URL with its password and its query, which may hold one, as ``xxxxx``."""
    base, mark, _ = _PASSWORD.sub(r"\1xxxxx@", url).partition("?")
    return f"{base}?xxxxx" if mark else base


def _mask_secret(secret: Secret | None) -> str | None:
    return None if secret is None else "<secret>"


def _mask_proxy(secret: Secret | None) -> str | None:
    return None if secret is None else mask_url(secret.reveal())


def _check_source_name(name: str) -> str:
    if not _SOURCE_NAME.fullmatch(name):
        raise ValueError(
            "must be 1 to 100 of the characters A-Z a-z 0-9 _ . - and begin with a letter or digit"
        )
    return name


def _check_label_name(name: str) -> str:
    if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
        raise ValueError("is not a label name; those are letters, digits and _, and do not begin with __")
    if name in LABELS_OF_THE_CONTRACT:
        raise ValueError("is a label of the exporter's own; choose another name")
    return name


def _check_token(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not the name of an HTTP header")
    return name


def _check_header_name(name: str) -> str:
    if _OUR_HEADERS.fullmatch(name):
        raise ValueError("is a header that may not be set here")
    return name


def _check_auth_type(name: str) -> str:
    if name.lower() == "basic":
        raise ValueError("must not be basic; use basic_auth")
    if not _TOKEN.fullmatch(name):
        raise ValueError("must be one word such as Bearer or Token")
    return name


def _check_header_value(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line of text")
    return value


def _check_glob(path: Path) -> str:
    if any(mark in part for part in path.parts[:-1] for mark in "*?["):
        raise ValueError("may have * only in its last part")
    if path.suffix not in {".json", ".yml", ".yaml"}:
        raise ValueError("must end in .yaml, .yml or .json")
    return str(path)


_DURATION_PATTERN = r"^(0|(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
_write_duration = PlainSerializer(lambda value: None if value is None else format_duration(value))

Duration = Annotated[
    float, PlainValidator(_read_duration), _write_duration, _schema("duration", pattern=_DURATION_PATTERN)
]
"""Seconds, written as ``1h30m``; may be zero."""
Interval = Annotated[
    float, PlainValidator(_read_interval), _write_duration, _schema("duration", pattern=_DURATION_PATTERN)
]
"""Seconds, written as ``1h30m``; longer than zero."""
Size = Annotated[
    int,
    PlainValidator(_read_size),
    PlainSerializer(format_size),
    WithJsonSchema(
        {"type": ["string", "integer"], "title": "size", "pattern": "^[0-9]+([KMGT]i?)?B$", "minimum": 1}
    ),
]
"""Bytes, written as ``16MiB``."""
FilePath = Annotated[Path, PlainValidator(_read_path), PlainSerializer(str), _schema("path")]
"""A path; a relative one is seen from the configuration's directory and made absolute."""
FileGlob = Annotated[
    str, PlainValidator(lambda value, info: _check_glob(_read_path(value, info))), _schema("path")
]
SecretText = Annotated[Secret, PlainValidator(_read_secret), PlainSerializer(_mask_secret), _schema("secret")]
SecretLines = Annotated[
    Secret,
    PlainValidator(lambda value: Secret(_text(value))),
    PlainSerializer(_mask_secret),
    _schema("secret"),
]
_uri = _schema("url", format="uri")
_SEEN_IN_LINKS = "everybody who gets the link would see them"
Url = Annotated[str, PlainValidator(read_url), PlainSerializer(mask_url), _uri]
"""An address that is asked with the options of an HTTP client beside it."""
TokenUrl = Annotated[
    str,
    PlainValidator(lambda value: read_url(value, "use client_id and client_secret")),
    PlainSerializer(mask_url),
    _uri,
]
BaseUrl = Annotated[
    str,
    PlainValidator(lambda value: _read_base_url(value, query="the API module adds the query")),
    _uri,
]
"""An address below which paths are asked, with the options of an HTTP client beside it."""
IamUrl = Annotated[
    str,
    PlainValidator(lambda value: _read_base_url(value, "use username and password")),
    _uri,
]
ExternalUrl = Annotated[str, PlainValidator(lambda value: _read_base_url(value, _SEEN_IN_LINKS)), _uri]
"""An address below which people reach the exporter."""
LinkUrl = Annotated[
    str,
    PlainValidator(lambda value: read_url(value, _SEEN_IN_LINKS)),
    PlainSerializer(mask_url),
    _uri,
]
"""An address for people."""
ProxyUrl = Annotated[Secret, PlainValidator(_read_proxy_url), PlainSerializer(_mask_proxy), _uri]
"""A URL that may hold a password, hence a secret; shown with the password as ``xxxxx``."""
Regex = Annotated[
    re.Pattern[str],
    PlainValidator(_read_pattern),
    PlainSerializer(lambda pattern: pattern.pattern),
    _schema("regex", format="regex"),
]
TaskId = Annotated[
    str, PlainValidator(ids.task_id), WithJsonSchema({"type": ["string", "integer"], "title": "task id"})
]
LabelValue = Annotated[
    str,
    PlainValidator(ids.label_value),
    WithJsonSchema({"type": ["string", "integer"], "title": "text"}),
]
LabelName = Annotated[str, AfterValidator(_check_label_name), Field(title="label name")]
SourceName = Annotated[str, AfterValidator(_check_source_name), Field(title="name")]
HeaderName = Annotated[
    str, AfterValidator(_check_token), AfterValidator(_check_header_name), Field(title="header name")
]
ConnectHeaderName = Annotated[str, AfterValidator(_check_token), Field(title="header name")]
"""The name of a header for a proxy: it may be told what servers may not, such as `Proxy-Authorization`."""
HeaderValue = Annotated[str, AfterValidator(_check_header_value), Field(title="text")]
AuthType = Annotated[str, AfterValidator(_check_auth_type), Field(title="text")]
