# SPDX-License-Identifier: GPL-2.0-or-later
"""A steady stream of SIP requests in the background, with an account of every answer."""

import re
import select
import socket
import threading
import time

import waiting


class Load:
    """Sends `rate` requests a second until `stop()`; retransmits like RFC 3261 §17.1.2 says, for ten seconds.

    `template` is the request with `{n}` for its number, `{via}`, `{host}`, `{port}` for its source and
    `{target}` for the proxy.
    """

    def __init__(self, proxy, address, template, rate):
        self.proxy = proxy
        self.template = template
        self.rate = rate
        self.answers = {}
        self.began = {}
        self.took = {}
        self._waiting = {}
        self._texts = {}
        self._stop = threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, 0))
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def _run(self):
        host, port = self.socket.getsockname()
        target = f"{self.proxy[0]}:{self.proxy[1]}"
        number, start = 0, time.monotonic()
        while True:
            now = time.monotonic()
            stopping = self._stop.is_set()
            if stopping and not self._waiting:
                return
            while not stopping and number < (now - start) * self.rate:
                via = f"SIP/2.0/UDP {host}:{port};branch=z9hG4bKn{number}n;rport"
                text = self.template.format(n=number, via=via, host=host, port=port, target=target).replace("\n", "\r\n").encode()
                self._texts[number], self._waiting[number], self.began[number] = text, now + 0.5, now
                self.answers[number] = []
                self.socket.sendto(text, self.proxy)
                number += 1
            for n, again in list(self._waiting.items()):
                if now - self.began[n] > 10:
                    del self._waiting[n]
                elif now > again:
                    self.socket.sendto(self._texts[n], self.proxy)
                    self._waiting[n] = now + 1.0
            while select.select([self.socket], [], [], 0.002)[0]:
                data = self.socket.recv(65535)
                if data.startswith(b"SIP/2.0 "):
                    self._answered(int(data[8:11]), data)
                else:
                    self.socket.sendto(_ok(data), self.proxy)

    def _answered(self, status, data):
        found = re.search(rb"z9hG4bKn(\d+)n", data)
        if found and status >= 200:
            n = int(found.group(1))
            self.answers[n].append(status)
            self.took.setdefault(n, time.monotonic() - self.began[n])
            self._waiting.pop(n, None)

    def stop(self):
        """Sends no more, waits for the answers still due."""
        self._stop.set()
        self._thread.join(30)
        self.socket.close()
        return self

    def wait_for(self, count):
        """Waits until so many requests have been answered."""
        waiting.until(lambda: len(self.took) >= count, f"{count} answers", 60)

    def unanswered(self):
        """Numbers of requests that never got a final answer."""
        return [n for n, statuses in self.answers.items() if not statuses]

    def contradicted(self):
        """Requests that got two different final answers."""
        return {n: statuses for n, statuses in self.answers.items() if len(set(statuses)) > 1}

    def statuses(self):
        """How many requests ended with which status."""
        counts = {}
        for statuses in self.answers.values():
            key = statuses[0] if statuses else None
            counts[key] = counts.get(key, 0) + 1
        return counts


def _ok(request):
    head = request.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    kept = [line for line in head if re.match(rb"(?i)(via|v|from|f|to|t|call-id|i|cseq|record-route)\s*:", line)]
    return b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""])


OPTIONS = """OPTIONS sip:{target} SIP/2.0
Via: {via}
From: <sip:load@{host}>;tag=o{n}
To: <sip:{target}>
Call-ID: o{n}-{port}
CSeq: 1 OPTIONS
Max-Forwards: 10
Content-Length: 0

"""

# Contacts of their own: thousands of requests to one would keep the XMPP server busy with that one's roster.
SUBSCRIBE = """SUBSCRIBE sip:contact{n}@xmpp.example SIP/2.0
Via: {via}
From: <sip:load{n}@sip.example>;tag=s{n}
To: <sip:contact{n}@xmpp.example>
Call-ID: s{n}-{port}
CSeq: 1 SUBSCRIBE
Contact: <sip:load{n}@{host}:{port}>
Event: presence
Expires: 600
Max-Forwards: 10
Content-Length: 0

"""

TRUSTING = {"TRUSTED_PEERS": '"^127[.]"'}
"""Values for `stox.cfg` under which load needs no password."""
