# SPDX-License-Identifier: GPL-2.0-or-later
"""A stage for one scenario: Kamailio with the module, an XMPP server, and users on both sides, ended in the right order."""

import contextlib
import dataclasses
import itertools
import os
import socket

import waiting
from authority import Authority
from baresip import Baresip
from dns import Dns
from ejabberd import Ejabberd
from federation import DIRECT_TLS_PORT, PORT, Federation
from kamailio import Kamailio
from linphone import Linphone
from place import Place, free_port
from profanity import Profanity
from prosody import Prosody
from sip_agent import SipAgent, host
from xmpp_user import XmppUser

LINKS = ("component", "s2s")
SERVERS = ("prosody", "ejabberd")

# Each worker of pytest has 200 of its own.
_linphone_ports = itertools.count(17060 + 200 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")), 2)


class Scene:
    """Everything a scenario plays with; with `ipv6` all of it is on ::1.

    `link` is how the gateway reaches XMPP: as a `component` of the `server`, or by `s2s`. What follows it is for `s2s`:
    `authentication` is what the server takes and does: `external`; `dialback`, when neither side trusts the authority
    of the other; `any`, when the server can do both. `direct_tls`: both sides take streams with TLS from the start too,
    and DNS says so. `certificate` and `peer_certificate`: kinds of the gateway's and the server's ([`authority.KINDS`]).

    Changes are told at once, unless `parameters` say otherwise.
    """

    def __init__(self, name, config="stox.cfg", extra="", parameters=None, ipv6=False, link=None, server=None,
                 authentication="external", bidi=False, acknowledgements=False, direct_tls=False, certificate="good",
                 peer_certificate="good", **kamailio):
        self._end = contextlib.ExitStack()
        self.ipv6 = ipv6
        self.link = link or os.environ.get("STOX_LINK") or LINKS[0]
        assert self.link in LINKS, self.link
        try:
            self.place = Place(name)
            self._end.callback(self.place.close)
            self.addresses = {"gateway": "::1", "server": "::1"} if ipv6 else {
                "gateway": self.place.address(1), "server": self.place.address(2)}
            if ipv6:
                kamailio = {"port": free_port(), "self_port": free_port(), **kamailio}
            if self.link == "s2s":
                kind = server or os.environ.get("STOX_SERVER") or SERVERS[0]
                federations = self._federations(authentication, direct_tls, certificate, peer_certificate)
                self.server = self._federated(kind, federations["server"], bidi, acknowledgements)
                settings, more = self._s2s_settings(federations["gateway"])
                parameters = {**more, **(parameters or {})}
            else:
                assert server in (None, "prosody"), "only Prosody has a component here"
                self.server = self._with_component()
                settings = {"COMPONENT": self.server.component_parameter()}
            self._end.callback(self.server.stop)
            self.server.start()
            self.kamailio = Kamailio(self.place.path("kamailio"), self.addresses["gateway"], settings,
                                     config=config, extra=extra,
                                     parameters={"notify_interval": 0, **(parameters or {})}, **kamailio)
            self._end.callback(self.kamailio.stop)
            for user in ("romeo", "nurse"):
                self.kamailio.account(user)
            self.kamailio.start()
            if self.kamailio.stox:
                self._wait_for_gateway()
        except BaseException:
            self._end.close()
            raise

    # ------------------------------------------------------------ how the gateway reaches XMPP

    def _with_component(self):
        ports = {"c2s": free_port(), "component": free_port()} if self.ipv6 else {}
        return Prosody(self.place.path("prosody"), self.addresses["server"], **ports)

    def _federations(self, authentication, direct_tls, certificate, peer_certificate):
        """What makes the gateway and the server federate; starts the DNS server that knows both."""
        self.authority = Authority(self.place.path("authority"))
        peers = self.authority.stranger if authentication == "dialback" else self.authority
        self.dns = Dns(self.place.path("dns"), self.place.address(53))
        self._end.callback(self.dns.stop)
        federations = {}
        for side, domain, ours, kind in (("gateway", "sip.example", self.authority, certificate),
                                         ("server", "xmpp.example", peers, peer_certificate)):
            port, tls_port = (free_port(), free_port()) if self.ipv6 else (PORT, DIRECT_TLS_PORT)
            federations[side] = Federation(self.dns, ours.certificate(domain, kind), ours.path, authentication,
                                           port=port, direct_tls_port=tls_port if direct_tls else None)
            self.dns.xmpp_server(domain, self.addresses[side], port, federations[side].direct_tls_port)
        self.dns.start()
        return federations

    def _federated(self, kind, federation, bidi, acknowledgements):
        """The server that is to federate with the gateway."""
        folder, address = self.place.path(kind), self.addresses["server"]
        ports = {"c2s": free_port()} if self.ipv6 else {}
        if kind == "ejabberd":
            assert not (bidi or acknowledgements), "ejabberd knows neither bidi nor acknowledgements between servers"
            return Ejabberd(folder, address, federation, **ports, **({"http": free_port()} if self.ipv6 else {}))
        assert kind == "prosody", kind
        federation = dataclasses.replace(federation, bidi=bidi, acknowledgements=acknowledgements)
        return Prosody(folder, address, component_domain=None, federation=federation, **ports)

    def _s2s_settings(self, federation):
        """The defines of the example and the parameters that make the gateway federate."""
        where = host(self.addresses["gateway"])
        self._listener = (self.addresses["gateway"], federation.port)
        settings = {"LISTEN_S2S": f"{where}:{federation.port}", "CERTIFICATE": federation.certificate.chain,
                    "PRIVATE_KEY": federation.certificate.key}
        if federation.direct_tls_port is not None:
            settings["LISTEN_S2S_TLS"] = f"{where}:{federation.direct_tls_port}"
        return settings, {"ca_list": str(federation.trusts), "resolver": self.dns.resolver}

    def _wait_for_gateway(self, limit=waiting.LIMIT):
        """Waits until the gateway is there for the server: as its component, or for its connections."""
        if self.link == "component":
            self.server.wait_for_component(limit)
        else:
            waiting.until(self._listens, "the gateway to take connections", limit, self.kamailio.tail)

    def _listens(self):
        try:
            socket.create_connection(self._listener, timeout=1).close()
        except OSError:
            return False
        return True

    # ------------------------------------------------------------ the end, and users

    def close(self):
        """Ends everything, the last started first."""
        self._end.close()

    def sip(self, user, tcp=False, tls=False, address=None):
        """A SIP user with an account."""
        proxy = self.kamailio.tls_proxy if tls else self.kamailio.proxy
        where = {"address": "::1", "port": 0} if self.ipv6 else {"address": address or self.place.agent_address()}
        agent = SipAgent(proxy, aor=self.kamailio.account(user), tcp=tcp, tls=tls, **where)
        self._end.callback(agent.close)
        return agent

    def xmpp(self, user, resource="balcony", **presence):
        """An XMPP user who has logged in."""
        session = XmppUser(self.server, user, resource)
        self._end.callback(session.logout)
        return session.login(**presence)

    def profanity(self, user):
        """profanity of an XMPP user."""
        client = Profanity(self.place.path(f"profanity-{user}"), self.server, user)
        self._end.callback(client.stop)
        return client

    def linphone(self, user, friends=()):
        """linphonec of a SIP user."""
        phone = Linphone(self.place.path(f"linphone-{user}"), self.kamailio.proxy, self.kamailio.account(user),
                         next(_linphone_ports), friends=friends)
        self._end.callback(phone.stop)
        return phone

    def baresip(self, user, contacts=(), transport="udp", answers=False):
        """baresip of a SIP user; it answers calls if `answers`."""
        phone = Baresip(self.place.path(f"baresip-{user}"), self.kamailio.proxy, self.place.agent_address(),
                        self.kamailio.account(user), contacts=contacts, transport=transport, answers=answers)
        self._end.callback(phone.stop)
        return phone

    def restart_kamailio(self):
        """Ends Kamailio in order and starts it again on the same store."""
        status = self.kamailio.stop()
        assert status == 0, f"kamailio ended with {status}"
        self.kamailio.start()
        self.wait_for_link()

    def wait_for_link(self, limit=waiting.LIMIT):
        """Waits until both sides say that the component's link is up; for S2S, until the gateway takes connections."""
        self._wait_for_gateway(limit)
        if self.link == "component":
            waiting.until(self._says_up, "the XMPP link to be up", limit, self.kamailio.tail)

    def _says_up(self):
        try:
            return "state: up" in self.kamailio.kamcmd("stox.links")
        except (RuntimeError, OSError):
            return False

    # ------------------------------------------------------------ what most scenarios begin with

    def granted_watch(self, romeo, juliet, expires=600):
        """A SIP user watches an XMPP user who has approved: returns the watch, its first active NOTIFY seen."""
        watch = romeo.subscribe(f"sip:{juliet.jid}", expires)
        assert watch.answer.status == 200, str(watch.answer)
        watch.expect_notify("pending")
        juliet.expect_presence(bare(romeo), "subscribe")
        juliet.presence(bare(romeo), "subscribed")
        watch.expect_notify("active", lambda n: "open" in n.body, "with open")
        return watch


def bare(agent):
    """The XMPP address of a SIP user."""
    return agent.aor.removeprefix("sip:")
