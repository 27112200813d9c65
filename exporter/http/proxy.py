"""Chooses the proxy for a server, as Prometheus does."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from multidict import CIMultiDict
from yarl import URL

from exporter.errors import ConfigError
from exporter.http.settings import HttpSettings

_SCHEMES = {"http", "https"}
_LOOPBACK = "localhost,127.0.0.0/8,::1"


def choose(settings: HttpSettings, url: URL, environ: Mapping[str, str]) -> URL | None:
    """The proxy on the way to *url*, if any, with the user and password that it is to be told.

    Raises:
        ConfigError: the proxy's URL is none.
    """
    if settings.proxy_url is not None:
        name, found = "proxy_url", settings.proxy_url.reveal()
        # As in Go: a proxy without exceptions is gone through to this machine as well.
        without = f"{settings.no_proxy},{_LOOPBACK}" if settings.no_proxy else ""
    elif settings.proxy_from_environment:
        name = f"{url.scheme.upper()}_PROXY"
        found = _variable(environ, name)
        without = f"{_variable(environ, 'NO_PROXY')},{_LOOPBACK}"
    else:
        return None
    if not found or _is_exempt(url.host or "", url.port or 0, without):
        return None
    return _parse(found, name)


def tunnel_headers(settings: HttpSettings) -> CIMultiDict[str] | None:
    """What the proxy is told with CONNECT, beside its user and password; None if nothing."""
    headers = settings.proxy_connect_header.items()
    return CIMultiDict((name, value.reveal()) for name, values in headers for value in values) or None


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower(), "")


def _parse(text: str, name: str) -> URL:
    """Read the URL; *name* is where it stands."""
    try:
        found = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        found = URL()
    if found.scheme not in _SCHEMES or not found.host:
        raise ConfigError([f"{name}: is not an HTTP proxy's URL such as http://proxy.example.com:3128"])
    return found


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    entries = filter(None, (entry.strip().lower() for entry in no_proxy.split(",")))
    return any(_matches(entry, host.lower(), port) for entry in entries)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if (network := _network(entry)) is not None:
        return _is_within(host, network)
    name, _, only_port = entry.partition(":")
    if only_port and only_port != str(port):
        return False
    # ".example.com" and "*.example.com" are its subdomains, "example.com" is itself and these.
    name = name.removeprefix("*")
    return host == name or host.endswith(name if name.startswith(".") else f".{name}")


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False
