# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 on both sides: Kamailio, its phones, the gateway's own requests, and the link to the XMPP server."""

import socket

import pytest

import waiting
from notifier import Notifier, answer_subscribes
from program import Missing
from scene import bare


@pytest.fixture(autouse=True)
def loopback():
    """This machine has IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
    except OSError as error:
        raise Missing(f"this machine has no ::1 ({error})") from error


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_sip_user_watches(stage, transport):
    scene = stage(ipv6=True, tls="last" if transport == "tls" else None)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=transport == "tcp", tls=transport == "tls")
    watch = scene.granted_watch(romeo, juliet)
    assert watch.answer.contact_uri.startswith("sip:stox-")
    assert "@[::1]:" in watch.answer.contact_uri
    assert watch.refresh(600).status == 200
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    # The peer may write the address in another way.
    watch.remote_target = watch.remote_target.replace("[::1]", "[0:0:0:0:0:0:0:1]")
    assert watch.refresh(600).status == 200
    waiting.until(lambda: "[::1]:" in scene.kamailio.kamcmd("stox.links"), "the link's peer in stox.links")


def test_a_sip_user_behind_a_nat_watches(stage):
    scene = stage(ipv6=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    # RFC 3849: nobody is there.
    romeo.contact_host = romeo.via_host = "[2001:db8::7]:5060"
    watch = scene.granted_watch(romeo, juliet)
    assert watch.notifies()[-1].uri == "sip:romeo@[2001:db8::7]:5060"
    assert watch.refresh(600).status == 200


@pytest.mark.parametrize("tcp", [False, True])
def test_an_xmpp_user_watches_a_phone(stage, tcp):
    scene = stage(config="minimal.cfg", ipv6=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=tcp)
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show(show="dnd").status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo), show="dnd")


def test_an_xmpp_user_watches_through_the_presence_server(stage):
    scene = stage(ipv6=True, force_active=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
