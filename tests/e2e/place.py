# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a scenario lives: a folder of its own and a 127.x.y.0/24 of its own, so that scenarios cannot meet."""

import os
import shutil
import socket
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

UNDER = os.environ.get("STOX_UNDER")
"""A program that runs Kamailio under a memory checker, if set: called with a folder for reports, then the command."""

_GUARD_PORT = 1999


def target():
    """The folder for everything that is made."""
    return ROOT / "target"


def module():
    """The module under test."""
    return Path(os.environ.get("STOX_MODULE", target() / "stox.so")).resolve()


class Place:
    """A folder and 254 addresses.

    The scenarios' ports are not the usual ones: a server of the machine may have those on every address.
    Convention: `.1` Kamailio, `.2` Prosody, `.10` and up SIP user agents.
    """

    def __init__(self, name):
        self.name = name
        self.folder = target() / "e2e" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._guard, self._net = _claim(f"{self.folder}:{os.getuid()}")
        self._agents = 9

    def address(self, number):
        """One of the addresses."""
        return f"127.{self._net}.{number}"

    def agent_address(self):
        """An address nobody else has."""
        self._agents += 1
        return self.address(self._agents)

    def path(self, name):
        """A path in the folder."""
        return self.folder / name

    def close(self):
        """Gives the addresses back; the folder stays for reading."""
        self._guard.close()


def free_port():
    """A port of ::1 that nobody has, over UDP and TCP: IPv6's loopback is one address, for all scenarios."""
    while True:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp, \
                socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            udp.bind(("::1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


def _claim(name):
    start = zlib.crc32(name.encode())
    for step in range(500):
        number = (start + step * 7919) % (100 * 254)
        net = f"{100 + number // 254}.{1 + number % 254}"
        guard = socket.socket()
        try:
            guard.bind((f"127.{net}.254", _GUARD_PORT))
            guard.listen(1)
            for probe, port in ((1, 25060), (2, 25222)):
                with socket.socket() as taken:
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    taken.bind((f"127.{net}.{probe}", port))
            return guard, net
        except OSError:
            guard.close()
    raise RuntimeError("no free 127.x.y.0/24 was found")
