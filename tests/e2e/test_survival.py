# SPDX-License-Identifier: GPL-2.0-or-later
"""What must survive: a gateway process that dies or hangs, an XMPP server that is away or frozen, many watchers."""

import random
import signal
import time
from pathlib import Path

import pytest

import sipp
import waiting
from load import OPTIONS, SUBSCRIBE, TRUSTING, Load
from notifier import Notifier, answer_subscribes
from scene import bare

AT_ONCE = 'modparam("stox", "restart_backoff", 0)'


def memory(pid):
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_the_gateway_process_is_killed_again_and_again_under_load(stage, kills):
    scene = stage(extra=AT_ONCE, defines=TRUSTING, memory=("-m", "256", "-M", "16"))
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    plain = Load(scene.kamailio.proxy, scene.place.agent_address(), OPTIONS, rate=200)
    watchers = Load(scene.kamailio.proxy, scene.place.agent_address(), SUBSCRIBE, rate=40)
    dice = random.Random(2)
    for kill in range(kills):
        plain.wait_for(len(plain.took) + dice.randint(20, 200))
        old = scene.kamailio.kill_gateway()
        waiting.until(lambda old=old: scene.kamailio.gateway_pid() not in (None, old), f"gateway {kill + 2}",
                      evidence=scene.kamailio.tail)
    killed = time.monotonic()
    scene.wait_for_link(limit=100)
    back = time.monotonic() - killed
    plain.stop()
    watchers.stop()
    print(f"{kills} kills: OPTIONS {plain.statuses()}, SUBSCRIBE {watchers.statuses()}, link back in {back:.2f} s")

    assert plain.statuses().keys() == {200}
    assert not watchers.unanswered()
    assert not watchers.contradicted()
    assert set(watchers.statuses()) <= {200, 503}
    assert scene.kamailio.status("requests_held") == "0"
    last = max(n.cseq for n in watch.notifies())
    juliet.show("dnd", status="after the storm")
    after = watch.expect_notify("active", lambda n: "after the storm" in n.body)
    assert after.cseq > last
    juliet.forget()
    again = romeo.subscribe(f"sip:{juliet.jid}")
    again.expect_notify("active", lambda n: "open" in n.body)
    juliet.expect_silence(bare(romeo), seconds=0.5, type="subscribe")
    assert scene.kamailio.program.alive()


def test_a_hung_gateway_process_is_noticed(stage):
    scene = stage(extra=AT_ONCE)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    hung = scene.kamailio.kill_gateway(signal.SIGSTOP)
    start = time.monotonic()
    answer = romeo.subscribe(f"sip:{juliet.jid}").answer
    print(f"a hung gateway: {answer.status} after {time.monotonic() - start:.2f} s")
    # Held by the hung one: refused. Read by the next one: served.
    assert answer.status in (200, 503)
    if answer.status == 503:
        assert int(answer["retry-after"]) >= 0
    waiting.until(lambda: scene.kamailio.gateway_pid() not in (None, hung), "a new gateway process", 60,
                  scene.kamailio.tail)
    scene.wait_for_link(60)
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_prosody_is_stopped_for_a_while(stage, seconds):
    scene = stage(defines=TRUSTING, force_active=True)
    juliet, romeo, phone = scene.xmpp("juliet"), scene.sip("romeo"), scene.linphone("nurse")
    phone.wait_registered()
    watch = scene.granted_watch(romeo, juliet)
    juliet.presence("nurse@sip.example", "subscribe")
    juliet.expect_presence("nurse@sip.example")
    scene.server.stop()
    juliet.drop()

    away_for(scene, seconds)
    scene.server.start()
    scene.wait_for_link(limit=100)
    juliet.received.clear()
    juliet.forget()
    juliet.login(show="dnd")
    juliet.expect_presence("nurse@sip.example", limit=60)
    watch.expect_notify("active", lambda n: "dnd" in n.body, limit=60)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_prosody_is_frozen_for_a_while(stage, seconds):
    scene = stage(defines=TRUSTING)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    scene.server.freeze()
    away_for(scene, seconds)
    scene.server.thaw()
    scene.wait_for_link(limit=100)
    if not juliet.online:
        # Her client or her server gave up the session.
        juliet.login()
    juliet.show("xa")
    watch.expect_notify("active", lambda n: "xa" in n.body, limit=60)


def test_a_contact_who_does_not_come_back_with_the_server_is_seen_to_be_gone(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    scene.server.stop()
    juliet.drop()
    scene.server.start()
    scene.wait_for_link(limit=100)
    watch.expect_notify("active", lambda n: "closed" in n.body, "with closed", limit=60)


def test_a_short_outage_is_not_shown(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    scene.kamailio.kill_gateway()
    scene.wait_for_link(limit=100)
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    assert not [n for n in watch.notifies() if "closed" in n.body]


def test_an_xmpp_watchers_dialog_outlives_the_gateway_process(stage):
    scene = stage(config="minimal.cfg", extra=AT_ONCE)
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    for show in ("away", "dnd", "xa"):
        old = scene.kamailio.kill_gateway()
        waiting.until(lambda old=old: scene.kamailio.gateway_pid() not in (None, old), "a new gateway process",
                      evidence=scene.kamailio.tail)
        assert notifier.show(show=show).status == 200
        juliet.expect_presence(bare(romeo), show=show)
    assert not juliet.presences(bare(romeo), "unsubscribed")


def away_for(scene, seconds):
    """While XMPP is away: SIP is at its normal speed, requests for XMPP get an answer, memory stays bounded."""
    pid = scene.kamailio.gateway_pid()
    before = memory(pid)
    plain = Load(scene.kamailio.proxy, scene.place.agent_address(), OPTIONS, rate=100)
    watchers = Load(scene.kamailio.proxy, scene.place.agent_address(), SUBSCRIBE, rate=50)
    end = time.monotonic() + seconds
    waiting.until(lambda: time.monotonic() > end, "the outage to last", seconds + 5)
    plain.stop()
    watchers.stop()
    grown = memory(pid) - before
    slow = sorted(plain.took.values())[int(len(plain.took) * 0.99)]
    print(f"{seconds} s without XMPP: OPTIONS {plain.statuses()}, p99 {slow * 1000:.1f} ms; "
          f"SUBSCRIBE {watchers.statuses()}; gateway grew by {grown:.1f} MB")
    assert plain.statuses().keys() == {200}
    assert slow < 0.5
    assert not watchers.unanswered()
    assert grown < 64


def test_many_watchers_come_at_once(stage):
    scene = stage(defines=TRUSTING, memory=("-m", "256", "-M", "16"), parameters={"max_domain_subscribes": 0})
    juliet = scene.xmpp("juliet")
    done, failed = sipp.run(scene.place.path("sipp"), scene.kamailio.proxy, scene.place.agent_address(), sipp.WATCHERS,
                            calls=500, rate=100)
    assert (done, failed) == (500, 0)
    waiting.until(lambda: len({s.bare for s in juliet.received if s.type == "subscribe"}) == 500,
                  "juliet to be asked by 500 watchers", limit=100)
