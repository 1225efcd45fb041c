/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile input may cost in all, and the notes about what was left out of an image. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "image/import/import_internal.h"

const char *pf__show(const char *s, size_t n, char buf[PF__SHOW])
{
	pf_printable(s, n, buf, PF__SHOW);
	return buf;
}

static int too_much(const char *what, uint64_t max, struct pf_error *err)
{
	char size[16];

	pf_format_size(max, size);
	return pf_fail(err, -EFBIG, "%s more than %s", what, size);
}

int pf__budget_unpacked(struct pf__budget *b, uint64_t n, struct pf_error *err)
{
	b->unpacked += n;
	return b->unpacked > b->bytes_max ? too_much("it unpacks to", b->bytes_max, err) : 0;
}

int pf__budget_stored(struct pf__budget *b, uint64_t n, struct pf_error *err)
{
	b->stored += n;
	return b->stored > b->bytes_max ? too_much("its files hold", b->bytes_max, err) : 0;
}

int pf__budget_entry(struct pf__budget *b, uint64_t apparent, struct pf_error *err)
{
	uint64_t max = b->bytes_max;

	/* A hole costs a table entry a chunk in the image, and whoever reads the file reads it all. */
	if (__builtin_mul_overflow(max, (uint64_t)PF__APPARENT, &max))
		max = INT64_MAX;
	if (++b->entries > PF__ENTRIES_MAX)
		return pf_fail(err, -E2BIG, "there are more than %u entries", PF__ENTRIES_MAX);
	if (__builtin_add_overflow(b->apparent, apparent, &b->apparent) || b->apparent > max)
		return too_much("its files with their holes are", max, err);
	return 0;
}

void pf__note(struct pf__notes *n, enum pf__note kind, const char *path)
{
	if (n->count[kind]++ == 0)
		pf__show(path, strlen(path), n->first[kind]);
}

int pf__notes_list(const struct pf__notes *n, struct pf_list *out)
{
	static const char *const text[PF__NOTES] = {
		[PF__NOTE_DEVICE] = "left out device nodes below dev, which a sandbox makes itself",
		[PF__NOTE_SOCKET] = "left out sockets, which nobody serves",
		[PF__NOTE_XATTR] = "left out extended attributes that mean nothing in a sandbox",
		[PF__NOTE_OVERLAY] = "left out attributes of overlayfs",
		[PF__NOTE_ACL] = "left out access control lists written as text",
		[PF__NOTE_MOUNT] = "left out what other file systems mounted inside hold",
		[PF__NOTE_AUFS] = "left out bookkeeping of AUFS",
		[PF__NOTE_TRAILER] = "ignored what follows the end of the archive",
	};
	int r = 0;

	for (int i = 0; i < PF__NOTES && r == 0; i++)
		if (n->count[i] && !*n->first[i])
			r = pf_list_add(out, text[i]);
		else if (n->count[i] == 1)
			r = pf_list_addf(out, "%s: %s", text[i], n->first[i]);
		else if (n->count[i])
			r = pf_list_addf(out, "%s: %s and %llu more", text[i], n->first[i],
					 (unsigned long long)n->count[i] - 1);
	return r;
}
