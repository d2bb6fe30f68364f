# SPDX-License-Identifier: GPL-2.0-or-later
"""S2S in the face of faults: servers that are killed or freeze, DNS that is away, certificates that go bad, domains
that have no server, streams that are closed for being idle."""

import shutil
import signal
import time

import pytest

import place
import waiting
from notifier import Notifier, answer_subscribes
from scene import bare

GRACE = 30
"""Seconds that an outage may take before contacts are shown as gone."""


def links(scene, **wanted):
    """The records of `stox.links` that are as wanted."""
    return [link for link in scene.kamailio.rpc("stox.links") if all(link[key] == is_ for key, is_ in wanted.items())]


def wait_for_links(scene, number, limit=waiting.LIMIT, **wanted):
    """Waits until so many records are as wanted."""
    waiting.until(lambda: len(links(scene, **wanted)) == number, f"{number} links with {wanted}", limit,
                  lambda: _evidence(scene))


def wait_for_error(scene, *words):
    """Waits until a link's last error says these words; returns its record."""

    def said():
        return next((link for link in links(scene) if all(word in link["last_error"] for word in words)), None)

    return waiting.until(said, f"a link to say {words}", evidence=lambda: _evidence(scene))


def _evidence(scene):
    return f"{scene.kamailio.rpc('stox.links')}\n{scene.kamailio.tail()}"


def crash(scene, juliet):
    """The server dies without a word, and its clients with it."""
    scene.server.program.signal(signal.SIGKILL)
    scene.server.stop()
    juliet.drop()


def seen_gone(watch):
    """The NOTIFYs that show nobody there."""
    return [notify for notify in watch.notifies() if "closed" in notify.body]


def unreachable(scene):
    """DNS sends everybody who looks for the server to a port on which nobody is, until `reachable`."""
    scene.dns.forget("xmpp.example").xmpp_server("xmpp.example", scene.addresses["server"], 25999).restart()


def reachable(scene):
    """DNS tells again where the server is."""
    port = scene.server.federation.port
    scene.dns.forget("xmpp.example").xmpp_server("xmpp.example", scene.addresses["server"], port).restart()


@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_a_server_that_is_killed_and_back_soon_is_not_missed(stage, server):
    scene = stage(link="s2s", server=server, force_active=True)
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    watch = scene.granted_watch(romeo, juliet)
    juliet.presence(bare(nurse), "subscribe")
    juliet.expect_presence(bare(nurse), "subscribed")
    # What a server answers that has lost its users' sessions would be right, too: it must not be asked before Juliet is
    # back.
    unreachable(scene)
    start = time.monotonic()
    crash(scene, juliet)
    scene.server.start()
    juliet.forget()
    nurse.register()
    juliet.login(show="dnd")
    reachable(scene)
    watch.expect_notify("active", lambda n: "dnd" in n.body)
    juliet.expect_presence(bare(nurse), limit=60)
    wait_for_links(scene, 1, 60, state="up", direction="out")
    outage = time.monotonic() - start
    print(f"{server} was away for {outage:.1f} s")
    assert outage < GRACE or place.UNDER, "this machine is too slow to play a short outage"
    assert not seen_gone(watch)
    juliet.show("xa")
    watch.expect_notify("active", lambda n: "xa" in n.body)
    assert not [s for s in juliet.received if s.type == "subscribe" and s.bare == bare(romeo)][1:], "asked once"
    assert not juliet.presences(bare(nurse), "unsubscribed")


def test_a_server_that_stays_away_has_its_users_shown_as_gone(stage):
    scene = stage(link="s2s", server="prosody")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    start = time.monotonic()
    crash(scene, juliet)
    watch.expect_notify("active", lambda n: "closed" in n.body, "with closed", limit=2 * GRACE)
    took = time.monotonic() - start
    print(f"shown as gone after {took:.1f} s")
    assert took >= GRACE - 1
    wait_for_links(scene, 0, state="up")
    scene.server.start()
    juliet.forget()
    juliet.login(show="dnd")
    watch.expect_notify("active", lambda n: "dnd" in n.body, limit=60)
    juliet.expect_silence(bare(romeo), seconds=0.5, type="subscribe")


@pytest.mark.parametrize("server, acknowledgements, quiet", [
    ("prosody", False, 0), ("prosody", True, 0), ("ejabberd", False, 0),
    # Long after the last stanza, as links mostly are.
    pytest.param("prosody", False, 125, marks=pytest.mark.soak),
])
def test_who_does_not_come_back_with_a_killed_server_is_seen_to_be_gone(stage, server, acknowledgements, quiet):
    scene = stage(link="s2s", server=server, acknowledgements=acknowledgements)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    end = time.monotonic() + quiet
    waiting.until(lambda: time.monotonic() >= end, "the streams to have been quiet", quiet + 5)
    crash(scene, juliet)
    scene.server.start()
    watch.expect_notify("active", lambda n: "closed" in n.body, "with closed", limit=60)


@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_streams_come_back_when_the_gateway_process_is_killed(stage, server):
    scene = stage(link="s2s", server=server, config="minimal.cfg", parameters={"restart_backoff": 0})
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    watch = scene.granted_watch(romeo, juliet)
    answer_subscribes(nurse)
    nurse.register()
    juliet.presence(bare(nurse), "subscribe")
    notifier = Notifier(nurse, nurse.expect_request("SUBSCRIBE"))
    assert notifier.show().status == 200
    juliet.expect_presence(bare(nurse), "subscribed")
    juliet.expect_presence(bare(nurse))
    juliet.forget()
    for show in ("away", "dnd", "xa"):
        old = scene.kamailio.kill_gateway()
        waiting.until(lambda old=old: scene.kamailio.gateway_pid() not in (None, old), "a new gateway process",
                      evidence=scene.kamailio.tail)
        scene.wait_for_link()
        # Both directions, neither waiting for the other.
        juliet.show(show)
        watch.expect_notify("active", lambda n, show=show: show in n.body, f"with {show}")
        assert notifier.show(show=show).status == 200
        juliet.expect_presence(bare(nurse), show=show)
    assert not seen_gone(watch)
    assert not [s for s in juliet.received if s.type == "subscribe"][1:], "asked once"
    assert not juliet.presences(bare(nurse), "unsubscribed") and not juliet.presences(bare(nurse), "unavailable")


@pytest.mark.soak
@pytest.mark.parametrize("acknowledgements", [False, True])
@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_a_frozen_server_is_noticed(stage, server, acknowledgements):
    if acknowledgements and server == "ejabberd":
        pytest.skip("ejabberd acknowledges nothing between servers")
    scene = stage(link="s2s", server=server, acknowledgements=acknowledgements)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    wait_for_links(scene, 1, state="up", direction="out")
    scene.server.freeze()
    start = time.monotonic()
    wait_for_links(scene, 0, 120, state="up", direction="out")
    took = time.monotonic() - start
    print(f"a frozen {server} was noticed after {took:.1f} s")
    assert took < 62
    scene.server.thaw()
    wait_for_links(scene, 1, 100, state="up", direction="out")
    if not juliet.online:
        juliet.login()
    juliet.show("xa")
    watch.expect_notify("active", lambda n: "xa" in n.body, limit=60)


def test_dns_that_is_away_is_needed_by_new_domains_only(stage):
    scene = stage(link="s2s", server="prosody", parameters={"link_idle": 3})
    scene.dns.stop()
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    # Nothing is known of the domain: the question stays open.
    watch = romeo.subscribe(f"sip:{juliet.jid}")
    assert watch.answer.status == 200
    watch.expect_notify("pending")
    wait_for_error(scene, "DNS")
    juliet.expect_silence(bare(romeo), seconds=0.5)

    scene.dns.start()
    # Somebody who asks now makes the link, and with it comes what was left open.
    waiting.until(lambda: not links(scene, state="waiting to reconnect"), "the pause to be over")
    scene.granted_watch(nurse, juliet)
    waiting.until(lambda: [s for s in juliet.received if s.type == "subscribe" and s.bare == bare(romeo)],
                  "juliet to be asked by romeo", evidence=juliet.history)
    juliet.presence(bare(romeo), "subscribed")
    watch.expect_notify("active", lambda n: "open" in n.body)

    # Streams that are there need no DNS, and what DNS said last is good enough for new ones.
    scene.dns.stop()
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    wait_for_links(scene, 0, state="up")
    again = romeo.subscribe("sip:benvolio@xmpp.example")
    again.expect_notify("pending")
    scene.server.wait_for_stanza("presence", "type='subscribe'", "benvolio@xmpp.example")


@pytest.mark.parametrize("kind", ["expired", "wrong-name"])
def test_a_certificate_that_goes_bad_breaks_no_stream_and_makes_no_new_one(stage, kind):
    scene = stage(link="s2s", server="prosody", parameters={"dialback": "off", "link_idle": 4})
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    watch = scene.granted_watch(romeo, juliet)
    _put_certificate(scene, scene.authority.certificate("xmpp.example", kind))
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    assert not links(scene, state="waiting to reconnect")

    wait_for_links(scene, 0, state="up")
    other = nurse.subscribe(f"sip:{juliet.jid}")
    other.expect_notify("pending")
    refused = wait_for_error(scene, "certificate", "dialback is off")
    print(refused["last_error"])
    juliet.expect_silence(bare(nurse), seconds=0.5)

    _put_certificate(scene, scene.authority.certificate("xmpp.example", "server-auth"))
    waiting.until(lambda: not links(scene, state="waiting to reconnect"), "the pause to be over")
    romeo.subscribe("sip:benvolio@xmpp.example").expect_notify("pending")
    juliet.expect_presence(bare(nurse), "subscribe")
    juliet.presence(bare(nurse), "subscribed")
    other.expect_notify("active", lambda n: "away" in n.body)


def _put_certificate(scene, certificate):
    """The server has another certificate from now on, without a restart."""
    for new, old in ((certificate.chain, scene.server.federation.certificate.chain),
                     (certificate.key, scene.server.federation.certificate.key)):
        shutil.copyfile(new, old)
    before = scene.server.program.output().count("Certificates reloaded")
    scene.server.program.signal(signal.SIGHUP)
    waiting.until(lambda: scene.server.program.output().count("Certificates reloaded") > before, "Prosody to read them",
                  evidence=scene.server.program.tail)


def test_a_domain_without_a_server_leaves_the_question_open(stage):
    scene = stage(link="s2s", server="prosody", xmpp_allow="*")
    romeo = scene.sip("romeo")
    watch = romeo.subscribe("sip:juliet@nowhere.example")
    assert watch.answer.status == 200
    watch.expect_notify("pending")
    link = wait_for_error(scene, "no such domain")
    assert link["link"] == "sip.example/nowhere.example" and link["state"] != "up", link
    watch.expect_silence()
    assert watch.refresh().status == 200
    watch.expect_notify("pending")
    once = romeo.subscribe("sip:juliet@nowhere.example", expires=0)
    assert once.answer.status == 200
    once.expect_notify("terminated")
    # What cannot be reached takes nothing from those who can.
    scene.granted_watch(scene.sip("nurse"), scene.xmpp("juliet"))


@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_idle_streams_are_closed_and_nobody_notices(stage, server):
    scene = stage(link="s2s", server=server, force_active=True, parameters={"link_idle": 2})
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    watch = scene.granted_watch(romeo, juliet)
    nurse.register()
    juliet.presence(bare(nurse), "subscribe")
    juliet.expect_presence(bare(nurse), "subscribed")
    juliet.expect_presence(bare(nurse))
    for show in ("away", "dnd"):
        wait_for_links(scene, 0, state="up")
        juliet.show(show)
        watch.expect_notify("active", lambda n, show=show: show in n.body, f"with {show}")
    wait_for_links(scene, 0, state="up")
    juliet.forget()
    nurse.register(expires=0)
    juliet.expect_presence(bare(nurse), "unavailable")
    assert not seen_gone(watch)
    assert not [line for line in scene.kamailio.log().splitlines() if "WARNING" in line and "stox" in line]
