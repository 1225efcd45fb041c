#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what is missing of the groups in tests/debian-packages:  tools/deps.sh GROUP...
# Says first what that is. With nothing missing it asks dpkg once and touches neither network nor root.
# PF_DEPS_DRY=1: only say what is missing (exit 1 if anything is).
set -eu

list=$(dirname "$0")/../tests/debian-packages

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: this is not a Debian system; install what these Debian packages hold, if it is not there:" >&2
	for group in "$@"; do
		sed -n "/^\[$group\]/,/^\$/{/^[^#[]/p}" "$list" | tr '\n' ' ' >&2
	done
	echo >&2
	exit 0
fi

# One question for every name at once; a name that dpkg never heard of is no error here.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')

is_installed() {
	printf '%s\n' "$installed" | grep -qxF "$1"
}

is_known() {
	[ -n "$(apt-cache madison "$1" 2>/dev/null | head -n 1)" ]
}

# The number in "clang-14", which the package clang depends on.
clang_major() {
	command -v clang >/dev/null 2>&1 && clang -dumpversion | cut -d. -f1 && return
	apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1
}

# The entries of the groups that no installed package satisfies, with %CLANG filled in.
missing_entries() {
	for group in "$@"; do
		sed -n "/^\[$group\]/,/^\$/{/^[^#[]/p}" "$list"
	done | while read -r entry; do
		case $entry in
		*%CLANG*) entry=$(printf '%s' "$entry" | sed "s/%CLANG/$(clang_major)/g") ;;
		esac
		found=
		for name in $(printf '%s' "$entry" | tr '|' ' '); do
			! is_installed "$name" || found=1
		done
		[ -n "$found" ] || printf '%s\n' "$entry"
	done
}

missing=$(missing_entries "$@")
if [ -z "$missing" ]; then
	exit 0
fi
echo "deps: missing: $(printf '%s' "$missing" | tr '\n' ' ')"
[ -z "${PF_DEPS_DRY:-}" ] || exit 1

root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "deps: neither root nor sudo. As root: apt-get install $(printf '%s' "$missing" | tr '\n' ' ')" >&2
		exit 1
	fi
	root="sudo"
	[ -t 0 ] || root="sudo -n"
fi
apt() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

# A fresh machine may have no package lists; one with lists may be offline and still have the packages cached.
apt update || echo "deps: apt-get update failed; trying with the package lists that are there" >&2
missing=$(missing_entries "$@") # clang's version may be known only now
names=
for entry in $missing; do
	chosen=
	for name in $(printf '%s' "$entry" | tr '|' ' '); do
		if [ -z "$chosen" ] && is_known "$name"; then
			chosen=$name
		fi
	done
	names="$names ${chosen:-${entry%%|*}}"
done
echo "deps: apt-get install$names"
# shellcheck disable=SC2086 # a list of names
apt install --no-install-recommends $names
