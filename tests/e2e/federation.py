# SPDX-License-Identifier: GPL-2.0-or-later
"""What XMPP servers need to federate on a loopback interface, and how one tells what streams it has."""

from dataclasses import dataclass
from pathlib import Path

from authority import Certificate
from dns import Dns

PORT, DIRECT_TLS_PORT = 25269, 25270
"""Where the servers of the scenarios take S2S streams: with STARTTLS, and with TLS from the start."""


@dataclass(frozen=True)
class Federation:
    """The S2S side of one server. `authentication` is what it takes and does: `external`, `dialback`, or `any`."""

    dns: Dns
    certificate: Certificate
    trusts: Path
    authentication: str = "external"
    bidi: bool = False
    acknowledgements: bool = False
    port: int = PORT
    direct_tls_port: int | None = None

    @property
    def dialback(self):
        """Whether it knows dialback."""
        return self.authentication != "external"


@dataclass(frozen=True)
class Stream:
    """An authenticated stream as a server's log tells it; `direction` is `in` for one that the other side opened."""

    direction: str
    authentication: str
    here: str
    there: str
    direct_tls: bool
    bidi: bool = False
    acknowledgements: bool = False
    tls: str = ""

    def matches(self, **wanted):
        """Whether it is as wanted, in the fields that are named."""
        return all(getattr(self, field) == value for field, value in wanted.items())
