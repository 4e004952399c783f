#!/usr/bin/env bash
# Run a command with a display: the one that is there, else a virtual one that ends with it.
#
# Xvfb is started directly and picks a free display number itself; xvfb-run would need the package
# xauth as well, and can take a number that another process is about to use.
set -eu

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
if ! command -v Xvfb >/dev/null; then
    echo "There is no display, and Xvfb is not installed: see scripts/install_gui_dependencies.sh." >&2
    exit 1
fi

folder=$(mktemp -d)
server=""
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap clean_up EXIT

# Xvfb writes its display number once it takes connections.
mkfifo "$folder/number"
Xvfb -displayfd 3 -screen 0 1600x1200x24 -nolisten tcp 3>"$folder/number" 2>"$folder/log" &
server=$!
if ! read -r -t 60 number <"$folder/number"; then
    echo "Xvfb did not start:" >&2
    cat "$folder/log" >&2
    exit 1
fi

DISPLAY=":$number" QT_QPA_PLATFORM=xcb "$@"
