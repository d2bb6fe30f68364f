# SPDX-License-Identifier: GPL-2.0-or-later
"""A program under test: started with its own log file, ended by its process id, whatever happens."""

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import weakref

import waiting

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = weakref.WeakSet()


class Missing(Exception):
    """A program that a scenario needs is not installed."""


def find(name):
    """The path of an installed program; [`Missing`] says which one is not there."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def _end_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Program:
    """A running program. Use as a context manager, or call `stop()`."""

    def __init__(self, name, argv, log, environment=None, cwd=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log = log
        self.argv = argv
        with open(log, "ab") as out:
            self._mark = out.tell()
            self.process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        _running.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def output(self):
        """All it printed since it was started."""
        with open(self.log, "rb") as log:
            log.seek(self._mark)
            return log.read().decode("utf-8", "replace")

    def tail(self, lines=25):
        """The last lines it printed, under a heading."""
        text = "\n".join(self.output().splitlines()[-lines:])
        return f"--- {self.name} ({self.log})\n{text}"

    def wait_for_output(self, text, limit=waiting.LIMIT):
        """Waits until it has printed `text`."""

        def said():
            if text in self.output():
                return True
            if not self.alive():
                raise AssertionError(f"{self.name} ended with {self.process.returncode}\n{self.tail()}")
            return False

        waiting.until(said, f"{self.name} to print {text!r}", limit, self.tail)

    def write(self, line):
        """Types a line; needs `stdin=subprocess.PIPE`."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def signal(self, number):
        """Sends a signal to this program alone."""
        os.kill(self.pid, number)

    def stop(self, limit=10.0):
        """Ends it: asked first, killed with its session when it does not listen. Returns its exit status."""
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(limit)
            except subprocess.TimeoutExpired:
                pass
        try:
            # Children that outlived it are in its session; nobody else is.
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        _running.discard(self)
        return self.process.wait(limit)


@atexit.register
def stop_all():
    """Ends whatever still runs."""
    for program in list(_running):
        program.stop(limit=3.0)
