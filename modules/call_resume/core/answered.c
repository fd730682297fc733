/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "answered.h"

#include "box.h"

int cr_answered_put(cr_writer_t *w, const cr_env_t *env, cr_span_t call_id,
		int64_t answered_s)
{
	const cr_key_t *key = cr_ring_sealing(env->ring, cr_now_s(env));
	char plain[4], text[CR_ANSWERED_MAX];
	cr_writer_t p = cr_writer(plain, sizeof(plain));
	int len;

	if(key == NULL)
		return CR_EKEY;
	cr_put_be32(&p, (uint32_t)answered_s);
	len = cr_box_seal(text, sizeof(text), env->crypto, key, CR_PURPOSE_ANSWERED,
			&call_id, 1, cr_written(&p));
	if(len < 0)
		return len;
	cr_put_str(w, CR_ANSWERED_PARAM);
	cr_put_bytes(w, text, (size_t)len);
	return cr_writer_end(w);
}

int64_t cr_answered_of(const cr_env_t *env, cr_span_t call_id, cr_span_t route)
{
	const cr_key_t *key = NULL;
	uint8_t plain[CR_BOX_PLAIN_MAX];
	uint32_t answered;
	cr_span_t box;
	cr_reader_t r;
	int len;

	if(!cr_param_find(route, CR_ANSWERED_NAME, &box, NULL))
		return 0;
	len = cr_box_open(plain, sizeof(plain), &key, env->crypto, env->ring,
			cr_now_s(env), CR_PURPOSE_ANSWERED, &call_id, 1, box);
	if(len < 0)
		return 0;
	r = cr_reader(plain, (size_t)len);
	answered = cr_get_be32(&r);
	return cr_reader_end(&r) == CR_OK ? answered : 0;
}
