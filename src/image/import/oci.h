/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the OCI reader: descriptors and documents (oci_docs.c), and the way from index to stack (oci.c). */
#ifndef PF_IMPORT_OCI_H
#define PF_IMPORT_OCI_H

#include "base/json.h"
#include "image/import/import_internal.h"

enum pf__media { PF__INDEX, PF__MANIFEST, PF__CONFIG, PF__LAYER, PF__UNSAID, PF__OTHER };

struct pf__descriptor {
	char digest[PF_DIGEST_MAX];
	char media[128]; /* "": not said */
	uint64_t size;
};

struct pf__document {
	struct pf_buf text;
	struct pf_json_doc *json;
	const struct pf_json *root; /* an object */
	enum pf__media media;	    /* PF__INDEX or PF__MANIFEST */
};

/* *packing: of a layer, otherwise -1. */
enum pf__media pf__media_of(const char *name, int *packing);
/* A string member, or NULL. object may be NULL or something else. */
const char *pf__member(const struct pf_json *object, const char *key);
int pf__descriptor(const char *where, const struct pf_json *v, struct pf__descriptor *out,
		   struct pf_error *err);
#define PF__BLOB_PATH 96
void pf__descriptor_path(const struct pf__descriptor *d, char out[PF__BLOB_PATH]);
/* The bytes that have the descriptor's size and digest, or none. */
int pf__descriptor_read(const struct pf__blobs *b, const struct pf__descriptor *d, struct pf_buf *text,
			struct pf_error *err);
/* An index or manifest. d NULL: the layout's index.json. Freed by pf__document_free() also after a failure.
 */
int pf__document_read(const struct pf__blobs *b, const struct pf__descriptor *d, struct pf__document *out,
		      struct pf_error *err);
void pf__document_free(struct pf__document *d);

#endif
