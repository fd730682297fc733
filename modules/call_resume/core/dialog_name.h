/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Dialogs named inside header fields: Replaces (RFC 3891), Join (RFC 3911),
 * Target-Dialog (RFC 4538), and Refer-To with Replaces as a URI header (RFC 3515, 5589).
 */
#ifndef CR_DIALOG_NAME_H
#define CR_DIALOG_NAME_H

#include "sip.h"

typedef struct cr_dialog_name
{
	cr_span_t call_id;
	cr_span_t tags[2]; /* in the order of the text */
} cr_dialog_name_t;

/**
 * Replace a name by another one.
 * @param to  receives the new name; its spans live until the next call
 * @return 1, or 0 to leave the name as it is
 */
typedef int (*cr_rename_f)(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from);

/** Offer every dialog name in the message to rename() and note the edits. */
void cr_rename_dialogs(
		cr_edits_t *e, const cr_sip_t *m, cr_rename_f rename, void *arg);

#endif
