/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), for policy, filter and content digests. Nothing secret depends on it. */
#ifndef PF_BASE_SHA256_H
#define PF_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct pf_sha256 {
	uint32_t h[8];
	uint64_t total;
	uint8_t block[64];
};

/* The standard's K, on 16 bytes: for who computes whole blocks into h by other instructions. */
extern const uint32_t pf__sha256_k[64];

void pf_sha256_init(struct pf_sha256 *s);
void pf_sha256_add(struct pf_sha256 *s, const void *p, size_t n);
void pf_sha256_end(struct pf_sha256 *s, uint8_t out[32]);
/* "sha256:" and 64 hexadecimal digits. */
#define PF_DIGEST_MAX 72
void pf_sha256_text(const void *p, size_t n, char out[PF_DIGEST_MAX]);
void pf_sha256_end_text(struct pf_sha256 *s, char out[PF_DIGEST_MAX]);

#endif
