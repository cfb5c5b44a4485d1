#!/bin/sh
# An authority and Asterisk's certificate, in the current folder; those that are there stay.
set -eu
[ -f asterisk.crt ] && exit 0
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 \
    -subj "/CN=My phones" -keyout ca.key -out ca.crt \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc \
    -subj "/CN=asterisk" -keyout asterisk.key -out asterisk.csr
cat > asterisk.ext <<'EXT'
subjectAltName = DNS:asterisk
extendedKeyUsage = serverAuth
keyUsage = critical, digitalSignature
EXT
openssl x509 -req -in asterisk.csr -CA ca.crt -CAkey ca.key -days 825 \
    -extfile asterisk.ext -out asterisk.crt
# The user "asterisk" of Debian's package reads the key; other containers mount the folder, too.
chmod 644 asterisk.key ca.crt asterisk.crt
