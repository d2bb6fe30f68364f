# SPDX-License-Identifier: GPL-2.0-or-later
"""What an XMPP server of the scenarios needs to federate by itself."""

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
