#!/bin/sh
# Installs one of the pinned sets into .venv, and phototag itself. usage: requirements/install.sh run|dev
set -eu
quiet=--quiet
if [ -t 1 ]; then quiet=; fi # pip's progress bars are for people; a log gets the lines of this script only
pip="env PYTHONNOUSERSITE=1 .venv/bin/python -m pip --disable-pip-version-check --no-input"

# shellcheck disable=SC2086 # the options are meant to be split
$pip install $quiet --require-hashes -r "requirements/$1.txt"
# Without build isolation: the build tool is pinned with the rest instead of being fetched anew, without a hash.
# shellcheck disable=SC2086
$pip install --quiet --no-deps --no-build-isolation --editable .
