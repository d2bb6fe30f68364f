# SPDX-License-Identifier: GPL-2.0-or-later
"""An XMPP user with slixmpp, an independent client. Its event loop runs in one background thread for all users."""

import asyncio
import atexit
import threading
import weakref
from dataclasses import dataclass

import slixmpp

import waiting

_loop = None
_loop_lock = threading.Lock()
_online = weakref.WeakSet()


def _background():
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="xmpp users", daemon=True).start()
        return _loop


@atexit.register
def logout_all():
    """Ends every session that is still open."""
    for user in list(_online):
        user.logout()
    if _loop is not None:
        async def cancel():
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(cancel(), _loop).result(5)


@dataclass(frozen=True)
class Stanza:
    """A stanza that arrived."""

    name: str
    type: str
    sender: str
    to: str
    show: str
    status: str
    xml: str

    @property
    def bare(self):
        """The sender without resource."""
        return self.sender.split("/")[0]


class _Client(slixmpp.ClientXMPP):
    def __init__(self, user, jid, password):
        super().__init__(jid, password)
        self.user = user
        self.auto_authorize = None
        self.auto_subscribe = False
        self.enable_starttls = False
        self.enable_direct_tls = False
        self.enable_plaintext = True
        self.plugin["feature_mechanisms"].unencrypted_plain = True
        self.add_event_handler("session_start", self._started)
        self.add_event_handler("failed_all_auth", lambda _: user._failed("login refused"))
        self.add_event_handler("disconnected", lambda why: user._failed(f"disconnected {why or ''}"))
        self.add_filter("in", self._arrived)

    def _started(self, _):
        self.user.online = True

    def _arrived(self, stanza):
        name = stanza.xml.tag.split("}")[1]
        if name in ("presence", "message", "iq"):
            text = {c.tag.split("}")[1]: c.text or "" for c in stanza.xml}
            self.user.received.append(Stanza(
                name, stanza.xml.get("type", ""), stanza.xml.get("from", ""), stanza.xml.get("to", ""),
                text.get("show", ""), text.get("status", ""), str(stanza)))
        return stanza


class XmppUser:
    """One session of one account: `juliet@xmpp.example/balcony`."""

    def __init__(self, server, user, resource="balcony", password="secret"):
        self.jid = f"{user}@{server.domain}"
        self.full = f"{self.jid}/{resource}"
        self.received = []
        self.online = False
        self.failure = None
        self._cursor = 0
        self._password = password
        self._server = server
        self._client = None
        server.account(user, password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.logout()

    def _failed(self, why):
        self.failure = why
        self.online = False

    def _call(self, function):
        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), _background()).result(waiting.LIMIT)

    def _await(self, function):
        async def run():
            return await function()

        return asyncio.run_coroutine_threadsafe(run(), _background()).result(waiting.LIMIT)

    def login(self, **presence):
        """Logs in and sends initial presence, so that the server sends its probes."""
        self.connect()
        # A server tells of subscriptions only to sessions that asked for the roster (RFC 6121 §2.2).
        self._await(lambda: self._client.get_roster())
        self.show(**presence)
        return self

    def connect(self):
        """Logs in without sending presence."""
        self.failure = None
        _online.add(self)

        def start():
            self._client = _Client(self, self.full, self._password)
            self._client.connect(self._server.address, self._server.c2s)

        self._call(start)
        waiting.until(lambda: self.online or self.failure, f"{self.full} to log in", evidence=self.history)
        if self.failure:
            raise AssertionError(f"{self.full}: {self.failure}")
        return self

    def logout(self):
        """Says unavailable and closes the stream."""
        client, self._client = self._client, None
        if client is not None:
            async def leave():
                if self.online:
                    client.send_presence(ptype="unavailable")
                await client.disconnect(wait=2.0)
                # slixmpp leaves this task to the garbage collector, which complains.
                left = getattr(client, "_run_out_filters", None)
                if left is not None:
                    left.cancel()
                    await asyncio.gather(left, return_exceptions=True)

            try:
                asyncio.run_coroutine_threadsafe(leave(), _background()).result(5)
            except (asyncio.TimeoutError, TimeoutError):
                pass
        self.online = False

    def drop(self):
        """Breaks the connection without a word."""
        client, self._client = self._client, None
        if client is not None:
            self._call(client.abort)
        self.online = False

    def show(self, show=None, status=None, priority=None, type=None):
        """Broadcasts presence."""
        self._call(lambda: self._client.send_presence(
            pshow=show, pstatus=status, ppriority=priority, ptype=type))

    def presence(self, to, type):
        """Sends presence of some type to somebody: `subscribe`, `subscribed`, `unsubscribe`, ..."""
        self._call(lambda: self._client.send_presence(pto=to, ptype=type))

    def subscription(self, contact):
        """What the roster says of a contact: `none`, `to`, `from` or `both`."""
        return self._call(lambda: self._client.client_roster[contact]["subscription"])

    def raw(self, xml):
        """Sends XML as it is."""
        self._call(lambda: self._client.send_raw(xml))

    def forget(self):
        """What came until now is not looked at by the next `expect`."""
        self._cursor = len(self.received)

    def expect(self, what, match, limit=waiting.LIMIT):
        """Waits for a stanza after those already expected, and returns it."""

        def look():
            for index in range(self._cursor, len(self.received)):
                if match(self.received[index]):
                    self._cursor = index + 1
                    return self.received[index]
            return None

        return waiting.until(look, f"{self.full} to see {what}", limit, self.history)

    def expect_presence(self, sender, type="", show=None, status=None, limit=waiting.LIMIT):
        """Waits for presence from a bare or full address."""

        def match(stanza):
            return (stanza.name == "presence" and stanza.type == type
                    and sender in (stanza.sender, stanza.bare)
                    and (show is None or stanza.show == show)
                    and (status is None or stanza.status == status))

        what = f"presence {type or 'available'} {show or ''} from {sender}"
        return self.expect(what, match, limit)

    def presences(self, sender, type=None):
        """All presence from a bare address since `forget()`."""
        return [s for s in self.received[self._cursor:]
                if s.name == "presence" and s.bare == sender and (type is None or s.type == type)]

    def expect_silence(self, sender, seconds=1.0, type=None):
        """Fails if presence comes from a bare address."""
        waiting.never(lambda: self.presences(sender, type), f"presence from {sender}", seconds)

    def history(self):
        """What arrived, as evidence."""
        lines = [f"{s.name} type={s.type!r} from={s.sender} show={s.show!r} status={s.status!r}"
                 for s in self.received[-15:]]
        return f"--- {self.full} received\n" + "\n".join(lines)
