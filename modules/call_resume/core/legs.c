/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "legs.h"

#include "jose.h"

#define LAST "last packet"

static int64_t time_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- a side ------------------------------------------------------------------------ */

/* Of all its streams, those of RTCP too. */
static int64_t last_of(const json_t *leg)
{
	const json_t *media, *stream;
	int64_t last = 0;
	size_t i, k;

	json_array_foreach(json_object_get(leg, "medias"), i, media)
	{
		json_array_foreach(json_object_get(media, "streams"), k, stream)
		{
			last = later(last, time_of(stream, LAST));
		}
	}
	return last;
}

static int has_flag(const json_t *media, const char *name)
{
	const json_t *flag;
	size_t i;

	json_array_foreach(json_object_get(media, "flags"), i, flag)
	{
		if(cr_span_eq(cr_json_span(flag), cr_span_str(name)))
			return 1;
	}
	return 0;
}

/* "recv": rtpengine receives from this side. */
static int has_to_send(const json_t *leg)
{
	const json_t *media;
	size_t i;

	json_array_foreach(json_object_get(leg, "medias"), i, media)
	{
		if(has_flag(media, "ICE") || has_flag(media, "recv"))
			return 1;
	}
	return 0;
}

static const json_t *leg_of(const json_t *answer, cr_span_t tag)
{
	const json_t *leg;
	const char *name;

	json_object_foreach((json_t *)json_object_get(answer, "tags"), name, leg)
	{
		if(cr_span_eq(cr_span_str(name), tag))
			return leg;
	}
	return NULL;
}

int cr_legs_last(int64_t *last_s, const json_t *answer, cr_span_t tag)
{
	const json_t *leg = leg_of(answer, tag);

	if(leg == NULL || last_of(leg) == 0)
		return CR_EMISSING;
	if(!has_to_send(leg))
		return CR_EUNSUPPORTED;
	*last_s = last_of(leg);
	return CR_OK;
}

/* ---- all of them ------------------------------------------------------------------- */

int64_t cr_legs_newest(const json_t *answer)
{
	int64_t newest
			= later(time_of(answer, "created"), time_of(answer, "last signal"));
	const json_t *leg;
	const char *name;

	json_object_foreach((json_t *)json_object_get(answer, "tags"), name, leg)
	{
		newest = later(newest, last_of(leg));
	}
	return newest;
}

int cr_legs_label(cr_label_t *label, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_env_t *env, const json_t *answer, cr_span_t call_id)
{
	cr_span_t text, newest = {"", 0};
	const json_t *leg;
	const char *name;
	int64_t made = -1;

	json_object_foreach((json_t *)json_object_get(answer, "tags"), name, leg)
	{
		text = cr_json_span(json_object_get(leg, "label"));
		if(text.len == 0
				|| cr_label_open(label, mem, env, call_id, text) != CR_OK
				|| label->made_s <= made)
			continue;
		made = label->made_s;
		newest = text;
	}
	return newest.len == 0 ? CR_EMISSING
						   : cr_label_open(label, mem, env, call_id, newest);
}

/* ---- the clock of a media server --------------------------------------------------- */

int64_t cr_clock_now(const cr_clock_t *clock, int64_t at_s)
{
	return clock->now_s > 0 ? clock->now_s + (at_s - clock->at_s) : 0;
}

void cr_clock_look(cr_clock_t *clock, int64_t newest_s, int64_t at_s)
{
	int64_t now_s = cr_clock_now(clock, at_s);

	if(newest_s == 0)
		now_s = 0;
	else if(newest_s > clock->newest_s || now_s == 0)
		now_s = newest_s;
	*clock = (cr_clock_t){newest_s, now_s, at_s};
}
