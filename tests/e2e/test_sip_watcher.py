# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP user watches an XMPP contact (RFC 8048 §5.3, §6.2, §7.2)."""

import pidf
from load import TRUSTING
from scene import bare

SHORT = 'modparam("stox", "expires_min", 1)'


def test_is_told_to_wait_until_the_contact_approves(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@xmpp.example")

    assert watch.answer.status == 200
    assert 0 < int(watch.answer["expires"]) <= 600
    assert watch.answer.contact_uri.startswith("sip:stox-")
    pending = watch.expect_notify("pending")
    assert "open" not in pending.body and "<show" not in pending.body
    assert pending["from"].startswith("<sip:juliet@xmpp.example>")
    assert pending.from_tag == watch.answer.to_tag

    asked = juliet.expect_presence("romeo@sip.example", "subscribe")
    assert asked.sender == "romeo@sip.example"
    juliet.presence("romeo@sip.example", "subscribed")
    active = watch.expect_notify("active", lambda n: "open" in n.body)
    (tuple,) = pidf.read(active)
    assert tuple.basic == "open"
    assert active.cseq > pending.cseq


def test_over_tcp_gets_his_notifies_on_his_connection(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo", tcp=True)
    watch = scene.granted_watch(romeo, juliet)
    juliet.show("dnd")
    watch.expect_notify("active", lambda n: "dnd" in n.body)


def test_sees_the_contact_change_and_go(scene):
    juliet = scene.xmpp("juliet")
    watch = scene.granted_watch(scene.sip("romeo"), juliet)

    juliet.show("away", status="on the balcony", priority=5)
    changed = watch.expect_notify("active", lambda n: "away" in n.body)
    (tuple,) = pidf.read(changed)
    assert (tuple.basic, tuple.show, tuple.note) == ("open", "away", "on the balcony")

    juliet.logout()
    gone = watch.expect_notify("active", lambda n: "closed" in n.body)
    assert all(tuple.basic == "closed" for tuple in pidf.read(gone))


def test_sees_each_resource_as_a_tuple(scene):
    juliet = scene.xmpp("juliet", "balcony")
    watch = scene.granted_watch(scene.sip("romeo"), juliet)
    chamber = scene.xmpp("juliet", "chamber", show="xa")

    both = watch.expect_notify("active", lambda n: n.body.count("<tuple") == 2)
    tuples = pidf.read(both)
    assert sorted(tuple.show for tuple in tuples) == ["", "xa"]
    assert len({tuple.id for tuple in tuples}) == 2

    chamber.logout()

    def one_is_open(notify):
        return sum(tuple.basic == "open" for tuple in pidf.read(notify)) == 1 if notify.body else False

    watch.expect_notify("active", one_is_open)


def test_is_refused(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@xmpp.example")
    watch.expect_notify("pending")
    juliet.expect_presence(bare(romeo), "subscribe")
    juliet.presence(bare(romeo), "unsubscribed")
    end = watch.expect_notify("terminated")
    assert end.reason == "rejected"

    juliet.forget()
    again = romeo.subscribe("sip:juliet@xmpp.example")
    assert again.answer.status == 200
    assert again.expect_notify("terminated").reason == "rejected"
    juliet.expect_silence(bare(romeo), type="subscribe")


def test_loses_an_approval_when_the_contact_revokes_it(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    juliet.presence(bare(romeo), "unsubscribed")
    assert watch.expect_notify("terminated").reason == "rejected"


def test_refreshes_without_asking_the_contact_again(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    juliet.forget()
    assert watch.refresh(600).status == 200
    state = watch.expect_notify("active")
    assert "open" in state.body
    juliet.expect_silence(bare(romeo), type="subscribe")


def test_ends_his_dialog_and_keeps_the_approval(scene):
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    juliet.forget()
    assert watch.refresh(0).status == 200
    end = watch.expect_notify("terminated")
    assert end.reason == "timeout"
    juliet.expect_presence(bare(romeo), "unavailable")
    watch.expect_silence()

    again = romeo.subscribe("sip:juliet@xmpp.example")
    again.expect_notify("active", lambda n: "open" in n.body)
    juliet.expect_silence(bare(romeo), type="subscribe")


def test_lets_his_dialog_expire(stage):
    scene = stage(extra=SHORT)
    juliet = scene.xmpp("juliet")
    romeo = scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet, expires=3)
    end = watch.expect_notify("terminated")
    assert end.reason == "timeout"
    assert watch.refresh(600).status == 481


def test_asks_once_with_expires_zero(scene):
    juliet = scene.xmpp("juliet", show="chat")
    romeo = scene.sip("romeo")
    # Nobody approved: the answer must not tell that juliet is there.
    stranger = romeo.subscribe("sip:juliet@xmpp.example", 0)
    assert stranger.answer.status == 200
    assert "open" not in stranger.expect_notify("terminated").body

    watch = scene.granted_watch(romeo, juliet)
    watch.refresh(0)
    watch.expect_notify("terminated")
    fetch = romeo.subscribe("sip:juliet@xmpp.example", 0)
    assert fetch.answer.status == 200
    end = fetch.expect_notify("terminated")
    assert end.reason == "timeout"
    (tuple,) = pidf.read(end)
    assert (tuple.basic, tuple.show) == ("open", "chat")
    fetch.expect_silence()


def test_watches_from_two_devices_with_one_request_to_the_contact(scene):
    juliet = scene.xmpp("juliet")
    phone, tablet = scene.sip("romeo"), scene.sip("romeo", tcp=True)
    first = phone.subscribe("sip:juliet@xmpp.example")
    second = tablet.subscribe("sip:juliet@xmpp.example")
    first.expect_notify("pending")
    second.expect_notify("pending")
    juliet.expect_presence(bare(phone), "subscribe")
    juliet.expect_silence(bare(phone), type="subscribe")
    juliet.presence(bare(phone), "subscribed")
    for watch in (first, second):
        watch.expect_notify("active", lambda n: "open" in n.body)
    juliet.show("away")
    for watch in (first, second):
        watch.expect_notify("active", lambda n: "away" in n.body)
    first.refresh(0)
    first.expect_notify("terminated")
    juliet.show("xa")
    second.expect_notify("active", lambda n: "xa" in n.body)
    first.expect_silence(0.5)


def test_gets_423_for_too_short_a_time(scene):
    romeo = scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@xmpp.example", 5)
    assert watch.answer.status == 423
    assert int(watch.answer["min-expires"]) == 60


def test_waits_for_a_contact_who_is_not_there(scene):
    romeo = scene.sip("romeo")
    scene.server.account("juliet")
    watch = romeo.subscribe("sip:juliet@xmpp.example")
    watch.expect_notify("pending")
    # The server keeps the request and hands it over at login.
    juliet = scene.xmpp("juliet")
    juliet.expect_presence(bare(romeo), "subscribe")
    juliet.presence(bare(romeo), "subscribed")
    watch.expect_notify("active", lambda n: "open" in n.body)


def test_behind_a_nat_is_reached_where_his_packets_come_from(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.contact_host = "192.168.17.4:5060"
    watch = scene.granted_watch(romeo, juliet)
    assert watch.refresh(600).status == 200
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)


def test_is_not_served_over_sips(scene):
    # RFC 7247 §8: what was to be secured end to end cannot cross.
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    response = romeo.ask("SUBSCRIBE", "sips:juliet@xmpp.example", headers=[("Event", "presence"), ("Expires", "600")])
    assert response.status >= 400, str(response)
    juliet.expect_silence(bare(romeo), seconds=0.5)


def test_behind_another_proxy_is_reached_through_it(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    proxy = f"<sip:{romeo.address}:{romeo.port};lr>"
    romeo.contact_host = "pc33.sip.example"
    watch = romeo.subscribe(f"sip:{juliet.jid}", headers=[("Record-Route", proxy)])
    assert watch.answer.status == 200
    assert watch.answer["record-route"] == proxy
    pending = watch.expect_notify("pending")
    assert pending["route"] == proxy
    assert pending.uri == "sip:romeo@pc33.sip.example"


def test_gets_the_id_of_his_event_back(scene):
    romeo = scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@xmpp.example", event="presence;id=7")
    assert watch.answer.status == 200
    assert "id=7" in watch.expect_notify("pending")["event"]


def test_who_sends_a_request_twice_has_one_dialog(stage):
    scene = stage(defines=TRUSTING)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    text = romeo.build("SUBSCRIBE", "sip:juliet@xmpp.example", from_tag="twice", call_id="twice@here",
                       headers=[("Event", "presence"), ("Expires", "600")])
    first = romeo.request(text)
    again = romeo.request(text)
    assert (first.status, again.status) == (200, 200)
    assert first.to_tag == again.to_tag
    juliet.expect_presence(bare(romeo), "subscribe")
    juliet.expect_silence(bare(romeo), type="subscribe")
    assert len({(n.from_tag, n.cseq) for n in romeo.requests("NOTIFY")}) == 1
