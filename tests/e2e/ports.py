# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a port that is wanted."""

import os
import socket
from pathlib import Path


def free(address, port, kind):
    """Whether a `tcp` or `udp` port can be had."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        if kind == "tcp":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, port))
        except OSError:
            return False
    return True


def owner(port, kind):
    """The program that has a port, in words."""
    inodes, users = set(), set()
    for family in ("", "6"):
        try:
            lines = Path(f"/proc/net/{kind}{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # A connection's local end has the port too; only listeners (TCP 0A) and UDP sockets own it.
            if int(fields[1].rpartition(":")[2], 16) == port and (kind == "udp" or fields[3] == "0A"):
                inodes.add(f"socket:[{fields[9]}]")
                users.add(fields[7])
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    return f"process {process.name} ({command[:80]})"
        except OSError:
            continue
    return f"a process of user {', '.join(sorted(users))}" if users else "a process that cannot be seen from here"
