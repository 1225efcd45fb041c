/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile that lets pinfold make user namespaces where AppArmor restricts them, as its own documentation
 * wants it: a profile that is unconfined but for the one rule.
 *
 * Who may run pinfold gets by it no way around the restriction: what runs inside makes no namespaces (the
 * system-call filter), and a static program takes no library from its caller. But the profile is for a path.
 * Where another user could put another program, everybody would have what the restriction denies; so the path
 * must be root's alone.
 */
#include "cli/apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"

#define SYSCTL	 "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
#define SECURITY "/sys/kernel/security/apparmor" /* there if AppArmor is in use */
#define MARK	 "# pinfold: written by \"pinfold doctor --fix apparmor\" or its package\n"
#define FILE_MAX 65536u

void pf_apparmor_look(struct pf_apparmor *out)
{
	PF_AUTO_BUF struct pf_buf value = {0};
	PF_AUTO_BUF struct pf_buf label = {0};
	struct pf_apparmor a = {0};
	ssize_t n;

	a.known = pf_read_file(AT_FDCWD, SYSCTL, &value, 64) == 0 && value.len;
	a.restricted = a.known && value.data[0] == '1';
	a.file = access(PF_APPARMOR_FILE, F_OK) == 0;
	if (pf_read_file(AT_FDCWD, "/proc/self/attr/current", &label, sizeof(a.label) - 1) == 0 && label.len)
		pf_printable(label.data, strcspn(label.data, "\n"), a.label, sizeof(a.label));
	n = readlink("/proc/self/exe", a.program, sizeof(a.program) - 1);
	a.program[n < 0 ? 0 : n] = '\0';
	*out = a;
}

void pf_apparmor_profile(const char *program, struct pf_buf *out)
{
	pf_buf_adds(out, MARK "# Lets pinfold make the user namespaces that its sandboxes are made of. It "
			      "confines nothing: "
			      "the walls are pinfold's.\n"
			      "abi <abi/4.0>,\n"
			      "include <tunables/global>\n\n");
	pf_buf_addf(out, "profile pinfold %s flags=(unconfined) {\n", program);
	pf_buf_adds(out, "  userns,\n\n"
			 "  include if exists <local/pinfold>\n"
			 "}\n");
}

/* --- the checks ---------------------------------------------------------------------- */

/* Root's alone: the program and every directory on its way. */
static int check_owner(const char *program, struct pf_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	char *slash;

	snprintf(path, sizeof(path), "%s", program);
	for (;;) {
		if (lstat(path, &st) < 0)
			return pf_fail_errno(err, "cannot look at %s", path);
		if (st.st_uid != 0 || st.st_mode & 0022)
			return pf_fail(err, -EPERM,
				       "%s can be changed by others than root, so that a profile for %s "
				       "would let them "
				       "run anything under it: install pinfold first (make install), and run "
				       "doctor from "
				       "there",
				       path, program);
		slash = strrchr(path, '/');
		if (slash == path && path[1] == '\0')
			return 0;
		slash[slash == path] = '\0';
	}
}

static int check(const struct pf_apparmor *a, struct pf_error *err)
{
	if (geteuid() != 0)
		return pf_fail(err, -EPERM,
			       "a profile is root's to write: sudo pinfold doctor --fix apparmor");
	if (access(SECURITY, F_OK) < 0)
		return pf_fail(err, -ENOENT, "there is no AppArmor here (no %s): nothing to fix", SECURITY);
	if (!a->restricted)
		return pf_fail(
			err, -ENOENT,
			"AppArmor does not restrict user namespaces here (%s is not 1): no profile is needed",
			SYSCTL);
	/* a profile's path is a pattern: nothing that would be more than itself */
	if (a->program[0] != '/' ||
	    a->program[strspn(a->program,
			      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-")])
		return pf_fail(
			err, -EINVAL,
			"the path %s has characters that a profile cannot name plainly: install pinfold "
			"elsewhere",
			a->program);
	return check_owner(a->program, err);
}

/* 0: there is none, 1: it is ours and the same, 2: ours and another. */
static int look_at_file(int dir, const struct pf_buf *wanted, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf have = {0};
	PF_AUTO_CLOSE int fd = pf_open_beneath(dir, "pinfold", O_RDONLY | O_NONBLOCK, 0);
	int r = fd < 0 ? fd : pf_read_fd(fd, &have, FILE_MAX);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return pf_fail(err, r, "cannot read %s: %s", PF_APPARMOR_FILE, strerror(-r));
	if (have.len == wanted->len && memcmp(have.data, wanted->data, have.len) == 0)
		return 1;
	if (have.len >= strlen(MARK) && memcmp(have.data, MARK, strlen(MARK)) == 0)
		return 2;
	return pf_fail(err, -EEXIST,
		       "%s is there and not pinfold's: write `userns,` into its profile of this program, and "
		       "load it by "
		       "apparmor_parser -r %s",
		       PF_APPARMOR_FILE, PF_APPARMOR_FILE);
}

/* --- doing it -------------------------------------------------------------------------- */

static int load(struct pf_error *err)
{
	static const char *const places[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (size_t i = 0; i < PF_ARRAY_SIZE(places); i++)
			execl(places[i], places[i], "-r", "-W", PF_APPARMOR_FILE, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return pf_fail_errno(err, "cannot fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return pf_fail(
			err, -ENOENT,
			"the profile is written, but there is no apparmor_parser to load it: apt-get install "
			"apparmor");
	return pf_fail(
		err, -EIO,
		"the profile is written, but apparmor_parser refused it (see above): %s can be removed",
		PF_APPARMOR_FILE);
}

int pf_apparmor_fix(struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf profile = {0};
	PF_AUTO_CLOSE int dir = -1;
	struct pf_apparmor a;
	int r, there;

	pf_apparmor_look(&a);
	r = check(&a, err);
	if (r < 0)
		return r;
	pf_apparmor_profile(a.program, &profile);
	if (profile.failed)
		return pf_fail(err, -ENOMEM, "out of memory");
	dir = open("/etc/apparmor.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return pf_fail_errno(err, "cannot open /etc/apparmor.d: is the package apparmor installed?");
	there = look_at_file(dir, &profile, err);
	if (there < 0)
		return there;
	if (there != 1) {
		pf_cli_say("writing %s:", PF_APPARMOR_FILE);
		pf_write_full(STDERR_FILENO, profile.data, profile.len);
		r = pf_replace_file(dir, "pinfold", profile.data, profile.len, 0644);
		if (r < 0)
			return pf_fail(err, r, "cannot write %s: %s", PF_APPARMOR_FILE, strerror(-r));
	}
	pf_cli_say("loading it: apparmor_parser -r -W %s", PF_APPARMOR_FILE);
	r = load(err);
	if (r == 0)
		pf_cli_say("loaded; what is started from now on has it: pinfold doctor, as a user, tells "
			   "whether it works");
	return r;
}
