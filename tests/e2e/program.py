# SPDX-License-Identifier: GPL-2.0-or-later
"""A program under test: started with its own log file, ended by its process id, whatever happens."""

import atexit
import ctypes
import os
import select
import shutil
import signal
import subprocess
import weakref
from pathlib import Path

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
        # What had not ended when the limit of `stop()` was over, and was killed.
        self.killed = []
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
                self.killed = session(self.pid)
        try:
            # Children that outlived it are in its session; nobody else is.
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        _running.discard(self)
        return self.process.wait(limit)


def session(leader):
    """The process ids of a session, without those that have ended and wait for their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rpartition(") ")[2].split()[:4]
        except OSError:
            continue
        if int(of) == leader and state not in "ZX":
            found.append(int(path.parent.name))
    return found


class Daemon(Program):
    """A program that goes to the background: what was started ends, and a file names the process that stays."""

    def __init__(self, name, argv, log, pid_file):
        pid_file.unlink(missing_ok=True)
        super().__init__(name, argv, log)
        self._pid = self._watch = None
        status = self.process.wait(waiting.LIMIT)
        if status != 0:
            raise AssertionError(f"{name} did not go to the background but ended with {status}\n{self.tail(60)}")
        self._pid = int(waiting.until(lambda: pid_file.exists() and pid_file.read_text().strip(),
                                      f"{name} to write {pid_file}", evidence=self.tail))
        self._watch = os.pidfd_open(self._pid)

    @property
    def pid(self):
        return self._pid

    def alive(self):
        return self._watch is not None and not select.select([self._watch], [], [], 0)[0]

    def stop(self, limit=10.0):
        """Ends it. Nobody but its parent, the system's first process, learns its exit status."""
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            if not select.select([self._watch], [], [], limit)[0]:
                self._kill_session()
        if self._watch is not None:
            os.close(self._watch)
            self._watch = None
        _running.discard(self)

    def _kill_session(self):
        try:
            os.killpg(os.getpgid(self._pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


@atexit.register
def stop_all():
    """Ends whatever still runs."""
    for program in list(_running):
        program.stop(limit=3.0)
