/* SPDX-License-Identifier: Apache-2.0 */
/* What pinfold-refuse, init and the host agree on. Nothing else is shared with what runs inside. */
#ifndef PF_VIEW_PLACE_H
#define PF_VIEW_PLACE_H

#define PF_VIEW_PLACE	    "/run/pinfold-commands" /* inside; a mount that no command can move */
#define PF_VIEW_APPROVED    "approved"		    /* names with ", " between them */
#define PF_VIEW_REFUSED	    "refused"		    /* a line for each program that was refused: its path */
#define PF_REFUSED_LINE_MAX 1024

/* In the copies of pinfold-refuse that views have, at PF_REFUSE_MARK_AT: padding of an ELF header that no
 * kernel reads (elf(5), EI_PAD). By it init knows that what it is about to start is refused. */
#define PF_REFUSE_MARK	  "pinfold"
#define PF_REFUSE_MARK_AT 9

#endif
