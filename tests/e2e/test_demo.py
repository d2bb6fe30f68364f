# SPDX-License-Identifier: GPL-2.0-or-later
"""`make run` plays its scene twice in a row, tells who has a port, and ends when told."""

import signal
import socket
import sys

import pytest

import place
import waiting
from program import Missing, Program
from xmpp_user import XmppUser

pytestmark = pytest.mark.component


@pytest.fixture
def home():
    if not place.module().exists():
        raise Missing(f"the module is not built: {place.module()}")
    home = place.Place("demo")
    yield home
    home.close()


class Guest:
    """The demo's Prosody as a client of one's own sees it."""

    address, c2s, domain = "127.0.0.1", 25222, "xmpp.example"

    def account(self, user, password):
        """The demo made it."""


def demo(home, *arguments):
    ports = [f"--{name}-port={number}" for name, number in
             (("sip", 25060), ("self", 25064), ("xmpp", 25222), ("component", 25347), ("phone", 25070))]
    return Program("demo", [sys.executable, str(place.ROOT / "tests/e2e/demo.py"), f"--folder={home.path('run')}",
                            *ports, *arguments], home.path("screen.log"))


def test_it_plays_twice(home):
    for _ in range(2):
        with demo(home, "--once") as program:
            program.wait_for_output("ended: nothing is left running", limit=120)
            assert program.process.wait(10) == 0


def test_it_stays_up_until_it_is_told_to_end(home):
    with demo(home) as program:
        program.wait_for_output("Ctrl-C ends it", limit=120)
        guest = XmppUser(Guest(), "benvolio")
        with guest:
            guest.login()
            guest.presence("nurse@sip.example", "subscribe")
            program.wait_for_output("SUBSCRIBE benvolio@xmpp.example -> nurse@sip.example")
        program.signal(signal.SIGINT)
        program.wait_for_output("ended: nothing is left running")
        assert program.process.wait(10) == 0


def test_it_names_the_owner_of_a_port(home):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 25222))
        taken.listen(1)
        with demo(home, "--once") as program:
            waiting.until(lambda: not program.alive(), "the demo to give up", evidence=program.tail)
            assert program.process.returncode == 1
            assert "tcp port 25222 is taken by process" in program.output()
