# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits: what is beyond one is refused in the protocol's own words, counted, logged once, and costs nobody else."""

import os
import re
import signal
import time

import pytest

import waiting
from kamailio import version
from load import TRUSTING
from notifier import Notifier, answer_subscribes
from scene import bare
from sip_agent import pidf

JULIET = "sip:juliet@xmpp.example"
EVENT = [("Event", "presence"), ("Expires", "600")]
NO_RATES = {"max_user_subscribes": 0, "max_domain_subscribes": 0}


def reached(scene, limit, times):
    """Waits until a limit is counted so often and logged; the log speaks of it once, and names nobody."""
    waiting.until(lambda: scene.kamailio.statistics()[f"over_{limit}"] == times, f"over_{limit} to be {times}",
                  evidence=lambda: str(scene.kamailio.statistics()))
    lines = waiting.until(lambda: [line for line in scene.kamailio.log().splitlines() if f"parameter={limit} " in line],
                          f"a log line about {limit}", evidence=scene.kamailio.tail)
    assert len(lines) == 1 and "WARNING" in lines[0] and "refused=" in lines[0], lines
    assert "@" not in lines[0].split("stox")[-1]


def subscribes(agent, number, first=0):
    """Starts so many subscriptions, each to a contact of its own; returns the responses."""
    return [agent.request(agent.build("SUBSCRIBE", f"sip:contact{n}@xmpp.example", headers=EVENT,
                                      contact=True, call_id=f"{agent.user}-{n}@{agent.address}"))
            for n in range(first, first + number)]


@pytest.mark.parametrize("limit, most, status", [
    ("max_dialogs", 4, 503), ("max_user_dialogs", 4, 500), ("max_domain_dialogs", 4, 500),
    ("max_user_subscribes", 4, 500), ("max_domain_subscribes", 1, 500),
])
def test_subscriptions_of_a_sip_user(stage, limit, most, status):
    scene = stage(defines=TRUSTING, parameters={**NO_RATES, limit: most})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    if limit == "max_domain_subscribes":
        # A second's worth may be had within a second.
        answers = [r for _ in range(20) for r in subscribes(romeo, 1, len(romeo.sent))]
    else:
        answers = subscribes(romeo, 10 * most)
        assert [r.status for r in answers[:most]] == [200] * most
        assert {r.status for r in answers[most:]} == {status}
    refused = [r for r in answers if r.status != 200]
    assert refused and all(r.status == status and int(r["retry-after"]) > 0 for r in refused)
    reached(scene, limit, len(refused))
    if "domain" not in limit and limit != "max_dialogs":
        nurse = scene.sip("nurse")
        assert nurse.request(nurse.build("SUBSCRIBE", JULIET, headers=EVENT)).status == 200
        juliet.expect_presence(bare(nurse), "subscribe")
        # One that is refused is not asked on XMPP, whoever it is for.
        assert romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT)).status == status
        juliet.expect_silence(bare(romeo), seconds=0.5)


@pytest.mark.parametrize("limit", ["max_dialogs", "max_user_dialogs", "max_domain_dialogs", "max_user_subscribes"])
def test_subscriptions_of_an_xmpp_user(stage, limit):
    scene = stage(config="minimal.cfg", parameters={**NO_RATES, limit: 1})
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    for agent in (romeo, nurse):
        answer_subscribes(agent)
        agent.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    asked = f"<presence from='{juliet.jid}' to='{bare(romeo)}' type='subscribe'/>"
    print(f"SUBSCRIBE: {len(notifier.subscribe.text)} bytes for a stanza of {len(asked)}")
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))

    juliet.presence(bare(nurse), "subscribe")
    error = juliet.expect_presence(bare(nurse), "error")
    assert "resource-constraint" in error.xml and 'type="wait"' in error.xml
    assert not nurse.requests("SUBSCRIBE")
    reached(scene, limit, 1)

    assert notifier.show(show="away").status == 200
    juliet.expect_presence(bare(romeo), show="away")
    scene.kamailio.kill_gateway()
    scene.wait_for_link()
    refresh = romeo.expect_request("SUBSCRIBE", match=lambda m: m.to_tag)
    assert refresh.call_id == notifier.call_id, "what was granted goes on after a restart"
    assert juliet.online


def test_bodies_of_requests(stage):
    scene = stage(defines=TRUSTING, parameters={"max_body": 1000})
    romeo = scene.sip("romeo")
    text = [("Content-Type", "text/plain")]
    for length, status in ((1000, 200), (1001, 413), (10_000, 413)):
        response = romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT + text, body="x" * length))
        assert response.status == status, str(response)
    reached(scene, "max_body", 2)


def test_bodies_as_large_as_a_message_can_be(stage):
    larger = ["tcp_rd_buf_size=1048576"]
    if version() >= (6, 0):
        larger.append("msg_recv_max_size=1048576")
    scene = stage(defines=TRUSTING, extra="\n".join(larger))
    romeo = scene.sip("romeo", tcp=True)
    text = [("Content-Type", "text/plain")]
    # Beyond 80 KiB a message is refused by the SIP worker.
    for length, status in ((65_536, 200), (65_537, 413), (83_000, 413), (655_360, 413)):
        response = romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT + text, body="x" * length))
        assert response.status == status, str(response)
        assert not response["retry-after"]
    reached(scene, "max_body", 3)


def padded(length):
    document = pidf("romeo@sip.example")
    return document + " " * (length - len(document))


def with_inside(inside):
    return pidf("romeo@sip.example").replace("</tuple>", inside + "</tuple>")


def with_tuples(number):
    one = re.search(r"<tuple.*</tuple>", pidf("romeo@sip.example"), re.DOTALL).group(0)
    return pidf("romeo@sip.example").replace(one, "".join(one.replace("orchard", f"o{n}") for n in range(number)))


DOCUMENTS = {
    "max_pidf": (1000, padded),
    "max_pidf_tuples": (3, with_tuples),
    "max_pidf_notes": (3, lambda n: with_inside("<note>x</note>" * n)),
    # Below the document and its tuple.
    "max_xml_depth": (8, lambda n: with_inside("<x>" * (n - 2) + "</x>" * (n - 2))),
    "max_xml_attributes": (8, lambda n: with_inside("<x" + "".join(f" a{i}=''" for i in range(n)) + "/>")),
    "max_xml_namespaces": (4, lambda n: with_inside("<x" + "".join(f" xmlns:a{i}='u'" for i in range(n)) + "/>")),
    "max_xml_name": (64, lambda n: with_inside(f"<{'x' * n}/>")),
}


@pytest.mark.parametrize("limit", DOCUMENTS)
def test_documents_of_notifies(stage, limit):
    most, write = DOCUMENTS[limit]
    scene = stage(config="minimal.cfg", parameters={limit: most})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo", tcp=True)
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.notify("active", write(most)).status == 200
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo))
    for above in (most + 1, 10 * most):
        response = notifier.notify("active", write(above))
        assert response.status == 413, str(response)
    reached(scene, limit, 2)
    assert notifier.show(show="away").status == 200
    juliet.expect_presence(bare(romeo), show="away")


def message(inside):
    return f"<message to='romeo@sip.example' id='evil' type='chat'>{inside}</message>"


STANZAS = {
    "max_stanza": (10_000, lambda n: message(f"<a xmlns='x'>{'x' * (n - 300)}</a>")),
    "max_xml_depth": (8, lambda n: message("<a xmlns='x'>" * (n - 1) + "</a>" * (n - 1))),
    "max_xml_attributes": (8, lambda n: message("<a xmlns='x'" + "".join(f" a{i}=''" for i in range(n - 1)) + "/>")),
    # The server writes the declarations that are used.
    "max_xml_namespaces": (4, lambda n: message(
        "<a xmlns='x'" + "".join(f" xmlns:n{i}='u{i}' n{i}:a=''" for i in range(n - 1)) + "/>")),
    "max_xml_name": (64, lambda n: message(f"<{'a' * n} xmlns='x'/>")),
}


@pytest.mark.parametrize("limit", STANZAS)
def test_stanzas(stage, limit):
    most, write = STANZAS[limit]
    scene = stage(parameters={limit: most})
    juliet, romeo, mallory = scene.xmpp("juliet"), scene.sip("romeo"), scene.xmpp("mallory")
    watch = scene.granted_watch(romeo, juliet)
    connections = scene.server.connections()
    refused = scene.kamailio.statistics()["stanzas_refused"]
    mallory.raw(write(most))
    error = mallory.expect("an error", lambda s: s.type == "error" and "evil" in s.xml)
    assert "feature-not-implemented" in error.xml, "it was read"
    for above in (most + 400 if limit == "max_stanza" else most + 1, 10 * most):
        mallory.raw(write(above))
        error = mallory.expect("an error", lambda s: s.type == "error" and "evil" in s.xml)
        assert "policy-violation" in error.xml and 'type="modify"' in error.xml
    reached(scene, limit, 2)
    assert scene.kamailio.statistics()["stanzas_refused"] == refused + 3
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    assert scene.server.connections() == connections


def test_changes_are_told_every_so_often(stage):
    interval = 2
    scene = stage(parameters={"notify_interval": interval})
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    came = []
    romeo.on["NOTIFY"] = lambda _: came.append(time.monotonic()) or (200, [], "")
    end = time.monotonic() + 3.2 * interval
    number = 0
    while time.monotonic() < end:
        number += 1
        juliet.show("dnd", status=f"word {number}")
        time.sleep(0.05)
    juliet.show("away", status="the last word")
    watch.expect_notify("active", lambda n: "the last word" in n.body)
    assert number > 40 and 3 <= len(came) <= 5, (number, came)
    # The clock here starts with the delivery, not with the sending.
    assert all(later - sooner > interval - 0.5 for sooner, later in zip(came, came[1:])), came
    assert scene.kamailio.statistics()["changes_held"] > 0

    juliet.show("xa")
    assert watch.refresh().status == 200
    began = time.monotonic()
    watch.expect_notify("active", lambda n: "xa" in n.body)
    assert time.monotonic() - began < interval / 2, "what a SUBSCRIBE is owed does not wait"


@pytest.mark.component
def test_a_stranger_gets_no_more_than_he_sends(stage):
    """Nothing happens on XMPP, and each request has one answer, given again when it is sent again."""
    scene = stage(config="../tests/e2e/forgetful.cfg", parameters={"max_body": 512})
    juliet, eve = scene.xmpp("juliet"), scene.sip("nurse")
    ratios = {}

    def measure(name, status, method="SUBSCRIBE", headers=EVENT, **fields):
        before = len(eve.received)
        text = eve.build(method, JULIET, headers=headers, **fields)
        response = eve.request(text, retransmit=False)
        assert response.status == status, str(response)
        waiting.never(lambda: [m.brief() for m in eve.received[before + 1:]], "a second answer", 0.2)
        eve.transmit(text)
        waiting.until(lambda: len(eve.received) > before + 1, f"the answer {name} again")
        waiting.never(lambda: [m.brief() for m in eve.received[before + 2:]], "a third answer", 0.2)
        ratios[name] = round(len(response.text.encode()) / len(text.encode()), 2)

    measure("403", 403)
    measure("405", 405, "INFO")
    measure("413", 413, headers=EVENT + [("Content-Type", "text/plain")], body="x" * 513)
    measure("481", 481, "NOTIFY", to_tag="x")
    measure("OPTIONS", 200, "OPTIONS")
    pid = scene.kamailio.freeze_gateway()
    measure("503", 503)
    os.kill(pid, signal.SIGCONT)
    print("bytes out for each byte in:", ratios)
    assert all(ratio < 1.2 for ratio in ratios.values()), ratios
    juliet.expect_silence(bare(eve), seconds=0.5)
    assert scene.kamailio.statistics()["stanzas_out"] == 0
