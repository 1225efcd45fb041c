/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walls around the importer's child, from inside: each thing that a broken reader would try is tried
 * without them, where it must succeed, and behind them, where it must not. And the other side: a child that
 * lies, dies or asks for what it must not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/import/channel.h"
#include "linux/landlock.h"

static char place[] = "/tmp/pf-import-walls-XXXXXX";
static int place_fd;

/* --- what a broken reader tries: 0 if it succeeded, or its errno --- */

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int closes(int fd)
{
	int e = result(fd);

	if (fd >= 0)
		close(fd);
	return e;
}

static int try_open(void)
{
	return closes((int)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
}

static int try_open_other(void)
{
	return closes((int)syscall(SYS_open, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
}

static int try_openat2(void)
{
	return closes(pf_openat2(AT_FDCWD, "/etc/passwd", O_RDONLY, 0, 0) >= 0 ? 0 : -1);
}

static int try_create(void)
{
	return closes((int)syscall(SYS_creat, "/tmp/pf-import-walls-new", 0600))
		       ?: result(unlink("/tmp/pf-import-walls-new"));
}

static int try_socket(void)
{
	return closes(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_inet(void)
{
	return closes(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_fork(void)
{
	int status;
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, &status, 0);
	return result(pid);
}

static int try_exec(void)
{
	char *none[] = {NULL};

	return result(syscall(SYS_execve, "/no/such/program", none, none));
}

static int try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, 4096);
	return 0;
}

static int try_code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int e = result(mprotect(p, 4096, PROT_READ | PROT_EXEC));

	munmap(p, 4096);
	return e;
}

static int try_ptrace(void)
{
	return result(ptrace(PTRACE_SEIZE, getppid(), 0, 0)); /* which this process's end takes back */
}

static int try_kill(void)
{
	return result(kill(getppid(), 0));
}

static int try_tgkill(void)
{
	return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

/* fcntl(2): whoever owns a descriptor's events is sent a signal of one's choice. */
static int try_signal_by_events(void)
{
	return result(syscall(SYS_fcntl, 0, F_SETOWN, getppid()))
		       ?: result(syscall(SYS_fcntl, 0, F_SETSIG, SIGWINCH));
}

static int try_memory_of_parent(void)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {place, 1};

	return result(syscall(SYS_process_vm_readv, getppid(), &to, 1, &from, 1, 0));
}

static int try_unlink(void)
{
	return result(unlink("/tmp/pf-import-walls-none")) == ENOENT ? 0 : errno;
}

static int try_chmod(void)
{
	return result(chmod(place, 0700));
}

static int try_stat(void)
{
	struct stat st;

	return result(syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0));
}

static int try_nice(void)
{
	return result(setpriority(PRIO_PROCESS, 0, 1));
}

static int try_chdir(void)
{
	return result(syscall(SYS_chdir, "/"));
}

static int try_i386(void)
{
	long r = 20; /* getpid of that table */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
	return r > 0 ? 0 : EPERM;
}

static const struct attack {
	const char *name;
	int (*tries)(void);
	int killed; /* the signal that it ends by, or 0: it fails */
} attacks[] = {
	{"open by openat", try_open, 0},
	{"open by open", try_open_other, 0},
	{"open by openat2", try_openat2, 0},
	{"create", try_create, 0},
	{"unlink", try_unlink, 0},
	{"chmod", try_chmod, 0},
	{"stat by name", try_stat, 0},
	{"chdir", try_chdir, 0},
	{"a Unix socket", try_socket, 0},
	{"an Internet socket", try_inet, 0},
	{"a process", try_fork, 0},
	{"a program", try_exec, 0},
	{"executable memory", try_code, 0},
	{"memory made executable", try_code_later, 0},
	{"ptrace of its parent", try_ptrace, 0},
	{"a signal to its parent", try_kill, 0},
	{"a signal to a thread of its parent", try_tgkill, 0},
	{"a signal by way of events", try_signal_by_events, 0},
	{"its parent's memory", try_memory_of_parent, 0},
	{"its priority", try_nice, 0},
	{"32-bit system calls", try_i386, SIGSYS},
};

struct trial {
	int channel, file, dir;
	const struct attack *attack;
};

static int attack_work(void *user, struct pf_error *err)
{
	struct trial *t = user;
	int e = t->attack->tries();

	return e ? 0 : pf_fail(err, -EACCES, "%s succeeded", t->attack->name);
}

static const struct pf_import no_progress = {.from = "x"};

static int run(struct trial *t, enum pf__wall wall, int (*work)(void *, struct pf_error *),
	       struct pf_buf *report, struct pf_error *err)
{
	struct pf__child c = {.wall = wall,
			      .file_max = 1 << 20,
			      .keep = {&t->file, &t->dir},
			      .dir = wall == PF__WALL_DIR ? &t->dir : NULL,
			      .channel = &t->channel,
			      .work = work,
			      .user = t,
			      .layout = place_fd,
			      .how = &no_progress};

	return pf__child_run(&c, report, err);
}

/* Without walls, in a child all the same. */
static int plain_result(const struct attack *a)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(a->tries());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool is_control(const struct attack *a)
{
	/* execve succeeds by failing to find its program; ptrace and others need rights that a user may lack.
	 */
	int e = plain_result(a);

	if (a->tries == try_exec)
		return e == ENOENT;
	if (e == EPERM && geteuid() != 0)
		return false;
	if (a->tries == try_openat2)
		return true;
	if (a->tries == try_i386 && e == -SIGSEGV)
		return false; /* a kernel without that gate */
	return e == 0;
}

static void test_walls(void **state)
{
	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(attacks); i++) {
		const struct attack *a = &attacks[i];
		PF_AUTO_BUF struct pf_buf report = {0};
		struct trial t = {.file = -1, .dir = -1, .attack = a};
		struct pf_error err = {0};
		int r;

		if (!is_control(a)) {
			print_message("%s: not possible here without walls either (%d)\n", a->name,
				      plain_result(a));
			if (a->tries != try_i386 && geteuid() == 0)
				fail();
			continue;
		}
		r = run(&t, PF__WALL_ARCHIVE, attack_work, &report, &err);
		if (a->killed) {
			assert_int_equal(r, -EIO);
			assert_non_null(strstr(err.msg, "ended by SIGSYS"));
		} else if (r) {
			fail_msg("%s: %s", a->name, err.msg);
		}
	}
}

static int posture_work(void *user, struct pf_error *err)
{
	struct trial *t = user;
	struct rlimit l;
	char byte;

	if (geteuid() == 0 || getuid() == 0 || getgid() == 0)
		return pf_fail(err, -EPERM, "it is still root");
	if (fcntl(t->channel + 2, F_GETFD) >= 0 || fcntl(t->file, F_GETFD) != FD_CLOEXEC)
		return pf_fail(err, -EPERM, "it has descriptors that it was not given");
	if (pread(t->file, &byte, 1, 0) != 1)
		return pf_fail_errno(err, "it cannot read what it was given");
	if (getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur != 1 << 20)
		return pf_fail(err, -EPERM, "its files have no bound");
	return 0;
}

static void test_posture(void **state)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	PF_AUTO_CLOSE int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct trial t = {.file = file, .dir = -1};
	struct pf_error err = {0};

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root to see it given up\n");
		skip();
	}
	if (run(&t, PF__WALL_ARCHIVE, posture_work, &report, &err))
		fail_msg("%s", err.msg);
}

/* --- a directory's reader --- */

static int dir_work(void *user, struct pf_error *err)
{
	struct trial *t = user;
	char proc[32], list[64];
	int fd = pf_open_beneath(t->dir, "inside", O_RDONLY, 0);

	if (fd < 0)
		return pf_fail(err, fd, "it cannot open what it is to read");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (listxattr(proc, list, sizeof(list)) < 0 && errno != EOPNOTSUPP)
		return pf_fail_errno(err, "it cannot list attributes");
	close(fd);
	fd = pf_openat2(t->dir, "inside", O_WRONLY, 0, 0);
	if (fd >= 0)
		return pf_fail(err, -EACCES, "it may write");
	fd = pf_openat2(t->dir, "new", O_WRONLY | O_CREAT, 0600, 0);
	if (fd >= 0)
		return pf_fail(err, -EACCES, "it may create");
	fd = pf_openat2(AT_FDCWD, "/etc/passwd", O_RDONLY, 0, 0);
	if (fd >= 0)
		return pf_fail(err, -EACCES, "it may open outside");
	if (!try_fork() || !try_socket() || !try_exec() || !try_kill())
		return pf_fail(err, -EACCES, "its filter has holes");
	return 0;
}

static void test_directory(void **state)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	struct trial t = {.file = -1, .dir = place_fd};
	struct pf_error err = {0};

	(void)state;
	if (!pf_landlock_abi()) {
		print_message("skipped: this kernel has no Landlock, which is what holds it there\n");
		skip();
	}
	if (run(&t, PF__WALL_DIR, dir_work, &report, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(fcntl(place_fd, F_GETFD), FD_CLOEXEC); /* its own number, in this process */
}

/* --- a child that dies --- */

static int fault_work(void *user, struct pf_error *err)
{
	(void)user;
	(void)err;
	__builtin_trap();
}

static int silent_work(void *user, struct pf_error *err)
{
	(void)user;
	(void)err;
	_exit(0);
}

static int code_work(void *user, struct pf_error *err)
{
	struct trial *t = user;
	struct pf__msg m = {.type = PF__MSG_DONE};

	pf__msg_send(t->channel, &m, -1, err);
	_exit(3);
}

static int error_work(void *user, struct pf_error *err)
{
	(void)user;
	return pf_fail(err, -EDOM, "an error\x1b[31m of\nmine");
}

static int big_file_work(void *user, struct pf_error *err)
{
	struct trial *t = user;

	if (pwrite(t->file, "x", 1, 2 << 20) != -1 || errno != EFBIG)
		return pf_fail(err, -EACCES, "it wrote beyond its bound");
	return 0;
}

static int memory_work(void *user, struct pf_error *err)
{
	void *p = mmap(NULL, 64ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	(void)user;
	return p == MAP_FAILED ? 0 : pf_fail(err, -EACCES, "it has 64 GiB");
}

static void dies(int (*work)(void *, struct pf_error *), int code, const char *says)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	PF_AUTO_CLOSE int file = openat(place_fd, "writable", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct trial t = {.file = file, .dir = -1};
	struct pf_error err = {0};
	int r = run(&t, PF__WALL_ARCHIVE, work, &report, &err);

	if (r != code || (says && !strstr(err.msg, says)))
		fail_msg("%d %s, and not %d %s", r, err.msg, code, says ? says : "");
}

static void test_ends(void **state)
{
	(void)state;
	dies(fault_work, -EIO, "ended by SIGILL");
	dies(silent_work, -EIO, "ended without a word");
	dies(code_work, -EIO, "ended without a word");
	dies(error_work, -EDOM, "an error\\x1b[31m of mine");
	dies(big_file_work, 0, NULL);
#ifndef PF_SAN_BUILD
	dies(memory_work, 0, NULL);
#else
	(void)memory_work; /* sanitizers map more than that themselves */
#endif
}

/* --- a child that lies --- */

static struct pf__msg lie;
static size_t lie_bytes; /* 0: as the message says */
static int lie_times;

static int lie_work(void *user, struct pf_error *err)
{
	struct trial *t = user;

	for (int i = 0; i < lie_times; i++) {
		size_t n = lie_bytes ? lie_bytes : offsetof(struct pf__msg, data) + lie.n;

		struct iovec iov = {&lie, n};
		struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

		if (sendmsg(t->channel, &h, MSG_NOSIGNAL) < 0)
			return 0;
	}
	(void)err;
	for (;;) /* a broken one does not end by itself */
		if (read(t->channel, &lie, 1) == 0)
			_exit(0);
}

static void lies(struct pf__msg m, size_t bytes, int times, const char *says)
{
	lie = m;
	lie_bytes = bytes;
	lie_times = times;
	dies(lie_work, -EPROTO, says);
}

static void test_lies(void **state)
{
	(void)state;
	lies((struct pf__msg){.type = 99}, 0, 1, "was broken");
	lies((struct pf__msg){.type = 0}, 0, 1, "was broken");
	lies((struct pf__msg){.type = PF__MSG_FILE}, 0, 1, "was broken");
	lies((struct pf__msg){.type = PF__MSG_PROGRESS, .code = 7}, 0, 1, "was broken");
	lies((struct pf__msg){.type = PF__MSG_PROGRESS, .code = -1}, 0, 1, "was broken");
	lies((struct pf__msg){.type = PF__MSG_DONE}, 3, 1, "malformed");
	lies((struct pf__msg){.type = PF__MSG_DONE, .n = 5}, offsetof(struct pf__msg, data), 1, "malformed");
	lies((struct pf__msg){.type = PF__MSG_DONE, .n = 5}, offsetof(struct pf__msg, data) + 6, 1,
	     "malformed");
	lies((struct pf__msg){.type = PF__MSG_DONE, .n = UINT32_MAX}, sizeof(lie), 1, "malformed");
	lies((struct pf__msg){.type = PF__MSG_REPORT, .n = PF__MSG_DATA}, 0, 1000, "was broken");
	lies((struct pf__msg){.type = PF__MSG_OPEN, .n = 4, .data = "none"}, 0, 5000, "was broken");
}

/* An error code that is none becomes one. */
static void test_odd_error(void **state)
{
	static const int32_t codes[] = {0, 5, -5000, INT32_MIN};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(codes); i++) {
		lie = (struct pf__msg){.type = PF__MSG_ERROR, .code = codes[i]};
		lie_bytes = 0;
		lie_times = 1;
		dies(lie_work, -EIO, NULL);
	}
}

static const char *asked;
static size_t asked_length;

static int ask_work(void *user, struct pf_error *err)
{
	struct trial *t = user;
	struct pf__msg m = {.type = PF__MSG_OPEN, .n = (uint32_t)asked_length};
	int fd = -1, r;

	memcpy(m.data, asked, asked_length);
	r = pf__msg_send(t->channel, &m, -1, err);
	r = r ? r : pf__msg_receive(t->channel, &m, &fd, err);
	if (r <= 0 || m.type != PF__MSG_FILE)
		return pf_fail(err, -EPROTO, "no answer");
	return fd >= 0 ? pf_fail(err, -EXFULL, "it was given to it") : 0;
}

static void test_files_of_a_layout(void **state)
{
	static const char *const refused[] = {
		"",
		".",
		"..",
		"inside",
		"/etc/passwd",
		"../../../etc/passwd",
		"index.jso",
		"index.json/",
		"./index.json",
		"blobs/sha256/",
		"blobs/sha256/../../inside",
		"blobs/sha256",
		"blobs/sha256/000000000000000000000000000000000000000000000000000000000000000", /* 63 */
		"blobs/sha256/00000000000000000000000000000000000000000000000000000000000000000",
		"blobs/sha256/000000000000000000000000000000000000000000000000000000000000000A",
		"blobs/sha256/00000000000000000000000000000000000000000000000000000000000/../x",
		"blobs/sha512/0000000000000000000000000000000000000000000000000000000000000000",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(refused); i++) {
		asked = refused[i];
		asked_length = strlen(asked);
		dies(ask_work, 0, NULL);
	}
	asked = "index.json\0x";
	asked_length = 12;
	dies(ask_work, 0, NULL);
	asked = "index.json";
	asked_length = 10;
	dies(ask_work, -EXFULL, "given"); /* the control */
}

/* A report that the caller's process reads as an enemy's. */
static void test_reports(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"kind\":\"auto\",\"layers\":0,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"\","
		"\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":-1,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"\","
		"\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":0,\"files\":0.5,\"bytes\":0,\"user\":\"\",\"workdir\":\"\","
		"\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":0,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"a\","
		"\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":0,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"/a/../"
		"b\",\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":0,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"\","
		"\"env\":[\"x\"],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[]}",
		"{\"kind\":\"tar\",\"layers\":0,\"files\":0,\"bytes\":0,\"user\":\"\",\"workdir\":\"\","
		"\"env\":[],"
		"\"entrypoint\":[],\"cmd\":[],\"notes\":[5]}",
	};
	struct pf_import_result out = {.size = 7};
	struct pf_error err;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		err = (struct pf_error){0};
		assert_true(pf__report_parse(bad[i], strlen(bad[i]), &out, &err) < 0);
		assert_true(err.msg[0] && out.size == 7);
	}
}

static void test_report_round_trip(void **state)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf__job j = {.kind = PF_IMPORT_OCI, .layers = 3, .files = 5, .bytes = 1ull << 50};
	struct pf_import_result out;
	struct pf_error err = {0};

	(void)state;
	j.config.user = strdup("app");
	j.config.workdir = strdup("/w");
	assert_int_equal(pf_list_add(&j.config.env, "A=b\n\"c\""), 0);
	assert_int_equal(pf_list_add(&j.config.cmd, ""), 0);
	pf__note(&j.notes, PF__NOTE_DEVICE, "dev/\x1b[31m");
	pf__note(&j.notes, PF__NOTE_DEVICE, "dev/x");
	assert_int_equal(pf__report_print(&j, &text, &err), 0);
	assert_int_equal(pf__report_parse(text.data, text.len, &out, &err), 0);
	assert_true(out.kind == PF_IMPORT_OCI && out.layers == 3 && out.files == 5 &&
		    out.bytes == 1ull << 50);
	assert_string_equal(out.config.user, "app");
	assert_string_equal(out.config.workdir, "/w");
	assert_true(out.config.env.count == 1 && out.config.entrypoint.count == 0 &&
		    out.config.cmd.count == 1);
	assert_string_equal(out.config.env.items[0], "A=b\n\"c\"");
	assert_true(out.notes.count == 1 && strstr(out.notes.items[0], "dev/\\x1b[31m and 1 more"));
	pf_import_result_free(&out);
	pf__config_free(&j.config);
}

/* --- images that a broken reader would make --- */

static void test_unsound_image(void **state)
{
	PF_AUTO_CLOSE int fd = openat(place_fd, "image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_true(pf__image_check(&no_progress, fd, 8192, &err) < 0);
	assert_non_null(strstr(err.msg, "is not sound"));
}

static int setup(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(place) || chmod(place, 0755))
		return -1;
	place_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(place_fd, "inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	close(fd);
	fd = openat(place_fd, "index.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	close(place_fd);
	return pf_remove_tree(tmp, strrchr(place, '/') + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walls),
		cmocka_unit_test(test_posture),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_odd_error),
		cmocka_unit_test(test_files_of_a_layout),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_report_round_trip),
		cmocka_unit_test(test_unsound_image),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
