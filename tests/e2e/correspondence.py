# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of a SIP user and an XMPP user who write to each other, with an account of every message: what was said, what
arrived how often, and what its sender was told."""

import dataclasses
import re
import select
import socket
import threading
import time

import waiting
from load import _ok as ok

TIMER_F = 40.0
"""Seconds in which a MESSAGE has to have its answer: more than Timer F, so that a hanging transaction is seen."""

_MESSAGE = """MESSAGE sip:{xmpp}@xmpp.example SIP/2.0
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKs{pair}x{n}x;rport
From: <sip:{sip}@sip.example>;tag=s{n}
To: <sip:{xmpp}@xmpp.example>
Call-ID: s{pair}-{n}
CSeq: 1 MESSAGE
Max-Forwards: 10
Content-Type: text/plain
Content-Length: {length}

{body}"""

_REGISTER = """REGISTER sip:sip.example SIP/2.0
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKregister{n};rport
From: <sip:{sip}@sip.example>;tag=r{n}
To: <sip:{sip}@sip.example>
Call-ID: register-{n}
CSeq: 1 REGISTER
Contact: <sip:{sip}@{host}:{port}>
Expires: 3600
Max-Forwards: 10
Content-Length: 0

"""


@dataclasses.dataclass
class Said:
    """A message: when it was said, what its sender was told and when, and its arrivals. Moments are those of
    `time.monotonic`; an arrival is a moment and the message's id."""

    at: float
    told: int | str | None = None
    ended: float = 0.0
    arrivals: list = dataclasses.field(default_factory=list)


class ToXmpp:
    """What the SIP users say; they wait for the answer to one message before they say the next (RFC 3428 §8)."""

    def __init__(self, pairs):
        self.said = {}
        self._idle = list(range(pairs))
        self._next = [0] * pairs
        self._again = {}

    def say(self, sip):
        """Says the next message of the pair that has been silent for longest, if one is not waiting."""
        if not self._idle:
            return
        pair = self._idle.pop(0)
        n = self._next[pair]
        self._next[pair] += 1
        now = time.monotonic()
        self.said[pair, n] = Said(now)
        body = f"to-xmpp {pair} {n}"
        text = sip.fill(_MESSAGE, pair=pair, n=n, sip=sip.sip_user(pair), xmpp=sip.xmpp_user(pair), length=len(body),
                        body=body)
        self._again[pair, n] = [now + 0.5, 0.5, text]
        sip.transmit(text)

    def repeat(self, sip):
        """Says again what has no answer yet (RFC 3261 §17.1.2.2)."""
        now = time.monotonic()
        for key, (at, pause, text) in list(self._again.items()):
            if now - self.said[key].at > TIMER_F:
                self.answered(key, "silence")
            elif now > at:
                self._again[key] = [now + min(2 * pause, 4.0), min(2 * pause, 4.0), text]
                sip.transmit(text)

    def answered(self, key, status):
        """The final answer for a message; the first one counts."""
        if self._again.pop(key, None) is not None:
            said = self.said[key]
            said.told, said.ended = status, time.monotonic()
            self._idle.append(key[0])

    @property
    def open(self):
        """How many have no answer."""
        return len(self._again)


class Correspondence:
    """`pairs` pairs; each of the XMPP users writes with several SIP users. In each direction `rate` messages are said in
    a second, as far as the pairs are not waiting, until `stop()`."""

    def __init__(self, scene, pairs, rate, users=5):
        self.pairs, self.rate = pairs, rate
        self.to_xmpp = ToXmpp(pairs)
        self.to_sip = {}
        self.xmpp = [scene.xmpp(f"juliet{n}") for n in range(users)]
        self._proxy = scene.kamailio.proxy
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((scene.place.agent_address(), 0))
        self._host, self._port = self.socket.getsockname()
        self._branches = set()
        self._stop, self._end = threading.Event(), threading.Event()
        self._register()
        self._threads = [threading.Thread(target=run, name=run.__name__, daemon=True)
                         for run in (self._sip_side, self._xmpp_side)]

    def start(self):
        """Begins."""
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """Says no more, waits for the answers still due."""
        self._stop.set()
        waiting.until(lambda: not self.to_xmpp.open, "all answers to have come", 2 * TIMER_F)

    def close(self):
        """Ends; what comes from now on is not noted."""
        self._stop.set()
        self._end.set()
        for thread in self._threads:
            thread.join(waiting.LIMIT)
        self.socket.close()

    def said(self):
        """How many messages have been said, each way."""
        return len(self.to_xmpp.said), len(self.to_sip)

    # ------------------------------------------------------------ users

    def sip_user(self, pair):
        return f"romeo{pair}"

    def xmpp_user(self, pair):
        return f"juliet{pair % len(self.xmpp)}"

    # ------------------------------------------------------------ SIP

    def fill(self, template, **fields):
        """A request as bytes."""
        return template.format(host=self._host, port=self._port, **fields).replace("\n", "\r\n").encode()

    def transmit(self, data):
        self.socket.sendto(data, self._proxy)

    def _register(self):
        for pair in range(self.pairs):
            text = self.fill(_REGISTER, n=pair, sip=self.sip_user(pair))
            self.transmit(text)

            def accepted(text=text, branch=b"z9hG4bKregister%d;" % pair):
                if not select.select([self.socket], [], [], 0.5)[0]:
                    self.transmit(text)
                    return False
                data = self.socket.recv(65535)
                return data.startswith(b"SIP/2.0 200") and branch in data

            waiting.until(accepted, f"{self.sip_user(pair)} to be registered")

    def _sip_side(self):
        said, start = 0, time.monotonic()
        while not self._end.is_set():
            if not self._stop.is_set() and said < (time.monotonic() - start) * self.rate:
                self.to_xmpp.say(self)
                said += 1
            self.to_xmpp.repeat(self)
            while select.select([self.socket], [], [], 0.002)[0]:
                self._arrived(self.socket.recv(65535))

    def _arrived(self, data):
        if data.startswith(b"SIP/2.0 "):
            found = re.search(rb"z9hG4bKs(\d+)x(\d+)x", data)
            if found and data[8:9] != b"1":
                self.to_xmpp.answered((int(found.group(1)), int(found.group(2))), int(data[8:11]))
            return
        self.transmit(ok(data))
        branch = re.search(rb"branch=(\S+)", data).group(1)
        # The same branch is the same MESSAGE, sent again by the proxy.
        if branch not in self._branches and (found := re.search(rb"\r\n\r\nto-sip (\d+) (\d+)$", data)):
            self._branches.add(branch)
            names = tuple(re.search(rb"(?im)^%s:.*?%s(\S+)" % name, data).group(1)
                          for name in ((rb"call-id", rb"\s*"), (rb"from", rb";tag=")))
            self.to_sip[int(found.group(1)), int(found.group(2))].arrivals.append((time.monotonic(), names))

    # ------------------------------------------------------------ XMPP

    def _xmpp_side(self):
        n, start = 0, time.monotonic()
        seen = [len(user.received) for user in self.xmpp]
        while not self._end.is_set():
            while not self._stop.is_set() and n < (time.monotonic() - start) * self.rate:
                pair, number = n % self.pairs, n // self.pairs
                self.to_sip[pair, number] = Said(time.monotonic())
                self.xmpp[pair % len(self.xmpp)].raw(
                    f"<message to='{self.sip_user(pair)}@sip.example' id='x{pair}-{number}' type='chat'>"
                    f"<body>to-sip {pair} {number}</body></message>")
                n += 1
            self._look(seen)
            time.sleep(0.01)

    def _look(self, seen):
        for number, user in enumerate(self.xmpp):
            for stanza in user.received[seen[number]:]:
                seen[number] += 1
                if stanza.name == "message":
                    self._came(stanza)

    def _came(self, stanza):
        now = time.monotonic()
        if stanza.type == "error":
            found = re.search(r'\bid="x(\d+)-(\d+)"', stanza.xml)
            said = self.to_sip[int(found.group(1)), int(found.group(2))]
            said.told, said.ended = re.search(r"<error.*?<([a-z-]+)", stanza.xml).group(1), now
        elif found := re.search(r"<body>to-xmpp (\d+) (\d+)</body>", stanza.xml):
            id = re.search(r'<message\b[^>]*\bid="([^"]*)"', stanza.xml).group(1)
            self.to_xmpp.said[int(found.group(1)), int(found.group(2))].arrivals.append((now, id))
