/* SPDX-License-Identifier: Apache-2.0 */
/* The weights file: its table of sections, calibration and n-gram tables. See weights.h. */
#include "guard/prompt/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "proto/le.h"

#define HEAD	     64u
#define ROW	     64u
#define SECTIONS_MAX 16u

enum { AT_CALIBRATION = 1, AT_VOCABULARY, AT_GRAMS, AT_ENCODER, AT_COUNT };

struct section {
	const uint8_t *at, *digest;
	size_t size;
};

const void *pf__span_take(struct pf__span *s, size_t bytes)
{
	static const _Alignas(64) uint8_t nothing[64];
	size_t padded = (bytes + 63) & ~(size_t)63;
	const uint8_t *at = s->at;

	if (s->bad || bytes > s->left) {
		s->bad = true;
		return nothing;
	}
	if (padded > s->left)
		padded = s->left;
	s->at += padded;
	s->left -= padded;
	return at;
}

const float *pf__span_floats(struct pf__span *s, size_t n)
{
	const float *f = pf__span_take(s, n * sizeof(float));

	for (size_t i = 0; i < n && !s->bad; i++)
		s->bad = !(fabsf(f[i]) < 1e9f); /* a NaN compares as false */
	return f;
}

static int read_table(const uint8_t *map, size_t size, struct section sections[AT_COUNT],
		      struct pf_error *err)
{
	uint32_t version, count;

	if (size < HEAD || memcmp(map, "pfguard\n", 8) != 0)
		return pf_fail(err, -EINVAL, "these are no weights of pinfold's");
	version = (uint32_t)pf__le_get(map + 8, 4);
	count = (uint32_t)pf__le_get(map + 12, 4);
	if (version != PF_WEIGHTS_VERSION)
		return pf_fail(err, -EINVAL, "weights of version %u; this program reads version %u", version,
			       PF_WEIGHTS_VERSION);
	if (pf__le_get(map + 16, 8) != size)
		return pf_fail(err, -EINVAL,
			       "the weights are cut off or have something behind them: %zu bytes, not %llu",
			       size, (unsigned long long)pf__le_get(map + 16, 8));
	if (count > SECTIONS_MAX || size < HEAD + (size_t)count * ROW)
		return pf_fail(err, -EINVAL, "the weights' table has %u sections", count);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *row = map + HEAD + (size_t)i * ROW;
		uint32_t what = (uint32_t)pf__le_get(row, 4);
		uint64_t at = pf__le_get(row + 8, 8), bytes = pf__le_get(row + 16, 8);

		if (at > size || bytes > size - at || at % 64 != 0)
			return pf_fail(err, -EINVAL, "section %u of the weights is not in the file", i);
		if (what == 0 || what >= AT_COUNT)
			continue; /* notes */
		if (sections[what].at)
			return pf_fail(err, -EINVAL, "the weights have section %u twice", what);
		sections[what] = (struct section){map + at, row + 24, (size_t)bytes};
	}
	return 0;
}

static int check_digest(const struct section *s, const char *what, struct pf_error *err)
{
	uint8_t found[32];

	if (!s->at)
		return pf_fail(err, -EINVAL, "the weights have no %s", what);
	pf__digest(s->at, s->size, found);
	if (memcmp(found, s->digest, sizeof(found)) != 0)
		return pf_fail(err, -EINVAL, "the weights are damaged: the %s has another digest", what);
	return 0;
}

static int read_calibration(struct pf__weights *w, const struct section *s, struct pf_error *err)
{
	struct pf__span span = {s->at, s->size, false};

	for (unsigned i = 0; i < PF_SOURCE_COUNT; i++) {
		const float *f = pf__span_floats(&span, 3 + PF_MIX_COUNT);
		struct pf__calibration *c = &w->calibration[i];

		if (span.bad || !(f[2 + PF_MIX_COUNT] > f[1 + PF_MIX_COUNT]))
			return pf_fail(err, -EINVAL, "the weights' calibration is not one");
		c->gate = f[0];
		memcpy(c->mix, f + 1, sizeof(c->mix));
		c->suspect = f[1 + PF_MIX_COUNT];
		c->attack = f[2 + PF_MIX_COUNT];
	}
	return 0;
}

static int read_grams(struct pf__gram_tables *g, const struct section *s, struct pf_error *err)
{
	struct pf__span span = {s->at, s->size, false};
	const uint32_t *bits = pf__span_take(&span, sizeof(*bits));
	const float *f = pf__span_floats(&span, 6);

	if (span.bad || *bits < 10 || *bits > 22)
		return pf_fail(err, -EINVAL, "the weights' n-gram tables are not any");
	g->bits = *bits;
	memcpy(g->word_scale, f, sizeof(g->word_scale));
	memcpy(g->char_scale, f + 2, sizeof(g->char_scale));
	memcpy(g->bias, f + 4, sizeof(g->bias));
	g->words = pf__span_take(&span, (size_t)2 << g->bits);
	g->chars = pf__span_take(&span, (size_t)2 << g->bits);
	if (span.bad || span.left)
		return pf_fail(err, -EINVAL, "the weights' n-gram tables have another size than they say");
	return 0;
}

int pf__weights_from(struct pf__weights *w, const uint8_t *bytes, size_t size, struct pf_error *err)
{
	struct section sections[AT_COUNT] = {0};
	struct pf__weights made = {0};
	int r = read_table(bytes, size, sections, err);

	if (r < 0 || (r = check_digest(&sections[AT_CALIBRATION], "calibration", err)) < 0 ||
	    (r = check_digest(&sections[AT_VOCABULARY], "vocabulary", err)) < 0 ||
	    (r = check_digest(&sections[AT_GRAMS], "n-gram tables", err)) < 0 ||
	    (r = read_calibration(&made, &sections[AT_CALIBRATION], err)) < 0 ||
	    (r = read_grams(&made.grams, &sections[AT_GRAMS], err)) < 0)
		return r;
	if (!sections[AT_ENCODER].at)
		return pf_fail(err, -EINVAL, "the weights have no encoder");
	made.encoder_at = sections[AT_ENCODER].at;
	made.encoder_size = sections[AT_ENCODER].size;
	made.encoder_digest = sections[AT_ENCODER].digest;
	pf_sha256_text(bytes, HEAD + (size_t)(uint32_t)pf__le_get(bytes + 12, 4) * ROW, made.digest);
	r = pf__vocab_read(&made.vocab,
			   (struct pf__span){sections[AT_VOCABULARY].at, sections[AT_VOCABULARY].size, false},
			   err);
	if (r == 0)
		*w = made;
	return r;
}

int pf__weights_open(struct pf__weights *w, const char *path, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *map;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pf_fail_errno(err, "cannot open the weights %.300s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > PF_WEIGHTS_MAX || st.st_size < (off_t)HEAD)
		return pf_fail(err, -EINVAL, "%.300s: these are no weights of pinfold's", path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return pf_fail_errno(err, "cannot map %.300s", path);
	r = pf__weights_from(w, map, (size_t)st.st_size, err);
	if (r < 0) {
		munmap(map, (size_t)st.st_size);
		return pf_wrap(err, "%.300s", path);
	}
	w->map = map;
	w->size = (size_t)st.st_size;
	return 0;
}

int pf__weights_encoder(struct pf__weights *w, struct pf_error *err)
{
	const struct section s = {w->encoder_at, w->encoder_digest, w->encoder_size};
	int r;

	if (w->encoder_ready)
		return 0;
	r = check_digest(&s, "encoder", err);
	if (r == 0)
		r = pf__encoder_read(&w->encoder, (struct pf__span){s.at, s.size, false}, w->vocab.count,
				     err);
	w->encoder_ready = r == 0;
	return r;
}

void pf__weights_close(struct pf__weights *w)
{
	if (w->map)
		munmap((void *)(uintptr_t)w->map, w->size);
	free(w->vocab.slots);
	*w = (struct pf__weights){0};
}
