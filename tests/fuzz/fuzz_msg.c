/* SPDX-License-Identifier: Apache-2.0 */
/* Every decoder of control messages. The first byte picks one; what decodes must encode to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proto/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct pf_buf *b, int r, const uint8_t *p, size_t n)
{
	if (r < 0 || b->len != n || (n && memcmp(b->data, p, n)))
		abort();
}

/* Strings are read to their end, lists to their NULL: that is what their users do. */
static size_t read_all(const struct pf_strs *s)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->count; i++)
		n += strlen(s->strings[i]);
	if (s->strings[s->count])
		abort();
	return n;
}

#define TRY(type)                                                                                            \
	static void try_##type(const uint8_t *p, size_t n)                                                   \
	{                                                                                                    \
		struct pf_msg_##type m;                                                                      \
		struct pf_error err = {0};                                                                   \
		struct pf_buf b = {0};                                                                       \
		void *mem = NULL;                                                                            \
                                                                                                             \
		if (pf_msg_##type##_get(p, n, &m, &mem, &err) < 0) {                                         \
			if (!err.code || !err.msg[0] || mem)                                                 \
				abort();                                                                     \
			return;                                                                              \
		}                                                                                            \
		use_##type(&m);                                                                              \
		check(&b, pf_msg_##type##_put(&b, &m), p, n);                                                \
		pf_buf_free(&b);                                                                             \
		free(mem);                                                                                   \
	}

static void use_hello(const struct pf_msg_hello *m)
{
	read_all(&m->readonly);
	for (uint32_t i = 0; i < m->rule_count; i++)
		if (strlen(m->rules[i].path) > 4096)
			abort();
}

static void use_start(const struct pf_msg_start *m)
{
	if (read_all(&m->argv) + read_all(&m->env) > 4u << 20 || !m->argv.count)
		abort();
}

static void use_ready(const struct pf_msg_ready *m)
{
	for (uint32_t i = 0; i < m->try_count; i++)
		if (!pf_try_name(m->tries[i].attempt) || strlen(m->tries[i].detail) > 4096)
			abort();
}

#define use_prepare(m)	   ((void)(m))
#define use_signal(m)	   ((void)(m))
#define use_resize(m)	   ((void)(m))
#define use_welcome(m)	   ((void)strlen((m)->kernel))
#define use_started(m)	   ((void)(m))
#define use_exited(m)	   ((void)(m))
#define use_failed(m)	   ((void)strlen((m)->text))
#define use_connected(m)   ((void)(m))
#define use_turned_away(m) ((void)(m))

TRY(hello)
TRY(prepare)
TRY(start)
TRY(signal)
TRY(resize)
TRY(welcome)
TRY(ready)
TRY(started)
TRY(exited)
TRY(failed)
TRY(connected)
TRY(turned_away)

static void try_exec(const uint8_t *p, size_t n)
{
	struct pf_buf b = {0};
	uint32_t exec = 0;

	if (pf_msg_exec_get(p, n, &exec, NULL) < 0)
		return;
	check(&b, pf_msg_exec_put(&b, exec), p, n);
	pf_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const tries[])(const uint8_t *, size_t) = {
		try_hello,   try_prepare, try_start,  try_signal, try_resize,	 try_welcome,	  try_ready,
		try_started, try_exited,  try_failed, try_exec,	  try_connected, try_turned_away,
	};

	if (n)
		tries[p[0] % (sizeof(tries) / sizeof(tries[0]))](p + 1, n - 1);
	return 0;
}
