# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in the face of faults: XMPP servers that die or freeze with a message on its way, SIP users who are silent,
refuse, or answer late, and messages too long for SIP. Each ends, in time, as its sender is told."""

import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import accounts
import waiting
from load import TRUSTING
from test_messages import HELLO, body_is, say, tell

PATIENCE = 20.0
"""Seconds within which a MESSAGE is answered."""

MARGIN = 4.0

ACKNOWLEDGED = {"link": "s2s", "server": "prosody", "acknowledgements": True}


def is_error(id, condition=""):
    """Matches the error for a message."""
    return lambda stanza: (stanza.name == "message" and stanza.type == "error" and f'id="{id}"' in stanza.xml
                           and f"<{condition}" in stanza.xml)


def under_way(scene, direction, number=1):
    """Waits until so many messages are on their way."""
    waiting.until(lambda: accounts.Account.of(scene.kamailio, direction).in_flight == number,
                  f"{number} messages {direction} to be under way", evidence=scene.kamailio.tail)


class Saying:
    """A SIP user says something while the test goes on; over UDP it is sent again until it is answered."""

    def __init__(self, agent, text, **fields):
        self._began = time.monotonic()
        self._end = ThreadPoolExecutor(1).submit(self._say, agent, text, fields)

    def _say(self, agent, text, fields):
        answer = say(agent, text, limit=2 * PATIENCE, **fields)
        return answer, time.monotonic() - self._began

    def is_answered(self):
        """Whether the final status has come."""
        return self._end.done()

    def status(self, limit=PATIENCE + MARGIN):
        """The final status, which has to have come within `limit` seconds."""
        answer, took = self._end.result(3 * PATIENCE)
        assert took < limit, f"{answer.status} came after {took:.1f} s"
        return answer.status


def crash(scene, juliet):
    """The server dies without a word, and its clients with it."""
    scene.server.program.signal(signal.SIGKILL)
    scene.server.stop()
    juliet.drop()


def with_link(stage, **more):
    """A scene in which a message has been carried each way, so that the links are there."""
    scene = stage(**more)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    assert say(romeo, "first").status == 200
    juliet.expect("a message", body_is("first"))
    tell(juliet, "second")
    romeo.expect_request("MESSAGE")
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=0)
    return scene, juliet, romeo


# ---------------------------------------------------------------- the XMPP server

@pytest.mark.parametrize("how", [{}, ACKNOWLEDGED], ids=["component", "acknowledged"])
def test_a_server_that_freezes_and_wakes_is_waited_for(stage, how):
    scene, juliet, romeo = with_link(stage, **how)
    scene.server.freeze()
    saying = Saying(romeo, HELLO)
    under_way(scene, "to_xmpp")
    waiting.never(saying.is_answered, "an answer for a server that is frozen", 3)
    scene.server.thaw()
    assert saying.status() == 200
    juliet.expect("a message", body_is(HELLO))
    accounts.settled(scene.kamailio, "to_xmpp", delivered=2, errored=0)


@pytest.mark.parametrize("how", [{}, ACKNOWLEDGED], ids=["component", "acknowledged"])
def test_a_server_that_freezes_for_good_is_reported(stage, how):
    scene, _, romeo = with_link(stage, **how)
    scene.server.freeze()
    assert Saying(romeo, HELLO).status() in (480, 504)
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=1)
    scene.server.thaw()


@pytest.mark.parametrize("how", [{}, ACKNOWLEDGED], ids=["component", "acknowledged"])
def test_a_server_killed_before_it_took_a_message_gets_it_again(stage, how):
    scene, juliet, romeo = with_link(stage, **how)
    # What a stopped process has not read dies with it.
    scene.server.freeze()
    saying = Saying(romeo, HELLO)
    under_way(scene, "to_xmpp")
    crash(scene, juliet)
    scene.server.start()
    scene.wait_for_link()
    assert saying.status() == 200
    juliet.login()
    came = juliet.expect("the message", body_is(HELLO))
    assert came.sender == "romeo@sip.example"
    accounts.settled(scene.kamailio, "to_xmpp", delivered=2, errored=0)
    assert len([s for s in juliet.received if body_is(HELLO)(s)]) == 1


@pytest.mark.parametrize("how", [{}, ACKNOWLEDGED], ids=["component", "acknowledged"])
def test_a_server_killed_for_good_is_reported(stage, how):
    scene, juliet, romeo = with_link(stage, **how)
    scene.server.freeze()
    saying = Saying(romeo, HELLO)
    under_way(scene, "to_xmpp")
    crash(scene, juliet)
    assert saying.status() in (480, 504)
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=1)


# Between servers the pause until the link is tried again may be minutes.
@pytest.mark.parametrize("how", [pytest.param({}, id="component"),
                                 pytest.param(ACKNOWLEDGED, id="acknowledged", marks=pytest.mark.soak)])
def test_an_error_that_a_killed_server_did_not_take_is_told_later(stage, how):
    scene, juliet, romeo = with_link(stage, **how)
    go = threading.Event()

    def refuse(request):
        go.wait(waiting.LIMIT)
        return 480, [], ""

    romeo.on["MESSAGE"] = refuse
    tell(juliet, "Romeo?", id="m1")
    under_way(scene, "to_sip")
    crash(scene, juliet)
    waiting.until(lambda: "reconnect" in scene.kamailio.kamcmd("stox.links"), "the gateway to see that the server is gone",
                  evidence=lambda: scene.kamailio.kamcmd("stox.links"))
    go.set()
    scene.server.start()
    # Whether she has logged in by then is not for the gateway to say.
    waiting.until(lambda: [s for s in scene.server.stanzas("message") if "type='error'" in s and "id='m1'" in s],
                  "the server to get the error", 300, scene.server.program.tail)
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=1)


@pytest.mark.parametrize("how", [{}, ACKNOWLEDGED], ids=["component", "acknowledged"])
def test_what_a_frozen_server_has_no_room_for_is_refused(stage, how):
    scene, juliet, romeo = with_link(stage, defines=TRUSTING, extra="tcp_rd_buf_size=1048576", **how,
                                     parameters={"max_user_messages": 0, "max_domain_messages": 0})
    sender = scene.sip("mercutio", tcp=True)
    scene.server.freeze()
    texts = {}

    def answers():
        found = {}
        for message in sender.received:
            found[message.call_id] = message.status
        return found

    # What the kernel takes is not in the queue: this goes on until some have been refused.
    while list(answers().values()).count(500) < 5:
        call_id = f"long-{len(texts)}@sip.example"
        texts[call_id] = f"{len(texts)} ".ljust(40_000, "x")
        sender.transmit(sender.build("MESSAGE", "sip:juliet@xmpp.example", headers=[("Content-Type", "text/plain")],
                                     body=texts[call_id], call_id=call_id, contact=False))
        waiting.until(lambda: accounts.Account.of(scene.kamailio, "to_xmpp").taken == len(texts) + 1,
                      f"message {len(texts)} to be taken", evidence=scene.kamailio.tail)
    scene.server.thaw()
    waiting.until(lambda: len(answers()) == len(texts), "all messages to be answered", 2 * PATIENCE,
                  lambda: str(answers()))
    accepted = {call_id for call_id, status in answers().items() if status == 200}
    refused = {call_id for call_id, status in answers().items() if status == 500}
    print(f"{len(accepted)} accepted, {len(refused)} refused")
    assert len(accepted) > 5 and len(accepted) + len(refused) == len(texts), answers()

    def arrived():
        return {call_id for call_id, text in texts.items() if any(body_is(text)(s) for s in juliet.received)}

    waiting.until(lambda: arrived() == accepted, "what was accepted to arrive, and nothing else",
                  evidence=lambda: f"not accepted {arrived() - accepted}, not arrived {accepted - arrived()}")
    accounts.settled(scene.kamailio, "to_xmpp", delivered=len(accepted) + 1, errored=len(refused))


# ---------------------------------------------------------------- the SIP user

@pytest.mark.parametrize("status, headers, condition, type", [
    (302, [("Contact", "<sip:romeo@elsewhere.example>")], "redirect", "modify"),
    (415, [("Accept", "message/cpim")], "not-acceptable", "modify"),
    (480, [], "recipient-unavailable", "wait"),
    (486, [], "recipient-unavailable", "wait"),
    # Kamailio passes a 503 on as 500 (RFC 3261 §16.7).
    (503, [("Retry-After", "7")], "internal-server-error", "cancel|wait"),
    (513, [], "policy-violation", "modify"),
    (603, [], "recipient-unavailable", "wait|cancel"),
])
def test_a_refusal_is_told(scene, status, headers, condition, type):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    romeo.on["MESSAGE"] = lambda _: (status, headers, "")
    tell(juliet, "Romeo?", id="m1")
    error = juliet.expect("an error", is_error("m1"))
    assert re.search(rf"<{condition}[ />]", error.xml), error.xml
    assert re.search(rf'<error [^>]*type="({type})"', error.xml), error.xml
    assert error.sender == "romeo@sip.example"
    accounts.settled(scene.kamailio, "to_sip", delivered=0, errored=1)
    romeo.on["MESSAGE"] = lambda _: (200, [], "")
    romeo.forget()
    tell(juliet, "Again", id="m2")
    assert romeo.expect_request("MESSAGE", match=lambda m: m.body == "Again")
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=1)


def test_a_user_without_a_phone_is_reported(scene):
    juliet = scene.xmpp("juliet")
    tell(juliet, "Nurse?", to="nurse@sip.example", id="m1")
    juliet.expect("an error", is_error("m1", "recipient-unavailable"))
    accounts.settled(scene.kamailio, "to_sip", delivered=0, errored=1)


def test_a_silent_phone_is_reported_after_timer_f(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    romeo.on["MESSAGE"] = lambda _: None
    tell(juliet, "Romeo?", id="m1")
    juliet.expect("an error", is_error("m1", "remote-server-timeout"), limit=60)
    assert len({(m.call_id, m.from_tag) for m in romeo.requests("MESSAGE")}) == 1
    accounts.settled(scene.kamailio, "to_sip", delivered=0, errored=1)


def test_a_late_answer_counts_and_those_behind_it_keep_their_order(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    began = time.monotonic()

    def late(request):
        # The first only, and to none of its retransmissions before.
        return None if request.body == "0" and time.monotonic() - began < 10 else (200, [], "")

    romeo.on["MESSAGE"] = late
    for n in range(4):
        tell(juliet, str(n), id=f"m{n}")
    romeo.expect_request("MESSAGE", match=lambda m: m.body == "3")
    first = list(dict.fromkeys(m.body for m in romeo.received if m.method == "MESSAGE" and m.status is None))
    assert first == ["0", "1", "2", "3"]
    accounts.settled(scene.kamailio, "to_sip", delivered=4, errored=0)
    assert not [s for s in juliet.received if s.type == "error"]


def test_a_phone_that_comes_back_gets_what_is_said_then(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    romeo.register(expires=0)
    tell(juliet, "Too early", id="m1")
    juliet.expect("an error", is_error("m1", "recipient-unavailable"))
    romeo.register()
    tell(juliet, "Now", id="m2")
    romeo.expect_request("MESSAGE", match=lambda m: m.body == "Now")
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=1)


# ---------------------------------------------------------------- how long a message may be

MOST = 1300
"""Bytes of a MESSAGE over UDP (RFC 3428 §8)."""


class Lengths:
    """Says texts of chosen lengths, one after another."""

    def __init__(self, juliet, romeo):
        self.juliet, self.romeo = juliet, romeo
        self.said = 0

    def arrives(self, length):
        """The MESSAGE with a text of that length; `None` if it was refused as a violation of policy."""
        self.said += 1
        id = f"length-{self.said}"
        text = f"{id}:".ljust(length, "x")
        tell(self.juliet, text, id=id)

        def ended():
            came = [m for m in self.romeo.received if m.method == "MESSAGE" and m.body == text]
            errors = [s for s in self.juliet.received if is_error(id)(s)]
            return came or errors

        found = waiting.until(ended, f"a message of {length} bytes to end", evidence=self.romeo.history)[0]
        if found in self.romeo.received:
            return found
        assert "<policy-violation" in found.xml, found.xml
        return None


def test_the_longest_message_fits_the_wire(stage):
    scene = stage(parameters={"max_user_messages": 0})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    lengths = Lengths(juliet, romeo)
    fits, does_not = 100, 2000
    longest = lengths.arrives(fits)
    assert longest and lengths.arrives(does_not) is None
    while does_not - fits > 1:
        length = (fits + does_not) // 2
        came = lengths.arrives(length)
        if came:
            fits, longest = length, came
        else:
            does_not = length
    on_the_wire = len(longest.text.encode())
    print(f"the longest text has {fits} bytes, its datagram {on_the_wire}")
    # Nor is a message refused that would have fitted well.
    assert MOST - 200 < on_the_wire <= MOST, longest.text
    assert lengths.arrives(10 * fits) is None
    came = len({(m.call_id, m.from_tag) for m in romeo.received if m.method == "MESSAGE"})
    accounts.settled(scene.kamailio, "to_sip", delivered=came, errored=lengths.said - came)


@pytest.mark.parametrize("most", [10_000])
def test_a_safe_path_takes_longer_messages(stage, most):
    scene = stage(parameters={"message_max": most})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    romeo.register()
    lengths = Lengths(juliet, romeo)
    assert lengths.arrives(most - 700)
    assert lengths.arrives(most) is None
    assert lengths.arrives(10 * most) is None
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=2)


def test_a_long_message_to_xmpp_arrives(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    text = "x" * 12_000
    assert say(romeo, text).status == 200
    juliet.expect("a message", body_is(text))
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)
