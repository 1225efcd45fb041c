# SPDX-License-Identifier: Apache-2.0
# PID 1 of the test host: bring the system up, run the situation's script, switch off.
# What those scripts are written with stands below; results go to the second serial port, which carries nothing else.
b=/usr/bin/busybox
RESULTS=/dev/ttyS1
export PATH=/usr/local/bin:/usr/bin HOME=/root LANG=C.UTF-8

# report NAME COMMAND...: run it; one line of JSON with its exit code and, in base64, its output.
report() {
	local name=$1 rc
	shift
	"$@" </dev/null >/tmp/.out 2>/tmp/.err
	rc=$?
	printf '{"step":"%s","rc":%d,"out":"%s","err":"%s"}\n' "$name" $rc "$(base64 -w0 /tmp/.out)" "$(base64 -w0 /tmp/.err)" >$RESULTS
}

# setup COMMAND...: part of making the situation. If it fails the boot is worth nothing and ends without its last line.
setup() {
	"$@" && return
	echo "host.sh: failed: $*" >/dev/console
	halt
}

halt() {
	$b sync
	$b poweroff -f
	while :; do wait; done
}

# load MODULE: it and what it needs
load() {
	local ko name
	while read -r ko; do
		name=${ko##*/}
		[ -d "/sys/module/${name%.ko}" ] || $b insmod "$ko" || return
	done <"/usr/lib/pf/modules/$1.order"
}

# user COMMAND...: as an ordinary user without sub-ids, session or bus
user() {
	as_user "$@"
}

as_user() {
	${EXEC:+exec} setpriv --reuid=1000 --regid=1000 --clear-groups -- \
		env -i PATH=$PATH LANG=$LANG HOME=/home/tester USER=tester ${STATE:+PINFOLD_STATE=$STATE} "$@"
}

# delegated COMMAND...: the same in a control group of its own that the user may divide, as systemd hands one down
delegated() {
	local group=/sys/fs/cgroup/user
	if [ ! -d $group ]; then
		echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
		mkdir $group
	fi
	# each call in a group of its own: what holds processes cannot hand controllers down
	DELEGATED=$((${DELEGATED:-0} + 1))
	group=$group/$DELEGATED
	echo "+memory +pids +cpu" >/sys/fs/cgroup/user/cgroup.subtree_control
	mkdir $group
	chown 1000:1000 $group $group/cgroup.{procs,subtree_control,threads}
	(
		echo $BASHPID >$group/cgroup.procs
		EXEC=1 as_user "$@" # nobody else may be left in the group
	)
}

root() {
	"$@"
}

cgroup2() {
	$b mount -t cgroup2 -o nsdelegate cgroup2 "${1:-/sys/fs/cgroup}"
}

# cgroup1 CONTROLLERS...: each in a hierarchy of its own, as systemd does on a host of that kind
cgroup1() {
	local c
	$b mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup || return
	for c in "$@"; do
		mkdir -p "/sys/fs/cgroup/$c"
		$b mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c" || return
	done
}

# disk DIRECTORY: the ext4 disk of this boot
disk() {
	load virtio_pci && load virtio_blk && load ext4 || return
	mkdir -p "$1"
	$b mount -t ext4 -o nosuid,nodev /dev/vda "$1"
}

# causes PREFIX WHO: the ends that a command can come to
causes() {
	local p=$1
	shift
	report "$p.exit" "$@" pinfold run --json --rm -- sh -c 'echo out; echo err >&2; exit 3'
	report "$p.signal" "$@" pinfold run --json --rm -- sh -c 'kill -SEGV $$'
	report "$p.timeout" "$@" pinfold run --json --rm --timeout 500ms -- sleep 100
	report "$p.output_limit" "$@" pinfold run --json --rm --output-limit 64K -- yes
	report "$p.notfound" "$@" pinfold run --json --rm -- no-such-program
	report "$p.oom" "$@" pinfold run --json --rm --memory 96M -- sh -c 'exec tail /dev/zero'
	report "$p.pids" "$@" pinfold run --json --rm --processes 16 -- sh -c 'for i in $(seq 40); do sleep 100 & done'
}

cd /
$b mount -t proc -o nosuid,nodev,noexec proc /proc
$b mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
$b mount -t devtmpfs -o nosuid dev /dev
mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 shm /dev/shm
$b mount -t tmpfs -o mode=1777 tmp /tmp
$b mount -t tmpfs -o mode=755 run /run
ln -s /proc/self/fd /dev/fd
$b ip link set lo up
chown 1000:1000 /home/tester
$b stty -F $RESULTS raw

. /pf/situation.sh
report end true
halt
