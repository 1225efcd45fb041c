/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that a command is given. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "guard/command_judge.h"

/* Only letters, digits and what is in more. */
static bool is_word_of(const char *s, const char *more)
{
	while (isalnum((unsigned char)*s) || (*s && strchr(more, *s)))
		s++;
	return *s == '\0';
}

/* Known to change nothing but language, colour and talkativeness. */
static const char *const harmless[] = {"CI",
				       "LANG",
				       "LC_ALL",
				       "LC_CTYPE",
				       "TZ",
				       "NO_COLOR",
				       "FORCE_COLOR",
				       "COLUMNS",
				       "RUST_BACKTRACE",
				       "DEBUG",
				       "VERBOSE",
				       "NODE_ENV",
				       "V",
				       "PYTHONUNBUFFERED",
				       "PYTHONDONTWRITEBYTECODE",
				       "CGO_ENABLED",
				       "GOOS",
				       "GOARCH",
				       "TERM"};

/* Beginnings of names that loaders, shells, interpreters and build tools read. */
static const char *const loaded[] = {
	"LD_",
	"BASH",
	"ENV",
	"SHELL",
	"PS",
	"IFS",
	"PATH",
	"HOME",
	"CDPATH",
	"PYTHON",
	"PERL",
	"RUBY",
	"NODE",
	"JAVA",
	"JDK",
	"_JAVA",
	"GIT",
	"SSH",
	"PAGER",
	"MANPAGER",
	"LESS",
	"EDITOR",
	"VISUAL",
	"BROWSER",
	"MAKE",
	"CC",
	"CXX",
	"CPP",
	"LD",
	"AR",
	"AS",
	"CFLAGS",
	"LDFLAGS",
	"CXXFLAGS",
	"CMAKE",
	"GO",
	"CARGO",
	"RUST",
	"NPM",
	"YARN",
	"PIP",
	"GCONV",
	"GLIBC",
	"MALLOC",
	"TMP",
	"TEMP",
	"XDG",
	"DYLD",
	"LOCPATH",
	"NLSPATH",
	"HOSTALIASES",
	"RES_",
	"LUA",
	"PHP",
	"R_",
	"TERMINFO",
	"HTTP",
	"HTTPS",
	"ALL_PROXY",
	"NO_PROXY",
	"FTP",
	"CURL",
	"WGET",
	"OPENSSL",
	"SSL",
	"AWS",
	"GOOGLE",
	"AZURE",
	"DOCKER",
	"KUBE",
	"ANTHROPIC",
	"OPENAI",
	"PROMPT_COMMAND",
	"POSIXLY",
	"FPATH",
	"ZDOT",
	"ZSH",
	"INPUTRC",
	"MAIL",
	"OPT",
	"TCL",
	"GTK",
	"QT",
	"GDB",
	"VIM",
	"EMACS",
	"CLASSPATH",
};

/* Variables change what a program loads and runs (CVE-2026-22708): for tools only those known to be harmless;
 * for code of the workspace any that no loader, shell or interpreter reads. */
bool pf__env_allowed(struct pf__judge *j, const char *assign, bool code)
{
	const char *eq = strchr(assign, '=');
	char name[64];
	size_t len = eq ? (size_t)(eq - assign) : 0;

	if (len == 0 || len >= sizeof(name))
		return pf__ask(j, "the assignment %.40s is not NAME=value", assign);
	memcpy(name, assign, len);
	name[len] = '\0';
	if (!is_word_of(eq + 1, "._:,+%@-") || !is_word_of(name, "_"))
		return pf__ask(j, "the value of %s is more than a plain word", name);
	for (size_t i = 0; i < PF_ARRAY_SIZE(harmless); i++) {
		if (strcmp(harmless[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(loaded); i++) {
		if (strncasecmp(name, loaded[i], strlen(loaded[i])) == 0)
			return pf__ask(j, "%s can change what a program loads or runs", name);
	}
	return code || pf__ask(j, "no rule knows the variable %s", name);
}
