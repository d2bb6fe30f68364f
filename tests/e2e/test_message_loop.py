# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways that face each other, and a SIP proxy that sends what comes back to where it came from: a message goes
round for as long as it has hops, and no longer."""

import time

import accounts
import waiting
from kamailio import Kamailio
from load import TRUSTING
from sip_agent import host
from test_messages import HELLO, say

HOPS = 20
"""Max-Forwards of the message; nobody makes it more."""


def facing(scene, request):
    """A gateway in the place of the scene's XMPP server, whose users are on SIP; its proxy sends their messages to the
    scene's own proxy."""
    address, federation = scene.addresses["server"], scene.server.federation
    scene.server.stop()
    link = {"LISTEN_S2S": f"{host(address)}:{federation.port}", "CERTIFICATE": federation.certificate.chain,
            "PRIVATE_KEY": federation.certificate.key}
    back = '	if (is_method("MESSAGE")) {{\n		$du = "sip:{}:{}";\n		t_relay();\n		exit;\n	}}\n'.format(*scene.kamailio.proxy)
    looked_up = '	if (!lookup("location")) {'
    other = Kamailio(scene.place.path("other"), address, link, sip_domain="xmpp.example", xmpp_allow="sip.example",
                     defines=TRUSTING, edit={looked_up: back + looked_up},
                     parameters={"ca_list": str(federation.trusts), "resolver": scene.dns.resolver})
    request.addfinalizer(other.stop)
    return other.start()


def test_a_message_that_goes_round_dies(stage, request):
    scene = stage(link="s2s", server="prosody", defines=TRUSTING)
    other = facing(scene, request)
    romeo = scene.sip("romeo")
    answer = say(romeo, HELLO, omit=("max-forwards",), headers=[("Content-Type", "text/plain"), ("Max-Forwards", str(HOPS))])
    assert answer.status == 200, answer

    seen = []

    def over():
        found = [accounts.Account.of(kamailio, direction) for kamailio in (scene.kamailio, other)
                 for direction in ("to_xmpp", "to_sip")]
        assert all(account.adds_up() for account in found), found
        assert found[0].taken <= HOPS, found
        if not seen or seen[-1][1] != found:
            seen.append((time.monotonic(), found))
        return time.monotonic() - seen[-1][0] > 3.0 and not any(account.in_flight for account in found)

    waiting.until(over, "the message to die", 60, scene.kamailio.tail)
    print("to XMPP and to SIP, of one and of the other gateway:", *seen[-1][1], sep="\n")
    assert seen[-1][1][0].taken > 1, "it did not go round"
    # The last to send it on was told that it has no hop left.
    assert any(account.errored for account in seen[-1][1])
