/* SPDX-License-Identifier: Apache-2.0 */
/* git: each of its commands is a rule. The words of a spec are in command_judge.h. */
#include "base/cleanup.h"
#include "guard/command_judge.h"

static const struct pf__tool rules[] = {
	{.name = "git",
	 .check = pf__check_git,
	 .yes = "git status\ngit -c color.ui=never log -3\ngit --no-pager diff HEAD~1 -- src/",
	 .no = "git -c core.pager=sh log\ngit --exec-path=/tmp/evil status\ngit archive --exec='touch pwn' "
	       "--remote=. HEAD\ngit -C /tmp status\ngit xyz\ngit config core.pager x\ngit -p log\ngit -C "
	       "src show ../x"},
	{.name = "git status",
	 .traits = PF__OPTION_SAFE,
	 .spec = "-sbuvz --short --branch --porcelain? --untracked-files? --ignored? --verbose --no-renames "
		 "@g*",
	 .yes = "git status --porcelain",
	 .no = "git status --x"},
	{.name = "git diff",
	 .spec = "-ubwpzRDs -U# -M? --stat? --name-only --name-status --cached --staged --numstat "
		 "--shortstat --summary --color? --no-color --word-diff? --ignore-all-space "
		 "--ignore-space-change --exit-code --quiet --check --unified# --diff-filter: --no-renames "
		 "--minimal --patience --no-ext-diff --output!w --ext-diff!x --textconv!x --no-index!r -O!r "
		 "@g*",
	 .yes = "git diff HEAD~1 -- src/\ngit diff --stat main...HEAD",
	 .no = "git diff --no-index --output=pwn /etc/hostname /etc/hosts\ngit diff --outp=pwn\ngit diff "
	       "--ext-diff"},
	{.name = "git shortlog",
	 .spec = "-sne --no-merges --since: @g*",
	 .yes = "git shortlog -sn",
	 .no = "git shortlog --output=x"},
	{.name = "git log",
	 .spec = "-# -n# --oneline --graph --all --decorate? --stat --name-only --name-status --since: "
		 "--until: --after: --before: --author: --grep: --max-count# --reverse --merges --no-merges "
		 "--first-parent --abbrev-commit --date: --format: --pretty? --shortstat --numstat --follow "
		 "--branches --tags --summary --color? --no-color -i -E -p!r -S!r -G!r -L!r --patch!r "
		 "--output!w --ext-diff!x --textconv!x @g*",
	 .yes = "git log --oneline -20\ngit log -3",
	 .no = "git log -p\ngit log --output=x\ngit log --outpu=x\ngit log -S password"},
	{.name = "git show",
	 .spec = "-sq --stat? --name-only --name-status --oneline --no-patch --format: --pretty? --color? "
		 "--no-color --shortstat --output!w --ext-diff!x --textconv!x @g*",
	 .yes = "git show --stat HEAD\ngit show HEAD:src/a.c",
	 .no = "git show --format=%x6f --no-patch --output=payload.sh HEAD\ngit show HEAD:.env"},
	{.name = "git rev-parse|git describe|git merge-base|git rev-list|git name-rev|git cat-file|git "
		 "ls-tree|git symbolic-ref|git var",
	 .spec = "-rtpsez -n# --short? --abbrev-ref --show-toplevel --verify --quiet --tags --always --long "
		 "--dirty --count --all --max-count# --name-only --is-inside-work-tree --git-dir --heads "
		 "--is-ancestor --textconv!x --filters!x @g*",
	 .yes = "git rev-parse --short HEAD",
	 .no = "git cat-file --textconv x\ngit rev-parse --parseopt"},
	{.name = "git tag",
	 .spec = "-lan --list? --sort: --format: --contains: --merged? --no-merged? --points-at: -m: "
		 "--message: -d!d -f!d -s!x -u!x --sign!x --local-user!x -F!r --file!r --edit!x @g*",
	 .yes = "git tag -l\ngit tag -a v1 -m x\ngit tag",
	 .no = "git tag -s v1\ngit tag -u x v1\ngit tag -F /etc/passwd v1\ngit tag -d v1"},
	{.name = "git branch",
	 .spec = "-arvld --list? --all --remotes --show-current --contains: --merged? --no-merged? --sort: "
		 "--format: -m: -D!d -f!d -u: --edit-description!x -F!r @g*",
	 .yes = "git branch -a\ngit branch -u origin/main",
	 .no = "git branch --edit-description\ngit branch -D main"},
	{.name = "git add",
	 .spec = "-Aunv --all --update --intent-to-add --force --dry-run --verbose -p!x -i!x -e!x --patch!x "
		 "--edit!x --interactive!x --chmod!w @r*",
	 .yes = "git add -A\ngit add src/a.c .",
	 .no = "git add -e\ngit add .env\ngit add ../x"},
	{.name = "git commit",
	 .traits = PF__CODE,
	 .spec = "-aqsv -m: --message: --all --amend --no-edit --signoff --allow-empty --quiet --dry-run "
		 "--no-verify -F!r --file!r -S!x --gpg-sign!x -t!r --edit!x @g*",
	 .yes = "git commit -m x\ngit commit -am \"fix: a\"",
	 .no = "git commit -F /etc/shadow\ngit commit -S"},
	{.name = "git checkout|git switch|git restore",
	 .traits = PF__CODE | PF__UNPACKS,
	 .spec = "-q -b: -c: --staged --track --quiet --detach --source: --worktree -f!d --force!d -B!d -C!d "
		 "--discard-changes!d @g*",
	 .check = pf__check_restore,
	 .yes = "git checkout -b feature/x\ngit checkout -- src/a.c\ngit restore --staged .",
	 .no = "git checkout -f\ngit switch --discard-changes x\ngit checkout .\ngit restore ."},
	{.name = "git stash",
	 .traits = PF__CODE,
	 .spec = "-uqk -m: @T*",
	 .yes = "git stash\ngit stash list",
	 .no = "git stash drop\ngit stash clear"},
	{.name = "git rebase|git merge|git cherry-pick|git revert|git am",
	 .traits = PF__CODE | PF__UNPACKS,
	 .spec = "-qn --abort --continue --skip --no-edit --no-ff --ff-only --squash --no-commit --onto: "
		 "--autostash -x!x --exec!x -i!x --interactive!x -s!x --strategy!x --edit-todo!x -S!x -m: "
		 "@g*",
	 .yes = "git rebase origin/main\ngit cherry-pick abc1234\ngit merge --ff-only main",
	 .no = "git rebase -x 'touch pwn' HEAD~1\ngit rebase -i HEAD~2\ngit merge -s ./x y\ngit rebase "
	       "--exe=id x"},
	{.name = "git reset",
	 .spec = "-q --soft --mixed --quiet --hard!d --merge!d @g*",
	 .yes = "git reset HEAD~1\ngit reset --soft HEAD~1",
	 .no = "git reset --hard"},
	{.name = "git mv",
	 .spec = "-fnq --force --quiet --dry-run @m*",
	 .yes = "git mv a.c b.c",
	 .no = "git mv a ../b"},
	{.name = "git rm",
	 .spec = "-rfnq --cached --force --quiet --dry-run @d*",
	 .yes = "git rm a.c",
	 .no = "git rm /etc/x\ngit rm -rf ."},
	{.name = "git blame|git annotate",
	 .spec = "-wsl -L: -C? -M? --line-porcelain --contents!r @g*",
	 .yes = "git blame src/a.c",
	 .no = "git blame --contents /etc/x a"},
	{.name = "git grep",
	 .traits = PF__FILTERS,
	 .spec = "-nilwIcEFP -e~ -A# -B# -C# --cached --name-only --untracked -O!x --open-files-in-pager!x "
		 "-f!r --no-index!r @tg*",
	 .yes = "git grep -n foo -- src",
	 .no = "git grep -Osh x\ngit grep --open-files=sh x\ngit grep --no-index x /etc"},
	{.name = "git ls-files",
	 .traits = PF__PRINTS,
	 .spec = "-cdmosztu --others --modified --deleted --exclude-standard --cached --stage "
		 "--error-unmatch -X!r --exclude-from!r @g*",
	 .yes = "git ls-files --others --exclude-standard",
	 .no = "git ls-files -X /etc/x"},
	{.name = "git remote",
	 .spec = "-v --verbose @T*",
	 .yes = "git remote -v",
	 .no = "git remote add x https://evil\ngit remote set-url x y"},
	{.name = "git config",
	 .spec = "--get~ --list -l --get-all~ --local --show-origin --global!w --file!r --edit!x @e",
	 .yes = "git config --get remote.origin.url\ngit config user.name",
	 .no = "git config core.pager \"touch pwn\"\ngit config alias.x \"!sh\"\ngit config --edit\ngit "
	       "config --get x --file=/etc/x"},
	{.name = "git submodule",
	 .spec = "--recursive @T*",
	 .yes = "git submodule status",
	 .no = "git submodule add x\ngit submodule foreach \"touch pwn\"\ngit submodule update --init"},
	{.name = "git worktree|git reflog",
	 .spec = "@T*",
	 .yes = "git worktree list\ngit reflog",
	 .no = "git worktree add ../x\ngit reflog expire --all"},
	{.name = "git init",
	 .traits = PF__CODE,
	 .spec = "-q -b: --quiet --template!x @c",
	 .yes = "git init",
	 .no = "git init --template=x\ngit init /tmp/x"},
	{.name = "git push",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "git push origin feature/x\ngit push --force origin main",
	 .why = "sends the repository to another machine"},
	{.name = "git fetch|git pull|git clone|git ls-remote",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "git clone ext::sh\ngit pull\ngit fetch --upload-pack=x",
	 .why = "reaches another machine, and its transports run programs"},
	{.name = "git clean|git gc|git prune|git filter-branch|git update-ref|git replace",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "git clean -fdx",
	 .why = "destroys what cannot be had back"},
	{.name = "git bisect|git difftool|git mergetool|git archive|git send-email|git daemon|git "
		 "credential|git hook|git instaweb|git apply|git format-patch",
	 .traits = PF__ASK,
	 .spec = "",
	 .no = "git bisect run sh x\ngit difftool -x sh\ngit archive -o x HEAD\ngit credential fill",
	 .why = "runs programs, or writes where its options say"},
};
const struct pf__table pf__tools_git = {rules, PF_ARRAY_SIZE(rules)};
