# SPDX-License-Identifier: GPL-2.0-or-later
"""What messages hold besides plain text, as a client on the other side gets it: character sets, markup, languages, CPIM,
notifications, who is writing, files."""

import re
import zlib

import pytest

import accounts
from test_message_faults import is_error
from test_messages import body_is, say, tell

COMPOSING = "application/im-iscomposing+xml"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
RECEIPTS = "urn:xmpp:receipts"
MARKERS = "urn:xmpp:chat-markers:0"


@pytest.fixture
def two(scene):
    """Juliet and Romeo, who is registered."""
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    return scene, juliet, romeo


def typed(type, **more):
    """The header fields that say what a body is."""
    return [("Content-Type", type), *((name.replace("_", "-"), value) for name, value in more.items())]


def is_message(*parts):
    """Matches a message stanza that has all these texts."""
    return lambda stanza: stanza.name == "message" and all(part in stanza.xml for part in parts)


def composing(state):
    """The body that says whether somebody writes (RFC 3994)."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
            f"<state>{state}</state><contenttype>text/plain</contenttype></isComposing>")


def cpim(inside, *headers):
    """A body in its envelope (RFC 3862)."""
    lines = ["From: <sip:romeo@sip.example>", "To: <sip:juliet@xmpp.example>", *headers, "", inside]
    return "\r\n".join(lines)


IMDN = "NS: imdn <urn:ietf:params:imdn>"


def imdn(message_id, kind, said):
    """The notification of what has become of a message (RFC 5438), in its envelope."""
    document = (f'<?xml version="1.0" encoding="UTF-8"?>\n<imdn xmlns="urn:ietf:params:xml:ns:imdn">'
                f"<message-id>{message_id}</message-id><datetime>2026-11-22T03:00:00Z</datetime>"
                f"<{kind}-notification><status><{said}/></status></{kind}-notification></imdn>")
    return cpim("\r\n".join(["Content-Type: message/imdn+xml", "Content-Disposition: notification",
                             f"Content-Length: {len(document)}", "", document]), IMDN, "imdn.Message-ID: n1")


# ---------------------------------------------------------------- from SIP

@pytest.mark.parametrize("charset, text", [("iso-8859-1", "Où est Roméo ?"), ("windows-1252", "“Roméo” – €"),
                                           ("utf-8", "ロミオ 🌹"), ("koi8-r", "Ромео")])
def test_a_character_set_is_decoded(two, charset, text):
    scene, juliet, romeo = two
    body = text.encode(charset).decode("utf-8", "surrogateescape")
    assert say(romeo, body, headers=typed(f"text/plain;charset={charset}")).status == 200
    juliet.expect("a message", body_is(text))
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_markup_comes_with_its_text(two):
    scene, juliet, romeo = two
    html = "<html><body><p>Good <strong>night</strong>!</p><script>alert(1)</script></body></html>"
    assert say(romeo, html, headers=typed("text/html")).status == 200
    came = juliet.expect("a message", body_is("Good night!"))
    assert "http://jabber.org/protocol/xhtml-im" in came.xml and "<strong>night</strong>" in came.xml
    assert "alert" not in came.xml
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_languages_come_side_by_side(two):
    scene, juliet, romeo = two
    parts = [("en", "text/plain", "Good night"), ("fr", "text/plain", "Bonne nuit"),
             ("fr", "text/html", "<p>Bonne <em>nuit</em></p>")]
    body = "".join(f"--b\r\nContent-Type: {type}\r\nContent-Language: {lang}\r\n\r\n{text}\r\n"
                   for lang, type, text in parts) + "--b--\r\n"
    assert say(romeo, body, headers=typed('multipart/alternative;boundary="b"')).status == 200
    came = juliet.expect("a message", is_message("Good night", "Bonne nuit"))
    assert re.search(r'<body [^>]*lang="fr"[^>]*>Bonne nuit</body>', came.xml), came.xml
    assert re.search(r'lang="en"', came.xml), came.xml
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_a_link_to_a_file_arrives_as_a_link(two):
    scene, juliet, romeo = two
    body = ('<?xml version="1.0" encoding="UTF-8"?><file xmlns="urn:gsma:params:xml:ns:rcs:rcs:fthttp">'
            '<file-info type="file"><file-size>2048</file-size><file-name>rose.jpg</file-name>'
            "<content-type>image/jpeg</content-type>"
            '<data url="https://files.example/rose.jpg" until="2030-01-01T00:00:00Z"/></file-info></file>')
    assert say(romeo, body, headers=typed("application/vnd.gsma.rcs-ft-http+xml")).status == 200
    came = juliet.expect("a message", is_message("https://files.example/rose.jpg"))
    assert "jabber:x:oob" in came.xml and "<url>https://files.example/rose.jpg</url>" in came.xml
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_what_xmpp_cannot_say_is_refused(two):
    scene, _, romeo = two
    answer = say(romeo, "x", headers=typed("image/jpeg"))
    assert answer.status == 415
    assert "text/plain" in answer["accept"] and "message/cpim" in answer["accept"]
    accounts.settled(scene.kamailio, "to_xmpp", delivered=0, errored=1)


def test_an_envelope_is_opened_and_its_sender_hears_of_it(two):
    scene, juliet, romeo = two
    body = cpim("Content-Type: text/plain; charset=utf-8\r\n\r\nWherefore art thou?", "DateTime: 2020-02-14T08:00:00Z",
                "Subject: Night", IMDN, "imdn.Message-ID: m42",
                "imdn.Disposition-Notification: positive-delivery, negative-delivery, display")
    assert say(romeo, body, headers=typed("message/cpim")).status == 200
    came = juliet.expect("a message", body_is("Wherefore art thou?"))
    assert "<subject>Night</subject>" in came.xml and 'stamp="2020-02-14T08:00:00Z"' in came.xml
    assert f'<request xmlns="{RECEIPTS}"' in came.xml and f'<markable xmlns="{MARKERS}"' in came.xml
    id = re.search(r'<message\b[^>]*\bid="([^"]*)"', came.xml).group(1)
    for name, namespace, said in (("received", RECEIPTS, "delivered"), ("displayed", MARKERS, "displayed")):
        juliet.raw(f"<message to='romeo@sip.example' type='chat'><{name} xmlns='{namespace}' id='{id}'/></message>")
        told = romeo.expect_request("MESSAGE", match=lambda m, said=said: f"<{said}" in m.body)
        assert told["content-type"].startswith("message/cpim")
        assert "message/imdn+xml" in told.body and "<message-id>m42</message-id>" in told.body
    accounts.settled(scene.kamailio, "to_xmpp", delivered=1, errored=0)


def test_who_writes_on_sip_is_seen_writing(two):
    scene, juliet, romeo = two
    assert say(romeo, composing("active"), headers=typed(COMPOSING)).status == 200
    juliet.expect("who writes", is_message(f'<composing xmlns="{CHAT_STATES}"'))
    assert say(romeo, composing("idle"), headers=typed(COMPOSING)).status == 200
    juliet.expect("who does not", is_message(f'<active xmlns="{CHAT_STATES}"'))
    assert accounts.Account.of(scene.kamailio, "to_xmpp").adds_up()


def test_what_is_compressed_is_read(two):
    scene, juliet, romeo = two
    compressed = zlib.compress(composing("active").encode()).decode("utf-8", "surrogateescape")
    assert say(romeo, compressed, headers=typed(COMPOSING, Content_Encoding="deflate")).status == 200
    juliet.expect("who writes", is_message(f'<composing xmlns="{CHAT_STATES}"'))
    answer = say(romeo, compressed, headers=typed(COMPOSING, Content_Encoding="br"))
    assert answer.status == 415 and "deflate" in answer["accept-encoding"]
    assert accounts.Account.of(scene.kamailio, "to_xmpp").adds_up()


# ---------------------------------------------------------------- from XMPP

def test_who_writes_on_xmpp_is_seen_writing(two):
    scene, juliet, romeo = two
    for state, said in (("composing", "active"), ("paused", "idle")):
        juliet.raw(f"<message to='romeo@sip.example' type='chat'><{state} xmlns='{CHAT_STATES}'/></message>")
        told = romeo.expect_request("MESSAGE", match=lambda m, said=said: f"<state>{said}</state>" in m.body)
        assert told["content-type"].startswith(COMPOSING)
    assert accounts.Account.of(scene.kamailio, "to_sip").adds_up()


def test_a_phone_that_knows_no_chat_states_is_asked_once(two):
    scene, juliet, romeo = two
    romeo.on["MESSAGE"] = lambda m: (200 if m["content-type"].startswith("text/plain") else 415, [], "")
    for _ in range(3):
        for state in ("composing", "paused"):
            juliet.raw(f"<message to='romeo@sip.example' type='chat'><{state} xmlns='{CHAT_STATES}'/></message>")
    tell(juliet, "Romeo?")
    romeo.expect_request("MESSAGE", match=lambda m: m.body == "Romeo?")
    states = {m.call_id for m in romeo.received if m.method == "MESSAGE" and "isComposing" in m.body}
    assert len(states) <= 1
    assert not [s for s in juliet.received if s.type == "error"]


def test_receipts_and_markers_cross(two):
    scene, juliet, romeo = two
    tell(juliet, "Art thou not Romeo?", id="q7",
         more=f"<request xmlns='{RECEIPTS}'/><markable xmlns='{MARKERS}'/>")
    message = romeo.expect_request("MESSAGE")
    assert message["content-type"].startswith("message/cpim") and "Art thou not Romeo?" in message.body
    id = re.search(r"imdn\.Message-ID: (\S+)", message.body, re.IGNORECASE).group(1)
    for kind, said, name, namespace in (("delivery", "delivered", "received", RECEIPTS),
                                        ("display", "displayed", "displayed", MARKERS)):
        answer = say(romeo, imdn(id, kind, said), headers=typed("message/cpim"), to="sip:juliet@xmpp.example")
        assert answer.status == 200
        juliet.expect(name, lambda s, name=name, namespace=namespace: re.search(
            rf'<{name} [^>]*xmlns="{namespace}"', s.xml) and 'id="q7"' in s.xml)
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=0)


def test_a_phone_that_knows_no_envelope_gets_plain_text(two):
    scene, juliet, romeo = two
    romeo.on["MESSAGE"] = lambda m: ((200, [], "") if m["content-type"].startswith("text/plain")
                                     else (415, [("Accept", "text/plain")], ""))
    for n in range(2):
        tell(juliet, f"number {n}", id=f"q{n}", more=f"<request xmlns='{RECEIPTS}'/>")
        romeo.expect_request("MESSAGE", match=lambda m, n=n: m.body == f"number {n}")
        juliet.expect("a receipt", is_message(RECEIPTS, "<received", f'id="q{n}"'))
    assert len({m["via"] for m in romeo.received if m["content-type"].startswith("message/cpim")}) == 1
    accounts.settled(scene.kamailio, "to_sip", delivered=2, errored=0)


def test_what_is_only_encrypted_is_refused_in_words(two):
    scene, juliet, _ = two
    juliet.raw("<message to='romeo@sip.example' id='e1' type='chat'>"
               "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AAAA</payload></encrypted>"
               "</message>")
    error = juliet.expect("an error", is_error("e1"))
    assert "encrypt" in error.xml.partition("<error")[2]
    accounts.settled(scene.kamailio, "to_sip", delivered=0, errored=1)


def test_linphone_reads_what_is_in_an_envelope(scene):
    juliet = scene.xmpp("juliet")
    with scene.linphone("romeo") as romeo:
        romeo.wait_registered()
        tell(juliet, "Art thou there?", id="q1", more=f"<request xmlns='{RECEIPTS}'/>")
        romeo.wait_for_screen("Art thou there?")
    accounts.settled(scene.kamailio, "to_sip", delivered=1, errored=0)
