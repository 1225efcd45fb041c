/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for any processor: what the other paths are compared with. */
#include "guard/prompt/encoder.h"

static void multiply(const struct pf__linear *m, struct pf__scratch *s, unsigned count, float *y)
{
	for (unsigned n = 0; n < m->rows; n += PF_ENC_LANES) {
		const int8_t *panel = m->w + (size_t)n * m->cols;

		for (unsigned r = 0; r < count; r++) {
			const int8_t *x = s->q + (size_t)r * m->cols;
			int32_t sum[PF_ENC_LANES] = {0};

			for (unsigned k = 0; k < m->cols; k += 4) {
				const int8_t *w = panel + (size_t)k * PF_ENC_LANES;

				for (unsigned l = 0; l < PF_ENC_LANES; l++)
					sum[l] += w[4 * l] * x[k] + w[4 * l + 1] * x[k + 1] +
						  w[4 * l + 2] * x[k + 2] + w[4 * l + 3] * x[k + 3];
			}
			for (unsigned l = 0; l < PF_ENC_LANES; l++)
				y[(size_t)r * m->rows + n + l] =
					(float)sum[l] * (m->scale[n + l] * s->scale[r]) + m->bias[n + l];
		}
	}
}

#define VECTOR	4
#define FORWARD pf__forward_scalar
#include "guard/prompt/encoder_body.h"
