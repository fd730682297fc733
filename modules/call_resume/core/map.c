/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "map.h"

#include "bytes.h"

#define FLAGS_KNOWN (CR_MAP_RESUME | CR_MAP_URIS)

/* ---- seal ---------------------------------------------------------------- */

static void put_map(cr_writer_t *w, const cr_map_t *map)
{
	cr_put_u8(w, (uint8_t)map->flags);
	cr_put_be32(w, map->cseq_offset);
	cr_put_be32(w, map->exp);
	cr_put_span8(w, map->other.call_id);
	cr_put_span8(w, map->other.tag);
	if(!(map->flags & CR_MAP_URIS))
		return;
	cr_put_span8(w, map->n_local);
	cr_put_span8(w, map->n_remote);
	cr_put_span8(w, map->o_local);
	cr_put_span8(w, map->o_remote);
}

int cr_map_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, const cr_dialog_id_t *here, const cr_map_t *map)
{
	const cr_span_t context[] = {here->call_id, here->tag};
	uint8_t plain[CR_BOX_PLAIN_MAX];
	cr_writer_t w = cr_writer(plain, sizeof(plain));
	int err;

	if(map->flags & ~(unsigned)FLAGS_KNOWN)
		return CR_EINTERNAL;
	put_map(&w, map);
	err = cr_writer_end(&w);
	if(!err)
		err = cr_box_seal(
				out, out_max, c, key, purpose, context, 2, cr_written(&w));
	cr_wipe(plain, w.len);
	return err;
}

/* ---- open ---------------------------------------------------------------- */

static int get_map(cr_map_t *map, cr_reader_t *r)
{
	map->flags = cr_get_u8(r);
	/* What follows an unknown flag cannot be read: a later version's. */
	if(map->flags & ~(unsigned)FLAGS_KNOWN)
		return CR_EUNSUPPORTED;
	map->cseq_offset = cr_get_be32(r);
	map->exp = cr_get_be32(r);
	map->other.call_id = cr_get_span8(r);
	map->other.tag = cr_get_span8(r);
	if(map->flags & CR_MAP_URIS) {
		map->n_local = cr_get_span8(r);
		map->n_remote = cr_get_span8(r);
		map->o_local = cr_get_span8(r);
		map->o_remote = cr_get_span8(r);
	}
	return cr_reader_end(r);
}

int cr_map_open(cr_map_t *map, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_key_t **key, cr_crypto_t *c, const cr_ring_t *ring,
		int64_t now, cr_purpose_t purpose, const cr_dialog_id_t *here,
		cr_span_t text)
{
	const cr_span_t context[] = {here->call_id, here->tag};
	const cr_key_t *found = NULL;
	cr_map_t read = {0};
	cr_reader_t r;
	int err,
			len = cr_box_open(mem, CR_BOX_PLAIN_MAX, &found, c, ring, now,
					purpose, context, 2, text);

	if(len < 0)
		return len;
	r = cr_reader(mem, (size_t)len);
	err = get_map(&read, &r);
	if(!err && now >= (int64_t)read.exp)
		err = CR_EEXPIRED;
	if(err) {
		cr_wipe(mem, (size_t)len);
		return err;
	}
	*map = read;
	*key = found;
	return CR_OK;
}

int cr_map_is_misplaced(uint8_t mem[CR_BOX_PLAIN_MAX], cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_span_t text)
{
	int len = cr_box_peek(mem, CR_BOX_PLAIN_MAX, c, ring, now, text), is;
	cr_map_t map = {0};
	cr_reader_t r;

	if(len < 0)
		return 0;
	r = cr_reader(mem, (size_t)len);
	is = get_map(&map, &r) == CR_OK && map.other.call_id.len > 0
			&& map.other.tag.len > 0;
	cr_wipe(mem, (size_t)len);
	return is;
}
