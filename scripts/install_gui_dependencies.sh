#!/usr/bin/env bash
# Install the system libraries that napari's window and its tests need on Debian and Ubuntu: a
# virtual display, Mesa's software OpenGL and Qt's X11 libraries. Does nothing where all are there.
set -eu

# Where a package was renamed, both names stand, the newer one first.
PACKAGES="
xvfb
libgl1
libgl1-mesa-dri
libegl1
libxkbcommon-x11-0
libxcb-cursor0
libxcb-icccm4
libxcb-image0
libxcb-keysyms1
libxcb-render-util0
libxcb-shape0
libxcb-xinerama0
libdbus-1-3
libfontconfig1
libglib2.0-0t64|libglib2.0-0
"

has_display() {
    [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Print the packages of which no name is installed, a line each.
missing() {
    local names name
    for names in $PACKAGES; do
        for name in ${names//|/ }; do
            if installed "$name"; then
                continue 2
            fi
        done
        echo "$names"
    done
}

# Print each missing package by the first of its names that this release knows.
chosen() {
    local names name
    for names in $lacking; do
        for name in ${names//|/ }; do
            if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
                break
            fi
        done
        printf ' %s' "$name"
    done
}

# What is missing is not fatal where there is a display: Qt is likely to be there with it.
give_up() {
    echo "$1" >&2
    has_display && exit 0
    exit 1
}

if [ "$(uname -s)" != Linux ]; then
    exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    if has_display || command -v Xvfb >/dev/null; then
        exit 0
    fi
    give_up "The GUI tests need a display: install your system's packages of Xvfb, Mesa's software OpenGL (llvmpipe) and Qt 6's X11 libraries (xcb-cursor, xcb-icccm, xcb-image, xcb-keysyms, xcb-render-util, xkbcommon-x11)."
fi

lacking=$(missing)
if [ -z "$lacking" ]; then
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    give_up "The GUI tests need packages that only root may install: apt-get install$(chosen)"
fi

$as_root apt-get update -qq
# shellcheck disable=SC2046  # one word a package
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $(chosen)
