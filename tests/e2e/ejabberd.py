# SPDX-License-Identifier: GPL-2.0-or-later
"""An ejabberd of our own, federated by S2S: a single node without Erlang's distribution, so that no epmd is needed."""

import glob
import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import waiting
from program import Missing, Program, find
from xmpp_server import Stream, XmppServer

_CONFIG = """
hosts: [ "{domain}" ]
loglevel: debug
log_rotate_count: 0
auth_method: internal
certfiles: [ "{chain}", "{key}" ]
ca_file: "{trusts}"
s2s_use_starttls: required
s2s_max_retry_delay: 1
outgoing_s2s_ipv{version}_address: "{address}"
listen:
  - {{ port: {c2s}, ip: "{address}", module: ejabberd_c2s, access: all, max_stanza_size: 16777216 }}
  - {{ port: {http}, ip: "{address}", module: ejabberd_http, request_handlers: {{ "/api": mod_http_api }} }}
  - {{ port: {s2s}, ip: "{address}", module: ejabberd_s2s_in }}
{direct_tls}
api_permissions:
  "the scenarios": {{ who: {{ ip: [ "127.0.0.0/8", "::1/128" ] }}, what: [ "register" ] }}
modules:
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  {dialback}
"""

_DIRECT_TLS = '  - {{ port: {port}, ip: "{address}", module: ejabberd_s2s_in, tls: true }}'

# Erlang's own resolver, which ejabberd asks for SRV records: our DNS server alone, nothing remembered.
_RESOLVER = """
{{lookup, [dns]}}.
{{resolv_conf, ""}}.
{{hosts_file, ""}}.
{{cache_size, 0}}.
{{nameserver, {{{address}}}, {port}}}.
"""


class Ejabberd(XmppServer):
    """An XMPP server. `start()` and `stop()` may be repeated; accounts and rosters stay."""

    said_version = r"ejabberd (\d+)\.(\d+)\S* is started"

    def __init__(self, folder, address, federation, domain="xmpp.example", c2s=25222, http=25280):
        self.folder = folder
        self.address = address
        self.federation = federation
        self.domain = domain
        self.c2s = c2s
        self.program = None
        self._http = http
        self._accounts = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "ejabberd.yml"
        self._resolver = folder / "inetrc"
        direct_tls = ""
        if federation.direct_tls_port is not None:
            direct_tls = _DIRECT_TLS.format(port=federation.direct_tls_port, address=address)
        self._config.write_text(_CONFIG.format(
            domain=domain, chain=federation.certificate.chain, key=federation.certificate.key,
            trusts=federation.trusts, version=6 if ":" in address else 4, address=address, c2s=c2s, http=http,
            s2s=federation.port, direct_tls=direct_tls,
            dialback="mod_s2s_dialback: {}" if federation.dialback else ""))
        self._resolver.write_text(_RESOLVER.format(address=federation.dns.address.replace(".", ","),
                                                   port=federation.dns.port))

    def account(self, user, password="secret"):
        """Makes an account; also before the server runs."""
        self._accounts[user] = password
        if self.program is not None:
            self._register(user, password)
        return f"{user}@{self.domain}"

    def _where(self, port):
        return f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"

    def _register(self, user, password):
        said = json.dumps({"user": user, "host": self.domain, "password": password}).encode()
        request = urllib.request.Request(f"http://{self._where(self._http)}/api/register", said,
                                         {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=waiting.LIMIT).close()
        except urllib.error.HTTPError as refused:
            # It is there already.
            if refused.code != 409:
                raise

    def start(self):
        """Starts it and waits until it listens."""
        libraries = glob.glob("/usr/lib/*/ejabberd-*/ebin") + glob.glob("/usr/lib/ejabberd/ebin")
        if not libraries:
            raise Missing("ejabberd is not installed")
        # For addresses it asks the C library, which knows neither this server nor another port than 53.
        addresses = glob.glob("/usr/lib/*/libnss_wrapper.so")
        if not addresses:
            raise Missing("libnss-wrapper is not installed")
        environment = {
            "EJABBERD_CONFIG_PATH": str(self._config),
            "EJABBERD_LOG_PATH": str(self.folder / "own.log"),
            "ERL_LIBS": str(Path(libraries[0]).parents[1]),
            "ERL_INETRC": str(self._resolver),
            "ERL_CRASH_DUMP": str(self.folder / "crash.dump"),
            "HOME": str(self.folder),
            "LD_PRELOAD": addresses[0],
            "NSS_WRAPPER_HOSTS": str(self.federation.dns.hosts),
        }
        self.program = Program("ejabberd", [find("erl"), "-noinput", "-mnesia", "dir", f'"{self.folder}/spool"',
                                            "-s", "ejabberd"], self.folder / "ejabberd.log", environment, self.folder)
        for port in filter(None, (self.c2s, self._http, self.federation.port, self.federation.direct_tls_port)):
            self.program.wait_for_output(f" connections at {self._where(port)} for ejabberd_")
        for user, password in self._accounts.items():
            self._register(user, password)
        return self

    def stanzas(self, name):
        # Clients have no TLS here; servers always have.
        return [stanza for line in self.program.output().splitlines()
                if "(tls|" in line and "Received XML on stream" in line
                for stanza in re.findall(rf"<{name} [^>]*>", line)]

    def streams(self):
        said = self.program.output()
        return [_stream(said[:proof.start()], *proof.groups()) for proof in _ACCEPTED.finditer(said)]


_ACCEPTED = re.compile(r"\(tls\|(<[\d.]+>)\) Accepted (in|out)bound s2s (\S+) authentication (\S+) -> (\S+) ")


def _stream(before, process, direction, authentication, opener, other):
    here, there = (other, opener) if direction == "in" else (opener, other)
    return Stream(direction, authentication.lower(), here, there, direct_tls=f"(tcp|{process})" not in before)
