/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image ls: what is in the store, how large it is, and who uses it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "image/tool/tool.h"

enum { OPT_JSON, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "the same as a JSON object"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

#define NAME_COLUMNS_MAX 48u
#define NAME_COLUMNS_MIN 12u
#define DIGEST_SHOWN	 12

static void utc(int64_t seconds, const char *format, char out[40])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		strftime(out, 40, format, &tm);
}

static size_t name_columns(const struct pf_image *list, size_t count)
{
	size_t widest = NAME_COLUMNS_MIN;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < list[i].names.count; k++) {
			size_t n = strlen(list[i].names.items[k]);

			widest = n > widest ? n : widest;
		}
	}
	return widest < NAME_COLUMNS_MAX ? widest : NAME_COLUMNS_MAX;
}

static void use_text(const struct pf_image *i, size_t users, char out[40])
{
	if (i->damage)
		strcpy(out, "damaged");
	else if (users)
		snprintf(out, 40, "%zu sandbox%s", users, users == 1 ? "" : "es");
	else
		strcpy(out, pf_image_held(i) ? "in use" : "-");
}

static void print_row(struct pf_buf *out, const struct pf_image *i, const char *name, size_t columns,
		      size_t users)
{
	char size[16] = "-", created[40] = "-", use[40];

	if (!i->damage) {
		pf_format_size(i->size, size);
		utc(i->created, "%Y-%m-%d %H:%M", created);
	}
	use_text(i, users, use);
	pf_buf_addf(out, "%-*s  %.*s  %-9s  %-16s  %s\n", (int)columns, name, DIGEST_SHOWN, i->digest + 7,
		    size, created, use);
}

static int count_users(const struct pf_dirs *dirs, const struct pf_image *i, struct pf_list *ids,
		       struct pf_error *err)
{
	*ids = (struct pf_list){0};
	return pf__image_users(dirs, i->digest, ids, err);
}

static int print_table(const struct pf_dirs *dirs, const struct pf_image *list, size_t count,
		       struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	size_t columns = name_columns(list, count);

	pf_buf_addf(&out, "%-*s  %-*s  %-9s  %-16s  %s\n", (int)columns, "NAME", DIGEST_SHOWN, "DIGEST",
		    "SIZE", "CREATED", "USE");
	for (size_t i = 0; i < count; i++) {
		struct pf_list ids;

		if (count_users(dirs, &list[i], &ids, err) < 0)
			return pf_cli_fail(err);
		for (size_t k = 0; k < list[i].names.count; k++)
			print_row(&out, &list[i], list[i].names.items[k], columns, ids.count);
		if (!list[i].names.count)
			print_row(&out, &list[i], "-", columns, ids.count);
		pf_list_free(&ids);
		if (list[i].damage)
			pf_cli_say("%s", list[i].damage);
	}
	return pf_cli_out(&out);
}

static void print_strings(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < l->count; i++)
		pf_jsonw_str(w, l->items[i]);
	pf_jsonw_end(w, ']');
}

/* Every field is always there; what a damaged image does not tell is null. */
static void print_object(struct pf_jsonw *w, const struct pf_image *i, const struct pf_list *ids)
{
	char created[40];

	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "digest", i->digest);
	print_strings(w, "names", &i->names);
	if (i->damage) {
		pf_jsonw_knull(w, "size");
		pf_jsonw_knull(w, "files");
		pf_jsonw_knull(w, "bytes");
		pf_jsonw_knull(w, "created");
		pf_jsonw_knull(w, "source");
		pf_jsonw_knull(w, "unpacked");
	} else {
		utc(i->created, "%Y-%m-%dT%H:%M:%SZ", created);
		pf_jsonw_kint(w, "size", (int64_t)i->size);
		pf_jsonw_kint(w, "files", (int64_t)i->files);
		pf_jsonw_kint(w, "bytes", (int64_t)i->bytes);
		pf_jsonw_kstr(w, "created", created);
		pf_jsonw_kstr(w, "source", i->source);
		pf_jsonw_kbool(w, "unpacked", i->unpacked);
	}
	pf_jsonw_kbool(w, "in_use", ids->count || pf_image_held(i));
	print_strings(w, "sandboxes", ids);
	pf_jsonw_kstr(w, "damage", i->damage);
	pf_jsonw_end(w, '}');
}

static int print_json(const struct pf_dirs *dirs, const struct pf_image *list, size_t count,
		      struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_key(&w, "images");
	pf_jsonw_begin(&w, '[');
	for (size_t i = 0; i < count; i++) {
		struct pf_list ids;

		if (count_users(dirs, &list[i], &ids, err) < 0)
			return pf_cli_fail(err);
		print_object(&w, &list[i], &ids);
		pf_list_free(&ids);
	}
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&out, '\n');
	return pf_cli_out(&out);
}

static int list_images(bool json)
{
	struct pf_error err = {0};
	struct pf_image *list;
	struct pf_dirs dirs;
	size_t count;
	int code;

	if (pf__tool_begin(&dirs, &err) < 0 || pf_image_list(dirs.state, &list, &count, &err) < 0)
		return pf_cli_fail(&err);
	code = json ? print_json(&dirs, list, count, &err) : print_table(&dirs, list, count, &err);
	pf_image_list_free(list, count);
	return code;
}

static int ls_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	bool json = false, help = false;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		json |= arg.own == &opts[OPT_JSON];
		help |= arg.own == &opts[OPT_HELP];
	}
	if (help)
		return pf_cli_help(&pf__tool_ls);
	if (r == 0 && args.words)
		r = pf_fail(&err, -EINVAL, "image ls takes no arguments; \"image inspect\" shows one");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_ls, &err);
	return list_images(json);
}

const struct pf_verb pf__tool_ls = {
	.name = "image ls",
	.summary = "list the images",
	.usage = "image ls [--json]\n",
	.text = "A line for each name, newest images first; an image without a name has \"-\". SIZE is that "
		"of its\n"
		"file. USE counts the live sandboxes that run on it; \"in use\" is something else that holds "
		"it.",
	.opts = opts,
	.main = ls_main,
};
