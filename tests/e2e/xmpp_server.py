# SPDX-License-Identifier: GPL-2.0-or-later
"""What the XMPP servers of the scenarios have in common."""

import re
import signal
from dataclasses import dataclass

import waiting


@dataclass(frozen=True)
class Stream:
    """An authenticated S2S stream as a server's log tells it: `in` if the other side opened it, else `out`.

    `tls` is the version, where the server tells it.
    """

    direction: str
    authentication: str
    here: str
    there: str
    direct_tls: bool
    bidi: bool = False
    acknowledgements: bool = False
    tls: str = ""


class XmppServer:
    """An XMPP server that runs as `program` or not at all."""

    program = None

    said_version = None
    """A pattern for the two first numbers of its version, in what it prints at its start."""

    def version(self):
        """The two first numbers of its version."""
        found = waiting.until(lambda: re.search(self.said_version, self.program.output()),
                              f"{self.program.name} to tell its version", evidence=self.program.tail)
        return tuple(int(number) for number in found.groups())

    def stop(self):
        """Ends it."""
        if self.program is not None:
            self.program.stop()
            self.program = None

    def freeze(self):
        """Stops it from running, with all its connections open."""
        self.program.signal(signal.SIGSTOP)

    def thaw(self):
        """Lets it run again."""
        self.program.signal(signal.SIGCONT)

    def stanzas(self, name):
        """Opening tags of stanzas that came from the gateway or from another server."""
        raise NotImplementedError

    def streams(self):
        """The S2S streams that were authenticated since the start, as [`Stream`], the earliest first."""
        raise NotImplementedError

    def connections(self):
        """How often the gateway and other servers have been connected since the start, and authenticated."""
        return len(self.streams())

    def wait_for_stanza(self, name, *parts):
        """Waits until a stanza with these attributes has come from the gateway or from another server."""
        waiting.until(lambda: [s for s in self.stanzas(name) if all(part in s for part in parts)],
                      f"{self.program.name} to get {name} {' '.join(parts)}", evidence=self.program.tail)

    def wait_for_stream(self, limit=waiting.LIMIT, **wanted):
        """Waits for an S2S stream that is as wanted in the fields named, and returns it."""

        def found():
            return next((s for s in self.streams() if all(getattr(s, k) == v for k, v in wanted.items())), None)

        return waiting.until(found, f"{self.program.name} to have a stream with {wanted}", limit,
                             lambda: "\n".join(map(str, self.streams())) + "\n" + self.program.tail())
