# SPDX-License-Identifier: GPL-2.0-or-later
"""`make run` plays its scene twice in a row, both ways to XMPP, tells who has a port, and ends when told."""

import fcntl
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest

import place
import waiting
from program import Missing, Program, find
from xmpp_user import XmppUser

pytestmark = pytest.mark.component


@pytest.fixture
def home():
    if not place.module().exists():
        raise Missing(f"the module is not built: {place.module()}")
    folder = place.target() / "e2e"
    folder.mkdir(exist_ok=True)
    with open(folder / "demo.lock", "w") as lock:
        # The ports are those of the README, so one demo plays at a time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        home = place.Place("demo")
        yield home
        home.close()


class Guest:
    """The demo's Prosody as a client of one's own sees it."""

    address, c2s, domain = "127.0.0.1", 25222, "xmpp.example"

    def account(self, user, password):
        """The demo made it."""


def demo(home, *arguments, environment=None):
    ports = [f"--{name}-port={number}" for name, number in
             (("sip", 25060), ("self", 25064), ("xmpp", 25222), ("component", 25347), ("s2s", 25269),
              ("prosody-s2s", 25270), ("dns", 25353), ("phone", 25070))]
    return Program("demo", [sys.executable, str(place.ROOT / "tests/e2e/demo.py"), f"--folder={home.path('run')}",
                            *ports, *arguments], home.path("screen.log"), environment)


def _ask(command):
    """What a command prints that the demo has told to type."""
    name, *arguments = shlex.split(command)
    done = subprocess.run([find(name), *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_it_plays_twice(home):
    for _ in range(2):
        with demo(home, "--once") as program:
            program.wait_for_output("ended: nothing is left running", limit=120)
            assert program.process.wait(10) == 0
            for direction in ("in", "out"):
                assert re.search(rf"stox +stream {direction}: .* TLSv1.3, authenticated by external", program.output())


def test_it_plays_with_a_component(home):
    with demo(home, "--once", "--link=component") as program:
        program.wait_for_output("ended: nothing is left running", limit=120)
        assert program.process.wait(10) == 0
        assert "External component successfully authenticated" in program.output()


def test_it_stays_up_until_it_is_told_to_end(home):
    with demo(home) as program:
        program.wait_for_output("Ctrl-C ends it", limit=120)
        guest = XmppUser(Guest(), "benvolio")
        with guest:
            guest.login()
            guest.presence("nurse@sip.example", "subscribe")
            program.wait_for_output("SUBSCRIBE benvolio@xmpp.example -> nurse@sip.example")
            told = {command: _ask(command) for command in re.findall(r"(?<= )kamcmd .+", program.output())}
            assert [command.rpartition("stox.")[2] for command in told] == ["dialogs", "links", "check xmpp.example"]
            for answer in told.values():
                assert "xmpp.example" in answer and "outcome: failed" not in answer, answer
        program.signal(signal.SIGINT)
        program.wait_for_output("ended: nothing is left running")
        assert program.process.wait(10) == 0


@pytest.mark.parametrize("port", [25222, 25353])
def test_it_names_the_owner_of_a_port(home, port):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        with demo(home, "--once") as program:
            waiting.until(lambda: not program.alive(), "the demo to give up", evidence=program.tail)
            assert program.process.returncode == 1
            assert f"tcp port {port} is taken by process" in program.output()


def test_it_says_that_the_module_is_not_built(home):
    environment = {"STOX_MODULE": str(home.path("no-such.so"))}
    with demo(home, "--once", environment=environment) as program:
        waiting.until(lambda: not program.alive(), "the demo to give up", evidence=program.tail)
        assert program.process.returncode == 1
        assert "run `make build`" in program.output()
