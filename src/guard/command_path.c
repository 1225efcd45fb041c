/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a command: where the sandbox says they lead, and names that deserve a question wherever they are.
 * The text of a path is never the proof that it stays inside (CVE-2025-54794, CVE-2025-59829): resolve() is.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/command_judge.h"

/* What holds secrets. Matched against every component, whatever its case (CVE-2025-59944). */
static const char *const secret_names[] = {
	".env",		".env.*",
	".envrc",	"*.pem",
	"*.key",	"*.p12",
	"*.pfx",	"*.kdbx",
	"*.jks",	"id_rsa*",
	"id_ed25519*",	"id_ecdsa*",
	".netrc",	"_netrc",
	".aws",		".azure",
	".gcloud",	".ssh",
	".gnupg",	".kube",
	".docker",	".npmrc",
	".pypirc",	".git-credentials",
	".pgpass",	".my.cnf",
	".htpasswd",	"*credential*",
	"secrets*",	"*.secret",
	"shadow",	"gshadow",
	".*_history",	".vault-token",
	".terraformrc", "terraform.tfstate*",
	"*.keystore",	"authorized_keys",
	"known_hosts",	"service-account*.json",
};
static const char *const public_names[] = {".env.example", ".env.sample", ".env.template", "*.py",
					   "*.c",	   "*.h",	  "*.js",	   "*.ts",
					   "*.go",	   "*.rs",	  "*.md"};

/* What tools run or obey without being told to. Writing it is writing code for later (CVE-2026-25725). */
static const char *const run_names[] = {
	".git",
	".gitmodules",
	".gitattributes",
	".gitconfig",
	".hg",
	".svn",
	".claude*",
	".cursor*",
	".vscode",
	".idea",
	".mcp.json",
	"mcp.json",
	"CLAUDE.md",
	"AGENTS.md",
	"GEMINI.md",
	".gemini",
	".codex",
	".aider*",
	".github",
	".gitlab-ci*",
	".circleci",
	".husky",
	".pre-commit*",
	"Makefile*",
	"makefile*",
	"GNUmakefile",
	"*.mk",
	"CMakeLists.txt",
	"*.cmake",
	"configure*",
	"package.json",
	"package-lock.json",
	"yarn.lock",
	".yarn*",
	".npmrc",
	".pnp*",
	"conftest.py",
	"sitecustomize.py",
	"usercustomize.py",
	"setup.py",
	"setup.cfg",
	"pyproject.toml",
	"tox.ini",
	"pytest.ini",
	"noxfile.py",
	"*.pth",
	"build.rs",
	"Cargo.toml",
	".cargo",
	"*.gradle*",
	"gradlew*",
	"pom.xml",
	"mvnw*",
	"Rakefile",
	"Gemfile*",
	"Dockerfile*",
	"docker-compose*",
	"Jenkinsfile*",
	"Vagrantfile",
	"Procfile*",
	"*.config.js",
	"*.config.ts",
	"*.config.mjs",
	"*.config.cjs",
	".*rc",
	".*rc.js",
	".*rc.cjs",
	".profile",
	".bash*",
	".zsh*",
	".config",
	"*.sh",
	"*.bash",
	"*.service",
	"*.desktop",
	"go.mod",
	"WORKSPACE",
	"BUILD.bazel",
	"*.bzl",
	"Justfile",
	"justfile",
	"Taskfile*",
	".direnv",
	"*.so",
	"*.so.*",
	"node_modules",
	"site-packages",
	"*.exe",
	"*.cjs",
};

/* Of the system's files only what is the same everywhere. */
static const char *const common_dirs[] = {"/usr/include", "/usr/share/doc", "/usr/share/man",
					  "/usr/share/common-licenses"};
static const char *const common_files[] = {"/dev/null", "/dev/stdout", "/dev/stderr"};

/* Could the pattern mean a name such as `item`? Tried on one name that the item stands for. */
static bool could_mean(const char *pattern, const char *item)
{
	char sample[64];
	size_t n = 0;

	if (pattern[strspn(pattern, "*")] == '\0')
		return false; /* everything: each name is looked at when it is expanded */
	for (const char *s = item; *s && n + 1 < sizeof(sample); s++) {
		if (*s == '*' && s != item && s[1])
			return false;
		sample[n++] = *s == '*' ? 'x' : *s;
	}
	sample[n] = '\0';
	return fnmatch(pattern, sample, FNM_CASEFOLD | FNM_PERIOD) == 0;
}

static bool among(const char *name, const char *const *list, size_t n, bool name_is_pattern)
{
	for (size_t i = 0; i < n; i++) {
		if (fnmatch(list[i], name, FNM_CASEFOLD) == 0 ||
		    (name_is_pattern && could_mean(name, list[i])))
			return true;
	}
	return false;
}

/* Call for each component of path; true if one is such a name. pattern: components may have wildcards. */
static bool has_name(const char *path, bool pattern, bool secrets, char found[64])
{
	char name[256];

	for (const char *s = path; *s;) {
		size_t len = strcspn(s, "/:=");
		bool hit;

		if (len >= sizeof(name))
			return snprintf(found, 64, "a very long name") > 0;
		memcpy(name, s, len);
		name[len] = '\0';
		if (secrets)
			hit = among(name, secret_names, PF_ARRAY_SIZE(secret_names), pattern) &&
			      !among(name, public_names, PF_ARRAY_SIZE(public_names), false);
		else
			hit = among(name, run_names, PF_ARRAY_SIZE(run_names), pattern);
		if (hit)
			return snprintf(found, 64, "%.60s", name) > 0;
		s += len;
		s += *s != '\0';
	}
	return false;
}

static bool plain_file_name(const char *path)
{
	const char *leaf = strrchr(path, '/');
	const char *dot;

	leaf = leaf ? leaf + 1 : path;
	dot = strrchr(leaf, '.');
	return dot && dot != leaf && dot[1];
}

/* --- where it is --- */

static bool lexically_inside(const char *path)
{
	int depth = 0;

	for (const char *s = path; *s;) {
		size_t len = strcspn(s, "/");

		if (len == 2 && s[0] == '.' && s[1] == '.')
			depth--;
		else if (len && !(len == 1 && *s == '.'))
			depth++;
		if (depth < 0)
			return false;
		s += len;
		s += strspn(s, "/");
	}
	return true;
}

bool pf__path_relative(const struct pf__judge *j, const char *path, char *out, size_t cap)
{
	char joined[8192];

	const char *at = j->places ? j->places->at : NULL;

	if (*path == '/') {
		if (!at || pf_path_clean(path, joined, sizeof(joined)) < 0 || !pf_path_within(joined, at))
			return false;
		path = joined + strlen(at);
		path += strspn(path, "/");
		return snprintf(out, cap, "%s", *path ? path : ".") < (int)cap;
	}
	if (strcmp(j->cwd, ".") == 0)
		snprintf(joined, sizeof(joined), "%s", path);
	else
		snprintf(joined, sizeof(joined), "%s/%s", j->cwd, path);
	return pf_path_clean(joined, out, cap) == 0;
}

static bool in_list(const struct pf_list *l, const char *name)
{
	for (size_t i = 0; l && i < l->count; i++) {
		if (strcmp(l->items[i], name) == 0)
			return true;
	}
	return false;
}

bool pf__is_written(const struct pf__judge *j, const char *path)
{
	char name[4096];

	return pf__path_relative(j, path, name, sizeof(name)) && in_list(&j->written, name);
}

/* Code that an earlier command wrote is code of the workspace as any other; but whoever reads the verdict is
 * told. */
static void note_written(struct pf__judge *j, const char *path)
{
	if (!*j->out->written && j->places && j->places->written &&
	    j->places->written(j->places->user, j->cwd, path))
		pf_printable(path, strlen(path), j->out->written, sizeof(j->out->written));
}

static bool common(const char *path, char role)
{
	char clean[4096];

	if (pf_path_clean(path, clean, sizeof(clean)) < 0)
		return false;
	for (size_t i = 0; i < PF_ARRAY_SIZE(common_files); i++) {
		if (strcmp(clean, common_files[i]) == 0 && strchr("rw", role))
			return true;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(common_dirs); i++) {
		if (role == 'r' && pf_path_within(clean, common_dirs[i]))
			return true;
	}
	return false;
}

static bool judge_where(struct pf__judge *j, const char *path, enum pf_path_where *where)
{
	*where = PF_PATH_UNKNOWN;
	if (j->places && j->places->resolve && strlen(path) < 4096)
		*where = j->places->resolve(j->places->user, j->cwd, path);
	switch (*where) {
	case PF_PATH_INSIDE:
	case PF_PATH_DIR:
		return true;
	case PF_PATH_MISSING:
		if (j->unpacked)
			return pf__ask(j, "%.60s may come from what was unpacked before it", path);
		return true;
	case PF_PATH_OUTSIDE:
		return pf__ask(j, "%.60s is outside the workspace", path);
	case PF_PATH_LINK_OUT:
		return pf__ask(j, "%.60s leads out of the workspace by a symbolic link", path);
	case PF_PATH_UNKNOWN:
		break;
	}
	return pf__ask(j, "where %.60s leads cannot be said", path);
}

static bool judge_names(struct pf__judge *j, const char *path, char role, bool pattern,
			enum pf_path_where where)
{
	char found[64];

	if (has_name(path, pattern, true, found))
		return pf__ask(j, "%s may hold secrets", found);
	if (role == 'x' || (role == 'r' && j->tool && j->tool->traits & PF__CODE)) {
		if (pf__is_written(j, path))
			return pf__ask(j, "%.60s would be written by this line, and run", path);
		note_written(j, path);
	}
	if (strchr("cd", role) && (strncasecmp(path, ".git", 4) == 0 || strstr(path, "/.git")))
		return pf__ask(j, "%.60s belongs to git", path);
	if (strchr("wm", role) && has_name(path, pattern, false, found))
		return pf__ask(j, "%s is run or obeyed by tools on their own; it would be changed", found);
	if (role == 'w' && where != PF_PATH_DIR && !plain_file_name(path) &&
	    !(j->tool && j->tool->traits & PF__COMPILES && strchr(path, '/')))
		return pf__ask(j, "%.60s has no suffix: what is written could be a program or a build file",
			       path);
	if (role == 'd' && (strcmp(path, ".") == 0 || strcmp(path, "..") == 0 || strcmp(path, "*") == 0 ||
			    strcmp(path, "./") == 0 || strcmp(path, "./*") == 0))
		return pf__ask(j, "it would remove the whole directory");
	return true;
}

/* pytest's file::test, and git's revision:path, are not paths as a whole. */
static const char *without_selector(const char *text, char *buf, size_t cap)
{
	const char *colon = strstr(text, "::");

	if (!colon || (size_t)(colon - text) >= cap)
		return text;
	memcpy(buf, text, (size_t)(colon - text));
	buf[colon - text] = '\0';
	return buf;
}

bool pf__path_text(struct pf__judge *j, const char *text, char role)
{
	char buf[4096];
	enum pf_path_where where;

	text = without_selector(text, buf, sizeof(buf));
	if (!*text)
		return pf__ask(j, "an empty path");
	if (strstr(text, "://"))
		return pf__ask(j, "%.60s is an address", text);
	if (*text == '@' || *text == '+')
		return pf__ask(j, "%.60s is more than a file to some tools", text);
	if (*text == '-' && role == 'w' && text[1])
		return pf__ask(j,
			       "a file whose name begins with a dash becomes an option of the next command");
	if (*text == '/' && common(text, role))
		return true;
	if (role == 'w' && pf_has_prefix(text, "/dev/"))
		return pf__ask(j, "%.60s is a device", text);
	return judge_where(j, text, &where) && judge_names(j, text, role, false, where);
}

/* --- globs, expanded by the sandbox --- */

struct each {
	struct pf__judge *j;
	char role;
	bool guarded; /* the pattern begins with text that is no dash */
	size_t count;
};

static int each_name(void *arg, const char *name)
{
	struct each *e = arg;

	if (++e->count > PF_COMMAND_WORDS_MAX) {
		pf__ask(e->j, "a pattern that means more names than are looked at");
		return -E2BIG;
	}
	if (*name == '-') {
		pf__ask(e->j, "%.60s would be taken for an option", name);
		return -EPERM;
	}
	return pf__path_text(e->j, name, e->role) ? 0 : -EPERM;
}

static bool judge_glob(struct pf__judge *j, const struct pf_command_word *w, char role)
{
	struct each e = {.j = j, .role = role == 'w' ? 'm' : role};
	bool leading = strchr("*?[", w->text[0]) != NULL;
	const char *leaf = strrchr(w->text, '/');
	int r;

	leaf = leaf ? leaf + 1 : w->text;
	if (role == 'x')
		return pf__ask(j, "a program named by a pattern");
	if (*leaf == '.' && strpbrk(leaf, "*?["))
		return pf__ask(j, "%.60s means hidden files", w->text);
	if (!lexically_inside(w->text) || *w->text == '/')
		return pf__ask(j, "%.60s is outside the workspace", w->text);
	if (leading && j->wrote)
		return pf__ask(j,
			       "%.60s could mean a name that begins with a dash, made by a command before it",
			       w->text);
	if (!judge_names(j, w->text, e.role, true, PF_PATH_MISSING))
		return false;
	if (!j->places || !j->places->expand)
		return pf__ask(j, "%.60s is to be expanded by the sandbox", w->text);
	r = j->places->expand(j->places->user, j->cwd, w->pattern, each_name, &e);
	if (r < 0)
		return pf__ask(j, "what %.60s means cannot be said", w->text);
	return true;
}

/* find's patterns mean hidden names too. */
bool pf__names_secret(struct pf__judge *j, const char *pattern)
{
	char found[64];

	if (has_name(pattern, true, true, found) || fnmatch(pattern, ".env", FNM_CASEFOLD) == 0)
		return pf__ask(j, "%.60s may mean files that hold secrets", pattern);
	return true;
}

bool pf__path(struct pf__judge *j, const struct pf_command_word *w, char role)
{
	if (w->expand & (PF_WORD_VAR | PF_WORD_TILDE))
		return pf__plain(j, w);
	if (w->expand & PF_WORD_FOUND)
		return strchr("rg", role) ? true : pf__ask(j, "it would change each file that is found");
	if (w->expand & PF_WORD_INPUT)
		return pf__plain(j, w);
	if (w->expand & PF_WORD_GLOB)
		return judge_glob(j, w, role);
	/* HEAD~1, a branch, a range: git itself tells them from paths, which must not lead out */
	if (role == 'g') {
		char found[64];

		if (*w->text == '/' || strstr(w->text, "../") || has_name(w->text, false, true, found))
			return pf__ask(j, "%.60s leads out or may hold secrets", w->text);
		return true;
	}
	return pf__path_text(j, w->text, role);
}

/* For the examples of the rules: the text alone, in a workspace where nothing is. */
enum pf_path_where pf__lexical_resolve(void *user, const char *cwd, const char *path)
{
	(void)user;
	(void)cwd;
	return *path != '/' && lexically_inside(path) ? PF_PATH_MISSING : PF_PATH_OUTSIDE;
}

int pf__lexical_expand(void *user, const char *cwd, const char *pattern,
		       int (*each)(void *arg, const char *name), void *arg)
{
	(void)user;
	(void)cwd;
	(void)pattern;
	(void)each;
	(void)arg;
	return 0;
}
