# SPDX-License-Identifier: GPL-2.0-or-later
"""Who did not prove who he is gets 403, and nobody on XMPP hears of it."""

import re

from sip_agent import SipAgent

JULIET = "sip:juliet@xmpp.example"
EVENT = [("Event", "presence"), ("Expires", "600")]
OWN_SCRIPT = {"SCRIPT_ELSEWHERE": "1"}


def script(handle):
    """A script that hands every request to XMPP over, without a look at it."""
    return f"""
        request_route {{
            if (stox_match()) {{
                {handle}
                exit;
            }}
            sl_send_reply("200", "Not to XMPP");
        }}"""


def test_a_sender_whom_the_script_did_not_authenticate(stage):
    # A script whose author forgot to authenticate: the module must not make up for it.
    scene = stage(defines=OWN_SCRIPT, extra=script("stox_handle();"))
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    response = romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT))
    assert response.status == 403, str(response)
    assert scene.kamailio.statistics()["handed_over"] == 1
    juliet.expect_silence("romeo@sip.example", seconds=0.5)


def test_a_sender_without_password_is_challenged(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    assert romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT)).status in (401, 407)
    romeo.password = "wrong"
    assert romeo.ask("SUBSCRIBE", JULIET, headers=EVENT).status in (401, 407)
    juliet.expect_silence("romeo@sip.example", seconds=0.5)


def test_a_user_who_writes_another_name_into_from(scene):
    juliet, nurse = scene.xmpp("juliet"), scene.sip("nurse")
    response = nurse.ask("SUBSCRIBE", JULIET, headers=EVENT, from_uri="sip:romeo@sip.example")
    assert response.status in (401, 403, 407)
    juliet.expect_silence("romeo@sip.example", seconds=0.5)


def test_a_sender_from_a_foreign_domain(scene):
    juliet = scene.xmpp("juliet")
    stranger = SipAgent(scene.kamailio.proxy, scene.place.agent_address(), "sip:eve@elsewhere.example")
    with stranger:
        assert stranger.ask("SUBSCRIBE", JULIET, headers=EVENT).status == 403
    juliet.expect_silence("eve@elsewhere.example", seconds=0.5)


def test_an_authenticated_sender_whose_from_is_foreign_is_refused_by_the_module(stage):
    scene = stage(defines=OWN_SCRIPT, extra=script('stox_handle("authenticated");'))
    romeo = scene.sip("romeo")
    for forged in ("sip:eve@elsewhere.example", "sip:nurse@xmpp.example"):
        response = romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT, from_uri=forged))
        assert response.status == 403, str(response)
    assert scene.kamailio.statistics()["handed_over"] == 2
    # Without a forgery the same script lets him in.
    assert romeo.request(romeo.build("SUBSCRIBE", JULIET, headers=EVENT)).status == 200


def test_a_forged_from_in_an_xmpp_domain(scene):
    romeo = scene.sip("romeo")
    for target in ("sip:romeo@sip.example", "sip:nurse@sip.example", JULIET):
        response = romeo.ask("SUBSCRIBE", target, headers=EVENT, from_uri=JULIET)
        assert response.status == 403, str(response)


def test_a_forged_from_inside_a_dialog(scene):
    romeo, nurse = scene.sip("romeo"), scene.sip("nurse")
    nurse.register()
    proxy = f"<sip:{scene.kamailio.address}:{scene.kamailio.port};lr>"
    response = romeo.request(romeo.build("MESSAGE", nurse.contact, to=nurse.aor, to_tag="made-up", from_uri=JULIET,
                                         routes=[proxy], body="hello",
                                         headers=[("Content-Type", "text/plain")]))
    assert response.status == 403
    assert not nurse.requests("MESSAGE")


def test_the_gateways_own_mark_cannot_be_guessed_or_seen(stage):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    romeo.register()
    juliet.presence("romeo@sip.example", "subscribe")
    seen = romeo.expect_request("SUBSCRIBE")
    known = {"via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "event", "expires", "accept",
             "content-length", "record-route", "user-agent", "supported", "allow-events", "allow", "route"}
    extra = {name for name, _ in seen.headers} - known
    assert not any(re.search(r"stox|token|own", name) for name in extra), seen.text
    eve = scene.sip("nurse")
    for name in ("X-Stox-Own", "X-Stox-Token", "Stox-Own", "X-Stox"):
        headers = EVENT + [(name, "0" * 32)]
        assert eve.request(eve.build("SUBSCRIBE", "sip:romeo@sip.example", headers=headers,
                                     from_uri=JULIET)).status == 403


def test_nothing_is_served_beyond_the_list(scene):
    romeo = scene.sip("romeo")
    response = romeo.ask("SUBSCRIBE", "sip:juliet@elsewhere.example", headers=EVENT)
    assert response.status in (403, 404)
