# SPDX-License-Identifier: GPL-2.0-or-later
"""`make run`: a SIP user and an XMPP user see each other come, go and change, through Kamailio with stox and Prosody.

Everything lies in `target/run/` and listens on loopback, the DNS server and the certificate authority by which the two
servers find and prove each other among it. The scene is played once by real clients, each printed line taken from what
a client or a server itself said; then all stays up for clients of your own until Ctrl-C.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import place
import ports
import waiting
from authority import Authority, self_signed
from baresip import Baresip
from dns import Dns
from federation import Federation
from kamailio import Kamailio
from linphone import Linphone
from program import Missing, find
from prosody import Prosody
from test_presence_server import put_rules
from xmpp_user import XmppUser

ADDRESS = "127.0.0.1"
PASSWORD = "secret"

LIVE = r"""
event_route[core:pre-routing] {
    if (!is_method("OPTIONS|ACK")) {
        xlog("L_NOTICE", "LIVE $rm $fU@$fd > $tU@$td $hdr(Subscription-State)\n");
    }
}
event_route[tm:local-request] {
    xlog("L_NOTICE", "LIVE $rm $fU@$fd > $tU@$td $hdr(Subscription-State)\n");
}
"""


class Stop(Exception):
    """Somebody wants the demo to end."""


def say(who, text):
    """One line of the scene."""
    print(f"{time.strftime('%H:%M:%S')}  {who:<8} {text}", flush=True)


def last_line(text, part):
    """The last line that has `part` in it."""
    found = [line for line in text.splitlines() if part in line]
    return re.sub(r"\x1b\[[\d;]*m|\[;m|^(linphonec> *)+", "", found[-1].strip()) if found else ""


class LinphoneRomeo:
    """Romeo with linphonec."""

    name = "linphonec"

    def __init__(self, folder, kamailio, contact, port):
        self.make = lambda: Linphone(folder / "romeo", kamailio.proxy, "sip:romeo@sip.example", port, PASSWORD,
                                     friends=[contact])
        self.phone = None

    def start(self):
        """Starts the phone; returns what it says about its registration."""
        self.phone = self.make()
        return "registered, " + self.phone.wait_registered()

    def wait_for(self, state):
        """Waits until the phone shows Juliet with a state; returns its own line."""
        if state == "Away":
            # linphonec's screen knows RPID only: the document that it got says it.
            self.phone.wait_for_wire(">away<")
            return "got " + last_line(self.phone.wire(), ">away<")
        shown = f"is {state}"
        self.phone.wait_for_screen(shown)
        return last_line(self.phone.screen(), shown)

    def stop(self):
        """Leaves."""
        if self.phone is not None:
            self.phone.stop()
            self.phone = None


class BaresipRomeo:
    """Romeo with baresip."""

    name = "baresip"

    def __init__(self, folder, kamailio, contact, port):
        self.make = lambda: Baresip(folder / "romeo", kamailio.proxy, ADDRESS, "sip:romeo@sip.example", PASSWORD,
                                    contacts=[contact], port=port, control=port + 10)
        self.phone = None

    def start(self):
        """Starts the phone; returns what it says about its registration."""
        self.phone = self.make()
        return "registered, " + self.phone.wait_registered()

    def wait_for(self, state):
        """Waits until the phone shows Juliet with a state; returns its own line."""
        if state == "Away":
            # baresip knows no away: the document that it got says it.
            self.phone.program.wait_for_output(">away<")
            return "got " + last_line(self.phone.screen(), ">away<")
        self.phone.wait_contact("juliet", state)
        return last_line(self.phone.contacts(), "juliet")

    def stop(self):
        """Leaves."""
        if self.phone is not None:
            self.phone.stop()
            self.phone = None


class AsComponent:
    """stox as a component of Prosody."""

    ports = {"component_port": ("tcp",)}

    def __init__(self, options, folder, _):
        self.prosody = Prosody(folder / "prosody", ADDRESS, c2s=options.xmpp_port, component=options.component_port,
                               certificate=self_signed(folder, "xmpp.example"))
        self.certificate = "a self-signed certificate"
        self.settings = {"COMPONENT": self.prosody.component_parameter()}
        self.parameters = {}
        self.dns = None

    def begun(self, _):
        """What the servers say of their connection when nobody has said anything yet."""
        self.prosody.wait_for_component()
        yield "prosody", last_line(self.prosody.program.output(), "successfully authenticated")

    def used(self, _):
        """What the servers say of their connection when stanzas go both ways."""
        return ()

    def looks(self, kamailio):
        """What an operator looks at."""
        return [("Links:", f"{kamcmd(kamailio)} stox.links")]


class FromServerToServer:
    """stox and Prosody as two XMPP servers, with a DNS server and an authority that both know."""

    ports = {"s2s_port": ("tcp",), "prosody_s2s_port": ("tcp",), "dns_port": ("udp", "tcp")}

    def __init__(self, options, folder, end):
        authority = Authority(folder / "authority")
        dns = Dns(folder / "dns", ADDRESS, port=options.dns_port)
        end.callback(dns.stop)
        sides = {}
        for domain, port in (("sip.example", options.s2s_port), ("xmpp.example", options.prosody_s2s_port)):
            dns.xmpp_server(domain, ADDRESS, port)
            sides[domain] = Federation(dns, authority.certificate(domain), authority.path, port=port)
        dns.start()
        ours, theirs = sides["sip.example"], sides["xmpp.example"]
        self.prosody = Prosody(folder / "prosody", ADDRESS, component_domain=None, c2s=options.xmpp_port,
                               federation=theirs)
        self.certificate = f"a certificate by {authority.path}"
        self.settings = {"LISTEN_S2S": f"{ADDRESS}:{options.s2s_port}", "CERTIFICATE": ours.certificate.chain,
                         "PRIVATE_KEY": ours.certificate.key}
        self.parameters = {"ca_list": str(authority.path), "resolver": dns.resolver}
        self.dns = dns.program

    def begun(self, kamailio):
        """What the servers say of their connection when nobody has said anything yet."""
        links = kamailio.rpc("stox.links")
        yield "stox", f"{len(links)} streams: one is made when there is something to say"

    def used(self, kamailio):
        """What the servers say of their connection when stanzas go both ways."""
        for direction in ("in", "out"):
            self.prosody.wait_for_stream(direction=direction)
        for domain in ("xmpp.example", "sip.example"):
            asked = last_line(self.dns.output(), f"query[SRV] _xmpp-server._tcp.{domain}")
            yield "dns", asked[asked.find("query"):]
        for link in waiting.until(lambda: _both_ways(kamailio), "the gateway to show both streams",
                                  evidence=lambda: str(kamailio.rpc("stox.links"))):
            yield "stox", (f"stream {link['direction']}: {link['link']}, {link['peer']}, {link['tls']}, "
                           f"authenticated by {link['authentication']}, certificate {link['certificate']}")
        for stream in self.prosody.streams():
            yield "prosody", (f"stream {stream.direction}: with {stream.there}, {stream.tls}, "
                              f"authenticated by {stream.authentication}")

    def looks(self, kamailio):
        """What an operator looks at."""
        certificate = self.settings["CERTIFICATE"]
        return [("Links:", f"{kamcmd(kamailio)} stox.links"),
                ("Is that domain reachable?", f"{kamcmd(kamailio)} stox.check xmpp.example"),
                ("Certificate:", f"openssl x509 -noout -text -in {certificate}")]


LINKS = {"s2s": FromServerToServer, "component": AsComponent}


def _both_ways(kamailio):
    """The streams that are up, if there is one of each direction."""
    up = [link for link in kamailio.rpc("stox.links") if link["state"] == "up"]
    return up if {link["direction"] for link in up} >= {"in", "out"} else None


def kamcmd(kamailio):
    """How to ask this Kamailio."""
    return f"kamcmd -s unix:{kamailio.ctl}"


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--once", action="store_true", help="end after the scene")
    parser.add_argument("--link", choices=LINKS, default="s2s",
                        help="how stox reaches Prosody: as an XMPP server itself (s2s), or as its component")
    parser.add_argument("--phone", choices=("linphonec", "baresip"), help="Romeo's phone; linphonec if it is installed")
    parser.add_argument("--folder", type=os.path.abspath, default=place.target() / "run")
    parser.add_argument("--sip-port", type=int, default=int(os.environ.get("SIP_PORT", "15060")),
                        help="SIP over UDP and TCP (environment SIP_PORT)")
    parser.add_argument("--self-port", type=int, default=int(os.environ.get("SELF_PORT", "15064")),
                        help="Kamailio's PUBLISHes to itself (environment SELF_PORT)")
    parser.add_argument("--xmpp-port", type=int, default=int(os.environ.get("XMPP_PORT", "15222")),
                        help="XMPP clients (environment XMPP_PORT)")
    parser.add_argument("--component-port", type=int, default=int(os.environ.get("COMPONENT_PORT", "15347")),
                        help="stox at Prosody, with --link component (environment COMPONENT_PORT)")
    parser.add_argument("--s2s-port", type=int, default=int(os.environ.get("S2S_PORT", "15269")),
                        help="other XMPP servers at stox (environment S2S_PORT)")
    parser.add_argument("--prosody-s2s-port", type=int, default=int(os.environ.get("PROSODY_S2S_PORT", "15270")),
                        help="other XMPP servers at Prosody (environment PROSODY_S2S_PORT)")
    parser.add_argument("--dns-port", type=int, default=int(os.environ.get("DNS_PORT", "15353")),
                        help="DNS over UDP and TCP (environment DNS_PORT)")
    parser.add_argument("--phone-port", type=int, default=int(os.environ.get("PHONE_PORT", "15070")),
                        help="Romeo's phone (environment PHONE_PORT)")
    return parser.parse_args()


def phone_of(name):
    """The kind of phone that Romeo has."""
    if name is None:
        try:
            find(LinphoneRomeo.name)
            return LinphoneRomeo
        except Missing:
            return BaresipRomeo
    return LinphoneRomeo if name == LinphoneRomeo.name else BaresipRomeo


def check_ports(options):
    """Ends with the owner's name if a port is taken."""
    taken = []
    wanted = {"sip_port": ("udp", "tcp"), "self_port": ("udp",), "xmpp_port": ("tcp",), "phone_port": ("udp",)}
    for name, kinds in {**wanted, **LINKS[options.link].ports}.items():
        port = getattr(options, name)
        for kind in kinds:
            if not ports.free(ADDRESS, port, kind):
                taken.append(f"{kind} port {port} is taken by {ports.owner(port, kind)}; "
                             f"choose another with {name.upper()}=...")
    if taken:
        sys.exit("make run: " + "\nmake run: ".join(taken))


def play(juliet, romeo, kamailio, way):
    """The scene. Every line is what a client said."""
    say("scene", f"Juliet uses slixmpp, Romeo uses {romeo.name}")
    juliet.login()
    say("juliet", f"logged in as {juliet.full}")
    say("romeo", romeo.start())

    asked = juliet.expect_presence("romeo@sip.example", "subscribe")
    say("juliet", f"{asked.sender} wants to see my presence: {asked.xml}")
    juliet.presence("romeo@sip.example", "subscribed")
    say("juliet", "approves him")
    say("romeo", romeo.wait_for("Online"))
    for who, text in way.used(kamailio):
        say(who, text)
    juliet.show("away", status="on the balcony")
    say("juliet", "is away now")
    say("romeo", romeo.wait_for("Away"))

    juliet.presence("romeo@sip.example", "subscribe")
    say("juliet", "asks to see Romeo")
    put_rules(kamailio, "romeo", juliet.jid, "allow", PASSWORD)
    say("romeo", "approves her, by a pres-rules document put on Kamailio's XCAP server")
    granted = juliet.expect_presence("romeo@sip.example", "subscribed")
    say("juliet", f"sees: {granted.xml}")
    here = juliet.expect_presence("romeo@sip.example")
    say("juliet", f"sees {here.sender} available")
    romeo.stop()
    say("romeo", "puts his phone away")
    gone = juliet.expect_presence("romeo@sip.example", "unavailable")
    say("juliet", f"sees {gone.sender} unavailable")
    say("romeo", romeo.start())
    back = juliet.expect_presence("romeo@sip.example")
    say("juliet", f"sees {back.sender} available")
    juliet.logout()
    say("juliet", "logs out")
    say("romeo", romeo.wait_for("Offline"))
    romeo.stop()
    say("scene", "ends: both were seen to come, to change and to go")


def manual(options, folder, kamailio, way):
    """How to log in with clients of one's own."""
    curl = (f"curl --digest -u romeo:{PASSWORD} -X PUT -H 'Content-Type: application/auth-policy+xml' "
            f"--data-binary @rules.xml \\\n      http://{ADDRESS}:{options.sip_port}"
            "/xcap-root/pres-rules/users/sip:romeo@sip.example/index")
    looks = "\n".join(f"    {what:<27}{command}" for what, command in way.looks(kamailio))
    print(f"""
It stays up. Log in with clients of your own (password of every account: {PASSWORD})

  XMPP   juliet@xmpp.example, benvolio@xmpp.example
         server {ADDRESS}, port {options.xmpp_port}, STARTTLS with {way.certificate},
         or no encryption
  SIP    sip:romeo@sip.example, sip:nurse@sip.example
         proxy {ADDRESS}:{options.sip_port}, UDP or TCP; presence by PUBLISH to the same address

  An XMPP user adds romeo@sip.example, a SIP user adds sip:juliet@xmpp.example.
  Romeo and Juliet have approved each other. Another watcher of a SIP user waits until that user approves him
  (rules.xml: see the end of kamailio-cfg/stox.cfg):
    {curl}

  Look inside:
    {"Who sees whom:":<27}{kamcmd(kamailio)} stox.dialogs
{looks}
    {"Logs:":<27}{folder}/kamailio/kamailio.log
    {"":<27}{folder}/prosody/prosody.log

Ctrl-C ends it. What happens:
""", flush=True)


class Events(threading.Thread):
    """Prints a line for each thing that happens, as the servers log it."""

    def __init__(self, kamailio, prosody):
        super().__init__(daemon=True, name="events")
        self.sources = [(kamailio.program.log, self._sip), (prosody.program.log, self._xmpp)]
        self.places = [os.path.getsize(log) for log, _ in self.sources]
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.1):
            for index, (log, show) in enumerate(self.sources):
                with open(log, "rb") as file:
                    file.seek(self.places[index])
                    for line in file:
                        if not line.endswith(b"\n"):
                            break
                        self.places[index] += len(line)
                        show(line.decode(errors="replace"))

    @staticmethod
    def _sip(line):
        found = re.search(r"LIVE (\S+) (\S+) > (\S+) (.*)", line)
        if found:
            method, sender, to, state = found.groups()
            say("SIP", f"{method:<9} {sender} -> {to} {'' if state == '<null>' else state}")
        elif "XMPP link" in line:
            say("link", line.split("XMPP link", 1)[1].strip())

    @staticmethod
    def _xmpp(line):
        found = re.search(r"Received\[(?:c2s|component|s2sin|s2sout)\]: (<(?:presence|message|iq) [^>]*>)", line)
        if found and ("presence" in found.group(1) or "sip.example" in found.group(1)):
            say("XMPP", found.group(1))


def main():
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        module = place.module()
        if not module.exists():
            sys.exit(f"make run: the module is not built ({module}); run `make build`")
        check_ports(options)
        run(options)
    except Missing as missing:
        sys.exit(f"make run: {missing}; `sh .ci/prerequisites.sh test` installs what is needed")
    except AssertionError as failure:
        sys.exit(f"make run: {failure}")
    except Stop:
        pass
    print("ended: nothing is left running", flush=True)


def _stop(*_):
    # Once is enough: what is being ended must not be interrupted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise Stop


def run(options):
    """Sets the stage, plays, stays up."""
    folder = Path(options.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as end:
        way = LINKS[options.link](options, folder, end)
        prosody = way.prosody
        end.callback(prosody.stop)
        kamailio = Kamailio(folder / "kamailio", ADDRESS, way.settings, port=options.sip_port,
                            self_port=options.self_port, parameters=way.parameters, extra=LIVE)
        end.callback(kamailio.stop)
        for user in ("romeo", "nurse"):
            kamailio.account(user, PASSWORD)
        for user in ("juliet", "benvolio"):
            prosody.account(user, PASSWORD)
        prosody.start()
        say("prosody", f"serves xmpp.example on {ADDRESS}:{options.xmpp_port}")
        kamailio.start()
        say("kamailio", f"serves sip.example on {ADDRESS}:{options.sip_port}")
        for who, text in way.begun(kamailio):
            say(who, text)

        juliet = XmppUser(prosody, "juliet", "balcony", PASSWORD)
        end.callback(juliet.logout)
        romeo = phone_of(options.phone)(folder, kamailio, "sip:juliet@xmpp.example", options.phone_port)
        end.callback(romeo.stop)
        play(juliet, romeo, kamailio, way)
        if options.once:
            return
        manual(options, folder, kamailio, way)
        events = Events(kamailio, prosody)
        events.start()
        end.callback(events.stopped.set)
        programs = list(filter(None, (kamailio.program, prosody.program, way.dns)))
        while all(program.alive() for program in programs):
            events.stopped.wait(0.5)
        dead = next(program for program in programs if not program.alive())
        print(dead.tail(), file=sys.stderr)
        sys.exit(f"make run: {dead.name} ended by itself")


if __name__ == "__main__":
    main()
