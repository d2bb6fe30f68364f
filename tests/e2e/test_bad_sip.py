# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that break rules get the RFC's own status code, and nothing else happens."""

import pytest

from notifier import Notifier, answer_subscribes
from scene import bare

JULIET = "sip:juliet@xmpp.example"
EVENT = [("Event", "presence"), ("Expires", "600")]


@pytest.mark.parametrize("fields, statuses", [
    pytest.param({"headers": [("Expires", "600")]}, (489,), id="no Event"),
    pytest.param({"headers": [("Event", "dialog"), ("Expires", "600")]}, (489,), id="unknown Event"),
    pytest.param({"headers": [("Event", "presence.winfo"), ("Accept", "application/watcherinfo+xml"), ("Expires", "600")]},
                 (489,), id="watchers of a contact"),
    pytest.param({"headers": EVENT, "contact": False}, (400,), id="no Contact"),
    pytest.param({"headers": [("Event", "presence"), ("Expires", "4294967296")]}, (400,), id="Expires of 2^32"),
    pytest.param({"headers": [("Event", "presence"), ("Expires", "soon")]}, (400,), id="Expires that is no number"),
    pytest.param({"headers": EVENT, "to_tag": "nobody-knows"}, (481,), id="in a dialog that does not exist"),
])
def test_a_subscribe_is_refused(scene, fields, statuses):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    response = romeo.ask("SUBSCRIBE", JULIET, **fields)
    assert response.status in statuses, str(response)
    if response.status == 489:
        assert "presence" in response["allow-events"]
    juliet.expect_silence(bare(romeo), seconds=0.5)


def test_a_subscribe_without_from_tag_is_refused(scene):
    romeo = scene.sip("romeo")
    response = romeo.ask("SUBSCRIBE", JULIET, headers=EVENT, from_tag="")
    assert response.status == 400, str(response)


def test_other_methods_are_refused_with_allow(scene):
    romeo = scene.sip("romeo")
    for method in ("INVITE", "INFO"):
        response = romeo.ask(method, JULIET, headers=EVENT)
        assert response.status == 405, str(response)
        assert "SUBSCRIBE" in response["allow"]
        if method == "INVITE":
            romeo.transmit(romeo.build("ACK", JULIET, to_tag=response.to_tag, call_id=response.call_id,
                                       from_tag=response.from_tag, cseq=response.cseq))


def test_options_are_answered(scene):
    response = scene.sip("romeo").ask("OPTIONS", JULIET)
    assert response.status == 200, str(response)
    assert "SUBSCRIBE" in response["allow"]


def test_a_refresh_whose_tags_or_number_are_wrong(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)

    def refresh(**changes):
        fields = {"to": JULIET, "call_id": watch.call_id, "from_tag": watch.tag, "to_tag": watch.to_tag,
                  "cseq": watch.cseq, "headers": EVENT, **changes}
        return romeo.request(romeo.build("SUBSCRIBE", watch.remote_target, **fields)).status

    assert refresh(to_tag="wrong") == 481
    assert refresh(from_tag="wrong") == 481
    assert refresh(call_id="wrong@nowhere") == 481
    # RFC 3261 §12.2.2: a number that goes back is 500.
    assert refresh(cseq=1) == 500
    assert refresh() == 200


def test_a_notify_that_belongs_to_nothing(scene):
    romeo = scene.sip("romeo")
    headers = [("Event", "presence"), ("Subscription-State", "active;expires=60")]
    response = romeo.request(romeo.build("NOTIFY", f"sip:stox-0123456789abcdef@{scene.kamailio.address}:{scene.kamailio.port}",
                                         to=JULIET, to_tag="young", headers=headers))
    assert response.status == 481, str(response)


BODIES = {
    "not XML": (400, "romeo is here"),
    "another document": (400, "<iscomposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'/>"),
    "a DTD": (400, '<!DOCTYPE presence [<!ENTITY a "open">]><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:x">'
                   "<tuple id='a'><status><basic>&a;</basic></status></tuple></presence>"),
    "too deep": (413, "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:x'>" + "<a>" * 2000 + "</a>" * 2000
                      + "</presence>"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_notify_with_a_body_that_is_no_presence(stage, kind):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo))
    juliet.forget()
    status, body = BODIES[kind]
    assert notifier.notify("active", body).status == status
    juliet.expect_silence(bare(romeo), seconds=0.5)
    # The dialog lives.
    assert notifier.show(show="away").status == 200
    juliet.expect_presence(bare(romeo), show="away")


def test_a_notify_whose_number_goes_back(stage):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.notify("active", cseq=10).status == 200
    assert notifier.notify("active", cseq=9).status == 500
    assert notifier.notify("active", cseq=11).status == 200


def test_a_body_of_another_type_is_415(stage):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    text = romeo.build("NOTIFY", notifier.target, to="sip:juliet@xmpp.example", to_tag=notifier.subscribe.from_tag,
                       from_tag=notifier.tag, call_id=notifier.call_id, cseq=1, routes=notifier.routes, body="hello",
                       headers=[("Event", "presence"), ("Subscription-State", "active"),
                                ("Content-Type", "text/plain")])
    assert romeo.request(text).status == 415


def test_a_request_of_12_kB_gets_an_answer(scene):
    romeo = scene.sip("romeo", tcp=True)
    response = romeo.ask("SUBSCRIBE", JULIET, headers=EVENT + [(f"X-Long-{n}", "x" * 1000) for n in range(12)])
    assert response.status == 200, str(response)
