#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A Debian package of what is built in O:  packaging/build-deb.sh O VERSION OUTDIR
# The same build gives the same bytes: dates are the changelog's, owners root's, one thread compresses.
set -eu
umask 022
export LC_ALL=C TZ=UTC

o=$1 version=$2 out=$3
here=packaging

parse() {
	dpkg-parsechangelog -l "$here/changelog" -S "$1"
}
[ "$(parse Version)" = "$version" ] || {
	echo "build-deb: the version is $version, and $here/changelog begins with $(parse Version)" >&2
	exit 1
}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(parse Timestamp)}
export SOURCE_DATE_EPOCH
arch=$(dpkg --print-architecture)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/DEBIAN" "$work/debian"

MAKEFLAGS='' make -s -o all install O="$o" DESTDIR="$root" PREFIX=/usr ZSH_COMPLETIONS="$root/usr/share/zsh/vendor-completions" >/dev/null
doc=$root/usr/share/doc/pinfold
# Headers and the library are of the sources; the licence is Debian's own copy.
rm -r "$root/usr/include" "$root/usr/lib" "$doc/LICENSE"
strip --strip-all --remove-section=.comment "$root"/usr/bin/pinfold "$root"/usr/libexec/pinfold/*
gzip -9n "$root"/usr/share/man/man*/*
cp "$here/copyright" "$doc/copyright"
gzip -9nc "$here/changelog" >"$doc/changelog.gz"
install -D -m 644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/pinfold"
install -m 644 "$here/apparmor-profile" "$root/usr/share/pinfold/apparmor-profile"

printf 'Source: pinfold\n\nPackage: pinfold\nArchitecture: %s\n' "$arch" >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "$root/usr/libexec/pinfold/pinfold-image" "$root/usr/libexec/pinfold/pinfold-guard" "$root/usr/libexec/pinfold/pinfold-unpack" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || {
	echo "build-deb: dpkg-shlibdeps found no libraries of pinfold-image" >&2
	exit 1
}
# Rounded up by file and not by disk block, so that it is the same on every file system.
size=$(find "$root/usr" -type f -printf '%s\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@DEPENDS@/$depends/" -e "s/@SIZE@/$size/" \
	-e "s/@MAINTAINER@/$(parse Maintainer)/" "$here/control.in" >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
for script in postinst prerm postrm; do
	install -m 755 "$here/$script" "$root/DEBIAN/$script"
done

find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$out/pinfold_${version}_$arch.deb" >/dev/null
echo "$out/pinfold_${version}_$arch.deb"
