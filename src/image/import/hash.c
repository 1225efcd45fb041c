/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by libcrypto, and what a digest may look like. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "image/import/import_internal.h"

static const EVP_MD *sha256;

int pf__hash_ready(struct pf_error *err)
{
	/* Not the system's configuration: it may load modules, and it changes nothing about a digest. */
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		return pf_fail(err, -ENOSYS, "cannot start libcrypto");
	if (!sha256)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); /* kept for the life of the process */
	if (!sha256)
		return pf_fail(err, -ENOSYS, "libcrypto has no SHA-256");
	return 0;
}

int pf__hash_begin(struct pf__hash *h, struct pf_error *err)
{
	int r = pf__hash_ready(err);
	EVP_MD_CTX *ctx;

	if (r)
		return r;
	ctx = EVP_MD_CTX_new();
	if (!ctx || !EVP_DigestInit_ex2(ctx, sha256, NULL)) {
		EVP_MD_CTX_free(ctx);
		return pf_fail(err, -ENOMEM, "out of memory for a digest");
	}
	h->ctx = ctx;
	return 0;
}

int pf__hash_add(struct pf__hash *h, const void *p, size_t n, struct pf_error *err)
{
	if (h->ctx && !EVP_DigestUpdate(h->ctx, p, n))
		return pf_fail(err, -EIO, "libcrypto failed to compute a digest");
	return 0;
}

int pf__hash_end(struct pf__hash *h, char out[PF_DIGEST_MAX], struct pf_error *err)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int ok = h->ctx && EVP_DigestFinal_ex(h->ctx, sum, &n);

	pf__hash_free(h);
	if (!ok || n != 32)
		return pf_fail(err, -EIO, "libcrypto failed to compute a digest");
	memcpy(out, "sha256:", 7);
	for (unsigned i = 0; i < n; i++) {
		out[7 + 2 * i] = hex[sum[i] >> 4];
		out[8 + 2 * i] = hex[sum[i] & 15];
	}
	out[7 + 2 * n] = '\0';
	return 0;
}

void pf__hash_free(struct pf__hash *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

bool pf__digest_ok(const char *s)
{
	return strncmp(s, "sha256:", 7) == 0 && strlen(s) == 7 + 64 &&
	       strspn(s + 7, "0123456789abcdef") == 64;
}
