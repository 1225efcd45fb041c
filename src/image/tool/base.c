/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image base: a minimal Debian with what an agent's commands need. The packages are this table and
 * nothing else; what they depend on comes along, recommendations do not. docs/images.md has the same list, by
 * test.
 */
#include "image/tool/tool.h"

#include "base/cleanup.h"

/* Debian's essential packages and apt are there in any case: bash, coreutils, diffutils, findutils, grep,
 * gzip, sed, tar, perl-base ... */
static const struct {
	const char *package, *what;
} packages[] = {
	{"bzip2", "compression"},
	{"ca-certificates", "certificates of authorities, for TLS"},
	{"curl", "HTTP from the command line"},
	{"file", "what kind of file something is"},
	{"gawk", "GNU awk"},
	{"gcc", "the C compiler, for make and for Python modules"},
	{"git", "version control"},
	{"jq", "JSON from the command line"},
	{"less", "a pager, which git uses"},
	{"libc6-dev", "headers of the C library"},
	{"make", "GNU make"},
	{"patch", "apply diffs"},
	{"procps", "ps, top, pgrep, free"},
	{"python3", "Python"},
	{"python3-pytest", "the test runner"},
	{"python3-venv", "virtual environments, with pip"},
	{"ripgrep", "rg, a fast grep"},
	{"tree", "directories as a tree"},
	{"tzdata", "time zones"},
	{"unzip", "zip archives, reading"},
	{"xz-utils", "compression"},
	{"zip", "zip archives, writing"},
	{"zstd", "compression"},
};

int pf__base_packages(struct pf_buf *out)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(packages); i++)
		pf_buf_addf(out, "%s%s", i ? "," : "", packages[i].package);
	return out->failed ? -1 : 0;
}

void pf__base_list(struct pf_buf *out)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(packages); i++)
		pf_buf_addf(out, "  %-16s %s\n", packages[i].package, packages[i].what);
}

int pf__base_build(const struct pf_dirs *dirs, const char *suite, const struct pf_list *mirrors,
		   struct pf__saved *out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf list = {0};
	struct pf__debian how = {.name = "base",
				 .suite = suite,
				 .variant = "minbase",
				 .mirrors = mirrors,
				 .slim = true,
				 .what = "base"};

	if (pf__base_packages(&list) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	how.packages = list.data;
	return pf__debian_build(dirs, &how, out, err);
}
