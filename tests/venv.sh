#!/bin/sh
# Makes a virtual environment: `PYTHON=python3 sh tests/venv.sh FOLDER`.
# Debian keeps ensurepip in a package of its own, which is installed only with CI or PEERS=install.
set -eu
python=${PYTHON:-python3}
folder=$1

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "softphone needs Python 3.11 or newer; $python is $("$python" --version 2>&1)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ -z "${CI:-}" ] && [ "${PEERS:-}" != install ]; then
        echo "$python has no ensurepip: install $package, or set PEERS=install" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
fi
rm -rf "$folder"
"$python" -m venv "$folder"
