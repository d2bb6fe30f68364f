#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the certificates of this folder anew, with openssl: a CA, and one certificate for each kind of name.
set -eu
cd "$(dirname "$0")"
new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch"
$new -x509 -days 36500 -keyout ca.key -out ca.pem -subj "/CN=stox test vectors" \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
make() { # file, subjectAltName, extendedKeyUsage and what follows it
	$new -keyout "$1.key" -out "$1.csr" -subj "/CN=common.example"
	printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$2" "$3" > "$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 36000 \
		-extfile "$1.ext" -out "$1.pem"
}
make dns "DNS:dns.example,DNS:*.dns.example" serverAuth
make srv "otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.srv.example" serverAuth,clientAuth
make xmpp "otherName:1.3.6.1.5.5.7.8.5;UTF8:xmpp.example" clientAuth
make all @names "emailProtection,serverAuth
[names]
DNS.1=all.example
otherName.1=1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.all.example
otherName.2=1.3.6.1.5.5.7.8.5;FORMAT:UTF8,UTF8:bücher.example
IP.1=192.0.2.1
email.1=juliet@all.example"
rm -f -- *.key *.csr *.ext *.srl
