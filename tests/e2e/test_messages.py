# SPDX-License-Identifier: GPL-2.0-or-later
"""Single messages (RFC 7572): each is delivered, or reported to its sender, and counted."""

import pytest

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


def settled_both_ways(scene, to_xmpp, to_sip):
    """Waits until so many messages have been delivered each way, none reported."""
    accounts.settled(scene.kamailio, "to_xmpp", delivered=to_xmpp, errored=0)
    accounts.settled(scene.kamailio, "to_sip", delivered=to_sip, errored=0)


def linphone_and_slixmpp(scene):
    """They write to each other, in more than ASCII."""
    juliet = scene.xmpp("juliet")
    with scene.linphone("romeo") as romeo:
        romeo.wait_registered()
        romeo.type("chat sip:juliet@xmpp.example Hello from linphone, é ü 漢")
        juliet.expect("a message", body_is("Hello from linphone, é ü 漢"))
        tell(juliet, "Hello from slixmpp, é ü 漢")
        romeo.wait_for_screen("Hello from slixmpp, é ü 漢")
    settled_both_ways(scene, to_xmpp=1, to_sip=1)


def test_linphone_and_slixmpp(scene):
    linphone_and_slixmpp(scene)


def test_baresip_and_slixmpp(scene):
    juliet = scene.xmpp("juliet")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"])
    nurse.wait_registered()
    nurse.command("message", "Hello from baresip, é ü 漢")
    said = juliet.expect("a message", body_is("Hello from baresip, é ü 漢"))
    assert said.sender == "nurse@sip.example"
    tell(juliet, "Hello from slixmpp, é ü 漢", to="nurse@sip.example")
    nurse.wait_for_wire("Hello from slixmpp, é ü 漢")
    settled_both_ways(scene, to_xmpp=1, to_sip=1)


def test_profanity_and_linphone(scene):
    juliet = scene.profanity("juliet")
    with scene.linphone("romeo") as romeo:
        romeo.wait_registered()
        juliet.type("/msg romeo@sip.example Hello from profanity, é ü 漢")
        romeo.wait_for_screen("Hello from profanity, é ü 漢")
        romeo.type("chat sip:juliet@xmpp.example Hello from linphone, é ü 漢")
        juliet.wait_for_screen("Hello from linphone, é ü 漢")
    settled_both_ways(scene, to_xmpp=1, to_sip=1)


def test_profanity_and_baresip(scene):
    juliet = scene.profanity("juliet")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"])
    nurse.wait_registered()
    juliet.type("/msg nurse@sip.example Hello from profanity, é ü 漢")
    nurse.wait_for_wire("Hello from profanity, é ü 漢")
    nurse.command("message", "Hello from baresip, é ü 漢")
    juliet.wait_for_screen("Hello from baresip, é ü 漢")
    settled_both_ways(scene, to_xmpp=1, to_sip=1)


@pytest.mark.parametrize("how", [{"server": "prosody", "acknowledgements": True},
                                 {"server": "prosody", "acknowledgements": True, "bidi": True},
                                 {"server": "ejabberd"}], ids=["acknowledged", "bidi", "ejabberd"])
def test_between_servers(stage, how):
    linphone_and_slixmpp(stage(link="s2s", **how))
