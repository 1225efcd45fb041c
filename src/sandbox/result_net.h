/* SPDX-License-Identifier: Apache-2.0 */
/* Inside this folder: connections and denials of a result. Both are bounded; what is beyond is counted. */
#ifndef PF_SANDBOX_RESULT_NET_H
#define PF_SANDBOX_RESULT_NET_H

#include "sandbox/result.h"

/* Append; strings are copied. 1, 0 when it was only counted, or -ENOMEM. */
int pf__result_connect(struct pf_result *r, const struct pf_connection *c);
struct pf_connection *pf__result_connection(struct pf_result *r, uint64_t id, uint64_t request); /* or NULL */
void pf__connection_free(struct pf_connection *c); /* its strings */

void pf__denial_json(const struct pf_denial *d, struct pf_jsonw *w);
void pf__connection_json(const struct pf_connection *c, struct pf_jsonw *w);
void pf__network_json(const struct pf_result *r, struct pf_jsonw *w); /* the connections */
void pf__network_free(struct pf_result *r);

#endif
