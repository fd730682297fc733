/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are there.
 */
#ifndef CR_KAM_THERE_H
#define CR_KAM_THERE_H

#include "kam.h"

/** 1 when a client of that web session is registered here, and its connection, where it
 * has one, is up. */
int kam_is_there(cr_span_t sub, cr_span_t sid);

/** The same for this node of a cluster alone. */
int kam_is_here(cr_span_t sub, cr_span_t sid);

/** How many nodes of a cluster are in front of this one where something is to be done once for
 * that web session: none of the node that has, or had, its binding, where usrloc still knows of
 * one at a node that is up; and one of all others then. Else the nodes that are up have the
 * order of their numbers. 0 in no cluster. */
int kam_nodes_in_front(cr_span_t sub, cr_span_t sid);

/** 1 for a binding that a client has made at this node, and whose connection is up. */
struct ucontact;
int kam_is_binding_here(const struct ucontact *c);

#endif
