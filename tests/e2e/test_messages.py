# SPDX-License-Identifier: GPL-2.0-or-later
"""Single messages (RFC 7572): each is delivered, or reported to its sender, and counted."""

import accounts

HELLO = "Neither, fair saint, if either thee dislike."


def say(agent, text, to="sip:juliet@xmpp.example", headers=(("Content-Type", "text/plain"),), **fields):
    """A SIP user says something; the final response."""
    return agent.ask("MESSAGE", to, headers=headers, body=text, contact=False, **fields)


def body_is(text):
    """Matches a message stanza with that text."""
    return lambda stanza: stanza.name == "message" and f"<body>{text}</body>" in stanza.xml


def tell(user, text, to="romeo@sip.example", id="a1", more=""):
    """An XMPP user says something."""
    user.raw(f"<message to='{to}' id='{id}' type='chat'><body>{text}</body>{more}</message>")


def test_from_sip_to_xmpp(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    answer = say(romeo, HELLO, call_id="a-thread@sip.example")
    assert answer.status == 200
    stanza = juliet.expect("a message", body_is(HELLO))
    assert stanza.sender == "romeo@sip.example"
    assert stanza.type in ("", "normal")
    assert "<thread>a-thread@sip.example</thread>" in stanza.xml
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_from_xmpp_to_sip(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    romeo.register()
    tell(juliet, "Art thou not Romeo?", more="<thread>29377446-0CBB</thread>")
    message = romeo.expect_request("MESSAGE")
    assert message.body == "Art thou not Romeo?"
    assert message["call-id"] == "29377446-0CBB"
    assert message["from"].startswith("<sip:juliet@xmpp.example;gr=balcony>;tag=")
    assert message["content-type"].startswith("text/plain")
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=0)


def test_one_who_is_not_there_is_reported(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    answer = say(romeo, HELLO, to="sip:nobody@xmpp.example")
    assert answer.status in (403, 404, 604), answer
    accounts.settled(scene.kamailio, "to_xmpp", delivered=0, errored=1)
    tell(juliet, "Romeo?", to="mercutio@sip.example", id="m7")
    error = juliet.expect("an error", lambda stanza: stanza.name == "message" and stanza.type == "error")
    assert "item-not-found" in error.xml and 'id="m7"' in error.xml
    accounts.settled(scene.kamailio, "to_sip", delivered=0, errored=1)


def test_both_ways_with_real_clients(scene):
    juliet = scene.xmpp("juliet")
    with scene.linphone("romeo") as romeo:
        romeo.wait_registered()
        romeo.type("chat sip:juliet@xmpp.example Hello from linphone")
        juliet.expect("a message", body_is("Hello from linphone"))
        tell(juliet, "Hello from slixmpp")
        romeo.wait_for_screen("Hello from slixmpp")
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=0)
