/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold completion: the scripts that let a shell ask `pinfold complete` (complete.h). */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

/*
 * Bash cuts words at = and : too, unlike the shell that runs the line: they are put together again, and what
 * it keeps of a candidate is the part behind the last of those.
 */
static const char bash[] =
	"# bash completion for pinfold; made by: pinfold completion bash\n"
	"_pinfold()\n"
	"{\n"
	"	local -a words=() at=()\n"
	"	local i word line value cur pre base join=\n"
	"	for ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"		word=${COMP_WORDS[i]}\n"
	"		if [[ ${#words[@]} -gt 0 && ( -n $join || $word == [=:]* ) ]]; then\n"
	"			words[-1]+=$word\n"
	"		else\n"
	"			words+=(\"$word\") at+=(\"$i\")\n"
	"		fi\n"
	"		join=\n"
	"		[[ $word == [=:] ]] && join=1\n"
	"	done\n"
	"	cur=${words[-1]}\n"
	"	pre=${cur%\"${cur##*[=:]}\"}\n"
	"	base=$cur\n"
	"	[[ $cur == --*=* ]] && base=${cur#*=}\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		$'\\tfiles' | $'\\tdirs')\n"
	"			compopt -o filenames 2>/dev/null\n"
	"			[[ $line == $'\\tdirs' ]] && word=-d || word=-f\n"
	"			while IFS= read -r value; do COMPREPLY+=(\"$value\"); done < <(compgen $word "
	"-- \"$base\")\n"
	"			;;\n"
	"		$'\\tcommand '*)\n"
	"			i=${line#*' '}\n"
	"			if declare -F _command_offset >/dev/null; then\n"
	"				_command_offset \"${at[i - 1]}\"\n"
	"			elif ((i == ${#words[@]})); then\n"
	"				while IFS= read -r value; do COMPREPLY+=(\"$value\"); done < "
	"<(compgen -c -- \"$cur\")\n"
	"			else\n"
	"				compopt -o filenames 2>/dev/null\n"
	"				while IFS= read -r value; do COMPREPLY+=(\"$value\"); done < "
	"<(compgen -f -- \"$cur\")\n"
	"			fi\n"
	"			;;\n"
	"		*)\n"
	"			value=${line%%$'\\t'*}\n"
	"			COMPREPLY+=(\"${value#\"$pre\"}\")\n"
	"			;;\n"
	"		esac\n"
	"	done < <(\"${COMP_WORDS[0]/#\\~/$HOME}\" complete \"${words[@]}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _pinfold pinfold\n";

static const char zsh[] = "#compdef pinfold\n"
			  "# zsh completion for pinfold; made by: pinfold completion zsh\n"
			  "_pinfold()\n"
			  "{\n"
			  "	local line value n\n"
			  "	local -a lines values\n"
			  "	lines=(\"${(@f)$(\"${(Q)words[1]/#\\~/$HOME}\" complete "
			  "\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
			  "	for line in $lines; do\n"
			  "		case $line in\n"
			  "		$'\\tfiles') [[ $PREFIX == --*=* ]] && compset -P '*='; _files ;;\n"
			  "		$'\\tdirs') [[ $PREFIX == --*=* ]] && compset -P '*='; _files -/ ;;\n"
			  "		$'\\tcommand '*)\n"
			  "			n=${line##* }\n"
			  "			shift $n words\n"
			  "			((CURRENT -= n))\n"
			  "			_normal\n"
			  "			;;\n"
			  "		?*)\n"
			  "			value=${line%%$'\\t'*}\n"
			  "			values+=(\"${value//:/\\\\:}:${line#*$'\\t'}\")\n"
			  "			;;\n"
			  "		esac\n"
			  "	done\n"
			  "	(($#values)) && _describe pinfold values\n"
			  "}\n"
			  "if [[ $funcstack[1] == _pinfold ]]; then\n"
			  "	_pinfold \"$@\"\n"
			  "else\n"
			  "	compdef _pinfold pinfold\n"
			  "fi\n";

static const struct pf_opt opts[] = {
	PF_OPT_HELP,
	PF_OPT_END,
};
static const char *const actions[] = {"bash", "zsh", NULL};

static int completion_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r = pf_args_next(&args, &arg, &err);

	if (r == 1)
		return pf_cli_help(&pf_verb_completion);
	if (r == 0 && args.words == 1 && strcmp(argv[0], "bash") == 0)
		pf_buf_adds(&out, bash);
	else if (r == 0 && args.words == 1 && strcmp(argv[0], "zsh") == 0)
		pf_buf_adds(&out, zsh);
	else if (r == 0)
		r = pf_fail(&err, -EINVAL, "for bash or for zsh?");
	return r < 0 ? pf_cli_misuse(&pf_verb_completion, &err) : pf_cli_out(&out);
}

const struct pf_verb pf_verb_completion = {
	.name = "completion",
	.summary = "print the script that completes pinfold's words in a shell",
	.usage = "completion bash|zsh\n",
	.text = "An installed pinfold needs nothing more. Without it: eval \"$(pinfold completion bash)\", "
		"or for "
		"zsh the same\n"
		"with zsh, after compinit.",
	.opts = opts,
	.main = completion_main,
	.actions = actions,
};
