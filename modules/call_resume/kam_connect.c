/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No connection is opened for what no script has decided. The core's readers answer
 * some things by themselves, a ping of two CRLF and "Expect: 100-continue", and open a
 * connection for that when the one that it came over is gone: a stranger who closes his
 * and listens at its port is connected to.
 */
#include "kam_connect.h"

#include "../../core/dprint.h"
#include "../../core/script_cb.h"
#include "../../core/tcp_options.h"
#include "../../core/cfg/cfg_struct.h"

static struct cfg_group_tcp used; /* what tcp_cfg points to */
static void *configured;          /* what Kamailio has made of it */
static int is_reader;

void kam_connect_off(void)
{
	if(!is_reader)
		return;
	used = *(struct cfg_group_tcp *)configured;
	used.no_connect = 1;
}

static int before_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)msg;
	(void)flags;
	(void)param;
	if(is_reader)
		used = *(struct cfg_group_tcp *)configured;
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

/* Kamailio points a handle at the configuration when the process begins to read, behind
 * this, and whenever something has changed: from here on that handle is ours. */
void kam_connect_child(int rank)
{
	cfg_group_t *group = cfg_lookup_group("tcp", 3);

	if(rank <= 0 || kam_config.connect_back || group == NULL)
		return;
	configured = tcp_cfg;
	group->handle = &configured;
	tcp_cfg = &used;
	is_reader = 1;
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
