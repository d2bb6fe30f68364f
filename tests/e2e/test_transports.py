# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP users over UDP, TCP and TLS: each is notified over his own connection."""

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
