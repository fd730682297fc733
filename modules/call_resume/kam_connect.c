/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No connection is opened for what no script has decided. The core's readers answer
 * some things by themselves, a ping of two CRLF and "Expect: 100-continue", and open a
 * connection for that when the one that it came over is gone: a stranger who closes his
 * and listens at its port is connected to.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/script_cb.h"
#include "../../core/tcp_options.h"
#include "../../core/cfg/cfg_struct.h"

static struct cfg_group_tcp
		closed; /* as what is configured, without connecting */
static void *configured;
static int is_reader;

/* Kamailio points tcp_cfg at what is configured anew when that has changed: then there
 * is nothing of ours in it, and what we have kept may be gone. */
void kam_connect_off(void)
{
	/* A script that has selected a group of configuration (@cfg_select) has Kamailio
	 * look at where this points to. */
	if(!is_reader || tcp_cfg == &closed || cfg_ginst_count != 0)
		return;
	configured = tcp_cfg;
	closed = *(struct cfg_group_tcp *)configured;
	closed.no_connect = 1;
	tcp_cfg = &closed;
}

static int before_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)msg;
	(void)flags;
	(void)param;
	if(tcp_cfg == &closed)
		tcp_cfg = configured;
	return 1;
}

static int after_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)msg;
	(void)flags;
	(void)param;
	kam_connect_off();
	return 1;
}

void kam_connect_child(int rank)
{
	is_reader = rank > 0 && !kam_config.connect_back;
	kam_connect_off();
}

int kam_connect_init(void)
{
	const unsigned int when = REQUEST_CB | ONREPLY_CB;

	if(kam_config.connect_back)
		return 0;
	if(register_script_cb(before_script, PRE_SCRIPT_CB | when, NULL) < 0
			|| register_script_cb(after_script, POST_SCRIPT_CB | when, NULL)
					< 0) {
		LM_ERR("cannot watch the script\n");
		return -1;
	}
	return 0;
}
