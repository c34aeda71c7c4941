# shellcheck shell=sh
# Sourced by the scripts: makes .venv what lock/dev.txt says, with HotSync itself in it; nothing to do most of the time.
. script/lib/tools.sh

# The tests start Python thousands of times: whoever forbade it to keep what it compiled would pay for it each time.
unset PYTHONDONTWRITEBYTECODE

dev_want="$(cat lock/dev.txt lock/build.txt | sha256sum)"
if [ "$(cat .venv/lock.sum 2>/dev/null)" != "$dev_want" ]; then
    [ -x .venv/bin/python ] || "$UV" venv --quiet .venv >&2
    "$UV" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes lock/dev.txt >&2
    "$UV" pip install --quiet --python .venv/bin/python --no-deps --build-constraint lock/build.txt --editable . >&2
    echo "$dev_want" >.venv/lock.sum
fi
