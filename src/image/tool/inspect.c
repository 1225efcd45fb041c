/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image inspect: all that is known of one image. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "image/tool/tool.h"

enum { OPT_JSON, OPT_VERIFY, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "the same as a JSON object"},
	[OPT_VERIFY] = {"verify", 0, PF_OPT_FLAG, NULL, "read its file and compare the digest"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct shown {
	const struct pf_image *i;
	struct pf_list names, sandboxes;
	bool in_use, verified;
	char created[40];
};

/* --- for people ----------------------------------------------------------------------- */

static void line(struct pf_buf *out, const char *key, const char *value)
{
	pf_buf_addf(out, "%-11s ", key);
	pf_cli_name(out, value);
	pf_buf_addc(out, '\n');
}

static void lines(struct pf_buf *out, const char *key, const struct pf_list *l)
{
	if (!l->count)
		line(out, key, NULL);
	for (size_t i = 0; i < l->count; i++)
		line(out, i ? "" : key, l->items[i]);
}

/* Arguments beside each other, each in quotes: what is one and what are two shows. */
static void arguments(struct pf_buf *out, const char *key, const struct pf_list *l)
{
	pf_buf_addf(out, "%-11s%s", key, l->count ? "" : " -");
	for (size_t i = 0; i < l->count; i++) {
		pf_buf_adds(out, " \"");
		if (l->items[i][0])
			pf_cli_name(out, l->items[i]);
		pf_buf_addc(out, '"');
	}
	pf_buf_addc(out, '\n');
}

static void unpacked_text(const struct pf_image *i, char *out, size_t cap)
{
	if (!i->unpacked)
		snprintf(out, cap, "no");
	else
		snprintf(out, cap, "yes, owners %s, %llu left out", i->owners_kept ? "kept" : "not kept",
			 (unsigned long long)i->left_out);
}

static int print_text(const struct shown *s)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	const struct pf_image *i = s->i;
	char text[96], a[16], b[16];

	lines(&out, "names", &s->names);
	line(&out, "digest", i->digest);
	line(&out, "file", i->erofs_digest);
	pf_format_size(i->size, a);
	pf_format_size(i->bytes, b);
	snprintf(text, sizeof(text), "%s; %llu files with %s", a, (unsigned long long)i->files, b);
	line(&out, "size", text);
	line(&out, "created", s->created);
	line(&out, "source", i->source);
	lines(&out, "notes", &i->notes);
	line(&out, "user", i->config.user);
	line(&out, "workdir", i->config.workdir);
	lines(&out, "env", &i->config.env);
	arguments(&out, "entrypoint", &i->config.entrypoint);
	arguments(&out, "cmd", &i->config.cmd);
	unpacked_text(i, text, sizeof(text));
	line(&out, "unpacked", text);
	line(&out, "in use", s->in_use ? "yes" : "no");
	lines(&out, "sandboxes", &s->sandboxes);
	line(&out, "directory", i->dir);
	if (s->verified)
		line(&out, "verified", "yes: its file has the digest that it was made with");
	return pf_cli_out(&out);
}

/* --- for programs ---------------------------------------------------------------------- */

static void strings(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < l->count; i++)
		pf_jsonw_str(w, l->items[i]);
	pf_jsonw_end(w, ']');
}

static void config(struct pf_jsonw *w, const struct pf_image_config *c)
{
	pf_jsonw_key(w, "config");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "user", c->user);
	pf_jsonw_kstr(w, "workdir", c->workdir);
	strings(w, "env", &c->env);
	strings(w, "entrypoint", &c->entrypoint);
	strings(w, "cmd", &c->cmd);
	pf_jsonw_end(w, '}');
}

static int print_json(const struct shown *s)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	const struct pf_image *i = s->i;
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "digest", i->digest);
	strings(&w, "names", &s->names);
	pf_jsonw_kstr(&w, "erofs", i->erofs_digest);
	pf_jsonw_kint(&w, "size", (int64_t)i->size);
	pf_jsonw_kint(&w, "files", (int64_t)i->files);
	pf_jsonw_kint(&w, "bytes", (int64_t)i->bytes);
	pf_jsonw_kstr(&w, "created", s->created);
	pf_jsonw_kstr(&w, "source", i->source);
	strings(&w, "notes", &i->notes);
	config(&w, &i->config);
	pf_jsonw_kbool(&w, "unpacked", i->unpacked);
	if (i->unpacked) {
		pf_jsonw_kbool(&w, "owners_kept", i->owners_kept);
		pf_jsonw_kint(&w, "left_out", (int64_t)i->left_out);
	} else {
		pf_jsonw_knull(&w, "owners_kept");
		pf_jsonw_knull(&w, "left_out");
	}
	pf_jsonw_kbool(&w, "in_use", s->in_use);
	strings(&w, "sandboxes", &s->sandboxes);
	pf_jsonw_kstr(&w, "directory", i->dir);
	if (s->verified)
		pf_jsonw_kbool(&w, "verified", true);
	else
		pf_jsonw_knull(&w, "verified");
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&out, '\n');
	return pf_cli_out(&out);
}

/* --- the verb --------------------------------------------------------------------------- */

static int gather(const struct pf_dirs *dirs, bool verify, struct shown *s, struct pf_error *err)
{
	time_t t = (time_t)s->i->created;
	struct pf__progress progress;
	struct tm tm;
	int r = pf_image_names(dirs->state, s->i->digest, &s->names, err);

	if (r == 0)
		r = pf__image_users(dirs, s->i->digest, &s->sandboxes, err);
	if (r == 0 && verify) {
		pf__progress_begin(&progress, "inspect");
		r = pf__image_verify(s->i, &progress, err);
		pf__progress_end(&progress);
		s->verified = r == 0;
	}
	s->in_use = s->sandboxes.count || pf_image_held(s->i);
	if (gmtime_r(&t, &tm))
		strftime(s->created, sizeof(s->created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return r;
}

static int inspect(const char *word, bool json, bool verify)
{
	struct shown s = {0};
	struct pf_error err = {0};
	struct pf_image image;
	struct pf_dirs dirs;
	int code;

	if (pf__tool_begin(&dirs, &err) < 0 || pf_image_find(dirs.state, word, &image, &err) < 0)
		return pf_cli_fail(&err);
	s.i = &image;
	if (gather(&dirs, verify, &s, &err) < 0)
		code = pf_cli_fail(&err);
	else
		code = json ? print_json(&s) : print_text(&s);
	pf_list_free(&s.names);
	pf_list_free(&s.sandboxes);
	pf_image_free(&image);
	return code;
}

static int inspect_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	bool json = false, verify = false, help = false;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		json |= arg.own == &opts[OPT_JSON];
		verify |= arg.own == &opts[OPT_VERIFY];
		help |= arg.own == &opts[OPT_HELP];
	}
	if (help)
		return pf_cli_help(&pf__tool_inspect);
	if (r == 0 && args.words != 1)
		r = pf_fail(&err, -EINVAL,
			    args.words ? "one image at a time"
				       : "which image? \"pinfold image ls\" lists them");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_inspect, &err);
	return inspect(argv[0], json, verify);
}

const struct pf_verb pf__tool_inspect = {
	.name = "image inspect",
	.summary = "show all that is known of an image",
	.usage = "image inspect [--json] [--verify] IMAGE\n",
	.text = "IMAGE is a name, a digest, or at least 6 digits of one. \"file\" is the digest of its file, "
		"which\n"
		"--verify compares; a damaged image is an error that says what is wrong.",
	.opts = opts,
	.main = inspect_main,
	.words = PF_WORDS_IMAGES,
};
