"""The YAML file as typed, checked, unchangeable models.

All durations are seconds (float), all sizes bytes (int), all paths absolute.
"""

from exporter.config.alerting import Alerting
from exporter.config.client import Authorization, BasicAuth, Header, HttpClient
from exporter.config.connection import TlsConfig
from exporter.config.document import Config, Metrics, Storage, schema
from exporter.config.http_file import load_http
from exporter.config.huawei import HuaweiAkSk, HuaweiIam
from exporter.config.loading import ConfigFile, load, parse
from exporter.config.named_files import unreadable
from exporter.config.oauth2 import OAuth2
from exporter.config.polling import OperationRule, Polling
from exporter.config.source import Source
from exporter.config.targets import FileSdConfig, HttpSdConfig, StaticConfig

__all__ = [
    "Alerting",
    "Authorization",
    "BasicAuth",
    "Config",
    "ConfigFile",
    "FileSdConfig",
    "Header",
    "HttpClient",
    "HttpSdConfig",
    "HuaweiAkSk",
    "HuaweiIam",
    "Metrics",
    "OAuth2",
    "OperationRule",
    "Polling",
    "Source",
    "StaticConfig",
    "Storage",
    "TlsConfig",
    "load",
    "load_http",
    "parse",
    "schema",
    "unreadable",
]
