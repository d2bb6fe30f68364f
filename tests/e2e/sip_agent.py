# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP user agent on a plain socket: does what real phones cannot be made to do (wait, refuse, fork, break rules)."""

import itertools
import re
import select
import socket
import ssl
import threading

import digest
import waiting
from sip_message import SipMessage

_numbers = itertools.count(1)

PIDF = ('<?xml version="1.0" encoding="UTF-8"?>\n'
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:{entity}">\n'
        '  <tuple id="{tuple}"><status><basic>{basic}</basic>{show}</status>{note}</tuple>\n'
        '</presence>\n')


def pidf(entity, basic="open", tuple="ID-orchard", show=None, note=None):
    """A presence document as RFC 8048 prints them."""
    show = f'<show xmlns="jabber:client">{show}</show>' if show else ""
    note = f"<note>{note}</note>" if note else ""
    return PIDF.format(entity=entity, basic=basic, tuple=tuple, show=show, note=note)


def family(address):
    """The kind of socket that an IP address needs."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def host(address):
    """An IP address as in a URI."""
    return f"[{address}]" if ":" in address else address


class TlsSocket:
    """A TLS connection that one thread reads while another writes, which OpenSSL does not allow by itself."""

    def __init__(self, connection):
        context = ssl.create_default_context()
        # Who the proxy is does not matter here.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._lock = threading.Lock()
        self._connection = context.wrap_socket(connection)
        self._connection.setblocking(False)

    def fileno(self):
        return self._connection.fileno()

    def recvfrom(self, size):
        """Whatever has arrived; raises `SSLWantReadError` when that is no whole record."""
        with self._lock:
            data = self._connection.recv(size)
            while self._connection.pending():
                data += self._connection.recv(size)
        return data, None

    def sendall(self, data):
        with self._lock:
            while data:
                try:
                    data = data[self._connection.send(data):]
                except ssl.SSLWantWriteError:
                    select.select([], [self._connection], [], waiting.LIMIT)

    def close(self):
        self._connection.close()


class SipAgent:
    """One SIP user on one socket: UDP, TCP, or TLS.

    Requests that arrive are answered by `on[method]`, a function from the request to `(status, headers, body)`, or
    to a list of functions called in order with the agent and the request. The default is 200.
    """

    def __init__(self, proxy, address, aor, password="secret", tcp=False, tls=False, port=25060):
        self.proxy = proxy
        self.aor = aor
        self.user = aor.split(":")[1].split("@")[0]
        self.password = password
        self.address = address
        self.host = host(address)
        self.tcp = tcp or tls
        self.transport = "tls" if tls else "tcp" if tcp else "udp"
        self.received = []
        self.sent = []
        self.on = {}
        self.contact_host = None
        self.via_host = None
        self._cursor = 0
        self._stop = threading.Event()
        if self.tcp:
            self.socket = socket.create_connection(proxy, source_address=(address, 0), timeout=waiting.LIMIT)
        else:
            self.socket = socket.socket(family(address), socket.SOCK_DGRAM)
            self.socket.bind((address, port))
        self.port = self.socket.getsockname()[1]
        if tls:
            self.socket = TlsSocket(self.socket)
        self._thread = threading.Thread(target=self._read, name=f"sip {aor}", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the socket without a word."""
        self._stop.set()
        self._thread.join(2)
        self.socket.close()

    # ------------------------------------------------------------ wire

    def _read(self):
        buffer = b""
        while not self._stop.is_set():
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            try:
                data, source = self.socket.recvfrom(65535)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                return
            if not self.tcp:
                if data.strip():
                    self._arrived(data, source)
                continue
            if not data:
                return
            buffer += data
            while b"\r\n\r\n" in buffer:
                head, _, rest = buffer.partition(b"\r\n\r\n")
                found = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
                length = int(found.group(1)) if found else 0
                if len(rest) < length:
                    break
                self._arrived(head + b"\r\n\r\n" + rest[:length], self.proxy)
                buffer = rest[length:]

    def _arrived(self, data, source):
        message = SipMessage(data, source)
        self.received.append(message)
        if message.status is None and message.method != "ACK":
            reaction = self.on.get(message.method, lambda _: (200, [], ""))
            answer = reaction(message)
            if answer is not None:
                self.reply(message, *answer)

    def transmit(self, text, to=None):
        """Puts a message on the wire."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if self.tcp:
            self.socket.sendall(data)
        else:
            self.socket.sendto(data, to or self.proxy)

    @property
    def contact(self):
        """Where this agent says it is reached; `contact_host` makes it say something else."""
        transport = f";transport={self.transport}" if self.tcp else ""
        return f"sip:{self.user}@{self.contact_host or f'{self.host}:{self.port}'}{transport}"

    def reply(self, request, status, headers=(), body=""):
        """Answers a request."""
        lines = [f"SIP/2.0 {status} {_reason(status)}"]
        lines += [f"{name.title()}: {value}" for name, value in request.headers
                  if name in ("via", "record-route", "from", "call-id", "cseq")]
        to = request["to"]
        if not request.to_tag and status != 100:
            to += f";tag=ua-{self.user}-{self.port}"
        lines += [f"To: {to}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body.encode())}", "", body]
        self.transmit("\r\n".join(lines), request.source)

    # ------------------------------------------------------------ requests

    def build(self, method, uri, to=None, headers=(), body="", call_id=None, cseq=1, from_tag=None, to_tag=None,
              from_uri=None, routes=(), omit=(), contact=True):
        """The text of a request. `omit` leaves out headers by lower-case name. Bytes of a body that are no UTF-8 are given
        as Python's `surrogateescape` writes them."""
        number = next(_numbers)
        via = self.via_host or f"{self.host}:{self.port}"
        lines = [("Via", f"SIP/2.0/{self.transport.upper()} {via};branch=z9hG4bK{self.port}x{number};rport"),
                 ("Max-Forwards", "70"),
                 ("From", f"<{from_uri or self.aor}>" + ("" if from_tag == "" else f";tag={from_tag or f'f{number}'}")),
                 ("To", f"<{to or uri}>" + (f";tag={to_tag}" if to_tag else "")),
                 ("Call-ID", call_id or f"call-{number}@{self.address}"),
                 ("CSeq", f"{cseq} {method}")]
        lines += [("Route", route) for route in routes]
        if contact:
            lines.append(("Contact", f"<{self.contact}>"))
        lines += list(headers)
        lines.append(("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))))
        text = f"{method} {uri} SIP/2.0\r\n"
        text += "".join(f"{name}: {value}\r\n" for name, value in lines if name.lower() not in omit)
        return text + "\r\n" + body

    def request(self, text, to=None, limit=waiting.LIMIT, retransmit=True):
        """Sends a request and returns its final response; over UDP it is sent again as RFC 3261 §17 wants."""
        sent = SipMessage(text.encode("utf-8", "surrogateescape"))
        self.sent.append(sent)
        branch = re.search(r"branch=([^;\s]+)", sent["via"])
        branch = branch.group(1) if branch else None
        start = len(self.received)
        self.transmit(text, to)
        waited = [0]

        def final():
            for message in self.received[start:]:
                if message.status is not None and message.status >= 200 and (branch is None or branch in message["via"]):
                    return message
            waited[0] += 1
            if retransmit and not self.tcp and waited[0] % 100 == 0:
                self.transmit(text, to)
            return None

        return waiting.until(final, f"{self.aor} to get an answer to\n{text[:1500]}", limit, self.history)

    def ask(self, method, uri, limit=waiting.LIMIT, **fields):
        """Sends a request, answers one challenge, returns the final response."""
        number = next(_numbers)
        fields.setdefault("call_id", f"call-{number}@{self.address}")
        fields.setdefault("from_tag", f"f{number}")
        cseq = fields.pop("cseq", 1)
        headers = list(fields.pop("headers", ()))
        response = self.request(self.build(method, uri, headers=headers, cseq=cseq, **fields), limit=limit)
        for status, challenge, credentials in ((401, "www-authenticate", "Authorization"),
                                               (407, "proxy-authenticate", "Proxy-Authorization")):
            if response.status == status and response[challenge]:
                value = digest.answer(response[challenge], self.user, self.password, method, uri)
                again = self.build(method, uri, headers=headers + [(credentials, value)], cseq=cseq + 1, **fields)
                return self.request(again, limit=limit)
        return response

    def register(self, expires=600):
        """Registers at the proxy."""
        domain = self.aor.split("@")[1]
        response = self.ask("REGISTER", f"sip:{domain}", to=self.aor, headers=[("Expires", str(expires))])
        assert response.status == 200, str(response)
        return response

    def publish(self, body, expires=600, etag=None):
        """Publishes a presence document; returns the response, whose SIP-ETag names it."""
        headers = [("Event", "presence"), ("Expires", str(expires))]
        if body:
            headers.append(("Content-Type", "application/pidf+xml"))
        if etag:
            headers.append(("SIP-If-Match", etag))
        response = self.ask("PUBLISH", self.aor, headers=headers, body=body, contact=False)
        assert response.status == 200, str(response)
        return response

    def subscribe(self, target, expires=600, **fields):
        """Opens a subscription; see `Watch`."""
        return Watch(self, target, expires, **fields)

    # ------------------------------------------------------------ looking

    def expect(self, what, match, limit=waiting.LIMIT):
        """Waits for a message after those already expected, and returns it."""

        def look():
            for index in range(self._cursor, len(self.received)):
                if match(self.received[index]):
                    self._cursor = index + 1
                    return self.received[index]
            return None

        return waiting.until(look, f"{self.aor} to see {what}", limit, self.history)

    def expect_request(self, method, limit=waiting.LIMIT, match=lambda _: True):
        """Waits for a request."""
        return self.expect(f"a {method}", lambda m: m.status is None and m.method == method and match(m), limit)

    def forget(self):
        """What came until now is not looked at by the next `expect`."""
        self._cursor = len(self.received)

    def requests(self, method):
        """All requests of a method since `forget()`."""
        return [m for m in self.received[self._cursor:] if m.status is None and m.method == method]

    def history(self):
        """What arrived, as evidence."""
        return f"--- {self.aor} received\n" + "\n".join(m.brief() for m in self.received[-15:])


class Watch:
    """A subscription of a SIP user to somebody's presence, as its subscriber sees it (RFC 6665 §4.1)."""

    def __init__(self, agent, target, expires=600, event="presence", headers=()):
        self.agent = agent
        self.target = target
        self.event = event
        self.call_id = f"watch-{next(_numbers)}@{agent.address}"
        self.tag = f"w{next(_numbers)}"
        self.cseq = 1
        self._seen = 0
        self.remote_target = target
        self.to_tag = None
        self.routes = []
        self.extra = list(headers)
        self.answer = self._send(expires)

    def _send(self, expires):
        headers = [("Event", self.event), ("Accept", "application/pidf+xml")] + self.extra
        if expires is not None:
            headers.append(("Expires", str(expires)))
        response = self.agent.ask("SUBSCRIBE", self.remote_target, to=self.target, headers=headers,
                                  call_id=self.call_id, from_tag=self.tag, to_tag=self.to_tag, cseq=self.cseq,
                                  routes=self.routes)
        self.cseq = response.cseq
        if response.status == 200:
            self.to_tag = response.to_tag
            self.routes = self.routes or list(reversed(response.all("record-route")))
            if response["contact"]:
                self.remote_target = response.contact_uri
        self.cseq += 1
        return response

    def refresh(self, expires=600):
        """Sends a SUBSCRIBE inside the dialog."""
        self.answer = self._send(expires)
        return self.answer

    def notifies(self):
        """NOTIFYs of this dialog, without retransmissions."""
        seen, found = set(), []
        for message in self.agent.received:
            if (message.status is None and message.method == "NOTIFY" and message.call_id == self.call_id
                    and message.cseq not in seen):
                seen.add(message.cseq)
                found.append(message)
        return found

    def expect_notify(self, state, match=lambda _: True, what="", limit=waiting.LIMIT):
        """Waits for a NOTIFY with a Subscription-State, after those already expected."""

        def look():
            notifies = self.notifies()
            for index in range(self._seen, len(notifies)):
                if notifies[index].subscription_state == state and match(notifies[index]):
                    self._seen = index + 1
                    return notifies[index]
            return None

        return waiting.until(look, f"{self.agent.aor} to get a NOTIFY {state} {what}", limit, self.agent.history)

    def expect_silence(self, seconds=1.0):
        """Fails if a further NOTIFY comes."""
        waiting.never(lambda: [n.brief() for n in self.notifies()[self._seen:]], "a NOTIFY", seconds)


_REASONS = {100: "Trying", 200: "OK", 202: "Accepted", 403: "Forbidden", 404: "Not Found", 480: "Temporarily Unavailable",
            481: "Subscription Does Not Exist", 486: "Busy Here", 489: "Bad Event", 503: "Service Unavailable",
            603: "Decline"}


def _reason(status):
    return _REASONS.get(status, "Because")
