# shellcheck shell=sh
# Sourced by the scripts: finds or makes uv, as pinned in lock/uv.txt, in .tools (never in the system's Python).
PYTHON=/usr/bin/python3.11
UV_VERSION="$(sed -n 's/^uv==\([^ ]*\).*/\1/p' lock/uv.txt)"
export UV_PYTHON_DOWNLOADS=never UV_PYTHON="$PYTHON"

if ! [ -x "$PYTHON" ] || ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y python3.11 python3-venv >&2
fi
UV=.tools/bin/uv
if ! "$UV" --version 2>/dev/null | grep -qF "$UV_VERSION"; then
    "$PYTHON" -m venv .tools
    .tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r lock/uv.txt >&2
fi
