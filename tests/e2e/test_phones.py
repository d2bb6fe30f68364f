# SPDX-License-Identifier: GPL-2.0-or-later
"""Real phones: linphonec and baresip see XMPP users, and are seen by them."""

from test_presence_server import put_rules
from waiting import until


def test_linphone_and_an_xmpp_user_see_each_other(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.linphone("romeo", friends=[f"sip:{juliet.jid}"])
    romeo.wait_registered()
    juliet.expect_presence("romeo@sip.example", "subscribe")
    juliet.presence("romeo@sip.example", "subscribed")
    romeo.wait_for_screen('Friend "juliet" <sip:juliet@xmpp.example> is Online')
    juliet.show("away")
    # It shows RPID only, so the screen says Online again; what it got is in its log.
    romeo.wait_for_wire(">away<")
    juliet.show("dnd")
    romeo.wait_for_wire(">dnd<")
    juliet.logout()
    romeo.wait_for_screen('Friend "juliet" <sip:juliet@xmpp.example> is Offline')
    juliet.login()

    juliet.presence("romeo@sip.example", "subscribe")
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "allow") in (200, 201)
    juliet.expect_presence("romeo@sip.example", "subscribed")
    juliet.expect_presence("romeo@sip.example")
    juliet.forget()
    romeo.stop()
    juliet.expect_presence("romeo@sip.example", "unavailable")


def test_baresip_and_an_xmpp_user_see_each_other(scene):
    juliet = scene.xmpp("juliet")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"])
    nurse.wait_registered()
    juliet.expect_presence("nurse@sip.example", "subscribe")
    juliet.presence("nurse@sip.example", "subscribed")
    nurse.wait_contact("juliet", "Online")
    juliet.logout()
    nurse.wait_contact("juliet", "Offline")
    juliet.login()
    nurse.wait_contact("juliet", "Online")

    assert put_rules(scene.kamailio, "nurse", juliet.jid, "allow") in (200, 201)
    juliet.presence("nurse@sip.example", "subscribe")
    juliet.expect_presence("nurse@sip.example", "subscribed")
    juliet.expect_presence("nurse@sip.example")
    juliet.forget()
    nurse.stop()
    juliet.expect_presence("nurse@sip.example", "unavailable")


def test_baresip_answers_a_subscribe_itself(stage):
    scene = stage(config="minimal.cfg")
    juliet = scene.xmpp("juliet")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"])
    nurse.wait_registered()
    juliet.presence("nurse@sip.example", "subscribe")
    juliet.expect_presence("nurse@sip.example", "subscribed")
    juliet.expect_presence("nurse@sip.example")
    nurse.command("presence", "busy")
    juliet.expect("a change of the nurse's presence", lambda s: s.bare == "nurse@sip.example", limit=20)


def test_a_phone_that_registers_is_asked_at_once(stage):
    scene = stage(config="minimal.cfg")
    juliet = scene.xmpp("juliet")
    juliet.presence("nurse@sip.example", "subscribe")
    status = scene.kamailio.status
    until(lambda: status("to_sip_pending") == 1 and status("subscriber_dialogs") == 0, "the phone is not there")
    nurse = scene.baresip("nurse", contacts=[f"sip:{juliet.jid}"])
    nurse.wait_registered()
    # By the pauses alone it would take up to a minute.
    juliet.expect_presence("nurse@sip.example", "subscribed", limit=25)
    juliet.expect_presence("nurse@sip.example")
