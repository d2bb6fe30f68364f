# SPDX-License-Identifier: GPL-2.0-or-later
"""Users under names of every kind (RFC 7247 §6)."""

import pytest

NUMBER = "+12025550199"


@pytest.mark.parametrize("spelt", ["tel:+1-202-555-0199", "sip:+1(202)5550199@xmpp.example;user=phone"])
def test_a_telephone_number_is_a_user(stage, spelt):
    scene = stage(parameters={"tel": "+1202=xmpp.example"})
    contact = scene.xmpp(NUMBER)
    watch = scene.sip("romeo").subscribe(spelt)
    assert watch.answer.status == 200
    contact.expect_presence("romeo@sip.example", "subscribe")
    contact.presence("romeo@sip.example", "subscribed")
    active = watch.expect_notify("active", lambda n: "open" in n.body)
    assert f"pres:{NUMBER}@xmpp.example" in active.body


def test_a_number_of_nobody_is_not_taken(stage):
    scene = stage(parameters={"tel": "+1202=xmpp.example"})
    answer = scene.sip("romeo").ask("SUBSCRIBE", "tel:+331234", headers=[("Event", "presence")])
    # The script's own answer, as stox_match() is false.
    assert answer.status >= 400, str(answer)
