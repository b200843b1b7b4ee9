#!/bin/sh
# Makes .venv with the Python named first, or says in one line what to install. usage: requirements/venv.sh PYTHON
set -eu
python=$1

fail() { echo "phototag: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 ||
  fail "$python was not found. Install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.11"
version=$("$python" -c 'import platform; print(platform.python_version())') || fail "$python does not start."
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' ||
  fail "phototag needs Python 3.11, 3.12 or 3.13, and $python is $version. Name another one: make PYTHON=/path/to/python3.11"

echo "Python $version: making the virtual environment .venv (some seconds)"
rm -rf .venv
if "$python" -m venv .venv >/dev/null 2>&1; then exit 0; fi
# Debian keeps ensurepip in a package of its own; the pip of the system can fill an environment without one.
rm -rf .venv
if "$python" -m venv --without-pip .venv >/dev/null 2>&1 &&
  "$python" -m pip --python .venv/bin/python install --quiet --no-input --require-hashes -r requirements/pip.txt
then exit 0; fi
rm -rf .venv
fail "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
