/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs start to do their own work, as data; helpers.c reads it. A line each:
 *
 *	NAMES = HELPERS     programs, by name or pattern of the name on the list or of the file it leads to;
 *	                    and what comes with them: a name in PATH, or a pattern of paths
 *	any NAMES           run any code that they are given: scripts, macros, expressions that start commands
 *	many NAMES          have many programs in one file, and must be named themselves
 *	yes NAME HELPER     examples, which are tried when this is read: NAME brings HELPER
 *	no NAME HELPER      ... does not bring it
 *
 * A helper that is a script comes only where its interpreter is approved too: git brings no shell.
 */
#include "view/helpers_data.h"

const char pf__helpers_text[] =
	/* git finds its commands in its own directory; the remote helpers are programs beside it */
	"git = /usr/lib/git-core/* /usr/libexec/git-core/*\n"
	"yes git /usr/lib/git-core/git-remote-https\n"
	"no git /usr/lib/git-core/mergetools/vimdiff\n"
	"no git /usr/bin/ssh\n"
	/* the compiler drivers: gcc.info, "Spec Files" and -print-prog-name */
	"gcc gcc-* *-gcc *-gcc-[0-9]* cc c[89]9 g++ g++-* *-g++ *-g++-[0-9]* c++ gfortran* cpp cpp-* = as ld "
	"/usr/lib/gcc/*/*/cc1 /usr/lib/gcc/*/*/cc1plus /usr/lib/gcc/*/*/f951 /usr/lib/gcc/*/*/collect2 "
	"/usr/lib/gcc/*/*/lto1 /usr/lib/gcc/*/*/lto-wrapper /usr/lib/gcc/*/*/g++-mapper-server "
	"/usr/libexec/gcc/*/*/cc1 /usr/libexec/gcc/*/*/cc1plus /usr/libexec/gcc/*/*/f951 "
	"/usr/libexec/gcc/*/*/collect2 /usr/libexec/gcc/*/*/lto1 /usr/libexec/gcc/*/*/lto-wrapper "
	"/usr/libexec/gcc/*/*/g++-mapper-server\n"
	"yes gcc as\n"
	"yes x86_64-linux-gnu-gcc-12 /usr/lib/gcc/x86_64-linux-gnu/12/cc1\n"
	"yes g++ /usr/lib/gcc/x86_64-linux-gnu/12/cc1plus\n"
	"no gcc-ar-thing make\n"
	"clang clang-* clang++ clang++-* = ld /usr/lib/llvm-*/bin/clang /usr/lib/llvm-*/bin/ld.lld\n"
	"yes clang-14 ld\n"
	"rustc cargo = cc rustc\n"
	"yes cargo rustc\n"
	"go = /usr/lib/go-*/bin/* /usr/lib/go-*/pkg/tool/*/* /usr/local/go/bin/* /usr/local/go/pkg/tool/*/*\n"
	"yes go /usr/local/go/pkg/tool/linux_amd64/compile\n"
	/* tar starts what unpacks by name */
	"tar = gzip bzip2 xz zstd\n"
	"yes tar xz\n"
	"no tar sh\n"
	"java javac = /usr/lib/jvm/*/lib/jspawnhelper\n"
	"yes java /usr/lib/jvm/java-17-openjdk-amd64/lib/jspawnhelper\n"
	"ssh-keygen = /usr/lib/openssh/ssh-sk-helper\n"
	/* shells */
	"any sh bash rbash dash ash zsh zsh5 ksh ksh93 mksh fish csh tcsh rc es yash pwsh busybox toybox\n"
	/* languages */
	"any python python[0-9]* pypy* perl perl5* ruby ruby[0-9]* node nodejs deno bun lua lua[0-9]* "
	"luajit* tclsh* "
	"wish* php php[0-9]* java jshell jjs groovy scala kotlin dotnet mono R Rscript octave* julia guile "
	"guile-* sbcl "
	"clisp ecl racket erl escript elixir iex ghci runghc ocaml swipl gforth gst awk gawk mawk nawk "
	"original-awk "
	"expect m4 bc dc osascript go cargo rustc gcc gcc-* cc c++ g++ g++-* clang clang-* tcc\n"
	/* and what has a language in it, or starts what an argument or a file of the workspace says */
	"any make gmake cmake ninja meson sed ed ex vi vim vim.* view rview rvim vimdiff nvim emacs emacs-* "
	"gdb gdb-* "
	"lldb lldb-* sqlite3 git npm npx yarn pnpm pip pip3 pytest py.test tox nox jq\n"
	"any env xargs find nice nohup timeout stdbuf setsid script tar ld.so ld-linux-* rsync ssh man less "
	"more "
	"git-* mawk-*\n"
	"many busybox busybox-* busybox.* toybox toybox-* coreutils uutils-coreutils uu-coreutils "
	"coreutils-* sbase-box "
	"ubase-box llvm lvm mtools\n";
