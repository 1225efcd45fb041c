#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run fuzzers one after another:  tools/run-fuzzers.sh BUILD SECONDS NAME...
# Each starts with an empty corpus of its own and the committed seeds (tests/fuzz/corpus/NAME). What it found
# is in BUILD/fuzz/artifacts; a found crash ends in failure after the others ran too.
set -eu

build=$1 seconds=$2
shift 2
failed=
[ $# -gt 0 ] || echo "fuzz: there are no fuzzers"

for name in "$@"; do
	corpus=$build/fuzz/corpus/$name
	log=$build/fuzz/$name.log
	rm -rf "$corpus"
	mkdir -p "$corpus" "$build/fuzz/artifacts"
	seeds=
	[ ! -d "tests/fuzz/corpus/$name" ] || seeds=tests/fuzz/corpus/$name
	dict=
	[ ! -f "tests/fuzz/$name.dict" ] || dict=-dict=tests/fuzz/$name.dict
	# shellcheck disable=SC2086 # both may be nothing
	if "$build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$build/fuzz/artifacts/$name-" -print_final_stats=1 $dict "$corpus" $seeds >"$log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
		echo "fuzz: $name: ${runs:-?} runs in $seconds s, ${cover:-?} edges, nothing found"
	else
		echo "fuzz: $name FAILED; the end of $log:"
		tail -n 40 "$log"
		failed="$failed $name"
	fi
done
if [ -n "$failed" ]; then
	echo "fuzz: failed:$failed"
	exit 1
fi
