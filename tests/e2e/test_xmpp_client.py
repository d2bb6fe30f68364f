# SPDX-License-Identifier: GPL-2.0-or-later
"""A real XMPP client: profanity sees SIP users, and is seen by them."""

from scene import bare
from sip_agent import pidf
from test_presence_server import put_rules


def test_profanity_asks_is_approved_and_sees_a_sip_user(scene):
    juliet, romeo = scene.profanity("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.type(f"/sub request {bare(romeo)}")
    juliet.wait_for_screen(f"Sent subscription request to {bare(romeo)}")
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "allow") in (200, 201)
    juliet.wait_for_screen(f"Subscription received from {bare(romeo)}")
    romeo.publish(pidf(bare(romeo), show="away", note="in the orchard", tuple="ID-orchard"))
    seen = juliet.wait_for_screen("in the orchard")
    assert "is away" in seen
    romeo.publish(pidf(bare(romeo), show="dnd", tuple="ID-orchard"))
    juliet.wait_for_screen("is dnd")


def test_profanity_is_asked_approves_and_is_seen(scene):
    juliet, romeo = scene.profanity("juliet"), scene.sip("romeo")
    watch = romeo.subscribe(f"sip:{juliet.jid}")
    watch.expect_notify("pending")
    juliet.wait_for_screen(f"authorization request from {bare(romeo)}")
    juliet.type(f"/sub allow {bare(romeo)}")
    watch.expect_notify("active", lambda n: "<basic>open" in n.body, "with open")
    juliet.type('/status set dnd "I am rehearsing"')
    watch.expect_notify("active", lambda n: "dnd" in n.body and "I am rehearsing" in n.body, "with dnd")
    juliet.type(f"/sub deny {bare(romeo)}")
    assert watch.expect_notify("terminated").reason == "rejected"
