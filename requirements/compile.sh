#!/usr/bin/env bash
# Pins every dependency with its hashes. Run it after changing pyproject.toml; it needs `uv`.
set -euo pipefail
cd "$(dirname "$0")/.."
pin() { # pin OUT EXTRA...
  local out=$1 extras=(); shift
  for extra in "$@"; do extras+=(--extra "$extra"); done
  uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
    --python-version 3.11 "${extras[@]}" pyproject.toml -o "requirements/$out"
}
pin web.txt
pin run.txt worker training
pin worker-gpu.txt worker-gpu training
pin dev.txt worker training dev
# What builds our own package where only web.txt is installed (TensorFlow brings it into the others), and the pip
# for environments of a Python without ensurepip.
pin_alone() { # pin_alone OUT REQUIREMENT
  echo "$2" | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
    --python-version 3.11 - -o "requirements/$1"
}
pin_alone build.txt 'setuptools>=83'
pin_alone pip.txt 'pip>=25'
