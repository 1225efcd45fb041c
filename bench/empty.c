/* SPDX-License-Identifier: Apache-2.0 */
/* The least a static program can do: what starting a process costs here, and a `true` without a dynamic
 * linker. */
int main(void)
{
	return 0;
}
