# SPDX-License-Identifier: GPL-2.0-or-later
"""What a NOTIFY's presence document says, and whether it is one."""

import subprocess
import tempfile
import xml.etree.ElementTree as tree
from dataclasses import dataclass

import place
from program import find

_PIDF = "{urn:ietf:params:xml:ns:pidf}"
_SCHEMA = place.ROOT / "tests" / "vectors" / "pidf" / "presence.xsd"


@dataclass
class Tuple:
    """One tuple: one XMPP resource."""

    id: str
    basic: str
    show: str
    note: str
    priority: str
    contact: str


def read(notify):
    """The tuples of a NOTIFY, after its body was found valid by the schemas of PIDF and its extensions."""
    assert notify["content-type"].split(";")[0] == "application/pidf+xml", str(notify)
    validate(notify.body)
    root = tree.fromstring(notify.body.encode())
    tuples = []
    for element in root.iter(_PIDF + "tuple"):
        contact = element.find(_PIDF + "contact")
        tuples.append(Tuple(
            element.get("id"),
            element.findtext(f"{_PIDF}status/{_PIDF}basic", ""),
            element.findtext(f"{_PIDF}status/{{jabber:client}}show", ""),
            element.findtext(_PIDF + "note", "") or root.findtext(_PIDF + "note", ""),
            contact.get("priority", "") if contact is not None else "",
            contact.text if contact is not None else ""))
    return tuples


def validate(body):
    """Fails if the document is not valid."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(body.encode())
        file.flush()
        done = subprocess.run([find("xmllint"), "--nonet", "--noout", "--schema", str(_SCHEMA), file.name],
                              capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{body}"
