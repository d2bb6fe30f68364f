# SPDX-License-Identifier: GPL-2.0-or-later
"""A stage for one scenario: Kamailio with the module, Prosody, and users on both sides, ended in the right order."""

import contextlib

import waiting
from baresip import Baresip
from kamailio import Kamailio
from linphone import Linphone
from place import Place, free_port
from prosody import Prosody
from sip_agent import SipAgent
from xmpp_user import XmppUser

_linphone_port = 17060


class Scene:
    """Everything a scenario plays with; with `ipv6` all of it is on ::1.

    Changes are told at once, unless `parameters` say otherwise.
    """

    def __init__(self, name, config="stox.cfg", extra="", parameters=None, ipv6=False, **kamailio):
        self._end = contextlib.ExitStack()
        self.ipv6 = ipv6
        try:
            self.place = Place(name)
            self._end.callback(self.place.close)
            server, proxy = self.place.address(2), self.place.address(1)
            ports = {}
            if ipv6:
                server = proxy = "::1"
                ports = {"c2s": free_port(), "component": free_port()}
                kamailio = {"port": free_port(), "self_port": free_port(), **kamailio}
            self.server = Prosody(self.place.path("prosody"), server, **ports)
            self._end.callback(self.server.stop)
            self.server.start()
            self.kamailio = Kamailio(self.place.path("kamailio"), proxy, self.server.component_parameter(),
                                     config=config, extra=extra,
                                     parameters={"notify_interval": 0, **(parameters or {})}, **kamailio)
            self._end.callback(self.kamailio.stop)
            for user in ("romeo", "nurse"):
                self.kamailio.account(user)
            self.kamailio.start()
            if self.kamailio.stox:
                self.server.wait_for_component()
        except BaseException:
            self._end.close()
            raise

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

    def linphone(self, user, friends=()):
        """linphonec of a SIP user."""
        global _linphone_port
        _linphone_port += 2
        phone = Linphone(self.place.path(f"linphone-{user}"), self.kamailio.proxy, self.kamailio.account(user),
                         _linphone_port, friends=friends)
        self._end.callback(phone.stop)
        return phone

    def baresip(self, user, contacts=(), transport="udp"):
        """baresip of a SIP user."""
        phone = Baresip(self.place.path(f"baresip-{user}"), self.kamailio.proxy, self.place.agent_address(),
                        self.kamailio.account(user), contacts=contacts, transport=transport)
        self._end.callback(phone.stop)
        return phone

    def restart_kamailio(self):
        """Ends Kamailio in order and starts it again on the same store."""
        status = self.kamailio.stop()
        assert status == 0, f"kamailio ended with {status}"
        self.kamailio.start()
        self.wait_for_link()

    def wait_for_link(self, limit=waiting.LIMIT):
        """Waits until the gateway itself says that its link is up."""

        def up():
            try:
                return "state: up" in self.kamailio.kamcmd("stox.links")
            except (RuntimeError, OSError):
                return False

        waiting.until(up, "the XMPP link to be up", limit, self.kamailio.tail)

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
