# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP users who cannot be reached where they say: the script repairs their Contact, or their connection is used."""

import pytest

# RFC 5737: nobody is there.
INSIDE = "192.0.2.7:5060"

REPAIRS = {
    "by-alias": None,
    "by-address": {"\t\tset_contact_alias();": "\t\tfix_nated_contact();"},
    "not-at-all": {"\t\tset_contact_alias();": "\t\txdbg(\"left as it is\");"},
}


def behind_nat(agent):
    """The agent speaks of itself by an address inside its own network."""
    agent.contact_host = agent.via_host = INSIDE
    return agent


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("repair", REPAIRS)
def test_a_watcher_behind_a_nat_is_notified(stage, repair, transport):
    scene = stage(edit=REPAIRS[repair], tls="last" if transport == "tls" else None)
    juliet = scene.xmpp("juliet")
    romeo = behind_nat(scene.sip("romeo", tcp=transport == "tcp", tls=transport == "tls"))
    watch = scene.granted_watch(romeo, juliet)
    told = watch.notifies()[-1].uri
    # What set_contact_alias() adds is for Kamailio only; the phone sees the Contact that it wrote.
    outside = f"{romeo.host}:{romeo.port}" if repair == "by-address" else INSIDE
    assert told.startswith(f"sip:romeo@{outside}") and "alias" not in told
    assert watch.refresh(600).status == 200
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    scene.restart_kamailio()
    if transport == "udp":
        juliet.show("dnd")
        watch.expect_notify("active", lambda n: "dnd" in n.body)


@pytest.mark.parametrize("repair", REPAIRS)
def test_over_tcp_nobody_listens_where_the_contact_says(stage, repair):
    scene = stage(edit=REPAIRS[repair])
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    romeo.contact_host = f"{romeo.address}:9"
    watch = scene.granted_watch(romeo, juliet)
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)


def test_over_tcp_the_newest_connection_counts(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    watch = scene.granted_watch(romeo, juliet)
    again = scene.sip("romeo", tcp=True)
    romeo.close()
    watch.agent = again
    assert watch.refresh(600).status == 200
    juliet.show("away")
    again.expect_request("NOTIFY", match=lambda n: "away" in n.body)
