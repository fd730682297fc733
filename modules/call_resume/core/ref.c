/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ref.h"

#include "bytes.h"

static int is_ref_purpose(cr_purpose_t purpose)
{
	return purpose == CR_PURPOSE_CALLER || purpose == CR_PURPOSE_CALLEE;
}

int cr_ref_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, cr_span_t call_id, const cr_ref_t *ref)
{
	uint8_t plain[CR_BOX_PLAIN_MAX];
	cr_writer_t w = cr_writer(plain, sizeof(plain));
	int err;

	if(!is_ref_purpose(purpose))
		return CR_EINTERNAL;
	cr_put_bytes(&w, ref->hint, sizeof(ref->hint));
	cr_put_be32(&w, ref->start);
	cr_put_span8(&w, ref->sub);
	cr_put_span8(&w, ref->sid);
	if(ref->cseq > 0)
		cr_put_be32(&w, ref->cseq);
	if(ref->fp.known)
		cr_put_bytes(&w, ref->fp.hash, CR_FP_LEN);
	err = cr_writer_end(&w);
	if(!err)
		err = cr_box_seal(
				out, out_max, c, key, purpose, &call_id, 1, cr_written(&w));
	cr_wipe(plain, w.len);
	return err;
}

/* What is there only sometimes; the length says which of it. */
static int get_optional(cr_ref_t *ref, cr_reader_t *r)
{
	if(r->left == 4 || r->left == 4 + CR_FP_LEN) {
		ref->cseq = cr_get_be32(r);
		if(ref->cseq == 0)
			return CR_EMALFORMED;
	}
	if(r->left == CR_FP_LEN) {
		ref->fp.known = 1;
		memcpy(ref->fp.hash, cr_get_bytes(r, CR_FP_LEN).s, CR_FP_LEN);
	}
	return cr_reader_end(r);
}

static int get_ref(cr_ref_t *ref, cr_reader_t *r)
{
	cr_span_t hint = cr_get_bytes(r, CR_BOX_HINT_LEN);

	ref->start = cr_get_be32(r);
	ref->sub = cr_get_span8(r);
	ref->sid = cr_get_span8(r);
	if(r->bad || get_optional(ref, r) != CR_OK)
		return CR_EMALFORMED;
	memcpy(ref->hint, hint.s, sizeof(ref->hint));
	return CR_OK;
}

int cr_ref_open(cr_ref_t *ref, uint8_t mem[CR_BOX_PLAIN_MAX], cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_purpose_t purpose,
		cr_span_t call_id, cr_span_t text)
{
	const cr_key_t *key = NULL;
	cr_ref_t read = {0};
	cr_reader_t r;
	int err, len;

	if(!is_ref_purpose(purpose))
		return CR_EINTERNAL;
	len = cr_box_open(mem, CR_BOX_PLAIN_MAX, &key, c, ring, now, purpose,
			&call_id, 1, text);
	if(len < 0)
		return len;
	r = cr_reader(mem, (size_t)len);
	err = get_ref(&read, &r);
	if(err)
		cr_wipe(mem, (size_t)len);
	else
		*ref = read;
	return err;
}
