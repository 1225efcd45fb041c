/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict in words and as JSON. */
#include <math.h>

#include "base/json.h"
#include "guard/prompt/tool.h"

/* Four digits: more would be noise. */
static double rounded(double score)
{
	return round(score * 1e4) / 1e4;
}

static void each_reason(const struct pf__verdict *v, void (*say)(void *user, const char *reason), void *user)
{
	if (v->classifier)
		say(user, "classifier");
	for (unsigned i = 0; i < PF_MARK_COUNT; i++)
		if (v->marks >> i & 1)
			say(user, pf__mark_name((enum pf__mark)i));
	if (v->unread)
		say(user, "unread");
}

static void say_json(void *user, const char *reason)
{
	pf_jsonw_str(user, reason);
}

void pf__verdict_json(struct pf_jsonw *w, const struct pf__verdict *v, enum pf__source source,
		      const char *weights)
{
	pf_jsonw_kstr(w, "source", source == PF_SOURCE_USER ? "user" : "tool");
	pf_jsonw_key(w, "score");
	pf_jsonw_double(w, rounded(v->score));
	pf_jsonw_kstr(w, "level", pf__level_name(v->level));
	pf_jsonw_key(w, "reasons");
	pf_jsonw_begin(w, '[');
	each_reason(v, say_json, w);
	pf_jsonw_end(w, ']');
	pf_jsonw_key(w, "windows");
	pf_jsonw_begin(w, '[');
	for (unsigned i = 0; i < v->told_count; i++) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kint(w, "from", (int64_t)v->told[i].from);
		pf_jsonw_kint(w, "to", (int64_t)v->told[i].to);
		pf_jsonw_key(w, "score");
		pf_jsonw_double(w, rounded(v->told[i].score));
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_kint(w, "bytes", (int64_t)v->bytes);
	pf_jsonw_kint(w, "encoded", (int64_t)v->encoded);
	pf_jsonw_kstr(w, "weights", weights);
}

static void say_text(void *user, const char *reason)
{
	pf_buf_addf(user, " %s", reason);
}

void pf__verdict_text(struct pf_buf *out, const struct pf__verdict *v)
{
	pf_buf_addf(out, "%s (score %.4f)", pf__level_name(v->level), v->score);
	if (v->classifier || v->marks || v->unread)
		pf_buf_addc(out, ':');
	each_reason(v, say_text, out);
	pf_buf_addc(out, '\n');
	for (unsigned i = 0; i < v->told_count; i++)
		pf_buf_addf(out, "  bytes %llu to %llu: %.4f\n", (unsigned long long)v->told[i].from,
			    (unsigned long long)v->told[i].to, v->told[i].score);
}
