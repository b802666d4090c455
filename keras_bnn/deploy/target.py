"""What `--on` names: a board behind ssh, or a phone behind adb."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from keras_bnn.errors import InputError


@dataclass(frozen=True)
class Ssh:
    """A board that the system's `ssh` reaches.

    Attributes:
        host: A name, an address, or an alias of the user's ssh configuration.
        user, port: `None` leaves them to that configuration.
    """

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return user + host + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class Adb:
    """A phone that `adb` reaches.

    Attributes:
        serial: As `adb devices` lists it; `None` takes the only one there is.
    """

    serial: str | None = None


def parse(text: str) -> Ssh | Adb:
    """Reads `ssh://[user@]host[:port]`, `adb` or `adb:SERIAL`.

    An IPv6 address stands in brackets. A character that ends a part is written as in other URLs,
    `%40` for `@`.

    Raises:
        InputError: If it is neither, or a part of it could mean something else to ssh or a shell.

    >>> parse("ssh://pi@raspberrypi.local")
    Ssh(host='raspberrypi.local', user='pi', port=None)
    >>> parse("adb")
    Adb(serial=None)
    """
    if text.startswith("ssh://"):
        return _ssh(text)
    kind, colon, serial = text.partition(":")
    if kind != "adb" or (colon and not serial):
        raise InputError(
            f"--on is {text!r}, expected ssh://[user@]host[:port], adb or adb:SERIAL, such as "
            "ssh://pi@raspberrypi.local."
        )
    # A serial may be host:port. One that starts with "-" would be an option of adb.
    _check(text, "serial", serial)
    return Adb(serial or None)


def _ssh(text: str) -> Ssh:
    if re.match(r"ssh://[^@\[]*:[^@]*@", text):
        # Not repeated: what is in a command line, every process of this machine can read.
        raise InputError("--on holds a password: leave it out, ssh asks for it.")
    found = re.fullmatch(
        r"ssh://(?:(?P<user>[^/]*)@)?(?:\[(?P<address>[^]/@]*)]|(?P<host>[^]\[:/@]*))"
        r"(?::(?P<port>[0-9]{1,5}))?/?",
        text,
    )
    host = found and (found["address"] or found["host"])
    if not found or not host:
        raise InputError(
            f"--on is {text!r}, expected ssh://[user@]host[:port] and no more, with an IPv6 "
            "address in brackets."
        )
    user = unquote(found["user"]) if found["user"] is not None else None
    # The "%" before an IPv6 zone, as URLs write it or as people do.
    host = host.replace("%25", "%") if found["address"] else unquote(host)
    port = int(found["port"]) if found["port"] else None
    if user == "" or (port is not None and not 1 <= port <= 65535):
        what = "the user is empty" if user == "" else f"port {port} is not from 1 to 65535"
        raise InputError(f"--on is {text!r}: {what}. Leave it out, or mend it.")
    for name, value in (("host", host), ("user", user or "")):
        _check(text, name, value)
    return Ssh(host, user, port)


def _check(text: str, name: str, value: str) -> None:
    """Refuses what ssh would take for an option, or a ProxyCommand's shell for a command."""
    wrong = re.search(r"""^-|[\s'"`$\\;&<>|(){}*?]|[^ -~]""", value)
    if wrong:
        raise InputError(
            f"--on is {text!r}: {wrong[0]!r} in the {name} {value!r} could mean something else to "
            "ssh, adb or a shell. Give a host that has such a name an alias in ~/.ssh/config."
        )
