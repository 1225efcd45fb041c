#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make run`: the tests of a hostile pull request (examples/hostile-pr), run behind a boundary. Everything that is
# shown is real; nothing is left behind, neither in the sources nor in pinfold's state.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
pinfold=${PF_BUILD:-$top/build}/pinfold
place=$(mktemp -d "${TMPDIR:-/tmp}/pinfold-demo.XXXXXX")
workspace=$place/project/hostile-pr
export PINFOLD_STATE=$place/state

bold= plain=
if [ -t 1 ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

clean_up() {
	rm -rf "$place"
}
trap clean_up EXIT

step=0
say() {
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"
}

# Print a command as a user would type it, then run it; its exit status is the function's.
show() {
	printf '   $ %s\n' "$*"
	set -- "$pinfold" "${@:2}"
	status=0
	"$@" 2>&1 | sed 's/^/   /' || true
	status=${PIPESTATUS[0]}
	return "$status"
}

check_host() { # check_host WHAT PATH: the path must not be there
	if [ -e "$2" ]; then
		printf '   %-52s%s\n' "$1" "FOUND on the host: this must not be"
		bad=1
	else
		printf '   %-52s%s\n' "$1" "not there"
	fi
}

say "A pull request arrives. Its tests look like any others; its conftest.py is hostile (examples/hostile-pr/README.md)."
mkdir -p "$place/project"
cp -r "$top/examples/hostile-pr" "$workspace"
find "$workspace" -name __pycache__ -prune -exec rm -rf {} +
(
	cd "$workspace"
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
	git -c init.defaultBranch=main init -q
	git add -A
	git -c user.name=you -c user.email=you@example.invalid commit -q -m 'The pull request'
)
echo "   A copy of it, with a Git repository, is in $workspace"

say "Run its tests in a sandbox: its own root, no network, no secrets; writes go to a layer above the project."
show pinfold run --receipt --workspace "$workspace" -- /usr/bin/python3 -B -m pytest -q -p no:cacheprovider || {
	echo "   The run did not end well (exit $status). What this host can do:"
	show pinfold doctor || true
	exit 1
}

say "The tests passed, and the table says what was refused. It could write, to a copy, and start processes. So look at the host:"
bad=0
check_host "the hook in the project's own .git/hooks" "$workspace/.git/hooks/pre-commit"
check_host "the file two directories above" "$place/hostile-pr-was-here"
if grep -q hostile-pr-was-here "$workspace/.git/config"; then
	echo "   the project's .git/config                           CHANGED on the host: this must not be"
	bad=1
else
	echo "   the line in the project's own .git/config           not there"
fi
# The brackets keep grep from finding itself.
if cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q ': hostile-pr-was-her[e]'; then
	echo "   the process that was to stay behind                 RUNNING: this must not be"
	bad=1
else
	echo "   the process that was to stay behind                 gone with the sandbox"
fi
[ "$bad" = 0 ] || exit 1

say "What it changed was kept as a change set, flagged where it would run on your side later: a hook, Git's configuration."
show pinfold diff --list last
show pinfold diff last

say "Apply it? What is flagged is refused, and nothing is written."
if show pinfold apply last; then
	echo "   apply wrote protected paths: this must not be"
	exit 1
fi

say "Drop it. The project is as it was."
show pinfold drop last
if [ -n "$(cd "$workspace" && git -c core.fsmonitor= status --porcelain)" ]; then
	echo "   the project has changed: this must not be"
	exit 1
fi
printf '\nThat was pinfold. Your own: %sbuild/pinfold run --workspace . -- make test%s\n' "$bold" "$plain"
