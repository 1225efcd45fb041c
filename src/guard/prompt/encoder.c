/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the encoder's paths a machine runs. */
#include "guard/prompt/encoder.h"

static pf__forward_fn *const forwards[PF_PATH_COUNT] = {
	[PF_PATH_SCALAR] = pf__forward_scalar,
	[PF_PATH_AVX2] = pf__forward_avx2,
	[PF_PATH_VNNI] = pf__forward_vnni,
};

const char *pf__path_name(enum pf__path path)
{
	static const char *const names[PF_PATH_COUNT] = {"scalar", "avx2", "avx512-vnni"};

	return names[path];
}

int pf__path_runs(enum pf__path path)
{
	/* The compiler's run-time asks the kernel's state (XGETBV) too, not the processor alone. */
	__builtin_cpu_init();
	switch (path) {
	case PF_PATH_AVX2:
		return __builtin_cpu_supports("avx2") != 0;
	case PF_PATH_VNNI:
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512vnni");
	default:
		return 1;
	}
}

enum pf__path pf__path_best(void)
{
	if (pf__path_runs(PF_PATH_VNNI))
		return PF_PATH_VNNI;
	return pf__path_runs(PF_PATH_AVX2) ? PF_PATH_AVX2 : PF_PATH_SCALAR;
}

pf__forward_fn *pf__path_forward(enum pf__path path)
{
	return forwards[path];
}
