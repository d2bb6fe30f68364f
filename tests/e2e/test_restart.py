# SPDX-License-Identifier: GPL-2.0-or-later
"""Kamailio is restarted with dialogs open on both sides: all goes on where it was."""

from notifier import Notifier, answer_subscribes
from scene import bare
from sip_agent import pidf
from test_presence_server import put_rules


def test_a_sip_watchers_dialog_goes_on(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    last = watch.notifies()[-1].cseq
    juliet.forget()

    scene.restart_kamailio()
    juliet.show("away")
    after = watch.expect_notify("active", lambda n: "away" in n.body)
    assert after.cseq > last
    assert after.from_tag == watch.to_tag
    assert watch.refresh(600).status == 200
    juliet.expect_silence(bare(romeo), seconds=0.5, type="subscribe")


def test_an_xmpp_watchers_dialog_goes_on(stage):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))

    scene.restart_kamailio()
    assert notifier.show(show="dnd").status == 200
    juliet.expect_presence(bare(romeo), show="dnd")
    # This dialog's end needs a number above those of before.
    juliet.presence(bare(romeo), "unsubscribe")
    end = romeo.expect_request("SUBSCRIBE", match=lambda m: m["expires"] == "0")
    assert end.call_id == notifier.call_id and end.cseq > notifier.subscribe.cseq


def test_a_request_that_waits_for_its_answer_is_kept(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = romeo.subscribe(f"sip:{juliet.jid}")
    watch.expect_notify("pending")
    juliet.expect_presence(bare(romeo), "subscribe")
    scene.restart_kamailio()
    juliet.presence(bare(romeo), "subscribed")
    watch.expect_notify("active", lambda n: "open" in n.body)


def test_a_refusal_is_kept(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = romeo.subscribe(f"sip:{juliet.jid}")
    juliet.expect_presence(bare(romeo), "subscribe")
    juliet.presence(bare(romeo), "unsubscribed")
    watch.expect_notify("terminated")
    juliet.forget()
    scene.restart_kamailio()
    again = romeo.subscribe(f"sip:{juliet.jid}")
    assert again.expect_notify("terminated").reason == "rejected"
    juliet.expect_silence(bare(romeo), seconds=0.5, type="subscribe")


def test_a_watcher_who_waits_at_the_presence_server_is_kept(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_silence(bare(romeo), seconds=0.5)
    scene.restart_kamailio()
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "allow") in (200, 201)
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))


def test_the_presence_servers_side_goes_on(stage):
    scene = stage(force_active=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    scene.restart_kamailio()
    romeo.publish(pidf(bare(romeo), show="away"))
    juliet.expect_presence(bare(romeo), show="away")
