# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS server of our own, which knows the names of one scene and asks nobody else."""

import os
import signal

from program import Program, find

_CONFIG = """
no-resolv
no-hosts
no-poll
bind-interfaces
listen-address={address}
port={port}
pid-file=
log-facility=-
log-queries
{user}
local=/#/
{records}
"""


class Dns:
    """A DNS server. `start()` and `stop()` may be repeated: an outage; records said meanwhile are served after it.

    A name without a record does not exist.
    """

    def __init__(self, folder, address, port=25353):
        self.folder = folder
        self.address = address
        self.port = port
        self.program = None
        self.records = []
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "dnsmasq.conf"
        self.hosts = folder / "hosts"
        """The names that have addresses, in the form of /etc/hosts: for programs that ask the C library."""

    @property
    def resolver(self):
        """Its address as the module's parameter `resolver` takes it."""
        return f"{self.address}:{self.port}"

    def host(self, name, *addresses):
        """The A and AAAA records of a name."""
        self.records.append(f"host-record={name},{','.join(addresses)}")
        return self

    def srv(self, service, domain, target=None, port=0, priority=0, weight=0):
        """An SRV record of a domain, as `xmpp-server`; without a target it says that there is no such service."""
        told = "" if target is None else f",{target},{port},{priority},{weight}"
        self.records.append(f"srv-host=_{service}._tcp.{domain}{told}")
        return self

    def xmpp_server(self, domain, address, port, direct_tls=None):
        """All that makes others find the server of a domain: its address, its port, and that of direct TLS if it has
        one, which is to be preferred."""
        host = f"xmpp-of.{domain}"
        self.host(host, address)
        self.srv("xmpp-server", domain, host, port, priority=10)
        if direct_tls is not None:
            self.srv("xmpps-server", domain, host, direct_tls, priority=5)
        return self

    def forget(self, domain):
        """No records of a domain, nor of names below it, from the next start on."""
        def about(record):
            name = record.partition("=")[2].partition(",")[0]
            return name == domain or name.endswith("." + domain)

        self.records = [record for record in self.records if not about(record)]
        return self

    def _addresses(self):
        for record in self.records:
            kind, _, told = record.partition("=")
            if kind == "host-record":
                name, *addresses = told.split(",")
                yield name, addresses

    def start(self):
        """Starts it and waits until it answers."""
        self.hosts.write_text("".join(f"{address} {name}\n" for name, addresses in self._addresses()
                                      for address in addresses))
        # As root, dnsmasq would become another user, who is not everywhere.
        user = "user=root" if os.getuid() == 0 else ""
        self._config.write_text(_CONFIG.format(address=self.address, port=self.port, user=user,
                                               records="\n".join(self.records)))
        self.program = Program("dnsmasq", [find("dnsmasq"), "--keep-in-foreground", f"--conf-file={self._config}"],
                               self.folder / "dnsmasq.log")
        # It has its sockets when it says so.
        self.program.wait_for_output("started, version")
        return self

    def stop(self):
        """Ends it: questions are refused by the machine."""
        if self.program is not None:
            self.program.stop()
            self.program = None

    def restart(self):
        """Serves the records as they are said by now."""
        self.stop()
        return self.start()

    def freeze(self):
        """Stops it from running: questions stay without an answer."""
        self.program.signal(signal.SIGSTOP)

    def thaw(self):
        """Lets it run again."""
        self.program.signal(signal.SIGCONT)

    def asked(self, name, kind=None):
        """How often a name was asked for, of one kind of record or of any."""
        wanted = f"query[{kind}] {name} " if kind else f"] {name} "
        return sum("query[" in line and wanted in line for line in self.program.output().splitlines())
