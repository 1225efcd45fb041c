/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/redact: any bytes, cut anywhere. In audit mode what comes out is what went in; nothing that stands
 * there in the plain is let through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static const char secret[] = "sk_live_7fA1b9Qx2Z";

static void to_buf(void *user, const void *p, size_t n)
{
	CHECK(pf_buf_add(user, p, n) == 0);
}

static void filter(const uint8_t *p, size_t n, enum pf_guard_mode mode, size_t step, bool live,
		   struct pf_buf *out)
{
	struct pf_redact_options o = {.stream = "x", .mode = mode, .live = live, .sink = to_buf, .user = out};
	struct pf_redact_stream *s;
	struct pf_redact *r;

	CHECK(pf_redact_new(&r) == 0);
	CHECK(pf_redact_add(r, "K", secret, sizeof(secret) - 1, PF_REDACT_SURE) == 1);
	CHECK(pf_redact_add(r, "SHORT", "x7Qp", 4, PF_REDACT_SURE) == 1);
	CHECK(pf_redact_open(r, &o, &s) == 0);
	for (size_t at = 0; at < n; at += step) {
		CHECK(pf_redact_feed(s, p + at, n - at < step ? n - at : step) == 0);
		if (live && at % 7 == 0)
			CHECK(pf_redact_pause(s) == 0);
	}
	CHECK(pf_redact_end(s) == 0);
	CHECK(!pf_redact_holds(s));
	pf_redact_close(s);
	pf_redact_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PF_AUTO_BUF struct pf_buf whole = {0};
	PF_AUTO_BUF struct pf_buf cut = {0};
	PF_AUTO_BUF struct pf_buf live = {0};
	size_t step = size ? 1 + data[0] % 17 : 1;

	if (size > 20000)
		return 0;
	filter(data, size, PF_GUARD_ENFORCE, 65536, false, &whole);
	filter(data, size, PF_GUARD_ENFORCE, step, false, &cut);
	/* Where hits overlap the marks may differ, but not whether there are any. */
	CHECK((whole.len != size) == (cut.len != size) || size == 0 || memcmp(whole.data, data, size) == 0 ||
	      memmem(cut.data, cut.len, "[redacted:", 10));
	CHECK(cut.len == 0 || !memmem(cut.data, cut.len, secret, sizeof(secret) - 1));
	CHECK(whole.len == 0 || !memmem(whole.data, whole.len, secret, sizeof(secret) - 1));
	filter(data, size, PF_GUARD_ENFORCE, step, true, &live);
	CHECK(live.len == 0 || !memmem(live.data, live.len, secret, sizeof(secret) - 1));
	pf_buf_free(&cut);
	filter(data, size, PF_GUARD_AUDIT, step, false, &cut);
	CHECK(cut.len == size && (size == 0 || memcmp(cut.data, data, size) == 0));
	return 0;
}
