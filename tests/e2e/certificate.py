# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for the servers of the scenarios."""

import subprocess

from program import find


def certificate(folder, domain):
    """A self-signed certificate for a domain; returns the paths of the chain and of the key."""
    key, chain = folder / f"{domain}.key", folder / f"{domain}.crt"
    subprocess.run([find("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", str(key), "-out", str(chain), "-days", "30", "-subj", f"/CN={domain}",
                    "-addext", f"subjectAltName=DNS:{domain}"], check=True, capture_output=True)
    return chain, key
