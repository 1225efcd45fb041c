/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds when nothing is said, with the two lists that a workspace needs: what is never shown, and what
 * the sandbox may not change for the user.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "guard/command.h"
#include "guard/prompt_client.h"
#include "guard/redact.h"
#include "policy/policy_internal.h"

/*
 * Never shown. A name here must be a secret nearly everywhere: hiding what a build or a test suite reads
 * breaks it in ways that are hard to find, a hidden file that git tracks looks deleted to a git inside, whose
 * `commit -a` would record that, and a user who meets either turns the whole list off. Deliberately absent:
 *
 *   *.pem, *.key, *.p12 below the top       certificates of test suites, and the CA bundle of every virtual
 *                                           environment; at the top such a file is somebody's own
 *   .env.example, .sample, .template, .test the documentation of a .env, and the settings of its tests
 *   .npmrc, .mcp.json, .vscode/mcp.json     committed by most who have them, with the token in a variable
 *   .yarnrc.yml, .bundle/config             yarn and bundler do not start without them
 *   .git/config                             nor does git; a token in a remote's URL stays visible
 *   terraform.tfvars, application.yml       settings of the program itself, secrets by accident only
 *
 * Who has a secret in one of those adds its name to secrets.mask (docs/policy.md).
 */
const char *const pf_default_mask[] = {
	/* Environment files. The plain name is hidden also when it appears later. What follows ".env." is
	 * hidden unless it begins as example, sample, template, test, defaults, dist and schema do; of the
	 * names with those letters that do hold secrets, the usual ones are listed. */
	".env",
	"**/.env",
	"**/.env.[!dest]*",
	"**/.env.dev*",
	"**/.env.sta*", /* stage, staging */
	"**/.env.sec*",
	"**/.env.*.local",
	"**/.envrc", /* direnv: `export TOKEN=…`, and of no use inside */
	"**/prod.env",
	"**/production.env",
	"**/secrets.env",

	/* Private keys by the names that ssh-keygen, PuTTY and KeePass give them, and any key at the top. */
	"**/id_rsa",
	"**/id_dsa",
	"**/id_ecdsa",
	"**/id_ed25519",
	"**/*.ppk",
	"**/*.kdbx",
	"*.pem",
	"*.key",
	"*.p12",
	"*.pfx",
	"**/config/master.key", /* Rails */
	"**/config/credentials/*.key",

	/* Where tools keep passwords and tokens; these appear when a home directory or its dotfiles are the
	 * workspace. Whole directories where every file in them is one or leads to one. */
	"**/.ssh",
	"**/.gnupg",
	"**/.password-store",
	"**/.aws",
	"**/.azure",
	"**/.config/gcloud",
	"**/.kube",
	"**/.docker/config.json",
	"**/.dockercfg",
	"**/.config/containers/auth.json",
	"**/.netrc",
	"**/_netrc",
	"**/.pgpass",
	"**/.my.cnf",
	"**/.htpasswd",
	"**/.git-credentials",
	"**/.config/gh/hosts.yml",
	"**/.config/hub",
	"**/.config/github-copilot",
	"**/.vault-token",
	"**/.vault_pass*", /* Ansible */
	"**/.terraform.d/credentials.tfrc.json",
	"**/*.tfstate", /* Terraform writes every secret into its state, plain */
	"**/*.tfstate.backup",
	"**/.*_history", /* shells, psql, python: passwords that were typed */

	/* Registries. */
	"**/.pypirc",
	"**/.gem/credentials",
	"**/.cargo/credentials",
	"**/.cargo/credentials.toml",
	"**/.m2/settings.xml",
	"**/.gradle/gradle.properties",
	"**/.composer/auth.json",
	"auth.json", /* Composer, beside composer.json */

	/* Cloud accounts and OAuth clients under the names that the consoles download them with. */
	"**/service-account*.json",
	"**/service_account*.json",
	"**/serviceAccount*.json",
	"**/*-firebase-adminsdk-*.json",
	"**/application_default_credentials.json",
	"**/gha-creds-*.json",
	"**/client_secret*.json",
	"credentials.json",
	"**/.streamlit/secrets.toml",

	/* What agents themselves hold: logins, and the settings that they keep out of git. */
	"**/.claude.json",
	"**/.claude/.credentials.json",
	"**/.claude/settings.local.json",
	"**/.codex/auth.json",
	"**/.gemini/oauth_creds.json",
	NULL,
};

/*
 * Not changed for the user without his word. The rule: what one of the user's tools executes or obeys
 * although he did not ask it to run the project: git at a commit, a shell at a `cd`, an editor when it opens
 * the directory, an agent when it starts, the CI at a push. Makefiles, package.json, conftest.py and all
 * other code are not here: to change code is what the agent is for, and the change set shows it.
 */
const char *const pf_default_protect[] = {
	/* git: hooks, and settings that name programs (core.fsmonitor, core.pager, filters). At any depth,
	 * since a repository that a command plants in a directory is found by git as soon as somebody works
	 * there. .gitmodules because `submodule update` obeys it (CVE-2018-17456, CVE-2024-32002). No name
	 * can tell a
	 * ".git" that is a file, or a bare repository under any name: the change set has to look for those.
	 */
	".git/hooks",
	".git/config",
	"**/.git/hooks",
	"**/.git/config",
	"**/.git/config.worktree",
	"**/.git/commondir",
	"**/.git/info/attributes",
	"**/.git/modules/**/hooks",
	"**/.git/modules/**/config",
	"**/.git/modules/**/config.worktree",
	"**/.git/modules/**/commondir",
	"**/.git/modules/**/info/attributes",
	"**/.git/worktrees/*/config.worktree",
	"**/.git/worktrees/*/commondir",
	".gitmodules",

	/* Run at a commit or a push by the managers of hooks. */
	"**/.husky",
	"**/.pre-commit-config.yaml",
	"**/lefthook.yml",
	"**/lefthook.yaml",
	"**/.lefthook.yml",

	/* Run by the shell that enters the directory. */
	"**/.envrc",
	"**/mise.toml",
	"**/.mise.toml",

	/* Run or obeyed by an editor: tasks on opening, paths of interpreters and language servers. The
	 * devcontainer's initializeCommand runs on the host. */
	"**/.vscode",
	"**/*.code-workspace",
	"**/.idea",
	"**/.zed",
	"**/.fleet",
	"**/.devcontainer",
	"**/.devcontainer.json",
	"**/.exrc",
	"**/.nvimrc",
	"**/.nvim.lua",
	"**/.dir-locals.el",

	/* Obeyed by agents: their settings grant permissions and name programs, hooks and servers to start;
	 * their instructions are how one hostile run stays for all later ones (CVE-2026-25725,
	 * CVE-2025-54135). */
	"**/.claude",
	"**/CLAUDE.md",
	"**/CLAUDE.local.md",
	"**/AGENTS.md",
	"**/AGENTS.override.md",
	"**/GEMINI.md",
	"**/.mcp.json",
	"**/.cursor",
	"**/.cursorrules",
	"**/.windsurf",
	"**/.windsurfrules",
	"**/.clinerules",
	"**/.roo",
	"**/.continue",
	"**/.aider.conf.yml",
	"**/.codex",
	"**/.gemini",
	"**/.agents",
	"**/.kiro",
	"**/.junie",
	"**/.amazonq",
	"**/.opencode",
	"**/opencode.json",
	".github/copilot-instructions.md",
	".github/instructions",
	".github/prompts",
	".github/agents",

	/* Run by the CI at the next push, with the repository's secrets. */
	".github/workflows",
	".github/actions",
	".gitlab-ci.yml",
	".circleci",
	"Jenkinsfile",
	"azure-pipelines.yml",

	/* Where the workspace is a home directory: what a login runs, and who may log in. */
	".bashrc",
	".bash_profile",
	".bash_login",
	".bash_logout",
	".profile",
	".zshrc",
	".zshenv",
	".zprofile",
	".zlogin",
	".zlogout",
	".config/fish",
	".config/autostart",
	".config/systemd",
	".config/environment.d",
	".gitconfig",
	".config/git",
	".ssh",
	NULL,
};

static int fill(struct pf_list *list, const char *const *items)
{
	for (; *items; items++) {
		if (pf_list_add(list, *items) < 0)
			return -ENOMEM;
	}
	return 0;
}

int pf_policy_defaults(struct pf_policy *p, struct pf_error *err)
{
	struct pf_policy fresh = {
		.tier = PF_TIER_AUTO,
		.min_tier = PF_TIER_CONTAINER,
		.limits = pf__limit_defaults,
		.ws_mode = PF_WS_NONE,
		.ws_mode_wanted = PF_WS_COW,
		/* Of texts that are given, which none is unless a caller does it. */
		.guard_prompt = {.user = PF_GUARD_AUDIT, .tool = PF_GUARD_AUDIT, .at = PF_PROMPT_ATTACK},
		.network = pf__network_defaults,
		.guard_output = PF_GUARD_ENFORCE,
	};

	if (pf__policy_set_string(&fresh.image, "host") < 0 || fill(&fresh.mask, pf_default_mask) < 0 ||
	    fill(&fresh.protect, pf_default_protect) < 0) {
		pf_policy_free(&fresh);
		return pf__policy_nomem(err);
	}
	*p = fresh;
	return 0;
}
