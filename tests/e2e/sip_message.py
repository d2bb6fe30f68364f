# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages as a test sees them: parsed loosely, printed exactly."""

import re

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
            "c": "content-type", "o": "event", "u": "allow-events", "k": "supported", "s": "subject"}


class SipMessage:
    """A request or a response."""

    def __init__(self, data, source=None):
        self.source = source
        self.text = data.decode("utf-8", "replace")
        head, _, self.body = self.text.partition("\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((_COMPACT.get(name, name), value.strip()))
        if self.start.startswith("SIP/2.0 "):
            self.status = int(self.start.split()[1])
            self.method = self["cseq"].split()[1]
            self.uri = None
        else:
            self.status = None
            self.method, self.uri = self.start.split()[:2]

    def __getitem__(self, name):
        for key, value in self.headers:
            if key == name:
                return value
        return ""

    def all(self, name):
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def cseq(self):
        return int(self["cseq"].split()[0])

    @property
    def call_id(self):
        return self["call-id"]

    @property
    def event(self):
        """The event package, without parameters."""
        return self["event"].split(";")[0].strip()

    @property
    def subscription_state(self):
        """`active`, `pending` or `terminated`."""
        return self["subscription-state"].split(";")[0].strip()

    @property
    def reason(self):
        """The `reason` of Subscription-State."""
        return parameter(self["subscription-state"], "reason")

    @property
    def from_tag(self):
        return parameter(self["from"], "tag")

    @property
    def to_tag(self):
        return parameter(self["to"], "tag")

    @property
    def contact_uri(self):
        return uri_of(self["contact"])

    def __str__(self):
        return self.text

    def brief(self):
        """One line."""
        extra = self["subscription-state"]
        return f"{self.start} | {self['cseq']} | {extra} | {self.call_id}"


def parameter(value, name):
    """A header parameter, or an empty string."""
    tail = value.rpartition(">")[2] if ">" in value else value
    found = re.search(rf";\s*{name}\s*=\s*\"?([^;\">\s]+)", tail)
    return found.group(1) if found else ""


def uri_of(value):
    """The URI of a name-addr."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.split(";")[0].strip()
