# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP users over UDP, TCP and TLS: each is notified over his own connection."""

import re

import pytest

import waiting
from notifier import Notifier, answer_subscribes
from scene import bare

AT_ONCE = 'modparam("stox", "restart_backoff", 0)'


@pytest.mark.parametrize("order", ["first", "last"])
def test_with_tls_beside_watchers_of_every_transport_are_served(stage, order):
    scene = stage(tls=order, extra=AT_ONCE)
    juliet = scene.xmpp("juliet")
    watches = [scene.granted_watch(scene.sip(user, **transport), juliet)
               for user, transport in (("romeo", {}), ("nurse", {"tcp": True}), ("benvolio", {"tls": True}))]
    old = scene.kamailio.kill_gateway()
    waiting.until(lambda: scene.kamailio.gateway_pid() not in (None, old), "a new gateway process",
                  evidence=scene.kamailio.tail)
    scene.wait_for_link()
    juliet.show("away")
    for watch in watches:
        watch.expect_notify("active", lambda n: "away" in n.body)
        assert watch.refresh(600).status == 200
    scene.restart_kamailio()


def test_the_contact_leads_back_over_the_same_transport(stage):
    scene = stage(tls="last")
    kamailio = scene.kamailio
    plain, secure = f"{kamailio.address}:{kamailio.port}", f"{kamailio.address}:{kamailio.port + 1}"
    for transport, place in (({}, plain), ({"tcp": True}, f"{plain};transport=tcp"),
                             ({"tls": True}, f"{secure};transport=tls")):
        watch = scene.sip("romeo", **transport).subscribe("sip:juliet@xmpp.example")
        for contact in (watch.answer.contact_uri, watch.expect_notify("pending").contact_uri):
            assert contact.partition("@")[2] == place
        assert watch.refresh(600).status == 200


def test_baresip_stays_on_tcp(stage):
    # It takes the transport that a Contact names, and UDP when it names none.
    scene = stage(extra='modparam("stox", "expires_min", 5)\nmodparam("stox", "expires_max", 10)')
    juliet = scene.xmpp("juliet")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"], transport="tcp")
    nurse.wait_registered()
    juliet.expect_presence("nurse@sip.example", "subscribe")
    juliet.presence("nurse@sip.example", "subscribed")
    nurse.wait_contact("juliet", "Online")
    refresh = re.compile(r"SUBSCRIBE sip:stox-\S+ SIP/2\.0\r?\nVia: SIP/2\.0/(\w+)")
    found = waiting.until(lambda: refresh.search(nurse.screen()), "baresip to refresh", 40, nurse.program.tail)
    assert found.group(1) == "TCP"


def test_over_tls_a_phone_is_watched_from_xmpp(stage):
    scene = stage(config="minimal.cfg", tls="last")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tls=True)
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show(show="dnd").status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo), show="dnd")
    # The end of the dialog comes over the same connection.
    juliet.presence(bare(romeo), "unsubscribe")
    romeo.expect_request("SUBSCRIBE", match=lambda m: m["expires"] == "0")
