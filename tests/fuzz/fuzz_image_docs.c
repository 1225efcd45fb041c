/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of an image in the store: whatever is read must be what is printed again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/store_internal.h"
#include "image/store_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

static void manifest(const struct pf_buf *text)
{
	struct pf_image_config c = {0}, again = {0};
	char digest[PF_DIGEST_MAX], same[PF_DIGEST_MAX];
	PF_AUTO_BUF struct pf_buf one = {0}, two = {0};
	struct pf_error err;

	if (pf__manifest_parse(text, digest, &c, &err) < 0)
		return;
	must(pf_image_manifest_print(digest, &c, &one) == 0);
	must(pf__manifest_parse(&one, same, &again, &err) == 0);
	must(strcmp(digest, same) == 0);
	must(pf_image_manifest_print(same, &again, &two) == 0);
	must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	pf_image_config_free(&c);
	pf_image_config_free(&again);
}

static void info(const struct pf_buf *text)
{
	PF_AUTO_BUF struct pf_buf one = {0};
	struct pf_image i = {0}, again = {0};
	struct pf_image_info about;
	struct pf_error err;

	if (pf__info_parse(text, &i, &err) < 0)
		return;
	about = (struct pf_image_info){i.source, i.created, i.size, i.files, i.bytes, &i.notes};
	must(pf_image_info_print(&about, &one) == 0);
	must(pf__info_parse(&one, &again, &err) == 0);
	must(i.size == again.size && i.notes.count == again.notes.count &&
	     strcmp(i.source, again.source) == 0);
	pf_image_free(&i);
	pf_image_free(&again);
}

static void root(const struct pf_buf *text)
{
	struct pf_image i = {0};
	struct pf_error err;

	if (pf__root_parse(text, &i, &err) < 0)
		must(!i.owners_kept && i.left_out == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PF_AUTO_BUF struct pf_buf text = {0};

	if (pf_buf_add(&text, data, size) < 0)
		return 0;
	manifest(&text);
	info(&text);
	root(&text);
	return 0;
}
