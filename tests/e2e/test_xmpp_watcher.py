# SPDX-License-Identifier: GPL-2.0-or-later
"""An XMPP user watches a SIP contact whose phone answers SUBSCRIBE itself (RFC 8048 §5.2, §6.3)."""

import pytest

import digest
import waiting
from notifier import Notifier, answer_subscribes
from scene import bare


@pytest.fixture
def scene(stage):
    return stage(config="minimal.cfg")


def subscribe(scene, juliet, romeo):
    """Juliet asks, Romeo's phone gets a SUBSCRIBE."""
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    request = romeo.expect_request("SUBSCRIBE")
    return Notifier(romeo, request)


def granted(scene, juliet, romeo):
    """Juliet watches Romeo, who is there."""
    notifier = subscribe(scene, juliet, romeo)
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    return notifier


def test_is_approved_and_sees_the_contact(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = subscribe(scene, juliet, romeo)
    request = notifier.subscribe
    assert request.event == "presence"
    assert int(request["expires"]) > 0
    assert "juliet@xmpp.example" in request["from"] and request.from_tag
    assert request.contact_uri.startswith("sip:stox-")
    assert "application/pidf+xml" in request["accept"]

    assert notifier.notify("pending").status == 200
    juliet.expect_silence(bare(romeo))

    assert notifier.show(tuple="ID-orchard", show="away", note="wooing").status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    seen = juliet.expect_presence(bare(romeo), show="away", status="wooing")
    assert seen.sender.endswith("/orchard")

    assert notifier.show(show="dnd").status == 200
    juliet.expect_presence(bare(romeo), show="dnd")
    assert notifier.show(basic="closed").status == 200
    juliet.expect_presence(bare(romeo), "unavailable")


def test_is_answered_though_the_notify_comes_before_the_200(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.on["SUBSCRIBE"] = lambda _: None
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    request = romeo.expect_request("SUBSCRIBE")
    notifier = Notifier(romeo, request)
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    romeo.reply(request, 200, [("Expires", "600"), ("Contact", f"<{romeo.contact}>")])
    assert notifier.show(show="xa").status == 200
    juliet.expect_presence(bare(romeo), show="xa")


@pytest.mark.parametrize("status", [403, 489, 603])
def test_is_refused_by_a_status(scene, status):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo, status)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "unsubscribed")


def test_is_refused_by_a_notify(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = subscribe(scene, juliet, romeo)
    assert notifier.notify("terminated", reason="rejected").status == 200
    juliet.expect_presence(bare(romeo), "unsubscribed")


def test_loses_an_approval_when_the_contact_revokes_it(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = granted(scene, juliet, romeo)
    assert notifier.notify("terminated", reason="rejected").status == 200
    juliet.expect_presence(bare(romeo), "unsubscribed")


@pytest.mark.parametrize("reason", ["deactivated", "timeout", "noresource"])
def test_keeps_an_approval_when_only_the_dialog_ends(scene, reason):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = granted(scene, juliet, romeo)
    juliet.forget()
    assert notifier.notify("terminated", reason=reason).status == 200
    juliet.expect_silence(bare(romeo), type="unsubscribed")


def test_stops_watching(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = granted(scene, juliet, romeo)
    juliet.presence(bare(romeo), "unsubscribe")
    end = romeo.expect_request("SUBSCRIBE")
    assert end["expires"] == "0"
    assert end.call_id == notifier.call_id and end.to_tag == notifier.tag
    assert end.cseq > notifier.subscribe.cseq
    assert notifier.notify("terminated", reason="timeout").status == 200
    # Her server knows that she has left and does not tell her.
    scene.server.wait_for_stanza("presence", "type='unsubscribed'", "from='romeo@sip.example'")


def test_is_told_unavailable_while_the_contact_has_no_phone(scene):
    juliet = scene.xmpp("juliet")
    juliet.presence("romeo@sip.example", "subscribe")
    juliet.expect_silence("romeo@sip.example", type="unsubscribed")


def test_refreshes_before_the_subscription_ends(stage):
    scene = stage(config="minimal.cfg", extra='modparam("stox", "expires_min", 1)')
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    answer_subscribes(romeo, expires=4)
    juliet.presence(bare(romeo), "subscribe")
    first = romeo.expect_request("SUBSCRIBE")
    notifier = Notifier(romeo, first, expires=4)
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    again = romeo.expect_request("SUBSCRIBE", limit=10)
    assert again.call_id == first.call_id and again.to_tag == notifier.tag
    assert again.cseq > first.cseq
    assert notifier.show(show="away").status == 200
    juliet.expect_presence(bare(romeo), show="away")


def test_is_shown_one_of_two_phones_that_both_answer(scene):
    juliet = scene.xmpp("juliet")
    phone, tablet = scene.sip("romeo"), scene.sip("romeo")
    for agent in (phone, tablet):
        answer_subscribes(agent)
        agent.register()
    juliet.presence(bare(phone), "subscribe")
    notifiers = [Notifier(agent, agent.expect_request("SUBSCRIBE"), tag=f"fork-{n}")
                 for n, agent in enumerate((phone, tablet))]
    answers = [n.show(tuple=f"ID-{i}").status for i, n in enumerate(notifiers)]
    # RFC 6665 §4.4.1: each fork is a dialog of its own, or is ended with 481.
    assert 200 in answers and set(answers) <= {200, 481}
    juliet.expect_presence(bare(phone), "subscribed")
    juliet.expect_presence(bare(phone))


def test_gets_presence_again_at_login(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    notifier = granted(scene, juliet, romeo)
    assert notifier.show(show="away").status == 200
    juliet.expect_presence(bare(romeo), show="away")
    juliet.logout()
    again = scene.xmpp("juliet", "chamber")
    again.expect_presence(bare(romeo), show="away")


def test_keeps_watching_while_the_phone_says_503(stage):
    scene = stage(config="minimal.cfg", extra='modparam("stox", "expires_min", 1)')
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo, expires=4)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"), expires=4)
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.forget()
    answer_subscribes(romeo, 503)
    romeo.expect_request("SUBSCRIBE", limit=10)
    juliet.expect_silence(bare(romeo), seconds=2, type="unsubscribed")
    waiting.until(lambda: scene.kamailio.options() == 200, "kamailio to answer")


def test_a_server_beyond_may_ask_who_subscribes(stage):
    """RFC 3261 §22.2."""
    scene = stage(config="minimal.cfg", parameters={"credential": "realm=b.example;user=gateway;password=s;e=cret"})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    seen = []

    def answer(request):
        seen.append(request)
        proof = request["authorization"]
        if proof and digest.proves(proof, "n0nce", "gateway", "s;e=cret", "SUBSCRIBE", "sip:romeo@sip.example"):
            return (200, [("Expires", "600"), ("Contact", f"<{romeo.contact}>")], "")
        return (401, [("WWW-Authenticate", 'Digest realm="b.example", nonce="n0nce", qop="auth"')], "")

    romeo.on["SUBSCRIBE"] = answer
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    waiting.until(lambda: len(seen) == 2, "the SUBSCRIBE to come with a proof")
    assert seen[0].call_id == seen[1].call_id
    assert Notifier(romeo, seen[1]).show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    assert "e=cret" not in scene.kamailio.log()
