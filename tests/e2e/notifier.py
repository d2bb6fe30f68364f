# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP user agent's side of a subscription to its user: sends the NOTIFYs (RFC 6665 §4.2)."""

from sip_agent import pidf
from sip_message import uri_of


class Notifier:
    """The notifier in the dialog that a SUBSCRIBE opened at an agent."""

    def __init__(self, agent, subscribe, tag=None, expires=600):
        self.agent = agent
        self.subscribe = subscribe
        self.call_id = subscribe.call_id
        self.tag = tag or f"ua-{agent.user}-{agent.port}"
        self.expires = expires
        self.cseq = 0
        self.target = subscribe.contact_uri
        self.routes = subscribe.all("record-route")

    def notify(self, state, body="", reason=None, cseq=None, event="presence", headers=(), **changes):
        """Sends a NOTIFY and returns its response."""
        self.cseq = cseq if cseq is not None else self.cseq + 1
        value = state
        if state != "terminated":
            value += f";expires={self.expires}"
        if reason:
            value += f";reason={reason}"
        lines = [("Event", event), ("Subscription-State", value)] + list(headers)
        if body:
            lines.append(("Content-Type", "application/pidf+xml"))
        fields = {"to": uri_of(self.subscribe["from"]), "to_tag": self.subscribe.from_tag, "from_tag": self.tag,
                  "call_id": self.call_id, "cseq": self.cseq, "routes": self.routes,
                  "from_uri": uri_of(self.subscribe["to"]), **changes}
        return self.agent.request(self.agent.build("NOTIFY", self.target, headers=lines, body=body, **fields))

    def show(self, basic="open", tuple="ID-orchard", show=None, note=None, state="active"):
        """Sends presence."""
        entity = self.agent.aor.removeprefix("sip:")
        return self.notify(state, pidf(entity, basic, tuple, show, note))


def answer_subscribes(agent, status=200, expires=None):
    """Makes an agent answer every SUBSCRIBE with a status; 200 grants what was asked."""

    def answer(request):
        if status != 200:
            return (status, [], "")
        granted = request["expires"] or "3600"
        return (200, [("Expires", str(expires or granted)), ("Contact", f"<{agent.contact}>")], "")

    agent.on["SUBSCRIBE"] = answer
