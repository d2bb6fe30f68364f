# SPDX-License-Identifier: GPL-2.0-or-later
"""profanity, a real XMPP client, driven by typing on a terminal and read from its screen."""

import shlex
import subprocess

import pyte

import waiting
from program import Program, find

_COLUMNS, _ROWS = 160, 60
_LEAVES_SCREEN = "\x1b[?1049l"


class Profanity:
    """A running profanity, logged in. It needs a terminal: `script` gives it one, and keeps what it draws there."""

    def __init__(self, folder, server, user, password="secret"):
        server.account(user, password)
        self.jid = f"{user}@{server.domain}"
        folder.mkdir(parents=True, exist_ok=True)
        command = shlex.join([find("profanity"), "-l", "DEBUG", "-f", str(folder / "profanity.log")])
        self.program = Program(
            "profanity", [find("script"), "-qefc", f"stty cols {_COLUMNS} rows {_ROWS}; exec {command}", "/dev/null"],
            folder / "screen.log", {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"),
                                    "XDG_DATA_HOME": str(folder / "data"), "TERM": "linux", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE)
        self.wait_for_screen("Type /help for help")
        # Every change of a contact's presence is shown, not only his coming and going.
        self.type("/presence console all")
        self.type(f"/connect {self.jid} server {server.address} port {server.c2s} tls disable")
        self.wait_for_screen("Enter password")
        self.type(password)
        self.wait_for_screen("logged in successfully")

    def stop(self):
        """Leaves as a user would; ends it if it does not go."""
        if self.program.alive():
            try:
                self.type("/quit")
                self.program.process.wait(4)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.program.stop(limit=3.0)

    def type(self, line):
        """Types a line."""
        self.program.write(line)

    def screen(self):
        """The lines that are to be seen."""
        terminal = pyte.Screen(_COLUMNS, _ROWS)
        drawn = self.program.output().rpartition(_LEAVES_SCREEN)
        pyte.Stream(terminal).feed(drawn[0] or drawn[2])
        return [line.rstrip() for line in terminal.display if line.strip()]

    def wait_for_screen(self, text, limit=waiting.LIMIT):
        """Waits until a line that has `text` is to be seen; returns it."""
        return waiting.until(lambda: next((line for line in self.screen() if text in line), None),
                             f"{self.program.name} to show {text!r}", limit, lambda: "\n".join(self.screen()))
