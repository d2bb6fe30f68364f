# SPDX-License-Identifier: GPL-2.0-or-later
"""The answer to a SIP digest challenge (RFC 3261 §22.4)."""

import hashlib
import re


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def answer(challenge, user, password, method, uri):
    """The value of an Authorization header for a WWW-/Proxy-Authenticate value."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm, nonce = fields["realm"], fields["nonce"]
    ha1 = _md5(f"{user}:{realm}:{password}")
    ha2 = _md5(f"{method}:{uri}")
    text = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
    if "qop" in fields:
        response = _md5(f"{ha1}:{nonce}:00000001:c0ffee:auth:{ha2}")
        text += ', qop=auth, nc=00000001, cnonce="c0ffee"'
    else:
        response = _md5(f"{ha1}:{nonce}:{ha2}")
    return text + f', response="{response}"'


def proves(credentials, nonce, user, password, method, uri):
    """Whether an Authorization header's value proves the user, by MD5 and with qop=auth."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', credentials))
    ha1 = _md5(f"{user}:{fields['realm']}:{password}")
    text = f"{ha1}:{nonce}:{fields['nc']}:{fields['cnonce']}:auth:{_md5(f'{method}:{uri}')}"
    return (fields["username"], fields["nonce"], fields["uri"], fields["response"]) == (user, nonce, uri, _md5(text))
