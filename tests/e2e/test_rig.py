# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers that the gateway federates with, without it: they must find, trust and hear one another first."""

import contextlib
import dataclasses

import pytest

import waiting
from authority import Authority
from dns import Dns
from ejabberd import Ejabberd
from federation import DIRECT_TLS_PORT, PORT, Federation
from place import Place
from prosody import Prosody
from xmpp_user import XmppUser

# The scenarios with the gateway need the same of these servers: played when one of them is suspected.
pytestmark = pytest.mark.soak

A, B = "a.example", "b.example"


@pytest.fixture
def pair():
    """Makes two servers: of A a Prosody, of B what is wanted. Returns their DNS, themselves, and a user of each."""
    with contextlib.ExitStack() as end:
        def make(kind, authentication, direct_tls=False, certificate="good", **prosody):
            place = Place(f"rig-{kind.__name__}-{authentication}-{certificate}-{direct_tls}".lower())
            end.callback(place.close)
            dns = Dns(place.path("dns"), place.address(53))
            end.callback(dns.stop)
            authority = Authority(place.path("authority"))
            others = authority.stranger if authentication == "dialback" else authority
            tls_port = DIRECT_TLS_PORT if direct_tls else None
            sides = {}
            for domain, ours, wanted, number in ((A, authority, certificate, 2), (B, others, "good", 3)):
                dns.xmpp_server(domain, place.address(number), PORT, tls_port)
                sides[domain] = Federation(dns, ours.certificate(domain, wanted), ours.path, authentication,
                                           direct_tls_port=tls_port)
                if kind is Prosody:
                    sides[domain] = dataclasses.replace(sides[domain], **prosody)
            dns.start()
            servers = [Prosody(place.path("a"), place.address(2), A, component_domain=None, federation=sides[A])]
            if kind is Prosody:
                servers.append(Prosody(place.path("b"), place.address(3), B, component_domain=None,
                                       federation=sides[B]))
            else:
                servers.append(Ejabberd(place.path("b"), place.address(3), sides[B], B))
            users = []
            for server, name in zip(servers, ("juliet", "romeo")):
                end.callback(server.stop)
                users.append(XmppUser(server.start(), name))
                end.callback(users[-1].logout)
                users[-1].login()
            return dns, servers, users

        yield make


def watch(watcher, contact):
    """One sees the other come and change."""
    watcher.presence(contact.jid, "subscribe")
    contact.expect_presence(watcher.jid, "subscribe")
    contact.presence(watcher.jid, "subscribed")
    watcher.expect_presence(contact.jid, "subscribed")
    watcher.expect_presence(contact.jid)


@pytest.mark.parametrize("direct_tls", [False, True])
@pytest.mark.parametrize("authentication", ["external", "dialback"])
def test_prosody_and_ejabberd_federate(pair, authentication, direct_tls):
    _, servers, (juliet, romeo) = pair(Ejabberd, authentication, direct_tls)
    watch(juliet, romeo)
    watch(romeo, juliet)
    for server in servers:
        for direction in ("in", "out"):
            server.wait_for_stream(direction=direction, authentication=authentication, direct_tls=direct_tls)
    assert {s.authentication for server in servers for s in server.streams()} == {authentication}
    assert [s.tls for s in servers[0].streams()] == ["TLSv1.3", "TLSv1.3"]
    print(*(f"{server.program.name} {server.version()}" for server in servers))


def test_two_prosodys_share_a_stream_and_acknowledge(pair):
    _, servers, (juliet, romeo) = pair(Prosody, "external", bidi=True, acknowledgements=True)
    watch(juliet, romeo)
    watch(romeo, juliet)
    assert [(s.direction, s.bidi, s.acknowledgements) for s in servers[0].streams()] == [("out", True, True)]
    assert [(s.direction, s.bidi, s.acknowledgements) for s in servers[1].streams()] == [("in", True, True)]
    servers[1].wait_for_stanza("presence", "type='subscribe'", f"from='{juliet.jid}'")


@pytest.mark.parametrize("kind", ["wrong-name", "expired", "self-signed", "other-authority", "client-auth"])
def test_a_bad_certificate_is_not_taken(pair, kind):
    _, servers, (juliet, romeo) = pair(Prosody, "external", certificate=kind)
    romeo.presence(juliet.jid, "subscribe")
    romeo.expect_presence(juliet.jid, "error")
    assert not servers[0].connections() and not servers[1].connections()


def test_a_certificate_for_servers_only_makes_an_older_ejabberd_want_dialback(pair):
    _, servers, (juliet, romeo) = pair(Ejabberd, "any", certificate="server-auth")
    watch(juliet, romeo)
    watch(romeo, juliet)
    # To 23.01 what a peer shows as a client must be good for clients, to 24.12 no longer.
    wanted = "dialback" if servers[1].version() <= (23, 1) else "external"
    servers[1].wait_for_stream(direction="in", authentication=wanted)
    servers[1].wait_for_stream(direction="out", authentication="external")


def test_no_server_is_found_while_dns_is_away(pair):
    dns, _, (_, romeo) = pair(Ejabberd, "external")

    def ping():
        romeo.forget()
        romeo.raw(f"<iq to='{A}' id='p' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
        # Where DNS has just come back, ejabberd waits for its own time limits first.
        return romeo.expect("an answer", lambda s: s.name == "iq" and 'id="p"' in s.xml, 60).type

    dns.stop()
    assert ping() == "error"
    dns.start()
    # For a while ejabberd does not try again.
    waiting.until(lambda: ping() == "result", "the other server to be found", 60, dns.program.tail)
    assert dns.asked(f"_xmpp-server._tcp.{A}", "SRV")
