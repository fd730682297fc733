/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "box.h"

#include "base.h"
#include "bytes.h"

/* An AAD, as one run of bytes. */
typedef struct aad
{
	uint8_t bytes[CR_BOX_AAD_MAX];
	cr_writer_t w;
} aad_t;

static int make_aad(
		aad_t *aad, cr_purpose_t purpose, const cr_span_t *context, size_t n)
{
	aad->w = cr_writer(aad->bytes, sizeof(aad->bytes));
	if(n > CR_BOX_CONTEXT_MAX)
		return CR_ETOOBIG;
	cr_put_u8(&aad->w, (uint8_t)purpose);
	for(size_t i = 0; i < n; i++) {
		if(context[i].len > UINT16_MAX)
			return CR_ETOOBIG;
		cr_put_be16(&aad->w, (uint16_t)context[i].len);
		cr_put_span(&aad->w, context[i]);
	}
	return cr_writer_end(&aad->w);
}

/* A nonce from the content (wire.h): it repeats only with the content, so no
 * counter has to survive a restart and no random source can fail us. */
static int make_nonce(uint8_t nonce[CR_BOX_NONCE_LEN], cr_crypto_t *c,
		const cr_key_t *key, cr_span_t aad, cr_span_t plain)
{
	const cr_span_t parts[] = {aad, plain};
	uint8_t mac[32];
	int err = cr_hmac(c, mac, key->nonce, CR_KEY_LEN, parts, 2);

	if(!err)
		memcpy(nonce, mac, CR_BOX_NONCE_LEN);
	cr_wipe(mac, sizeof(mac));
	return err;
}

int cr_box_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, const cr_span_t *context, size_t n_context,
		cr_span_t plain)
{
	uint8_t nonce[CR_BOX_NONCE_LEN], tag[CR_BOX_TAG_LEN];
	uint8_t cipher[CR_BOX_PLAIN_MAX];
	uint8_t box[CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD];
	cr_writer_t w = cr_writer(box, sizeof(box));
	aad_t aad;
	int err;

	if(plain.len > CR_BOX_PLAIN_MAX)
		return CR_ETOOBIG;
	err = make_aad(&aad, purpose, context, n_context);
	if(!err)
		err = make_nonce(nonce, c, key, cr_written(&aad.w), plain);
	if(!err)
		err = cr_gcm_seal(c, cipher, tag, key->box, nonce, cr_written(&aad.w),
				plain.s, plain.len);
	if(err)
		goto end;
	cr_put_bytes(&w, key->hint, sizeof(key->hint));
	cr_put_bytes(&w, nonce, sizeof(nonce));
	cr_put_bytes(&w, cipher, plain.len);
	cr_put_bytes(&w, tag, sizeof(tag));
	err = cr_writer_end(&w);
end:
	if(err) {
		cr_wipe(cipher, plain.len);
		return err;
	}
	return cr_b32_encode(out, out_max, box, w.len);
}

/* The parts of a box, in place. */
typedef struct parts
{
	cr_span_t hint;
	cr_span_t nonce;
	cr_span_t cipher;
	cr_span_t tag;
} parts_t;

static int split(parts_t *out, const uint8_t *box, size_t len)
{
	cr_reader_t r = cr_reader(box, len);

	if(len < CR_BOX_OVERHEAD)
		return CR_EMALFORMED;
	out->hint = cr_get_bytes(&r, CR_BOX_HINT_LEN);
	out->nonce = cr_get_bytes(&r, CR_BOX_NONCE_LEN);
	out->cipher = cr_get_bytes(&r, len - CR_BOX_OVERHEAD);
	out->tag = cr_get_bytes(&r, CR_BOX_TAG_LEN);
	return cr_reader_end(&r);
}

/* @param box  CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD bytes, which parts point into */
static int take_apart(parts_t *parts, const cr_key_t **key, uint8_t *box,
		const cr_ring_t *ring, int64_t now, cr_span_t text)
{
	int err, len = cr_b32_decode(box, CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD, text);

	if(len < 0)
		return len;
	err = split(parts, box, (size_t)len);
	if(err)
		return err;
	*key = cr_ring_by_hint(ring, (const uint8_t *)parts->hint.s, now);
	return *key != NULL ? CR_OK : CR_EKEY;
}

int cr_box_open(uint8_t *out, size_t out_max, const cr_key_t **key,
		cr_crypto_t *c, const cr_ring_t *ring, int64_t now,
		cr_purpose_t purpose, const cr_span_t *context, size_t n_context,
		cr_span_t text)
{
	uint8_t box[CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD];
	const cr_key_t *found;
	parts_t parts;
	aad_t aad;
	int err = make_aad(&aad, purpose, context, n_context);

	if(!err)
		err = take_apart(&parts, &found, box, ring, now, text);
	if(err)
		return err;
	if(parts.cipher.len > out_max)
		return CR_ETOOBIG;
	err = cr_gcm_open(c, out, found->box, (const uint8_t *)parts.nonce.s,
			cr_written(&aad.w), parts.cipher.s, parts.cipher.len,
			(const uint8_t *)parts.tag.s);
	if(err)
		return err;
	*key = found;
	return (int)parts.cipher.len;
}

int cr_box_peek(uint8_t *out, size_t out_max, cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_span_t text)
{
	uint8_t box[CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD];
	const cr_key_t *key;
	parts_t parts;
	int err = take_apart(&parts, &key, box, ring, now, text);

	if(err)
		return err;
	if(parts.cipher.len > out_max)
		return CR_ETOOBIG;
	err = cr_gcm_peek(c, out, key->box, (const uint8_t *)parts.nonce.s,
			parts.cipher.s, parts.cipher.len);
	return err ? err : (int)parts.cipher.len;
}
