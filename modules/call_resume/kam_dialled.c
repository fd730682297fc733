/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client that has dialled, and was lost before it had a state: its call is found by the names of
 * its INVITE.
 */
#include "kam.h"
#include "kam_early.h"
#include "kam_message.h"
#include "kam_seal.h"

/* tm compares whole fields, as pages write them. */
int kam_dialled_find(cr_state_t *st, const cr_token_t *by)
{
	struct cell *was = kam_tm.t_gett(), *t;
	int branch = kam_tm.t_gett_branch(), found;
	char mem[24];
	cr_writer_t cseq = cr_writer(mem, sizeof(mem));

	cr_put_uint(&cseq, (uint64_t)st->cseq);
	if(cr_writer_end(&cseq) != CR_OK
			|| kam_tm.t_lookup_callid(
					   &t, kam_str(st->call_id), kam_str(cr_written(&cseq)))
					< 0)
		return 0;
	found = kam_early_is_of(t, st) && kam_seal_is_of(t, st, by, &st->fp);
	if(found)
		st->ringing = kam_transaction_number(t);
	kam_tm.unref_cell(t);
	kam_tm.t_sett(was, branch);
	return found;
}
