#!/bin/sh
# Finds a browser for tests/browser, installs one where that is possible without asking, or says what is left out.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Chromium for the browser tests (about 100 MB to download, a minute)"
  apt-get update -qq >/dev/null
  if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi
fi
echo "No Chromium on this machine: the browser tests are skipped. Install it with your system's packages to run them."
