# SPDX-License-Identifier: GPL-2.0-or-later
"""Kamailio's presence server answers for the SIP users (RFC 8048 §4): approval by pres-rules, phones shown as open."""

import urllib.request

from scene import bare
from sip_agent import pidf

RULES = """<?xml version="1.0"?>
<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"
         xmlns:pr="urn:ietf:params:xml:ns:pres-rules" xmlns:cr="urn:ietf:params:xml:ns:common-policy">
  <rule id="friends">
    <conditions><identity><one id="sip:{watcher}"/></identity></conditions>
    <actions><pr:sub-handling>{handling}</pr:sub-handling></actions>
    <transformations>
      <pr:provide-services><pr:all-services/></pr:provide-services>
      <pr:provide-persons><pr:all-persons/></pr:provide-persons>
      <pr:provide-devices><pr:all-devices/></pr:provide-devices>
      <pr:provide-all-attributes/>
    </transformations>
  </rule>
</ruleset>
"""

ON_THE_PHONE = """<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p1">
  <rpid:activities xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:on-the-phone/></rpid:activities>
</dm:person>"""


def put_rules(kamailio, user, watcher, handling, password="secret"):
    """What a SIP user's client does to approve (`allow`) or refuse (`block`) a watcher; returns the HTTP status."""
    base = f"http://{kamailio.address}:{kamailio.port}"
    accounts = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    accounts.add_password(None, base, user, password)
    http = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(accounts))
    request = urllib.request.Request(
        f"{base}/xcap-root/pres-rules/users/sip:{user}@{kamailio.sip_domain}/index", method="PUT",
        data=RULES.format(watcher=watcher, handling=handling).encode(),
        headers={"Content-Type": "application/auth-policy+xml"})
    with http.open(request, timeout=10) as response:
        return response.status


def test_lets_a_sip_user_approve_a_watcher(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_silence(bare(romeo))
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "allow") in (200, 201)
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))

    romeo.publish(pidf(bare(romeo), show="away", tuple="ID-orchard"))
    juliet.expect_presence(bare(romeo), show="away")


def test_lets_a_sip_user_refuse_a_watcher(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    assert put_rules(scene.kamailio, "romeo", juliet.jid, "block") in (200, 201)
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "unsubscribed")


def test_lets_a_sip_user_take_back_what_he_approved(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    put_rules(scene.kamailio, "romeo", juliet.jid, "allow")
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    romeo.publish(pidf(bare(romeo), show="away", tuple="ID-orchard"))
    juliet.expect_presence(bare(romeo), show="away")
    put_rules(scene.kamailio, "romeo", juliet.jid, "block")
    juliet.expect_presence(bare(romeo), "unavailable")
    juliet.expect_presence(bare(romeo), "unsubscribed")
    juliet.forget()
    romeo.publish(pidf(bare(romeo), show="dnd", tuple="ID-orchard"))
    juliet.expect_silence(bare(romeo), seconds=0.5)


def test_lets_a_sip_user_pretend_to_be_offline(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    put_rules(scene.kamailio, "romeo", juliet.jid, "polite-block")
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    romeo.publish(pidf(bare(romeo), show="away", tuple="ID-orchard"))
    juliet.expect_silence(bare(romeo), seconds=0.5, type="")


def test_shows_a_registered_phone_as_open(stage):
    scene = stage(force_active=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    romeo.register()
    juliet.expect_presence(bare(romeo))
    romeo.register(expires=0)
    juliet.expect_presence(bare(romeo), "unavailable")


def test_shows_who_is_on_the_phone_as_busy(stage):
    scene = stage(force_active=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    on_the_phone = pidf(bare(romeo)).replace("</presence>", ON_THE_PHONE + "</presence>")
    romeo.publish(on_the_phone)
    juliet.expect_presence(bare(romeo), show="dnd")


def test_answers_404_for_somebody_who_does_not_exist(stage):
    scene = stage(force_active=True)
    juliet = scene.xmpp("juliet")
    juliet.presence("nobody@sip.example", "subscribe")
    juliet.expect_silence("nobody@sip.example", type="subscribed")


def test_serves_both_directions_of_one_pair(stage):
    scene = stage(force_active=True)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    watch = scene.granted_watch(romeo, juliet)
    juliet.show("dnd")
    watch.expect_notify("active", lambda n: "dnd" in n.body)
    romeo.publish(pidf(bare(romeo), show="xa"))
    juliet.expect_presence(bare(romeo), show="xa")
