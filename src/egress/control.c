/* SPDX-License-Identifier: Apache-2.0 */
/* Are messages between keeper and proxy what they must be? See control.h. */
#include "egress/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

const char *pf_egress_reason_name(enum pf_egress_reason r)
{
	static const char *const names[PF_EGRESS_REASONS] = {
		[PF_EGRESS_NONE] = "none",
		[PF_EGRESS_NO_RULE] = "no_rule",
		[PF_EGRESS_SPECIAL] = "special_address",
		[PF_EGRESS_NEVER] = "never_allowed",
		[PF_EGRESS_TLS_NAME] = "tls_name",
		[PF_EGRESS_TLS_NO_NAME] = "tls_no_name",
		[PF_EGRESS_TLS_HIDDEN] = "tls_hidden",
		[PF_EGRESS_NOT_TLS] = "not_tls",
		[PF_EGRESS_MALFORMED] = "malformed",
		[PF_EGRESS_UNSUPPORTED] = "unsupported",
		[PF_EGRESS_TOO_MANY] = "too_many_connections",
		[PF_EGRESS_TOO_MUCH] = "too_many_bytes",
		[PF_EGRESS_UNRESOLVED] = "unresolved",
		[PF_EGRESS_UNREACHABLE] = "unreachable",
		[PF_EGRESS_TIMEOUT] = "timeout",
		[PF_EGRESS_BAD_ANSWER] = "bad_answer",
		[PF_EGRESS_CUT] = "cut",
		[PF_EGRESS_SHUTDOWN] = "shutdown",
	};

	return (unsigned)r < PF_EGRESS_REASONS ? names[r] : NULL;
}

size_t pf_egress_message_size(uint32_t type)
{
	switch (type) {
	case PF_EGRESS_SETUP:
		return sizeof(struct pf_egress_setup);
	case PF_EGRESS_RULES:
		return sizeof(struct pf_egress_rules);
	case PF_EGRESS_GO:
		return sizeof(uint32_t);
	case PF_EGRESS_CONN:
		return sizeof(struct pf_egress_conn);
	case PF_EGRESS_SYNC:
	case PF_EGRESS_SYNCED:
		return sizeof(struct pf_egress_sync);
	case PF_EGRESS_READY:
		return sizeof(struct pf_egress_ready);
	case PF_EGRESS_FAILED:
		return sizeof(struct pf_egress_failed);
	case PF_EGRESS_REPORT:
		return sizeof(struct pf_egress_report);
	case PF_EGRESS_DONE:
		return sizeof(struct pf_egress_done);
	}
	return 0;
}

/* Terminated, and nothing in it that could move a cursor or open another line. */
static bool is_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return true;
}

static bool setup_fine(const struct pf_egress_setup *s)
{
	const struct pf_egress_limits *l = &s->limits;

	return s->version == PF_EGRESS_VERSION && (s->flags & ~PF_EGRESS_DIE_WITH_PARENT) == 0 &&
	       (s->resolver.family == 0 ||
		((s->resolver.family == 4 || s->resolver.family == 6) && s->resolver_port)) &&
	       l->connections >= 1 && l->connections <= PF_EGRESS_CONNECTIONS_MAX && l->header_ms &&
	       l->dial_ms && l->idle_ms;
}

static bool report_fine(const struct pf_egress_report *r)
{
	return r->kind >= PF_EGRESS_OPENED && r->kind <= PF_EGRESS_UNREACHED &&
	       r->protocol <= PF_EGRESS_SOCKS && r->reason < PF_EGRESS_REASONS &&
	       is_text(r->target, sizeof(r->target)) && is_text(r->address, sizeof(r->address)) &&
	       is_text(r->rule, sizeof(r->rule)) && is_text(r->hint, sizeof(r->hint));
}

int pf_egress_message_check(const union pf_egress_message *m, size_t n, int from_proxy)
{
	bool fine = true;

	if (n < sizeof(m->type) || (m->type >= PF_EGRESS_READY) != (from_proxy != 0))
		return -EPROTO;
	if (m->type == PF_EGRESS_RULES) {
		/* It travels without the room that it does not need. */
		size_t head = offsetof(struct pf_egress_rules, text);

		return n >= head && m->rules.size <= PF_EGRESS_RULES_TEXT && n == head + m->rules.size
			       ? 0
			       : -EPROTO;
	}
	if (n != pf_egress_message_size(m->type))
		return -EPROTO;
	if (m->type == PF_EGRESS_SETUP)
		fine = setup_fine(&m->setup);
	else if (m->type == PF_EGRESS_REPORT)
		fine = report_fine(&m->report);
	else if (m->type == PF_EGRESS_SYNCED)
		fine = m->sync.denials <= UINT32_MAX && m->sync.others <= UINT32_MAX;
	else if (m->type == PF_EGRESS_FAILED)
		fine = is_text(m->failed.text, sizeof(m->failed.text));
	return fine ? 0 : -EPROTO;
}
