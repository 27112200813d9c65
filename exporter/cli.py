"""The command line, in the spelling of Prometheus' own exporters."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import structlog

from exporter import __version__, config, log, pauses, watch
from exporter.app import App, Flags, Front
from exporter.config.units import parse_duration
from exporter.errors import ConfigError, ExporterError
from exporter.revision import revision
from exporter.web.server import Address, parse_address

NAME = "asynctask-exporter"
DEFAULT_ADDRESS = ":9926"
_DEFAULT_CONFIG = Path("asynctask-exporter.yml")
_DEFAULT_STORAGE = "data/"
_DEMO_SPEED = 1.0
_SERVING: Mapping[str, Any] = {
    "addresses": None,
    "telemetry_path": "/metrics",
    "log_level": "info",
    "log_format": "logfmt",
}
"""What the flags are by default that stand before a command as well as behind it."""
_AUTO_RELOAD_INTERVAL = "30s"
_WEB_SWITCHES = {
    "systemd-socket": "Listen on the sockets of systemd, not on addresses.",
    "enable-lifecycle": "Allow to reload the exporter over HTTP.",
    "health-without-auth": "Answer /-/healthy and /-/ready without a password.",
}


class _Parser(argparse.ArgumentParser):
    """Refuses like Prometheus' programs do: one line, and exit code 1."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line."""
        self.exit(1, f"{NAME}: error: {message}, try --help\n")


class _Version(argparse.Action):
    """Prints the version as it is; argparse's own action would fill its lines anew."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        sys.stdout.write(f"{version()}\n")
        parser.exit()


def run(arguments: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
    except ConfigError as error:
        for mistake in error.mistakes:
            sys.stderr.write(f"{NAME}: error: {mistake}\n")
        return 1
    except ExporterError as error:
        sys.stderr.write(f"{NAME}: error: {error}\n")
        return 1
    return code


def version() -> str:
    """What ``--version`` prints."""
    return "\n".join(
        (
            f"{NAME}, version {__version__} (revision: {revision()})",
            f"  python version:   {platform.python_version()}",
            f"  platform:         {platform.system().lower()}/{platform.machine()}",
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=NAME,
        description="Watches the asynchronous tasks of other systems for Prometheus.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_serve, **_SERVING)
    parser.add_argument("--version", action=_Version, nargs=0, help="Show the version.")
    _add_config_flags(parser)
    _add_reload_flags(parser)
    _add_serving_flags(parser)
    parser.add_argument(
        "--storage.path",
        dest="storage",
        metavar="PATH",
        default=_DEFAULT_STORAGE,
        help="Directory of the ledger; empty keeps all in memory, to be counted anew after a restart. "
        "(default: %(default)s)",
    )
    _add_web_flags(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _add_watch(commands)
    _add_demo(commands)
    return parser


def _add_config_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config.file",
        dest="config",
        metavar="FILE",
        type=Path,
        default=_DEFAULT_CONFIG,
        help="The configuration file. (default: %(default)s)",
    )
    parser.add_argument(
        "--config.check",
        dest="check",
        action="store_true",
        help="Check the configuration files and exit.",
    )
    parser.add_argument(
        "--config.schema",
        dest="schema",
        action="store_true",
        help="Print the configuration's JSON schema and exit.",
    )
    parser.add_argument(
        "--config.expand-environment-variables",
        dest="expand",
        action="store_true",
        help="Put environment variables, as $NAME or ${NAME}, into the values of the configuration file.",
    )


def _add_reload_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config.enable-auto-reload",
        dest="auto_reload",
        action="store_true",
        help="Reload the configuration file when it has changed.",
    )
    parser.add_argument(
        "--config.auto-reload-interval",
        dest="auto_reload_interval",
        metavar="DURATION",
        type=_interval,
        default=_AUTO_RELOAD_INTERVAL,
        help="How often to look whether the configuration file has changed. (default: %(default)s)",
    )


def _add_serving_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--web.listen-address",
        dest="addresses",
        metavar="ADDRESS",
        action="append",
        type=_address,
        help=f"Address to listen on; repeatable. (default: {DEFAULT_ADDRESS})",
    )
    parser.add_argument(
        "--web.telemetry-path",
        dest="telemetry_path",
        metavar="PATH",
        help=f"Path under which to expose metrics. (default: {_SERVING['telemetry_path']})",
    )
    parser.add_argument(
        "--log.level",
        dest="log_level",
        choices=tuple(log.LEVELS),
        type=str.lower,
        help=f"Only log messages with the given severity or above. (default: {_SERVING['log_level']})",
    )
    parser.add_argument(
        "--log.format",
        dest="log_format",
        choices=log.FORMATS,
        help=f"Format of log messages. (default: {_SERVING['log_format']})",
    )


def _add_web_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        metavar="FILE",
        default="",
        help="Web configuration file, with TLS and users; the same as of Prometheus' exporters.",
    )
    parser.add_argument(
        "--web.external-url",
        dest="external_url",
        metavar="URL",
        default="",
        help="URL under which people reach the exporter, as through a proxy; its path begins all paths.",
    )
    parser.add_argument(
        "--web.route-prefix",
        dest="route_prefix",
        metavar="PATH",
        help="What all paths that are served begin with, if not the path of --web.external-url.",
    )
    for name, meaning in _WEB_SWITCHES.items():
        parser.add_argument(
            f"--web.{name}",
            dest=name.replace("-", "_"),
            action=argparse.BooleanOptionalAction,
            default=False,
            help=meaning,
        )


def _add_watch(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type of subparsers to itself
    parser = commands.add_parser("watch", help="Hand over the ids of tasks to a running exporter.")
    parser.set_defaults(run=_watch)
    parser.add_argument(
        "--url", default="http://localhost:9926", help="Where the exporter is. (default: %(default)s)"
    )
    parser.add_argument(
        "--http.config.file",
        dest="http_config",
        metavar="FILE",
        type=Path,
        help="HTTP client configuration file, with login and TLS; the same as of promtool and amtool.",
    )
    parser.add_argument("--operation", default="", help="The kind of work, as in 'import'.")
    parser.add_argument("--name", default="", help="What a person calls the task.")
    parser.add_argument("source", metavar="SOURCE", help="The source's name in the configuration.")
    parser.add_argument("ids", metavar="ID", nargs="+", help="A task id.")


def _add_demo(commands: Any) -> None:  # noqa: ANN401 - as above
    parser = commands.add_parser(
        "demo",
        help="Watch simulated systems, to see what it is like.",
        argument_default=argparse.SUPPRESS,  # Or it would take back what stands before the command.
    )
    parser.set_defaults(run=_demo)
    _add_serving_flags(parser)
    parser.add_argument(
        "--seed", type=int, default=7, help="Which of many possible courses of events. (default: %(default)s)"
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=_DEMO_SPEED,
        help="How much faster than in reality tasks go. (default: %(default)s)",
    )


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None


def _interval(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds == 0:
        raise argparse.ArgumentTypeError("must be longer than 0s")
    return seconds


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 100:  # noqa: PLR2004 - beyond it, tasks last less than a poll
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 100")
    return speed


def _flags(chosen: argparse.Namespace, storage: str, **more: Any) -> Flags:  # noqa: ANN401 - of several types
    return Flags(
        addresses=tuple(chosen.addresses or [parse_address(DEFAULT_ADDRESS)]),
        telemetry_path=chosen.telemetry_path,
        storage=Path(storage) if storage else None,
        **more,
    )


def _web_flags(chosen: argparse.Namespace) -> dict[str, Any]:
    """The flags of the exporter that the demonstration has not."""
    return {
        "web_config": Path(chosen.web_config) if chosen.web_config else None,
        "external_url": chosen.external_url,
        "route_prefix": chosen.route_prefix,
        "systemd_socket": chosen.systemd_socket,
        "lifecycle": chosen.enable_lifecycle,
        "health_without_auth": chosen.health_without_auth,
    }


def _reload_flags(chosen: argparse.Namespace, file: config.ConfigFile) -> dict[str, Any]:
    return {
        "config_file": file,
        "auto_reload_interval": chosen.auto_reload_interval if chosen.auto_reload else None,
    }


def _serve(chosen: argparse.Namespace) -> int:
    if chosen.schema:
        sys.stdout.write(json.dumps(config.schema(), indent=2) + "\n")
        return 0
    file = config.ConfigFile(chosen.config, os.environ if chosen.expand else None)
    flags = _flags(chosen, chosen.storage, **_web_flags(chosen), **_reload_flags(chosen, file))
    configuration = file.load()
    if chosen.check:
        return _tell_valid(chosen, configuration, flags)
    # Until it can be reloaded: a hang-up that comes too early must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log.configure(chosen.log_level, chosen.log_format)
    _announce(chosen)
    app = App.open(configuration, flags)
    return _run_until_signalled(app.run, app.reload_soon)


def _tell_valid(chosen: argparse.Namespace, configuration: config.Config, flags: Flags) -> int:
    """Check the web configuration as well, tell what is valid, and warn of what will not do as it is.

    Sockets of systemd are left alone.
    """
    front = Front.open(replace(flags, systemd_socket=False))
    number = len(configuration.sources)
    sys.stdout.write(f"{chosen.config} is valid: {number} source{'' if number == 1 else 's'}\n")
    if flags.web_config:
        sys.stdout.write(f"{flags.web_config} is valid\n")
    files = (f"{chosen.config}: {told}" for told in config.unreadable(configuration))
    for warning in (*files, *filter(None, [front.warning])):
        sys.stderr.write(f"{NAME}: warning: {warning}\n")
    return 0


def _announce(chosen: argparse.Namespace) -> None:
    logger = structlog.get_logger()
    logger.info("Starting asynctask-exporter", version=__version__, revision=revision())
    logger.info("Build context", python=platform.python_version(), platform=platform.platform())
    logger.info("Loaded config file", file=str(chosen.config))


def _watch(chosen: argparse.Namespace) -> int:
    http = config.load_http(chosen.http_config) if chosen.http_config else watch.NO_LOGIN
    told = {"operation": chosen.operation, "name": chosen.name}
    return watch.run(watch.watch(chosen.url, chosen.source, chosen.ids, http=http, **told))


def _demo(chosen: argparse.Namespace) -> int:
    # Only the demo needs the simulated systems.
    demonstration = import_module("exporter.demonstration")
    log.configure(chosen.log_level, chosen.log_format)
    flags = _flags(chosen, "")
    return _run_until_signalled(lambda: demonstration.run(flags, seed=chosen.seed, speed=chosen.speed))


def _run_until_signalled(
    work: Callable[[], Coroutine[Any, Any, None]], reload: Callable[[], None] | None = None
) -> int:
    """Run until the work ends, or SIGTERM or SIGINT ends it; SIGHUP reloads what can be reloaded."""
    pauses.shorten()
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(_until_signalled(work, reload))


async def _until_signalled(
    work: Callable[[], Coroutine[Any, Any, None]], reload: Callable[[], None] | None
) -> int:
    working = asyncio.create_task(work())
    loop = asyncio.get_running_loop()
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, _reload, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, working, number)
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return 0


def _stop(working: asyncio.Task[None], number: signal.Signals) -> None:
    structlog.get_logger().info("Received a signal, exiting gracefully", signal=number.name)
    working.cancel()


def _reload(reload: Callable[[], None]) -> None:
    structlog.get_logger().info("Received a signal, reloading the configuration", signal="SIGHUP")
    reload()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop, which comes with the extra ``fast``; otherwise asyncio's own."""
    try:
        return import_module("uvloop").new_event_loop  # type: ignore[no-any-return]
    except ImportError:
        return None
