# SPDX-License-Identifier: GPL-2.0-or-later
"""A Prosody of our own: one virtual host, the gateway as its component or on the federation, accounts made as files."""

import os
import re

import waiting
from program import Program, find
from xmpp_server import Stream, XmppServer

_CONFIG = """
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
daemonize = false
run_as_root = {root}
interfaces = {{ "{address}" }}
local_interfaces = {{ "{address}" }}
component_interfaces = {{ "{address}" }}
c2s_ports = {{ {c2s} }}
c2s_direct_tls_ports = {{}}
legacy_ssl_ports = {{}}
s2s_ports = {{ {s2s} }}
s2s_direct_tls_ports = {{ {s2s_direct_tls} }}
component_ports = {{ {component} }}
http_ports = {{}}
https_ports = {{}}
use_ipv6 = {ipv6}
modules_enabled = {{ "roster"; "saslauth"; "disco"; "presence"; "message"; "iq"; "ping"; "offline"; "version"; "private"; "vcard4"; "pep"; "carbons"; "blocklist"; "smacks"{modules} }}
modules_disabled = {{ {disabled} }}
-- What a client may send is limited by the gateway here, so that the gateway's own limits are what is tested.
c2s_stanza_size_limit = 16777216
authentication = "internal_plain"
storage = "internal"
allow_registration = false
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
{settings}
log = {{ {{ levels = {{ min = "debug" }}, to = "console" }} }}

VirtualHost "{domain}"
{component_host}
"""

_COMPONENT = """
Component "{domain}"
    component_secret = "{secret}"
"""

_COMPONENT_CONNECTED = "External component successfully authenticated"

_FEDERATION = """
ssl = {{ certificate = "{chain}", key = "{key}", cafile = "{trusts}", capath = "/nonexistent" }}
s2s_require_encryption = true
s2s_secure_auth = {secure}
-- libunbound asks our DNS server alone, and trusts what it says though it is not signed.
unbound = {{
    resolvconf = false; hoststxt = false; forward = "{resolver}"; options = {{ ["do-not-query-localhost:"] = "no" }}
}}
"""


class Prosody(XmppServer):
    """An XMPP server. `start()` and `stop()` may be repeated; accounts and rosters stay."""

    said_version = r"Prosody version (\d+)\.(\d+)"

    def __init__(self, folder, address, domain="xmpp.example", component_domain="sip.example", c2s=25222,
                 component=25347, secret="s3cr3t", certificate=None, federation=None):
        """Without `component_domain` it has no component, without a `federation` no S2S."""
        self.folder = folder
        self.address = address
        self.domain = domain
        self.component_domain = component_domain
        self.c2s = c2s
        self.component = component
        self.secret = secret
        self.federation = federation
        self.program = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "prosody.cfg.lua"
        self._config.write_text(_CONFIG.format(
            folder=folder, address=address, ipv6="true" if ":" in address else "false", domain=domain, c2s=c2s,
            component=component if component_domain else "", component_host=self._component_host(),
            root="true" if os.getuid() == 0 else "false", **self._transport(certificate)))

    def _component_host(self):
        if self.component_domain is None:
            return ""
        return _COMPONENT.format(domain=self.component_domain, secret=self.secret)

    def _transport(self, certificate):
        """The settings that depend on whether it speaks TLS to clients only, to servers too, or not at all."""
        if self.federation is None:
            said = {"s2s": "", "s2s_direct_tls": "", "disabled": '"s2s"', "modules": "", "settings": ""}
            if certificate is not None:
                said["modules"] = '; "tls"'
                said["settings"] = f'ssl = {{ certificate = "{certificate.chain}", key = "{certificate.key}" }}'
            return said
        ours = self.federation
        modules = ["tls", "s2s_auth_certs"]
        disabled = [] if ours.acknowledgements else ["smacks"]
        if ours.bidi:
            modules.append("s2s_bidi")
        if ours.dialback:
            modules.append("dialback")
        return {
            "s2s": ours.port,
            "s2s_direct_tls": ours.direct_tls_port or "",
            "modules": "".join(f'; "{module}"' for module in modules),
            "disabled": "; ".join(f'"{module}"' for module in disabled),
            "settings": _FEDERATION.format(
                chain=ours.certificate.chain, key=ours.certificate.key, trusts=ours.trusts,
                secure="true" if ours.authentication == "external" else "false",
                resolver=f"{ours.dns.address}@{ours.dns.port}"),
        }

    def account(self, user, password="secret"):
        """Makes an account; also while the server runs."""
        def named(text):
            return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in text)

        accounts = self.folder / "data" / named(self.domain) / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        (accounts / f"{named(user)}.dat").write_text(f'return {{ ["password"] = "{password}" }};\n')
        return f"{user}@{self.domain}"

    def component_parameter(self):
        """What the module's `component` parameter must say."""
        return (f"domain={self.component_domain};host={self.address};"
                f"port={self.component};secret={self.secret}")

    def start(self):
        """Starts it and waits until it listens."""
        self.program = Program("prosody", [find("prosody"), "-F", "--config", str(self._config)],
                               self.folder / "prosody.log")
        services = {"c2s": self.c2s}
        if self.component_domain is not None:
            services["component"] = self.component
        if self.federation is not None:
            services["s2s"] = self.federation.port
            if self.federation.direct_tls_port is not None:
                services["s2s_direct_tls"] = self.federation.direct_tls_port
        for service, port in services.items():
            self.program.wait_for_output(f"Activated service '{service}' on [{self.address}]:{port}")
        return self

    def component_connected(self):
        """Whether the gateway is connected now, as a component."""
        text = self.program.output()
        return text.rfind(_COMPONENT_CONNECTED) > text.rfind("component disconnected:")

    def connections(self):
        return super().connections() + self.program.output().count(_COMPONENT_CONNECTED)

    def wait_for_component(self, limit=waiting.LIMIT):
        """Waits until the gateway is connected."""
        waiting.until(self.component_connected, "the gateway to connect to Prosody", limit, self.program.tail)

    def stanzas(self, name):
        # Stanzas, that is to say what an authenticated stream brings.
        return re.findall(rf"Received\[(?:component|s2sin|s2sout)\]: (<{name} .*)", self.program.output())

    def streams(self):
        found, begun = [], {}
        for session, said in re.findall(r"^(s2s(?:in|out)[0-9a-f]+)\s+\w+\s+(.*)", self.program.output(), re.MULTILINE):
            # A name may be used again.
            if said.startswith("Destroying "):
                found += _authenticated(session, begun.pop(session, ""))
            else:
                begun[session] = f"{begun.get(session, '')}{said}\n"
        for session, said in begun.items():
            found += _authenticated(session, said)
        return found


def _authenticated(session, said):
    """The streams of a session: one for each domain that was authenticated, nearly always one."""
    direction = "in" if session.startswith("s2sin") else "out"
    tls = re.search(r"Stream encrypted \((\S+)", said)
    for proof in re.finditer(r"connection (\S+)->(\S+) is now authenticated for (\S+)", said):
        external = re.search("<success [^>]*xmpp-sasl", said[:proof.start()])
        yield Stream(
            direction, "external" if external else "dialback",
            here=proof.group(2 if direction == "in" else 1), there=proof.group(3),
            direct_tls="<starttls " not in said, tls=tls.group(1) if tls else "",
            bidi="bidirectional stream" in said, acknowledgements="]: <enabled " in said)
