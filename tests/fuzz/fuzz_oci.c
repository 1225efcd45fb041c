/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an image: index, manifest, configuration of an OCI layout; manifest.json of a docker
 * archive; and the report of the importer's child. The input is documents with a byte 0xff between them. In
 * them "@1" stands for the digest of document 1, "#1" for its size, so that what refers to what can be found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/import/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#define DOCUMENTS 8

struct document {
	struct pf_buf text;
	char digest[PF_DIGEST_MAX];
};

static void check_message(const struct pf_error *err)
{
	CHECK(err->code < 0 && err->msg[0]);
	CHECK(pf_utf8_valid(err->msg, strlen(err->msg)) && !strpbrk(err->msg, "\n\r\x1b"));
}

/* Those behind are known when one is written. */
static void expand(const uint8_t *p, size_t n, struct document *docs, int self)
{
	struct document *d = &docs[self];

	for (size_t i = 0; i < n; i++) {
		int other = i + 1 < n && (p[i] == '@' || p[i] == '#') ? p[i + 1] - '0' : -1;

		if (other <= self || other >= DOCUMENTS)
			pf_buf_addc(&d->text, (char)p[i]);
		else if (p[i++] == '@')
			pf_buf_adds(&d->text, docs[other].digest);
		else
			pf_buf_addf(&d->text, "%zu", docs[other].text.len);
	}
	CHECK(!d->text.failed);
	pf_sha256_text(d->text.data ? d->text.data : "", d->text.len, d->digest);
}

static int split(const uint8_t *data, size_t size, struct document *docs)
{
	const uint8_t *from[DOCUMENTS];
	size_t length[DOCUMENTS];
	int count = 0;

	for (size_t at = 0; at <= size && count < DOCUMENTS; count++) {
		const uint8_t *end = at < size ? memchr(data + at, 0xff, size - at) : NULL;

		from[count] = data + at;
		length[count] = end ? (size_t)(end - data) - at : size - at;
		at += length[count] + 1;
	}
	for (int i = count; i-- > 0;)
		expand(from[i], length[i], docs, i);
	return count;
}

static void put(struct pf_tree *t, int fd, const char *path, const struct pf_buf *text, uint64_t *at)
{
	struct pf_extent e = {.length = text->len, .spool = *at};
	struct pf_inode i = {
		.mode = S_IFREG | 0644, .size = text->len, .extents = &e, .extent_count = text->len > 0};

	CHECK(pf_write_full(fd, text->data ? text->data : "", text->len) == 0);
	CHECK(pf_tree_put(t, path, &i, NULL, NULL) == 0);
	*at += text->len;
}

static void check_stack(struct pf__job *j, const struct pf__stack *s, int r, const struct pf_error *err)
{
	char clean[PF__PATH_MAX + 1];

	if (r) {
		check_message(err);
		return;
	}
	CHECK(s->count <= PF__LAYERS_MAX && pf__config_check(&j->config, NULL) == 0);
	for (size_t i = 0; i < s->count; i++) {
		const struct pf__stack_layer *l = &s->layers[i];

		CHECK(pf__entry_path(l->path, strlen(l->path), clean, NULL) == 0 && pf_streq(clean, l->path));
		CHECK(pf__digest_ok(l->diff_id) && (!*l->digest || pf__digest_ok(l->digest)));
	}
}

static void run(struct document *docs, int count, const struct pf_import *how, bool docker)
{
	static const struct pf_buf version = {.data = (char *)"{\"imageLayoutVersion\":\"1.0.0\"}",
					      .len = 30};
	PF_AUTO_CLOSE int fd = memfd_create("blobs", MFD_CLOEXEC);
	struct pf__job j = {.how = how, .channel = -1};
	struct pf__blobs b = {.job = &j, .fd = fd};
	struct pf__stack stack = {0};
	struct pf_error err = {0};
	uint64_t at = 0;
	char path[96];
	int r;

	CHECK(pf_tree_new(&b.tree, &err) == 0);
	put(b.tree, fd, "oci-layout", &version, &at);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), docker ? "%.0s%d" : "blobs/sha256/%s", docs[i].digest + 7, i);
		if (i == 0)
			snprintf(path, sizeof(path), "%s", docker ? "manifest.json" : "index.json");
		put(b.tree, fd, path, &docs[i].text, &at);
	}
	if (docker)
		(void)pf__docker_looks(&b);
	r = docker ? pf__docker_stack(&j, &b, &stack, &err) : pf__oci_stack(&j, &b, &stack, &err);
	check_stack(&j, &stack, r, &err);
	pf__stack_free(&stack);
	pf__config_free(&j.config);
	pf_tree_free(b.tree);
}

static void run_report(const struct document *d)
{
	struct pf_import_result out = {0};
	struct pf_error err = {0};

	if (pf__report_parse(d->text.data, d->text.len, &out, &err))
		check_message(&err);
	else
		CHECK(pf__config_check(&out.config, NULL) == 0);
	pf_import_result_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pf_import how[] = {
		{.from = "x"}, {.from = "x", .ref = "a"}, {.from = "x", .platform = "linux/arm/v7"}};
	struct document docs[DOCUMENTS] = {0};
	int count = split(data, size, docs);

	for (size_t i = 0; i < PF_ARRAY_SIZE(how); i++) {
		run(docs, count, &how[i], false);
		run(docs, count, &how[i], true);
	}
	run_report(&docs[0]);
	for (int i = 0; i < DOCUMENTS; i++)
		pf_buf_free(&docs[i].text);
	return 0;
}

/* Beginnings that reach the end. */
static const char *const seeds[] = {
	"{\"manifests\":[{\"mediaType\":\"application/"
	"vnd.oci.image.manifest.v1+json\",\"digest\":\"@1\",\"size\":#1,"
	"\"annotations\":{\"org.opencontainers.image.ref.name\":\"a\"},\"platform\":{\"os\":\"linux\","
	"\"architecture\":\"amd64\"}}]}\xff"
	"{\"config\":{\"mediaType\":\"application/"
	"vnd.oci.image.config.v1+json\",\"digest\":\"@2\",\"size\":#2},\"layers\":"
	"[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"@3\",\"size\":#3}]}\xff"
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"a\",\"WorkingDir\":\"/"
	"b\",\"Env\":[\"A=b\"],"
	"\"Cmd\":[\"c\"],\"Entrypoint\":null},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"@3\"]}}\xffx",
	"{\"manifests\":[{\"mediaType\":\"application/"
	"vnd.oci.image.index.v1+json\",\"digest\":\"@1\",\"size\":#1}]}\xff"
	"{\"manifests\":[{\"mediaType\":\"application/"
	"vnd.docker.distribution.manifest.v2+json\",\"digest\":\"@2\",\"size\":#2,"
	"\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}}]}\xff"
	"{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{\"mediaType\":"
	"\"application/vnd.docker.container.image.v1+json\",\"digest\":\"@3\",\"size\":#3},\"layers\":[]}\xff"
	"{\"architecture\":\"arm\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
	"[{\"Config\":\"1\",\"RepoTags\":[\"a\"],\"Layers\":[\"2\"]}]\xff"
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_"
	"ids\":[\"@2\"]}}\xffx",
	"{\"kind\":\"oci\",\"layers\":1,\"files\":2,\"bytes\":3,\"user\":\"\",\"workdir\":\"/"
	"a\",\"env\":[\"A=b\"],\"entrypoint\":[],"
	"\"cmd\":[\"c\"],\"notes\":[\"n\"]}",
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	const char *from = seeds[seed / 64 % PF_ARRAY_SIZE(seeds)];
	size_t n = strlen(from);

	if ((size > 40 && seed % 64) || n > max)
		return LLVMFuzzerMutate(data, size, max);
	memcpy(data, from, n);
	return n;
}
