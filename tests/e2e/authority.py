# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate authority of the scenarios' own, and what it signs: certificates as they should be, and bad ones."""

import datetime
import functools
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

_SRV_NAME = ObjectIdentifier("1.3.6.1.5.5.7.8.7")
_XMPP_ADDRESS = ObjectIdentifier("1.3.6.1.5.5.7.8.5")
_IA5_STRING, _UTF8_STRING = 0x16, 0x0C
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Certificate:
    """The paths of a chain and of its key, both PEM."""

    chain: Path
    key: Path


class Authority:
    """Signs for any domain. What it makes lies in its folder; `path` is the file that others trust it by."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.path = folder / f"{name}.crt"
        folder.mkdir(parents=True, exist_ok=True)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"stox test {name}")])
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = _usage(key_cert_sign=True, crl_sign=True)
        built = (_builder(self._name, self._name, self._key, days=30)
                 .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                 .add_extension(usage, critical=True)
                 .sign(self._key, hashes.SHA256()))
        self.path.write_bytes(built.public_bytes(serialization.Encoding.PEM))

    @functools.cached_property
    def stranger(self):
        """Another authority. Who trusts the one does not know the other."""
        return Authority(self.folder, "stranger")

    def certificate(self, domain, kind="good"):
        """A certificate for a domain, of one of the `KINDS`."""
        return KINDS[kind](self, domain, f"{domain}-{kind}")

    def sign(self, file, domain, names, usages=(_SERVER, _CLIENT), days=30):
        """Signs a certificate with any names and usages; a negative number of days makes it one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
        built = _leaf(_builder(subject, self._name, key, days), names, usages).sign(self._key, hashes.SHA256())
        return _write(self.folder, file, built, key)


def self_signed(folder, domain, file=None):
    """A certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    built = _leaf(_builder(subject, subject, key, days=30), [x509.DNSName(domain)], (_SERVER, _CLIENT))
    return _write(folder, file or domain, built.sign(key, hashes.SHA256()), key)


def srv_name(name):
    """A name of the form of RFC 4985: `_xmpp-server.example.org`."""
    return _other_name(_SRV_NAME, _IA5_STRING, name)


def xmpp_address(domain):
    """A name of the form of RFC 6120 §13.7.1.4."""
    return _other_name(_XMPP_ADDRESS, _UTF8_STRING, domain)


KINDS = {
    "good": lambda ca, domain, file: ca.sign(file, domain, [x509.DNSName(domain)]),
    # As public authorities sign them since 2026.
    "server-auth": lambda ca, domain, file: ca.sign(file, domain, [x509.DNSName(domain)], (_SERVER,)),
    "client-auth": lambda ca, domain, file: ca.sign(file, domain, [x509.DNSName(domain)], (_CLIENT,)),
    "wildcard": lambda ca, domain, file: ca.sign(file, domain, [x509.DNSName("*." + domain.partition(".")[2])]),
    "srv-name": lambda ca, domain, file: ca.sign(file, domain, [srv_name(f"_xmpp-server.{domain}")]),
    "xmpp-address": lambda ca, domain, file: ca.sign(file, domain, [xmpp_address(domain)]),
    "wrong-name": lambda ca, domain, file: ca.sign(file, "other.example", [x509.DNSName("other.example")]),
    "expired": lambda ca, domain, file: ca.sign(file, domain, [x509.DNSName(domain)], days=-1),
    "self-signed": lambda ca, domain, file: self_signed(ca.folder, domain, file),
    "other-authority": lambda ca, domain, file: ca.stranger.sign(file, domain, [x509.DNSName(domain)]),
}
"""Kinds of certificates. The names of the last four tell what is wrong with them."""


def _other_name(kind, tag, text):
    value = text.encode()
    assert len(value) < 128, "a length of one byte"
    return x509.OtherName(kind, bytes([tag, len(value)]) + value)


def _builder(subject, issuer, key, days):
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now + datetime.timedelta(days=days)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - datetime.timedelta(days=1)).not_valid_after(end))


def _leaf(builder, names, usages):
    return (builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False))


def _usage(**allowed):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def _write(folder, file, built, key):
    made = Certificate(folder / f"{file}.crt", folder / f"{file}.key")
    made.chain.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    made.key.chmod(0o600)
    return made
