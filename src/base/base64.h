/* SPDX-License-Identifier: Apache-2.0 */
/* The digits of base64. Text is made of bytes in json_write.c; what is strict about reading is the reader's.
 */
#ifndef PF_BASE_BASE64_H
#define PF_BASE_BASE64_H

int pf_base64_digit(unsigned char c); /* of RFC 4648, section 4: 0 to 63, or -1 */

#endif
