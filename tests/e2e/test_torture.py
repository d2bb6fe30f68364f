# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of RFC 4475 to Kamailio with the module: each has the outcome that was written down, and all live on.

Every message goes over UDP and over TCP, once as it is to the site of `stox.cfg`, and once with its Request-URI
rewritten to an XMPP domain that is served, to a script that hands all over as authenticated. The outcomes are the
first columns of `tests/vectors/rfc4475/outcomes`; with STOX_WRITE_OUTCOMES=1 they are written there instead. They are
those of Kamailio 5.6: of another version, which may refuse others, only that all live on is tested.
"""

import os
import re
import select
import socket

import pytest

import place
import waiting
from kamailio import version

VECTORS = place.ROOT / "tests" / "vectors" / "rfc4475"
MESSAGES = sorted(VECTORS.glob("*.dat"))
TABLE = VECTORS / "outcomes"
COLUMNS = ["udp", "tcp", "xmpp-udp", "xmpp-tcp"]
# The senders' domains, so that the gateway does not stop at From.
SENDERS = "".join(f'modparam("stox", "sip_domain", "{domain}")\n'
                  for domain in ("example.com", "example.net", "example.org"))
TRUSTING = SENDERS + """
    request_route {
        if (stox_match()) {
            xlog("L_NOTICE", "torture: to stox_handle\\n");
            stox_handle("authenticated");
            exit;
        }
        sl_send_reply("200", "Not to XMPP");
    }
"""
REACHED = "torture: to stox_handle"
SILENCE = 0.3
"""Seconds without an answer that count as none."""


def rewritten(message):
    """The message with its Request-URI replaced; a response stays as it is."""
    line, end, rest = message.partition(b"\r\n")
    if line.startswith(b"SIP/"):
        return message
    line = re.sub(rb"^(\S+\s+)(.*?)(\s+SIP/\S+\s*)?$", rb"\1sip:juliet@xmpp.example\3", line)
    return line + end + rest


class Table:
    """What becomes of each message: a row for each, a column for each way."""

    def __init__(self):
        lines = [line.split() for line in TABLE.read_text().splitlines() if not line.startswith("#")]
        self.names = lines[0][1:]
        self.rows = {row[0]: dict(zip(self.names, row[1:])) for row in lines[1:]}

    def column(self, name):
        """Message to outcome."""
        return {message: row[name] for message, row in self.rows.items()}

    def write(self, name, outcomes):
        """Puts a column into the file."""
        head = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
        for message, outcome in outcomes.items():
            self.rows[message][name] = outcome
        lines = ["message".ljust(14) + "".join(column.ljust(10) for column in self.names).rstrip()]
        lines += [message.ljust(14) + "".join(row[column].ljust(10) for column in self.names).rstrip()
                  for message, row in sorted(self.rows.items())]
        TABLE.write_text("\n".join(head + lines) + "\n")


class Sender:
    """Sends one message and tells the first final answer, `none`, or `closed` for a connection that was ended."""

    # Without rport the answer goes to the port in Via; these are all that the messages name.
    PORTS = (5060, 5050, 5070)

    def __init__(self, proxy, address, tcp):
        self.proxy = proxy
        self.address = address
        self.sockets = []
        self.tcp = tcp
        if not tcp:
            for port in self.PORTS:
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.sockets.append(s)
                s.bind((address, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()

    def outcome(self, message, expected):
        """What becomes of a message."""
        # Where an answer is expected there is time for it, so that a slow machine makes no other outcome.
        limit = SILENCE if expected == "none" else waiting.LIMIT
        if self.tcp:
            with socket.create_connection(self.proxy, source_address=(self.address, 0)) as s:
                s.sendall(message)
                return self._first([s], limit)
        while ready := select.select(self.sockets, [], [], 0)[0]:
            for s in ready:
                s.recv(65535)
        self.sockets[0].sendto(message, self.proxy)
        return self._first(self.sockets, limit)

    def _first(self, sockets, limit):
        while True:
            ready = select.select(sockets, [], [], limit)[0]
            if not ready:
                return "none"
            try:
                data = ready[0].recv(65535)
            except ConnectionResetError:
                return "closed"
            if not data:
                return "closed"
            status = re.match(rb"SIP/2\.0 (\d{3})", data)
            assert status, f"no answer: {data[:200]}"
            if not status.group(1).startswith(b"1"):
                return status.group(1).decode()


@pytest.mark.parametrize("column", COLUMNS)
def test_every_message_has_its_outcome_and_all_live_on(stage, column):
    to_xmpp = column.startswith("xmpp-")
    # One worker, so that what comes later is later.
    defines = {"WORKERS": "1"}
    if to_xmpp:
        defines["SCRIPT_ELSEWHERE"] = "1"
    scene = stage(defines=defines, extra=TRUSTING if to_xmpp else "")
    scene.wait_for_link()
    kamailio, writing = scene.kamailio, os.environ.get("STOX_WRITE_OUTCOMES") == "1"
    comparing = not writing and version() == (5, 6)
    before = sorted(kamailio.processes())
    table = Table()
    expected = table.column(column)
    assert len(MESSAGES) == 50 and set(expected) == {message.stem for message in MESSAGES}

    found, reached = {}, 0
    with Sender(kamailio.proxy, scene.place.agent_address(), column.endswith("tcp")) as sender:
        for message in MESSAGES:
            data = message.read_bytes()
            known = expected[message.stem].rstrip("+") if comparing else "none"
            outcome = sender.outcome(rewritten(data) if to_xmpp else data, known)
            assert kamailio.options(limit=waiting.LIMIT) == 200, f"after {message.stem}"
            handled = kamailio.log().count(REACHED) - reached
            reached += handled
            # `+`: reached stox_handle().
            found[message.stem] = outcome + ("+" if handled else "")

    romeo = scene.sip("romeo")
    assert romeo.ask("OPTIONS", "sip:juliet@xmpp.example").status == 200
    assert sorted(kamailio.processes()) == before, "a process has ended"
    waiting.until(lambda: kamailio.statistics()["requests_held"] == 0, "every request to be answered")
    statistics = kamailio.statistics()
    assert statistics["gateway_restarts"] == 0 and statistics["answered_unavailable"] == 0
    assert statistics["bad_frames"] == 0
    assert not list(kamailio.folder.glob("core*"))
    if writing:
        table.write(column, found)
    elif comparing:
        assert found == expected
    if to_xmpp:
        assert reached >= 20, "few messages reach the module: is anything tested?"


def test_no_message_is_kept_from_the_module_by_the_rewriting():
    for message in MESSAGES:
        data = message.read_bytes()
        if data.startswith(b"SIP/"):
            assert rewritten(data) == data
        else:
            line = rewritten(data).split(b"\r\n")[0]
            assert b" sip:juliet@xmpp.example" in line and line.count(b"sip:") == 1, line
