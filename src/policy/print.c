/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy as its own document, every default filled in: what `policy show` prints and what the digest is
 * made of. What is printed parses back to the same policy (cwd apart, which is no part of the document, and
 * a workspace's path that is not UTF-8, which JSON cannot spell).
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy_internal.h"

static void print_words(struct pf_jsonw *w, const char *key, const struct pf__words *words, uint64_t set)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < words->count; i++) {
		if (set & words->at[i].value)
			pf_jsonw_str(w, words->at[i].name);
	}
	pf_jsonw_end(w, ']');
}

static void print_list(struct pf_jsonw *w, const char *key, const struct pf_list *list)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < list->count; i++)
		pf_jsonw_str(w, list->items[i]);
	pf_jsonw_end(w, ']');
}

void pf__limit_print(struct pf_jsonw *w, const struct pf__limit *l, uint64_t value)
{
	char text[32];

	pf_jsonw_key(w, l->key);
	if (value == 0 && !l->needed) {
		pf_jsonw_null(w);
	} else if (l->kind == PF__COUNT) {
		pf_jsonw_uint(w, value);
	} else if (l->kind == PF__CPUS) {
		pf_jsonw_double(w, (double)value / 1000);
	} else {
		pf__limit_text(l, value, text);
		pf_jsonw_str(w, text);
	}
}

/*
 * "default" names the limits that nobody wrote. Without it a printed policy, read again, would make every
 * default a hard requirement; and the digest would not tell a policy whose limits must be held from one
 * whose limits are held as well as the host can.
 */
static void print_limits(struct pf_jsonw *w, const struct pf_limits *limits)
{
	pf_jsonw_key(w, "limits");
	pf_jsonw_begin(w, '{');
	for (size_t i = 0; i < pf__limit_count; i++)
		pf__limit_print(w, &pf__limits[i], pf__limit_get(limits, &pf__limits[i]));
	pf_jsonw_key(w, "default");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < pf__limit_count; i++) {
		const struct pf__limit *l = &pf__limits[i];

		if (l->bit && !(limits->written & l->bit) && pf__limit_get(limits, l))
			pf_jsonw_str(w, l->key);
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_end(w, '}');
}

static void print_caps(struct pf_jsonw *w, uint64_t caps)
{
	pf_jsonw_key(w, "capabilities");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < pf__cap_words.count; i++) {
		if (caps >> pf__cap_words.at[i].value & 1)
			pf_jsonw_str(w, pf__cap_words.at[i].name);
	}
	pf_jsonw_end(w, ']');
}

/* NAME=VALUE as an object. */
static void print_pairs(struct pf_jsonw *w, const char *key, const struct pf_list *env)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '{');
	for (size_t i = 0; i < env->count; i++) {
		const char *kv = env->items[i], *equals = strchr(kv, '=');
		PF_AUTO_FREE char *name = equals ? strndup(kv, (size_t)(equals - kv)) : NULL;

		if (!name) { /* no memory: an entry without '=' is never stored */
			w->out->failed = true;
			break;
		}
		pf_jsonw_kstr(w, name, equals + 1);
	}
	pf_jsonw_end(w, '}');
}

static void print_workspace(struct pf_jsonw *w, const struct pf_policy *p, const char *path)
{
	pf_jsonw_key(w, "workspace");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "path", path);
	pf_jsonw_kstr(w, "mode", pf__word_name(&pf__mode_words, p->ws_path ? p->ws_mode : p->ws_mode_wanted));
	pf_jsonw_kstr(w, "at", p->ws_at);
	pf_jsonw_end(w, '}');
}

static void print_mounts(struct pf_jsonw *w, const struct pf_policy *p)
{
	pf_jsonw_key(w, "mounts");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < p->mount_count; i++) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "from", p->mounts[i].from);
		pf_jsonw_kstr(w, "to", p->mounts[i].to);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
}

static int print_guard(struct pf_jsonw *w, const struct pf_policy *p)
{
	struct pf_json_doc *doc = NULL;

	if (p->guard_command && pf_json_parse(p->guard_command, strlen(p->guard_command), 0, &doc, NULL) < 0)
		return -ENOMEM;
	pf_jsonw_key(w, "guard");
	pf_jsonw_begin(w, '{');
	pf_jsonw_key(w, "command");
	if (doc)
		pf_jsonw_node(w, pf_json_root(doc));
	else
		pf_jsonw_str(w, "off");
	pf__print_guard_prompt(w, &p->guard_prompt);
	pf_jsonw_kstr(w, "output", pf__word_name(&pf__guard_words, p->guard_output));
	pf_jsonw_end(w, '}');
	pf_json_free(doc);
	return 0;
}

static void print_commands(struct pf_jsonw *w, const struct pf_policy *p)
{
	pf_jsonw_key(w, "commands");
	pf_jsonw_begin(w, '{');
	if (p->commands.count)
		print_list(w, "allow", &p->commands);
	else
		pf_jsonw_knull(w, "allow");
	pf_jsonw_kbool(w, "build", p->commands_build);
	pf_jsonw_end(w, '}');
}

static int print(const struct pf_policy *p, unsigned indent, const char *ws_path, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, indent);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "tier", pf_tier_name(p->tier));
	pf_jsonw_kstr(&w, "min_tier", pf_tier_name(p->min_tier));
	print_words(&w, "require", &pf__require_words, p->require);
	print_limits(&w, &p->limits);
	pf__network_print(&w, &p->network);
	pf_jsonw_kstr(&w, "root", pf__word_name(&pf__root_words, p->root_cow));
	pf_jsonw_kstr(&w, "image", p->image);
	print_list(&w, "tools", &p->tools);
	pf_jsonw_kstr(&w, "user", p->user ? p->user : pf__word_name(&pf__user_words, p->user_root));
	print_caps(&w, p->capabilities);
	print_pairs(&w, "env", &p->env);
	print_workspace(&w, p, ws_path);
	print_mounts(&w, p);
	pf_jsonw_key(&w, "secrets");
	pf_jsonw_begin(&w, '{');
	print_list(&w, "mask", &p->mask);
	print_pairs(&w, "values", &p->secret_values);
	pf_jsonw_end(&w, '}');
	print_list(&w, "protect", &p->protect);
	print_commands(&w, p);
	if (print_guard(&w, p) < 0)
		return -ENOMEM;
	pf_jsonw_end(&w, '}');
	if (indent)
		pf_buf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}

int pf_policy_print(const struct pf_policy *p, unsigned indent, struct pf_buf *out)
{
	return print(p, indent, p->ws_path, out);
}

/*
 * SHA-256 of the compact document. Whether there is a workspace counts, and its mode and place; how its path
 * was spelt does not, nor the directory the command starts in: "the same policy" is to mean the same wall,
 * whichever checkout it stands around.
 */
int pf_policy_digest(const struct pf_policy *p, char out[PF_DIGEST_MAX])
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = print(p, 0, p->ws_path ? "" : NULL, &text);

	if (r < 0)
		return r;
	pf_sha256_text(text.data, text.len, out);
	return 0;
}
