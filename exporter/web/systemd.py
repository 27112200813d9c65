"""Takes over the sockets that systemd listens on, for ``--web.systemd-socket``.

The protocol is that of sd_listen_fds(3): LISTEN_PID tells whom the sockets are for, LISTEN_FDS how many
there are, and the first is file descriptor 3.
"""

import os
import socket
from collections.abc import MutableMapping, Sequence

from exporter.errors import ConfigError

_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def take_sockets(
    environment: MutableMapping[str, str] = os.environ, *, first: int = _FIRST
) -> Sequence[socket.socket]:
    """Take the sockets, and their variables out of the environment, so that no child takes them as well.

    Raises:
        ConfigError: systemd handed over none.
    """
    told = {name: environment.pop(name, "") for name in _VARIABLES}
    count = told["LISTEN_FDS"]
    if told["LISTEN_PID"] != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        mistake = "systemd handed over no socket; start the exporter by a .socket unit, or leave the flag out"
        raise ConfigError([f"--web.systemd-socket: {mistake}"])
    return [_take(number) for number in range(first, first + int(count))]


def _take(number: int) -> socket.socket:
    try:
        taken = socket.socket(fileno=number)
    except OSError as error:
        raise ConfigError(
            [f"--web.systemd-socket: file descriptor {number} is not a socket: {error.strerror}"]
        ) from None
    taken.set_inheritable(False)
    taken.setblocking(False)
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        taken.close()
        raise ConfigError([f"--web.systemd-socket: file descriptor {number} does not listen"])
    return taken
