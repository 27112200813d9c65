"""Writes the reference in ``docs/configuration.md`` from the models, so that it tells what is read.

python -m exporter.config.reference docs/configuration.md
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.config.alerting import Alerting, Alertmanagers, AlertmanagerTargets, Webhook
from exporter.config.client import Authorization, BasicAuth, Header, HttpClient
from exporter.config.connection import Connection, TlsConfig
from exporter.config.document import Config, Metrics, Storage
from exporter.config.huawei import HuaweiAkSk, HuaweiIam
from exporter.config.oauth2 import OAuth2
from exporter.config.polling import OperationRule, Polling
from exporter.config.section import Section
from exporter.config.source import Defaults, Source
from exporter.config.targets import FileSdConfig, HttpSdConfig, StaticConfig, TargetLabels

MARK = (
    "<!-- From here on written by `python -m exporter.config.reference`; change exporter/config instead. -->"
)

TITLES: Mapping[type[Section], str] = {
    Config: "The file",
    Source: "source",
    Defaults: "defaults",
    Polling: "polling",
    OperationRule: "operation_rule",
    StaticConfig: "static_config",
    TargetLabels: "target_labels",
    FileSdConfig: "file_sd_config",
    HttpSdConfig: "http_sd_config",
    HttpClient: "http_client",
    BasicAuth: "basic_auth",
    Authorization: "authorization",
    OAuth2: "oauth2",
    HuaweiIam: "huawei_iam",
    HuaweiAkSk: "huawei_aksk",
    Header: "header",
    Connection: "connection",
    TlsConfig: "tls_config",
    Metrics: "metrics",
    Storage: "storage",
    Alerting: "alerting",
    Alertmanagers: "alertmanagers",
    AlertmanagerTargets: "alertmanager_targets",
    Webhook: "webhook",
}
_BY_NAME = {model.__name__: title for model, title in TITLES.items()}


def reference() -> str:
    """The reference in Markdown: a table for each section of the file."""
    return "\n".join(line for model, title in TITLES.items() for line in _section(model, title))


def rewrite(text: str) -> str:
    """A document with everything below the mark written anew."""
    introduction, _, _ = text.partition(MARK)
    return f"{introduction}{MARK}\n\n{reference()}"


def _section(model: type[Section], title: str) -> Iterator[str]:
    yield f"### {title}\n"
    yield f"{_words(model.__doc__)}\n"
    bases = [base for base in TITLES if base is not model and issubclass(model, base)]
    if bases:
        yield f"Takes all keys of {_link(TITLES[bases[0]])}, and:\n"
    schema = model.model_json_schema(mode="serialization")
    inherited = {name for base in bases for name in base.model_fields}
    yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
    for name in model.model_fields:
        if name not in inherited:
            yield _row(name, schema["properties"][name], required=name in schema.get("required", ()))
    yield ""


def _row(name: str, told: Mapping[str, Any], *, required: bool) -> str:
    description = told.get("description") or next(
        model.__doc__ for model, title in TITLES.items() if title == _BY_NAME[_target(told)]
    )
    default = "required" if required else _default(told)
    return f"| `{name}` | {_type(told)} | {default} | {_words(description)} |"


def _type(told: Mapping[str, Any]) -> str:
    if "anyOf" in told:
        return _type(told["anyOf"][0])
    if "$ref" in told:
        return _link(_BY_NAME[_target(told)])
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told["type"] == "array":
        return f"list of {_type(told['items'])}"
    if "additionalProperties" in told:
        return f"mapping to {_type(told['additionalProperties'])}"
    kind = told["type"]
    return _NAMES.get(told.get("title", "").lower()) or _NAMES[kind if isinstance(kind, str) else kind[0]]


_NAMES = {
    **{name: name for name in ("duration", "size", "path", "secret", "url", "regex", "task id", "text")},
    **{name: name for name in ("api", "name", "options", "integer", "number")},
    "boolean": "true or false",
    "string": "text",
}


def _default(told: Mapping[str, Any]) -> str:
    value = told.get("default")
    if value in (None, [], "") or isinstance(value, dict):
        return ""
    text = value if isinstance(value, str) else re.sub(r"\.0\b", "", json.dumps(value))
    return f"`{text}`"


def _target(told: Mapping[str, Any]) -> str:
    return str(told["$ref"]).rpartition("/")[2]


def _link(title: str) -> str:
    return f"[{title}](#{title})"


def _words(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", r"\|")


def main(path: Path) -> None:
    """Rewrite the reference in the document at *path*."""
    path.write_text(rewrite(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
