/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/account's readers of an image's passwd and group: the input is who is asked for, passwd and group,
 * cut at the first two NULs. Whatever is found is an account of a sandbox: ids in range, a plain name, a home
 * that is clean or none. What is added makes the account one that is found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* The bytes up to the next NUL, or all that is left with `rest`. */
static struct pf_buf part(const uint8_t **p, size_t *n, bool rest)
{
	const uint8_t *nul = rest || !*n ? NULL : memchr(*p, 0, *n);
	size_t len = nul ? (size_t)(nul - *p) : *n;
	struct pf_buf b = {0};

	CHECK(pf_buf_add(&b, *p, len) == 0);
	*p += len + (nul ? 1 : 0);
	*n -= len + (nul ? 1 : 0);
	return b;
}

static void check(const struct pf_account *a)
{
	char clean[PF_ACCOUNT_HOME];

	CHECK(a->uid <= PF_ACCOUNT_ID && a->gid <= PF_ACCOUNT_ID);
	CHECK(a->name[0] && !strpbrk(a->name, ":/ \n"));
	CHECK(!a->home[0] || (pf_account_home(a->home, clean) && strcmp(clean, a->home) == 0));
}

static void check_added(const struct pf_buf *passwd, const struct pf_account *a)
{
	struct pf_account with = *a, again;
	struct pf_buf out = {0};
	int r;

	snprintf(with.home, sizeof(with.home), "/home/user");
	r = pf_account_add_passwd(passwd, &with, "/bin/sh", &out);
	CHECK(r == 0 || r == 1);
	CHECK(pf_account_by_uid(r ? &out : passwd, a->uid, &again) && again.uid == a->uid);
	pf_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_buf spec = part(&data, &size, false), passwd = part(&data, &size, false),
		      group = part(&data, &size, true);
	struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_account a;

	if (pf_account_find(spec.data ? spec.data : "", &passwd, &group, &a, &err) == 0) {
		check(&a);
		check_added(&passwd, &a);
		CHECK(pf_account_add_group(&group, &a, &out) >= 0);
	} else {
		CHECK(err.code < 0 && err.msg[0]);
	}
	if (pf_account_by_uid(&passwd, 1000, &a) && a.gid <= PF_ACCOUNT_ID)
		check(&a);
	pf_buf_free(&spec);
	pf_buf_free(&passwd);
	pf_buf_free(&group);
	pf_buf_free(&out);
	return 0;
}
