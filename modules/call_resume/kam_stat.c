/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_stat.h"

#include "../../core/counters.h"
#include "../../core/dprint.h"

static const char *const names[KAM_STAT_N] = {
		[KAM_TOKENS_ISSUED] = "tokens_issued",
		[KAM_TOKENS_ACCEPTED] = "tokens_accepted",
		[KAM_TOKENS_MISSING] = "tokens_missing",
		[KAM_TOKENS_MALFORMED] = "tokens_malformed",
		[KAM_TOKENS_FORGED] = "tokens_forged",
		[KAM_TOKENS_EXPIRED] = "tokens_expired",
		[KAM_TOKENS_NOT_YET] = "tokens_not_yet",
		[KAM_TOKENS_INSECURE] = "tokens_insecure",
		[KAM_TOKENS_UNKNOWN_ISSUER] = "tokens_unknown_issuer",
		[KAM_TOKENS_WRONG_AUDIENCE] = "tokens_wrong_audience",
		[KAM_TOKENS_REVOKED] = "tokens_revoked",
		[KAM_KEYS_GIVEN] = "keys_given",
		[KAM_KEYS_INSECURE] = "keys_insecure",
		[KAM_KEYS_RETIRED] = "keys_retired",
		[KAM_TURN_ISSUED] = "turn_issued",
		[KAM_STATES_SEALED] = "states_sealed",
		[KAM_SEALS_FAILED] = "seals_failed",
		[KAM_STATES_PUSHED] = "states_pushed",
		[KAM_STATES_OPENED] = "states_opened",
		[KAM_STATES_MALFORMED] = "states_malformed",
		[KAM_STATES_TOO_BIG] = "states_too_big",
		[KAM_STATES_DUPLICATE] = "states_duplicate",
		[KAM_STATES_NOT_YOURS] = "states_not_yours",
		[KAM_STATES_EXPIRED] = "states_expired",
		[KAM_FINGERPRINTS_REFUSED] = "fingerprints_refused",
		[KAM_DIALOGS_RESUMED] = "dialogs_resumed",
		[KAM_RESUMES_REFUSED] = "resumes_refused",
		[KAM_RESUMES_ANSWERED] = "resumes_answered",
		[KAM_RESUMES_QUIET] = "resumes_quiet",
		[KAM_UPDATES_REFUSED] = "updates_refused",
		[KAM_RESUMES_FAILED] = "resumes_failed",
		[KAM_RESUMES_LATE] = "resumes_late",
		[KAM_RESUMES_POSTPONED] = "resumes_postponed",
		[KAM_AWAY_SECONDS] = "away_seconds",
		[KAM_ENDED_AWAY] = "ended_away",
		[KAM_CALLERS_WAITED] = "callers_waited",
		[KAM_ANSWERS_UNHEARD] = "answers_unheard",
		[KAM_ANSWERS_ABANDONED] = "answers_abandoned",
		[KAM_CALLS_ABANDONED] = "calls_abandoned",
		[KAM_SPLICED_IN] = "spliced_in",
		[KAM_SPLICED_OUT] = "spliced_out",
		[KAM_MAPS_MALFORMED] = "maps_malformed",
		[KAM_MAPS_FORGED] = "maps_forged",
		[KAM_MAPS_EXPIRED] = "maps_expired",
		[KAM_MAPS_MISPLACED] = "maps_misplaced",
		[KAM_SPLICES_FAILED] = "splices_failed",
		[KAM_MESSAGES_DROPPED] = "messages_dropped",
		[KAM_HEADS_MALFORMED] = "heads_malformed",
		[KAM_REPLIES_REFUSED] = "replies_refused",
		[KAM_NODES_REFUSED] = "nodes_refused",
		[KAM_UNPROVED_CLOSED] = "unproved_closed",
		[KAM_PROVED_CLOSED] = "proved_closed",
		[KAM_RELOADS] = "reloads",
		[KAM_ROTATIONS] = "rotations",
		[KAM_REVOCATIONS] = "revocations",
};

static stat_var *vars[KAM_STAT_N];

int kam_stat_init(void)
{
	for(int i = 0; i < KAM_STAT_N; i++) {
		if(register_stat("call_resume", (char *)names[i], &vars[i], 0) != 0) {
			LM_ERR("cannot register the statistic %s\n", names[i]);
			return -1;
		}
	}
	return 0;
}

void kam_count(kam_stat_t stat)
{
	update_stat(vars[stat], 1);
}

void kam_count_many(kam_stat_t stat, int n)
{
	update_stat(vars[stat], n);
}

unsigned long kam_stat_value(kam_stat_t stat)
{
	return get_stat_val(vars[stat]);
}

const char *kam_stat_name(kam_stat_t stat)
{
	return names[stat];
}
