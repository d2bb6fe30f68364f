# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary XMPP user sends what he should not: an error for him, nothing for anybody else."""

import pytest

from scene import bare

ROMEO = "romeo@sip.example"
HOSTILE = {
    "5000 levels deep": f"<presence to='{ROMEO}' id='evil'>" + "<a xmlns='x'>" * 5000 + "</a>" * 5000 + "</presence>",
    "show available": f"<presence to='{ROMEO}' id='evil'><show>available</show></presence>",
    "type weird": f"<presence to='{ROMEO}' id='evil' type='weird'/>",
    "priority 1000": f"<presence to='{ROMEO}' id='evil'><priority>1000</priority></presence>",
    "a message of 200 kB": f"<message to='{ROMEO}' id='evil' type='chat'><body>{'x' * 200_000}</body></message>",
    "a message of 1 MB": f"<message to='{ROMEO}' id='evil' type='chat'><body>{'x' * 1_000_000}</body></message>",
    "two threads": f"<message to='{ROMEO}' id='evil' type='chat'><body>a</body><thread>1</thread><thread>2</thread>"
                   "</message>",
    "an iq nobody knows": f"<iq to='{ROMEO}' id='evil' type='get'><query xmlns='urn:nobody:knows'/></iq>",
    "an iq with two questions": f"<iq to='{ROMEO}' id='evil' type='get'><ping xmlns='urn:xmpp:ping'/>"
                                "<ping xmlns='urn:xmpp:ping'/></iq>",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_costs_nobody_else_anything(scene, kind):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    connections = scene.server.connections()
    mallory = scene.xmpp("mallory")
    mallory.raw(HOSTILE[kind])

    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    assert scene.server.connections() == connections
    if HOSTILE[kind].startswith("<iq"):
        answer = mallory.expect("an error", lambda s: s.name == "iq" and s.type == "error")
        assert answer.bare == ROMEO
    watch.expect_silence(0.3)


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_sender_gets_an_error(scene, kind):
    mallory = scene.xmpp("mallory")
    mallory.raw(HOSTILE[kind])
    error = mallory.expect("an error", lambda s: s.type == "error" and "evil" in s.xml)
    assert error.bare == ROMEO
    assert mallory.online


def test_errors_never_answer_errors(scene):
    mallory = scene.xmpp("mallory")
    mallory.forget()
    for name in ("message", "presence", "iq"):
        mallory.raw(f"<{name} to='{ROMEO}' id='e' type='error'><error type='cancel'>"
                    f"<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{name}>")
    mallory.raw(f"<iq to='{ROMEO}' id='r' type='result'/>")
    mallory.expect_silence(ROMEO, seconds=0.5)
    assert not [s for s in mallory.received if s.type == "error"]


def test_questions_to_the_gateway_are_answered(scene):
    juliet = scene.xmpp("juliet")
    questions = {
        "disco": ("sip.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "identity"),
        "ping": ("sip.example", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        "version": ("sip.example", "<query xmlns='jabber:iq:version'/>", "version"),
        "user": ("romeo@sip.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "iq"),
    }
    for name, (to, query, expected) in questions.items():
        juliet.raw(f"<iq to='{to}' id='{name}' type='get'>{query}</iq>")
        answer = juliet.expect(f"an answer to {name}", lambda s, n=name: s.name == "iq" and f'id="{n}"' in s.xml)
        assert answer.type in ("result", "error") and expected in answer.xml


def test_strangers_get_nothing_from_probes(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    mallory = scene.xmpp("mallory")
    mallory.forget()
    mallory.raw(f"<presence to='{ROMEO}' type='probe'/>")
    mallory.expect_silence(bare(romeo), seconds=1, type="")
    assert juliet.online
