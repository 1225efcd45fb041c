/* SPDX-License-Identifier: Apache-2.0 */
/* Values that the user names: --secret NAME=@FILE or NAME=env:VAR, and the policy's secrets.values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "guard/secret.h"

static const char *reference(const char *spec)
{
	const char *eq = strchr(spec, '=');

	if (!eq || eq == spec)
		return NULL;
	return (eq[1] == '@' && eq[2]) || (strncmp(eq + 1, "env:", 4) == 0 && eq[5]) ? eq + 1 : NULL;
}

int pf_secret_check(const char *spec, struct pf_error *err)
{
	size_t n = strcspn(spec, "=");

	if (reference(spec) && n < 64)
		return 0;
	return pf_fail(err, -EINVAL, "a secret is NAME=@FILE or NAME=env:VARIABLE, never the value itself%s",
		       n >= 64 ? "; the name is too long" : "");
}

static int read_value(const char *from, struct pf_buf *value, struct pf_error *err)
{
	const char *env;
	int r;

	if (*from != '@') {
		env = getenv(from + 4);
		if (!env)
			return pf_fail(err, -ENOENT, "the variable %.100s is not set", from + 4);
		return pf_buf_adds(value, env);
	}
	r = pf_read_file(AT_FDCWD, from + 1, value, PF_REDACT_VALUE_MAX);
	if (r < 0) {
		errno = -r;
		return pf_fail_errno(err, "cannot read %.200s", from + 1);
	}
	return 0;
}

int pf_secret_add(struct pf_redact *r, const char *spec, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf value = {0};
	const char *from = reference(spec);
	char name[64];
	int e;

	e = pf_secret_check(spec, err);
	if (e < 0)
		return e;
	memcpy(name, spec, (size_t)(from - 1 - spec));
	name[from - 1 - spec] = '\0';
	e = read_value(from, &value, err);
	if (e < 0)
		return pf_wrap(err, "secret %s", name);
	e = pf_redact_add(r, name, value.data ? value.data : "", value.len, PF_REDACT_SURE);
	if (value.data)
		explicit_bzero(value.data, value.len);
	if (e == -E2BIG)
		return pf_fail(err, e, "secret %s: there are more than %u secrets", name, PF_REDACT_VALUES);
	if (e < 0)
		return pf_fail(err, e, "secret %s: no memory", name);
	if (e == 0)
		return pf_fail(err, -EINVAL,
			       "secret %s is shorter than 4 bytes: it would be found everywhere", name);
	return 0;
}
