/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock by raw system calls. What a kernel can handle grows with its ABI number; a right that
 * it does not know makes the call fail, so the set is cut to the ABI that it names. The kernel
 * takes a shorter struct from older programs and refuses a longer one with unknown fields set,
 * so its size goes with the ABI too.
 */
#include "linux/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The build machine's headers may be older than the kernel that runs. */
#define FS_EXECUTE     (1u << 0)
#define FS_WRITE_FILE  (1u << 1)
#define FS_READ_FILE   (1u << 2)
#define FS_READ_DIR    (1u << 3)
#define FS_REMOVE_DIR  (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_CHAR   (1u << 6)
#define FS_MAKE_DIR    (1u << 7)
#define FS_MAKE_REG    (1u << 8)
#define FS_MAKE_SOCK   (1u << 9)
#define FS_MAKE_FIFO   (1u << 10)
#define FS_MAKE_BLOCK  (1u << 11)
#define FS_MAKE_SYM    (1u << 12)
#define FS_REFER       (1u << 13) /* ABI 2: rename or link to another directory */
#define FS_TRUNCATE    (1u << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (1u << 15) /* ABI 5 */

#define FS_READ	 (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
#define FS_NODES (FS_MAKE_CHAR | FS_MAKE_BLOCK)
/* The rights that mean something for a file; the kernel refuses a rule on a file with others. */
#define FS_OF_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define SCOPE_ABSTRACT_UNIX (1u << 0) /* ABI 6 */
#define SCOPE_SIGNAL	    (1u << 1) /* ABI 6 */

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;	     /* ABI 6 */
};

static int create(const struct ruleset_attr *attr, size_t size, unsigned flags)
{
	return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

int pf_landlock_abi(void)
{
	static int abi = -1; /* a kernel does not change its mind */

	if (abi < 0)
		abi = create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi > 0 ? abi : (abi = 0);
}

static uint64_t handled(int abi)
{
	uint64_t all = FS_REFER - 1;

	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static uint64_t rights(enum pf_landlock_access access, uint64_t all)
{
	switch (access) {
	case PF_LL_READ:
		return all & FS_READ;
	case PF_LL_WRITE:
		return all & ~(uint64_t)FS_NODES;
	case PF_LL_DEVICE:
		return all & (FS_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV);
	}
	return 0;
}

static int add_rule(int ruleset, const struct pf_landlock_rule *rule, uint64_t all, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open(rule->path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr attr = {.allowed_access = rights(rule->access, all),
						  .parent_fd = fd};
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return pf_fail_errno(err, "cannot open %s for a Landlock rule", rule->path);
	if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= FS_OF_FILE;
	if (!attr.allowed_access)
		return pf_fail(err, -EINVAL, "a Landlock rule for %s gives no right", rule->path);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0))
		return pf_fail_errno(err, "cannot add a Landlock rule for %s", rule->path);
	return 0;
}

int pf_landlock_ruleset(const struct pf_landlock_rule *rules, int count, struct pf_error *err)
{
	int abi = pf_landlock_abi();
	struct ruleset_attr attr = {.handled_access_fs = handled(abi)};
	PF_AUTO_CLOSE int ruleset = -1;

	if (!abi)
		return pf_fail(err, -EOPNOTSUPP, "this kernel has no Landlock");
	ruleset = create(&attr, sizeof(attr.handled_access_fs), 0); /* close on exec by itself */
	if (ruleset < 0)
		return pf_fail_errno(err, "cannot make a Landlock ruleset");
	for (int i = 0; i < count; i++) {
		int r = add_rule(ruleset, &rules[i], attr.handled_access_fs, err);

		if (r)
			return r;
	}
	return pf_take_fd(&ruleset);
}

int pf_landlock_restrict(int ruleset, struct pf_error *err)
{
	if (syscall(SYS_landlock_restrict_self, ruleset, 0))
		return pf_fail_errno(err, "cannot enter the Landlock domain");
	return 0;
}

int pf_landlock_scope(struct pf_error *err)
{
	/* The right to rename or link into another directory is denied by every ruleset that does not give it
	 * (Documentation/userspace-api/landlock.rst, "File system actions"): this one is about something
	 * else. */
	const struct ruleset_attr attr = {.handled_access_fs = FS_REFER,
					  .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL};
	PF_AUTO_CLOSE int ruleset = -1, root = -1;
	struct landlock_path_beneath_attr all = {.allowed_access = FS_REFER};

	if (pf_landlock_abi() < 6)
		return pf_fail(err, -EOPNOTSUPP,
			       "this kernel's Landlock has no scopes (it needs Linux 6.12)");
	ruleset = create(&attr, sizeof(attr), 0);
	if (ruleset < 0)
		return pf_fail_errno(err, "cannot make a Landlock ruleset of scopes");
	all.parent_fd = root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &all, 0))
		return pf_fail_errno(err, "cannot let the Landlock scopes allow links between directories");
	return pf_landlock_restrict(ruleset, err);
}
