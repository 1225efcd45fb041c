# SPDX-License-Identifier: Apache-2.0
"""The boots: what of a kernel's command line, and a script for guest/host.sh that makes situations and looks at them.

A step's name is SITUATION.WHAT. Several situations share a boot where the second does not depend on what the first left.
"""


class Boot:
    def __init__(self, script, append=""):
        self.script, self.append = script, append


# A workspace with a repository, on the boot's ext4 disk; $1 owns it.
WORKSPACE = r"""
workspace() {
	rm -rf /disk/ws
	mkdir -p /disk/ws/build/sub/deep /disk/ws/src
	echo x >/disk/ws/build/sub/deep/f
	echo y >/disk/ws/build/g
	echo z >/disk/ws/src/h
	echo SECRET=1 >/disk/ws/.env
	chown -R "$1:$1" /disk/ws
	setpriv --reuid="$1" --regid="$1" --clear-groups -- env -i PATH=$PATH HOME=/nowhere bash -ec '
		cd /disk/ws
		git init -q -b main --template= .
		git config user.email a@example.org
		git config user.name a
		printf ".env\nbuild\n" >.gitignore
		git add .gitignore src
		git commit -qm one
		git checkout -q -b other
		git rm -rq src
		mkdir lib
		echo l >lib/l
		git add lib
		git commit -qm two'
}

# what people do in one: WHO's name for the steps, then how to become WHO
edits() {
	local p=$1
	shift
	report "$p.rm" "$@" pinfold run --json --workspace /disk/ws -- sh -c 'cat .env; rm -rf build && ls -A'
	report "$p.rm_diff" "$@" pinfold diff last
	# rename(2) itself, which has no way round it, and mv, which has
	report "$p.rename" "$@" pinfold run --json --workspace /disk/ws -- sh -c 'rename.ul build moved build'
	report "$p.mv" "$@" pinfold run --json --workspace /disk/ws -- sh -c 'mv build moved && cat moved/sub/deep/f moved/g; mkdir n && mv n m && ls'
	report "$p.git" "$@" pinfold run --json --workspace /disk/ws -- \
		sh -ec 'git checkout -q main; test -f src/h; git mv src source; git commit -qam three; git status --short; git log --format=%s'
	report "$p.untouched" "$@" git -c safe.directory=/disk/ws -C /disk/ws log --format=%s
	report "$p.apply" "$@" pinfold apply last
	report "$p.applied" "$@" sh -c 'cd /disk/ws; for c in "log --format=%s" "status --short"; do git -c safe.directory=/disk/ws $c; done; ls -A; stat -c %u source/h'
	report "$p.ro" "$@" pinfold run --json --workspace /disk/ws:ro -- sh -c 'cat source/h; rm -rf source; echo >new'
}
"""

# A handler that says who it ran as.
CORE = r"""
printf '#!/usr/bin/bash\nid -u >/run/handler.ran\n' >/pf/handler
chmod 755 /pf/handler
echo '|/pf/handler' >/proc/sys/kernel/core_pattern
echo 4 >/proc/sys/kernel/core_pipe_limit # the dead process can be reaped only when the handler has ended (core(5))

# prints who the handler ran as, or "nobody"
crash() {
	rm -f /run/handler.ran
	"$@" >/dev/null
	[ -s /run/handler.ran ] && cat /run/handler.ran || echo nobody
}
"""

# images PREFIX WHO: import one and run it as its configuration says, as root and with a workspace
IMAGES = r"""
images() {
	local p=$1
	shift
	report "$p.import" "$@" pinfold image import --name box /pf/layout
	report "$p.run" "$@" pinfold run --json --image box -- sh -c 'id -un; pwd; echo $FROM $HOME; cat /etc/image; stat -c "%u %g" /etc/image; echo x >/x; echo x >~/x && cat ~/x'
	report "$p.again" "$@" pinfold run --json --image box --user root -- sh -c 'id -u; ls -A /tmp /run'
	report "$p.own" "$@" pinfold run --json --image box -- cat /home/app/own
}
"""

# groups, run directories and scratch of sandboxes that are over; "pinfold-host" is where a delegated caller stands
LEFT = """bash -c '
	find /sys/fs/cgroup -name "pinfold-*" ! -name pinfold-host
	for d in /run/pinfold /var/lib/pinfold/scratch /home/tester/.local/state/pinfold/{run,scratch}; do
		[ ! -d $d ] || find $d -mindepth 1 ! -name .ids
	done'"""

BOOTS = {}

BOOTS["root"] = Boot(
    WORKSPACE
    + CORE
    + IMAGES
    + rf"""
setup cgroup2
setup disk /disk
setup workspace 1000
report no_overlay.doctor root pinfold doctor --json
report no_overlay.run root pinfold run --json -- true
report no_overlay.cow root pinfold run --json --workspace /disk/ws -- true
report no_overlay.ro root pinfold run --json --workspace /disk/ws:ro -- true

setup load overlay
images unpacked root
setup load erofs
setup load loop
report root_v2.doctor root pinfold doctor --json
images loop root
report loop.cow root pinfold run --json --policy /pf/cow.json --image box -- sh -c 'id -u; echo x >>/etc/image; cat /etc/image; rm -r /srv; mv /home/app /home/moved; ls / /home'
report loop.workspace root pinfold run --json --workspace /disk/ws --image box --rm -- sh -c 'pwd; id -u; stat -c %u src lib 2>/dev/null; echo n >n && rm n; cat .env'
report loop.devices sh -c 'cat /sys/block/loop*/loop/backing_file 2>/dev/null'
causes root_v2 root
report root_v2.cpus root pinfold run --json --cpus 0.5 -- true
report root_v2.require root pinfold run --json --require limits,landlock,cgroup,init_uid -- true
report root_v2.tty root pinfold run --json -t -- sh -c 'test -t 0 && stat -c %a /dev/pts/0'
edits root_v2 root
setup workspace 0
report root_v2.own root pinfold run --json --workspace /disk/ws -- sh -c 'stat -c %u src lib 2>/dev/null; rm -rf lib; echo n >n'
report root_v2.own_apply root pinfold apply last
report root_v2.own_applied stat -c %u /disk/ws/n
mkdir -p /tmp/ws
report root_v2.tmpfs root pinfold run --json --workspace /tmp/ws -- true

report core.native crash user bash -c 'ulimit -c 0; kill -SEGV $$'
report core.inside crash user pinfold run --rm -q -- bash -c 'kill -SEGV $$'
report core.lowered crash user pinfold run --rm -q -- bash -c 'ulimit -c 0; kill -SEGV $$'
report core.lowered_root crash root pinfold run --rm -q -- bash -c 'ulimit -S -c 0; kill -SEGV $$'
report root_v2.left {LEFT}
"""
)

BOOTS["user"] = Boot(
    WORKSPACE
    + IMAGES
    + rf"""
setup load overlay
setup cgroup2
setup disk /disk
setup workspace 1000
images user_image user
report user_image.cow user pinfold run --json --policy /pf/cow.json --image box -- true
report user_v2.doctor user pinfold doctor --json
causes user_v2 user
report user_v2.require user pinfold run --json --require limits -- true
report user_v2.cow_on_tmpfs user pinfold run --json --workspace /disk/ws -- true
mkdir /disk/state
chown 1000:1000 /disk/state
STATE=/disk/state
edits user_v2 user
report user_v2.disk user pinfold run --json --disk 8M --workspace /disk/ws -- true
report user_v2.scratch ls -A /disk/state/scratch
STATE=

printf 'tester:100000:65536\n' | tee /etc/subuid >/etc/subgid
report subids.doctor user pinfold doctor --json
report subids.image user pinfold run --json --image box -- sh -c 'id -un; stat -c "%u %g" /etc/image; cat /home/app/own'
report subids.exit user pinfold run --json -- sh -c 'id; exit 3'
report subids.tty user pinfold run --json -t -- sh -c 'test -t 0 && stat -c "%a %g" /dev/pts/0'
STATE=/disk/state
setup workspace 1000
report subids.rm user pinfold run --json --rm --workspace /disk/ws -- sh -c 'rm -rf build src lib && ls'
STATE=
rm /etc/subuid /etc/subgid

report delegated.doctor delegated pinfold doctor --json
causes delegated delegated
report delegated.cpus delegated pinfold run --json --cpus 0.5 -- true
report delegated.require delegated pinfold run --json --require limits,cgroup -- true
report delegated.left {LEFT}
"""
)

BOOTS["refused"] = Boot(
    r"""
setup load overlay
setup cgroup2
echo 0 >/proc/sys/kernel/unprivileged_userns_clone
report userns_clone.doctor user pinfold doctor --json
report userns_clone.run user pinfold run --json -- true
report userns_clone.root root pinfold run --json -- true
echo 1 >/proc/sys/kernel/unprivileged_userns_clone
limit=$(cat /proc/sys/user/max_user_namespaces)
echo 0 >/proc/sys/user/max_user_namespaces
report userns_max.doctor user pinfold doctor --json
report userns_max.run user pinfold run --json -- true
report userns_max.root root pinfold run --json -- true
echo $limit >/proc/sys/user/max_user_namespaces

# as a container engine leaves /proc: parts covered, parts read-only; then who is named, with or without root's rights
container() {
	unshare -mpf --propagation private --mount-proc bash -c '
		b=/usr/bin/busybox who=$1
		shift
		for f in kcore keys timer_list; do $b mount --bind /dev/null /proc/$f || exit 99; done
		$b mount -t tmpfs -o ro none /proc/acpi || exit 99
		for d in bus fs irq sys; do $b mount --bind /proc/$d /proc/$d && $b mount -o remount,bind,ro /proc/$d || exit 99; done
		[ $who = root ] && exec "$@"
		exec setpriv --reuid=1000 --regid=1000 --clear-groups env -i PATH=$PATH HOME=/home/tester "$@"' bash "$@"
}
report masked.doctor container user pinfold doctor --json
report masked.run container user pinfold run --json -- true
report masked.doctor_root container root pinfold doctor --json
report masked.run_root container root pinfold run --json -- true
# uid 0 of a namespace that has no other id
report nested.doctor user unshare -Urmpf --mount-proc env PINFOLD_STATE=/home/tester/s pinfold doctor --json
report nested.run user unshare -Urmpf --mount-proc env PINFOLD_STATE=/home/tester/s pinfold run --json -- true
"""
)

BOOTS["nolandlock"] = Boot(
    r"""
setup load overlay
setup cgroup2
report nolandlock.doctor user pinfold doctor --json
report nolandlock.exit user pinfold run --json -- sh -c 'echo out; exit 3'
report nolandlock.root root pinfold run --json -- sh -c 'echo out; exit 3'
report nolandlock.require root pinfold run --json --require landlock -- true
""",
    append="lsm=capability,yama",
)

BOOTS["v1"] = Boot(
    rf"""
setup load overlay
setup cgroup1 memory pids cpu,cpuacct freezer
mkdir /sys/fs/cgroup/systemd
$b mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
report root_v1.doctor root pinfold doctor --json
causes root_v1 root
report root_v1.cpus root pinfold run --json --cpus 0.5 -- true
report user_v1.doctor user pinfold doctor --json
causes user_v1 user
report root_v1.left {LEFT}
# with a v2 hierarchy beside it that holds no controller, as systemd's hybrid mode has it
mkdir /sys/fs/cgroup/unified
setup cgroup2 /sys/fs/cgroup/unified
report hybrid.doctor root pinfold doctor --json
causes hybrid root
report hybrid.left {LEFT}
"""
)

BOOTS["mixed"] = Boot(
    rf"""
setup load overlay
setup cgroup1 memory
mkdir /sys/fs/cgroup/unified
setup cgroup2 /sys/fs/cgroup/unified
report mixed.doctor root pinfold doctor --json
causes mixed root
report mixed.cpus root pinfold run --json --cpus 0.5 -- true
report mixed.left {LEFT}
"""
)
