# SPDX-License-Identifier: GPL-2.0-or-later
"""The pseudo-variable `$stox(…)` in requests to the gateway, in its own, and in those of others."""

import re

import pytest

import waiting
from notifier import Notifier, answer_subscribes
from scene import bare

LOG = """
    modparam("stox", "gwmap", "xmpp:xmpp.example=chat.example")
    event_route[core:pre-routing] {
        xlog("L_NOTICE", "received $rm $cs ($stox(peer)) ($stox(direction)) ($stox(dialog)) ($stox(link))\\n");
        if ($stox(peer) == $stox(direction) && $stox(peer) != $null) {
            xlog("L_NOTICE", "two variables in one expression are one\\n");
        }
    }
    event_route[tm:local-request] {
        xlog("L_NOTICE", "sent $rm ($stox(peer)) ($stox(direction)) ($stox(dialog))\\n");
    }
"""
NULL = r"\(<null>\)"


class Lines:
    """What the script logged."""

    def __init__(self, scene):
        self.scene = scene

    def expect(self, pattern):
        """Waits for a line and returns the match."""
        return waiting.until(lambda: re.search(pattern, self.scene.kamailio.log()), f"the line {pattern}",
                             evidence=self.scene.kamailio.tail)


def test_in_the_requests_of_a_sip_user_who_watches(stage):
    scene = stage(extra=LOG)
    lines = Lines(scene)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@CHAT.example")
    watch.expect_notify("pending")
    lines.expect(rf"received SUBSCRIBE 1 \(xmpp\.example\) \(to_xmpp\) {NULL} {NULL}\n")
    dialog = lines.expect(r"sent NOTIFY \(xmpp\.example\) \(to_sip\) \((stox-[0-9a-f]{16})\)\n").group(1)
    assert watch.remote_target.startswith(f"sip:{dialog}@")
    assert dialog in scene.kamailio.kamcmd("stox.dialogs")
    watch.refresh(600)
    lines.expect(rf"received SUBSCRIBE \d+ \(xmpp\.example\) \(to_xmpp\) \({dialog}\) {NULL}\n")
    assert "are one" not in scene.kamailio.log()


def test_with_a_compact_to(stage):
    scene = stage(extra=LOG)
    romeo = scene.sip("romeo")
    uri = f"sip:stox-0123456789abcdef@{scene.kamailio.address}:{scene.kamailio.port}"
    text = romeo.build("SUBSCRIBE", uri, to="sip:juliet@chat.example", to_tag="x").replace("\r\nTo: ", "\r\nt: ")
    assert romeo.request(text).status == 481
    Lines(scene).expect(r"received SUBSCRIBE 1 \(xmpp\.example\) \(to_xmpp\) \(stox-0123456789abcdef\)")


def test_in_the_gateways_own_requests_and_their_notifies(stage):
    scene = stage(config="minimal.cfg", extra="debug=2\n" + LOG + 'modparam("stox", "expires_min", 1)')
    lines = Lines(scene)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo, expires=4)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    first = romeo.expect_request("SUBSCRIBE")
    known = r"\(xmpp\.example\) \(to_sip\) \((stox-[0-9a-f]{16})\)"
    dialog = lines.expect(rf"received SUBSCRIBE \d+ {known} {NULL}\n").group(1)
    lines.expect(rf"sent SUBSCRIBE \(xmpp\.example\) \(to_sip\) \({dialog}\)\n")
    assert first.contact_uri.startswith(f"sip:{dialog}@")
    notifier = Notifier(romeo, first, expires=4)
    assert notifier.show().status == 200
    lines.expect(rf"received NOTIFY 1 \(xmpp\.example\) \(to_xmpp\) \({dialog}\)")
    again = romeo.expect_request("SUBSCRIBE", limit=10)
    lines.expect(rf"received SUBSCRIBE {again.cseq} \(xmpp\.example\) \(to_sip\) \({dialog}\)")


def test_requests_of_others_have_none(stage):
    scene = stage(extra=LOG)
    romeo, nurse = scene.sip("romeo"), scene.sip("nurse")
    nurse.register()
    # A forged From, and a Contact and a mark that only the gateway may have.
    contact = f"<sip:stox-0123456789abcdef@{scene.kamailio.address}:{scene.kamailio.port}>"
    romeo.request(romeo.build("OPTIONS", nurse.aor, from_uri="sip:juliet@chat.example", contact=False,
                              headers=[("Contact", contact), ("X-Stox-Own", "0" * 64)]))
    lines = Lines(scene)
    lines.expect(rf"received OPTIONS 1 {NULL} {NULL} {NULL} {NULL}\n")
    lines.expect(rf"received REGISTER 1 {NULL} {NULL} {NULL} {NULL}\n")
    assert "(to_" not in scene.kamailio.log()


def test_an_unknown_name_is_a_fault_of_the_configuration(stage):
    with pytest.raises(AssertionError, match=r"\$stox\(pear\) is not known: link, reason, peer, direction, dialog"):
        stage(extra='route[X] { xlog("$stox(pear)\\n"); }')


def test_an_unknown_name_is_found_by_the_check(scene):
    config = scene.kamailio.folder / "kamailio.cfg"
    text = config.read_text()
    config.write_text(text + 'route[X] { $var(x) = $stox(pear); }\n')
    status, output = scene.kamailio.check()
    config.write_text(text)
    assert status != 0
    assert "$stox(pear) is not known" in output
