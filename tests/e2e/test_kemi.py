# SPDX-License-Identifier: GPL-2.0-or-later
"""A script in another language: the site of `stox.cfg`, routed by `kamailio-cfg/stox.js`."""

import re

import pytest

import pidf
import place
import waiting
from scene import bare
from sip_agent import pidf as presence
from test_presence_server import put_rules

JULIET = "sip:juliet@xmpp.example"
EVENT = [("Event", "presence"), ("Expires", "600")]


@pytest.fixture
def kemi(stage, tmp_path):
    """Makes scenes of `stox-kemi.cfg`; `more` is added to its script."""
    def make(more="", **arguments):
        script = tmp_path / "script.js"
        script.write_text((place.ROOT / "kamailio-cfg" / "stox.js").read_text() + more)
        return stage(config="stox-kemi.cfg", defines={"SCRIPT": f'"{script}"'}, **arguments)

    return make


def test_the_example_passes_the_check(kemi):
    status, output = kemi().kamailio.check()
    assert status == 0, output
    assert "ERROR" not in output, output


def test_a_sip_user_watches_an_xmpp_user(kemi):
    scene = kemi()
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    juliet.show("away", "on the balcony")
    seen = watch.expect_notify("active", lambda n: "away" in n.body)
    (tuple,) = pidf.read(seen)
    assert (tuple.basic, tuple.show, tuple.note) == ("open", "away", "on the balcony")
    # Inside the dialog: without a password.
    assert watch.refresh(600).status == 200
    assert watch.refresh(0).status == 200
    assert watch.expect_notify("terminated").reason == "timeout"


def test_a_sip_user_behind_a_nat_is_reached_where_his_packets_come_from(kemi):
    scene = kemi()
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    romeo.contact_host = "192.168.17.4:5060"
    watch = scene.granted_watch(romeo, juliet)
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)


def test_an_xmpp_user_watches_a_sip_user(kemi):
    scene = kemi()
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_silence(bare(romeo))
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "allow") in (200, 201)
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    romeo.publish(presence(bare(romeo), show="away"))
    juliet.expect_presence(bare(romeo), show="away")
    juliet.presence(bare(romeo), "unsubscribe")
    scene.server.wait_for_stanza("presence", "type='unsubscribed'", "from='romeo@sip.example'")


def test_a_sip_user_refuses_a_watcher(kemi):
    scene = kemi()
    juliet = scene.xmpp("juliet")
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "block") in (200, 201)
    juliet.presence("romeo@sip.example", "subscribe")
    juliet.expect_presence("romeo@sip.example", "unsubscribed")


def test_who_did_not_prove_who_he_is_is_not_served(kemi):
    # A script whose author forgot to authenticate, and one with a word that is none.
    scene = kemi("""
        var checked = ksr_request_route;
        ksr_request_route = function () {
            var way = KSR.hdr.gete("X-Way");
            if (way === "forgot") {
                KSR.stox.handle();
            } else if (way === "wrong") {
                KSR.sl.sl_send_reply(500, "handle_as: " + KSR.stox.handle_as("trusted"));
            } else {
                checked();
            }
        };""")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")

    def ask(**fields):
        return romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT + fields.pop("more", []), **fields))

    assert ask().status == 407
    assert ask(from_uri=JULIET).status == 403
    assert ask(more=[("X-Way", "forgot")]).status == 403
    assert "handle_as: -1" in ask(more=[("X-Way", "wrong")]).start
    juliet.expect_silence("romeo@sip.example", seconds=0.5)


def test_a_method_that_is_not_served_is_405(kemi):
    response = kemi().sip("romeo").ask("INFO", JULIET, body="hello", headers=[("Content-Type", "text/plain")])
    assert response.status == 405, str(response)


@pytest.mark.component
def test_events_reach_the_script(kemi):
    scene = kemi("""
        var noted = ksr_stox_event;
        ksr_stox_event = function (event) {
            noted(event);
            KSR.notice(event + " says <" + KSR.pv.getw("$stox(link)") + "> <" + KSR.pv.getw("$stox(reason)") + "> <"
                + KSR.pv.getw("$stox(peer)") + ">\\n");
        };""")
    log = scene.kamailio.log
    waiting.until(lambda: "XMPP link sip.example is up" in log(), "the event of a link that came up", evidence=log)
    waiting.until(lambda: "stox:link-up says <sip.example> <> <<null>>" in log(), "its variables", evidence=log)
    scene.server.stop()
    waiting.until(lambda: "XMPP link sip.example is down" in log(), "the event of a link that went", evidence=log)
    assert re.search(r"stox:link-down says <sip\.example> <.+> <<null>>", log())


def test_variables_are_read(kemi):
    scene = kemi("""
        var routed = ksr_request_route;
        ksr_request_route = function () {
            KSR.notice("about " + KSR.pv.get("$rm") + " " + KSR.pv.getw("$stox(peer)") + " "
                + KSR.pv.getw("$stox(direction)") + " " + KSR.pv.getw("$stox(dialog)") + "\\n");
            routed();
        };""")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    watch.refresh(600)
    log = scene.kamailio.log()
    assert "about SUBSCRIBE xmpp.example to_xmpp <null>\n" in log
    assert re.search(r"about SUBSCRIBE xmpp\.example to_xmpp stox-[0-9a-f]{16}\n", log)


def test_a_callback_without_another_language_ends_the_start(stage):
    with pytest.raises(AssertionError, match="event_callback: the script is in Kamailio's own language"):
        stage(extra='modparam("stox", "event_callback", "ksr_stox_event")')
